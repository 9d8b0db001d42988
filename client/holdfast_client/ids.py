"""New ids: UUIDv7, which sort by the time at which they were made."""

from __future__ import annotations

import os
import time
import uuid


def new_id() -> str:
    """A fresh id, fit for a request, a chat or a message."""
    at_ms = time.time_ns() // 1_000_000
    dice = int.from_bytes(os.urandom(10))
    value = (
        (at_ms & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (dice >> 68) << 64
        | 0b10 << 62
        | dice & ((1 << 62) - 1)
    )
    return str(uuid.UUID(int=value))
