"""How an id is made: a UUIDv7, which sorts by the time at which it was made. Whoever calls brings clock and dice."""

from __future__ import annotations

import uuid
from typing import Final

DICE_BITS: Final = 74
"""Random bits in a UUIDv7."""


def uuid7(at_ms: int, dice: int) -> str:
    """The id made at `at_ms` (since 1970) with DICE_BITS random bits, in its usual form (RFC 9562, 5.7)."""
    value = (
        (at_ms & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (dice >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | dice & ((1 << 62) - 1)
    )
    return str(uuid.UUID(int=value))
