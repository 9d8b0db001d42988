"""The Holdfast client: a connection that loses nothing, and the command line built on it.

Names are fetched from their homes when first used, so that `holdfast --help` does not pay for a WebSocket library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .answer import Answer
    from .client import Client, connect
    from .errors import (
        AnswerFailed,
        AnswerLost,
        ClientError,
        CommandRefused,
        ConnectionLost,
        ConnectionRefused,
        NoReply,
        NotAuthenticated,
        OutboxFull,
    )
    from .reading import Superseded

__all__ = [
    "Answer",
    "AnswerFailed",
    "AnswerLost",
    "Client",
    "ClientError",
    "CommandRefused",
    "ConnectionLost",
    "ConnectionRefused",
    "NoReply",
    "NotAuthenticated",
    "OutboxFull",
    "Superseded",
    "connect",
]

_HOMES: Final = {"Answer": "answer", "Client": "client", "Superseded": "reading", "connect": "client"}


def __getattr__(name: str) -> object:
    """The named thing, from its home. Raises: AttributeError."""
    if name not in __all__:
        raise AttributeError(f"module 'holdfast_client' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
