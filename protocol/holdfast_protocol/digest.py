"""The digest that makes resume verified: CRC-32 over what the parts show.

Per part a CRC-32 runs on, delta by delta, over the UTF-8 bytes of what the part shows: text and reasoning; a tool
call's arguments, then its result as the string on the wire; what a person added. The digest is the CRC-32 of one line
per such part, `<kind>:<bytes>:<crc as 8 hex digits>\n`, in order. Progress, data, sources, files and waits are not
covered. It finds bugs, not attackers. Its state per part is one integer, so a reader carries it through snapshots and
drops it with the part; 20 lines in any language, no crypto library.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import msgspec


class Digest(msgspec.Struct, frozen=True):
    """How many covered parts, how many UTF-8 bytes they show in all, and the CRC-32 as 8 hex digits."""

    parts: int
    bytes: int
    crc: str


def digest_of(parts: Iterable[tuple[str, int, int]]) -> Digest:
    """The digest of covered parts, each (kind, bytes, crc)."""
    count = total = crc = 0
    for kind, size, part_crc in parts:
        count += 1
        total += size
        crc = crc32(f"{kind}:{size}:{part_crc:08x}\n".encode(), crc)
    return Digest(count, total, f"{crc:08x}")
