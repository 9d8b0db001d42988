"""The listening socket: what its connections inherit."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

SEND_BUFFER_BYTES: Final = 64 * 1024
"""Kernel memory per connection that stops reading; inherited from the listening socket. The kernel doubles it."""

TAKEN_MS: Final = 60_000
"""How long bytes may lie there untaken before the kernel ends a connection, also one that the process has let go of. A
WebSocket's is set anew when it is open."""

BACKLOG: Final = 4096
"""Connections waiting to be accepted: after a restart everybody comes back at once."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections have a bounded send buffer. Raises: OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_MS)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
