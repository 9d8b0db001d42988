"""The native HTTP API: requests, chats and batches for everything that speaks HTTP, with the WebSocket's own cursors."""

from .door import HttpDoor

__all__ = ["HttpDoor"]
