"""Steps that an agent takes once, whatever happens: their results are in the accounts of the request's terms.

A result is written before it is given to the agent, so that after a crash the next run gets the same one. A step that
crashed in its middle runs again: `fn` must bear that, or look for itself what it has done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from holdfast_protocol.limits import EVENT_BYTES_MAX

from .agents.base import AgentFailure
from .plain import encoded_bytes, name, plain
from .stores.base import Account

STEPS_MAX: Final = 256
"""Steps of one request: every one is written with all the others of its term."""


class Steps:
    """The steps of one request. `write` makes `of_term` durable."""

    def __init__(self, write: Callable[[], Awaitable[None]]) -> None:
        self.of_term: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._write = write
        self._locks: dict[str, asyncio.Lock] = {}

    def load(self, accounts: Sequence[Account]) -> None:
        """Take what earlier terms recorded."""
        for account in accounts:
            self._before.update(account.steps)

    async def step(self, title: str, fn: Callable[[], Awaitable[Any]]) -> Any:
        """What `fn` returned when the step was first taken. Raises: what `fn` raises; AgentFailure if its value cannot be
        kept."""
        title = name(title)
        async with self._locks.setdefault(title, asyncio.Lock()):
            for known in (self._before, self.of_term):
                if title in known:
                    return known[title]
            if len(self._before) + len(self.of_term) >= STEPS_MAX:
                raise AgentFailure("too_many_steps", f"The agent took more than {STEPS_MAX} steps.")
            value = plain(await fn())
            if (size := encoded_bytes(value)) > EVENT_BYTES_MAX:
                raise AgentFailure(
                    "step_too_large",
                    f"The step {title!r} returned {size} bytes; at most {EVENT_BYTES_MAX} are kept.",
                )
            self.of_term[title] = value
            await self._write()
            return value
