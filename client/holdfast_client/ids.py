"""New ids, made here so that sending a submit again does not run it again."""

from __future__ import annotations

import secrets
import time

from holdfast_protocol.ids import DICE_BITS, uuid7


def new_id() -> str:
    """A fresh id, fit for a request, a chat or a message."""
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(DICE_BITS))
