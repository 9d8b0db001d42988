"""What the kernel knows of a process and its connections, read from /proc: no help of the process is needed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


LISTENING, TIME_WAIT = "0A", "06"


class Link(NamedTuple):
    """One end of a TCP connection over loopback: its state (hexadecimal, as the kernel numbers them; 01 is established),
    and the bytes that wait to be sent and acknowledged."""

    local_port: int
    remote_port: int
    state: str
    unsent_bytes: int


def links(local_port: int) -> list[Link]:
    """The ends that belong to this local port, listening ones left out."""
    found: dict[int, Link] = {}  # what changes while it is read may be listed twice
    for line in (PROC / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(end.rpartition(":")[2], 16) for end in fields[1:3])
        if local == local_port and fields[3] != LISTENING:
            found[remote] = Link(local, remote, fields[3], int(fields[4].partition(":")[0], 16))
    return list(found.values())


def rss_bytes(pid: int) -> int:
    """The memory that the process holds now."""
    return int((PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES


def open_sockets(pid: int) -> int:
    """How many of its descriptors are sockets; files come and go with what a database keeps open."""
    count = 0
    for entry in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we looked
            count += str(entry.readlink()).startswith("socket:")
    return count


def threads(pid: int) -> int:
    """How many threads it has."""
    return len(os.listdir(PROC / str(pid) / "task"))  # noqa: PTH208 - entries vanish while they are read
