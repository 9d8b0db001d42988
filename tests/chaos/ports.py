"""Ports for servers that go away and come back: none that the kernel hands out to connections in between."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_000  # below those of outgoing connections, on Linux from 32,768
TRIES = 200

_DICE = random.SystemRandom()  # not the run's: two runs at a time must not want the same
_taken: set[int] = set()


def steady_port() -> int:
    """A port of the loopback address that nobody listens on, and that only a server would ask for. Raises: OSError."""
    for _ in range(TRIES):
        port = _DICE.randrange(FIRST, LAST)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise OSError("no free port was found")
