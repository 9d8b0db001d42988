"""OpenAI's API: responses over HTTP and WebSocket, conversations, chat completions and models, for unmodified SDKs."""

from .door import OpenAIDoor

__all__ = ["OpenAIDoor"]
