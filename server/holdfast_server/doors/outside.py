"""What the world outside calls this server, and who is really on the other end, where proxies stand in between.

Headers that a proxy adds are believed only from the networks that the configuration names: anybody can write them. Absolute
addresses in answers are made of `server.public_url`, else of what the request says it came to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST: Final = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
"""What a server can be called: a name or a numeric address, and perhaps a port."""

HOPS_MAX: Final = 10
"""Addresses looked at in one X-Forwarded-For: longer chains are somebody's game."""


class Outside:
    """See the module's text. `trusted`: networks, as CIDR texts, of the proxies."""

    def __init__(self, public_url: str | None = None, trusted: Iterable[str] = ()) -> None:
        self._public_url = public_url.rstrip("/") if public_url else None
        self._trusted: Sequence[Network] = [
            ipaddress.ip_network(network, strict=False) for network in trusted
        ]

    @property
    def origin(self) -> str | None:
        """The origin of the page where people see it, if the configuration says so."""
        if self._public_url is None:
            return None
        parts = urlsplit(self._public_url)
        return f"{parts.scheme}://{parts.netloc}"

    def address(self, request: web.BaseRequest) -> str:
        """The address of who asks: the nearest that is not one of our proxies."""
        peer = request.remote or ""
        if not self._trusts(peer):
            return peer
        chain = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")[-HOPS_MAX:]
        for hop in reversed([hop.strip() for hop in chain if hop.strip()]):
            if not _is_address(hop):
                return peer
            peer = hop
            if not self._trusts(hop):
                break
        return peer

    def base_url(self, request: web.BaseRequest) -> str:
        """What absolute addresses in an answer begin with; no slash at its end."""
        if self._public_url is not None:
            return self._public_url
        scheme, host = request.scheme, request.host
        if self._trusts(request.remote or ""):
            told = _last(request, "X-Forwarded-Proto").lower()
            scheme = told if told in ("http", "https") else scheme
            host = _last(request, "X-Forwarded-Host") or host
        return f"{scheme}://{host}"

    def _trusts(self, address: str) -> bool:
        if not self._trusted or not _is_address(address):
            return False
        place = ipaddress.ip_address(address)
        return any(place in network for network in self._trusted)


def _last(request: web.BaseRequest, name: str) -> str:
    """What the nearest proxy says: where each adds its own behind a comma, all before it may be the caller's."""
    return ",".join(request.headers.getall(name, ())).rpartition(",")[2].strip()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
