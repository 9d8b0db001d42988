"""Asking again: a store that does not answer now mostly does a moment later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from .stores.base import Unavailable

log = structlog.get_logger(__name__)

FIRST_S: Final = 0.05
MAX_S: Final = 2.0
"""Waits double from the first up to this: a store that is gone costs one call every second or so per run."""

T = TypeVar("T")


async def patiently(
    call: Callable[[], Awaitable[T]],
    what: str,
    *,
    tries_max: int | None = None,
    dice: Callable[[], float] = random.random,
) -> T:
    """What `call` returns, once the store takes it. Without `tries_max` it ends by cancellation only: nobody else can do
    what has to be done. Raises: Unavailable after `tries_max` tries; all else at once."""
    tries = 0
    while True:
        try:
            return await call()
        except Unavailable as error:
            tries += 1
            if tries_max is not None and tries >= tries_max:
                raise
            if tries == 1:
                log.warning("the store does not answer", call=what, error=str(error))
        await asyncio.sleep(min(MAX_S, FIRST_S * 2 ** min(tries, 10)) * (0.5 + dice() / 2))
