"""Which addresses a webhook may go to: the server must not be made to speak to what only it can reach.

An address is judged twice. As it is written, when it is handed in and before every try: scheme, port, no credentials, and
a host whose text can be read in one way only. And as it resolves, at the moment of connecting: every numeric address must
be one of the public Internet. An operator may let it reach networks of their own, or name hosts that are trusted.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

URL_CHARS_MAX: Final = 2_048
"""Longer ones are refused by much of what lies between."""

HOST_CHARS_MAX: Final = 253
"""What DNS can name."""

PORTS_BELOW_1024: Final = (80, 443)
"""Of the well-known ports those of HTTP: no body of ours is to be read by a mail server."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|\[[0-9A-Fa-f:.]+\]")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_UNICAST: Final = IPv6Network("2000::/3")  # all that is given out of IPv6; the rest is special, or will be
_NOT_PUBLIC: Final = (
    IPv4Network("168.63.129.16/32"),  # one cloud's own services, under a public address
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),  # relays that are no more
    IPv6Network("3fff::/20"),  # for examples
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Target(NamedTuple):
    """Where a webhook goes. `host` is in lower case and without brackets; `place` is host and port."""

    scheme: str
    host: str
    port: int

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


class UrlRefused(ValueError):
    """This address is none for webhooks; the text says why, for people."""


def is_host(text: str) -> bool:
    """Whether that is a name or a numeric address, without scheme and port."""
    named = len(text) <= HOST_CHARS_MAX and _HOST.fullmatch(text) is not None
    return named or _numeric(_plain(text)) is not None


class Reach:
    """What webhooks may reach. `allow_private`: networks of one's own and this machine too, and without TLS. A host of
    `allowed_hosts` (a name or a numeric address, without port) may be anything."""

    def __init__(self, *, allow_private: bool = False, allowed_hosts: Collection[str] = ()) -> None:
        self._allow_private = allow_private
        self._allowed_hosts = frozenset(_plain(host) for host in allowed_hosts)

    def target(self, url: str) -> Target:
        """Where that goes, as it is written. Raises: UrlRefused."""
        target = _parsed(url)
        if self.trusts(target.host):
            return target
        if target.scheme != "https" and not self._allow_private:
            raise UrlRefused("Only https: is allowed; what a webhook carries is not for others to read.")
        if target.port < 1024 and target.port not in PORTS_BELOW_1024 and not self._allow_private:
            raise UrlRefused("The port must be 80, 443 or above 1023.")
        numeric = _numeric(target.host)
        if numeric is not None and not self._is_open(numeric):
            raise UrlRefused("The host is not on the public Internet.")
        return target

    def trusts(self, host: str) -> bool:
        """Whether the operator named this host."""
        return _plain(host) in self._allowed_hosts

    def permits(self, host: str, address: str) -> bool:
        """Whether a connection for this host may go to this numeric address."""
        if self.trusts(host):
            return True
        try:
            return self._is_open(ip_address(address))
        except ValueError:
            return False

    def _is_open(self, address: IPv4Address | IPv6Address) -> bool:
        if address.is_multicast or address.is_unspecified:
            return False
        address = _meant(address)
        if address.is_multicast or address.is_unspecified or address.is_link_local:
            return False  # link-local is where clouds hand out a machine's own credentials
        return self._allow_private or _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is one of the public Internet; the library's own table is as old as the interpreter."""
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does: the packets end there."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    inner = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
    if inner is None and int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, the oldest form
        inner = IPv4Address(int(address))
    return inner if inner is not None else address


def _parsed(url: str) -> Target:
    if len(url) > URL_CHARS_MAX:
        raise UrlRefused(f"The address is longer than {URL_CHARS_MAX} characters.")
    if not url.isascii() or any(char <= " " or char in '\\"<>^`{|}\x7f' for char in url):
        raise UrlRefused(
            "The address has characters that must be escaped, or a name that is not in punycode."
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UrlRefused("That is no address; expected https://host/path.") from None
    scheme = parts.scheme
    if scheme not in ("http", "https"):
        raise UrlRefused("The address must begin with https://.")
    if "@" in parts.netloc:
        raise UrlRefused("The address must not have a user or a password; check the signature instead.")
    if "#" in url:
        raise UrlRefused("The address must not have a fragment (#…).")
    host, colon, port_text = (
        parts.netloc.rpartition(":") if _has_port(parts.netloc) else (parts.netloc, "", "")
    )
    if len(host) > HOST_CHARS_MAX or not _HOST.fullmatch(host):
        raise UrlRefused("The address has no host that can be read; expected https://host/path.")
    if colon and not (_PORT.fullmatch(port_text) and 0 < int(port_text) < 65_536):
        raise UrlRefused("The port must be a number from 1 to 65535.")
    host = _plain(host)
    if _numeric(host) is None and _looks_numeric(host):
        raise UrlRefused("Write a numeric address in its usual form: 192.0.2.1 or [2001:db8::1].")
    return Target(scheme, host, int(port_text) if colon else 443 if scheme == "https" else 80)


def _has_port(netloc: str) -> bool:
    return ":" in netloc.rpartition("]")[2]


def _plain(host: str) -> str:
    return host.lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _numeric(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _looks_numeric(host: str) -> bool:
    """Whether somebody may read it as a number: 127.1, 2130706433, 0x7f.1 and the like."""
    last = host.rpartition(".")[2]
    return ":" in host or last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
