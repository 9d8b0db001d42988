"""Which pages may connect: a browser sends cookies and reaches loopback for any page, so the server looks at Origin.

A program sends no Origin and is let through. A page is let through if it comes from this server itself (its origin is
what the request's Host names) or from a listed origin. Where no token is needed, Host must moreover be a name of this
machine: otherwise a page whose own name was made to point here would count as ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}


class Origins:
    """The origins that may connect, beside the server's own."""

    def __init__(self, allowed: Iterable[str] = (), *, own_names_only: bool = False) -> None:
        self._null = "null" in (allowed := list(allowed))
        self._allowed = {place for place in map(_parse, allowed) if place is not None}
        self._own_names_only = own_names_only

    def permit(self, origin: str | None, host: str | None) -> bool:
        """Whether a connection with these headers may be made."""
        if origin is None:
            return True
        if origin == "null":
            return self._null
        place = _parse(origin)
        if place is None:
            return False
        if place in self._allowed:
            return True
        scheme, name, port = place
        if self._own_names_only and not is_loopback_name(name):
            return False
        return host is not None and _parse(f"{scheme}://{host}") == (scheme, name, port)


def _parse(origin: str) -> tuple[str, str, int] | None:
    """Scheme, name and port of an origin; None if it is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    default = _PORTS.get(parts.scheme)
    if default is None or not parts.hostname or parts.username is not None or parts.path.strip("/"):
        return None
    if parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname.rstrip("."), default if port is None else port


def is_loopback_name(name: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_name(host: str) -> bool:
    """Whether a Host header names this machine, as only this machine itself can."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback_name(name.rstrip("."))


def hides_body(headers: Mapping[str, str]) -> bool:
    """Whether there is a body behind a WebSocket handshake: so a second request is hidden from what stands in front."""
    if headers.get("Upgrade", "").strip().lower() != "websocket":
        return False
    return "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"


def is_foreign_pages(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site has its browser fetch this without saying which page it is, as it does for images and
    frames. Nothing of it could be read, but it would hold places. A link that somebody follows is none of this."""
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return False
    return (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) != ("navigate", "document")
