"""Where the server is: what people write, made into the address of its WebSocket."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

DEFAULT_URL: Final = "ws://127.0.0.1:8080/ws"

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def websocket_url(text: str) -> str:
    """The WebSocket address for `text`: `host:port`, `http(s)://host` and `ws(s)://host` all do; a missing path is /ws.

    Raises: ValueError with a sentence for people.
    """
    given = text.strip()
    parts = urlsplit(given if "://" in given else f"ws://{given}")
    scheme = _SCHEMES.get(parts.scheme)
    try:
        sound = scheme is not None and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(
            f"{text!r} is not an address; write it like http://127.0.0.1:8080 or wss://chat.example.org/ws."
        )
    return urlunsplit(
        (scheme, parts.netloc, "/ws" if parts.path in ("", "/") else parts.path, parts.query, "")
    )
