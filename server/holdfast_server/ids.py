"""Ids that the server mints where a client gives none."""

from __future__ import annotations

import secrets
import time

from holdfast_protocol.ids import DICE_BITS, uuid7


def new_id() -> str:
    """A fresh id."""
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(DICE_BITS))
