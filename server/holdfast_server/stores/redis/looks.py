"""What each shard has for this node to claim, as of the last look at it, and who waits until there is something.

A shard is looked at again when a message says that something came, when its time has come, and at the latest with the next
look at all shards: whoever waits is woken by the level, and a lost message costs half a second.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

from holdfast_server.stores.base import StoreError
from holdfast_server.tasks import Tasks

from .keys import TAGS
from .link import Call, Link

AGAIN_S: Final = 0.5
"""After a look that failed."""


class Look(NamedTuple):
    """What a look at a shard saw. `any`: somebody has a turn, as `low` or not, and with this rank; `suspect`: so has one that
    must run alone; `need`: agents that wait for a token."""

    low: bool
    rank: int
    any: bool
    suspect: bool
    need: frozenset[str]


NOTHING: Final = Look(False, 0, False, False, frozenset())


class Looks:
    """All shards. `terms` are what a look is made under (see queue.lua)."""

    def __init__(self, link: Link, terms: Callable[[], list[str | int]], tasks: Tasks) -> None:
        self._link = link
        self._terms = terms
        self._tasks = tasks
        self._looks = [NOTHING] * len(TAGS)
        self._hints = set(range(len(TAGS)))
        self._due: dict[int, asyncio.TimerHandle] = {}
        self._looking: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False

    def close(self) -> None:
        """Let go of who waits."""
        self._closed = True
        for timer in self._due.values():
            timer.cancel()
        for waiter in self._waiters:
            waiter.cancel()

    # -- what is known ---------------------------------------------------------------------------------------

    @property
    def hinted(self) -> bool:
        """Whether any shard should be looked at."""
        return bool(self._hints)

    @property
    def busy(self) -> int:
        """In how many shards somebody has a turn."""
        return sum(look.any for look in self._looks)

    @property
    def suspect(self) -> int | None:
        """A shard with a request that must run alone."""
        return next((shard for shard, look in enumerate(self._looks) if look.suspect), None)

    @property
    def need(self) -> frozenset[str]:
        """Agents that wait for a token."""
        return frozenset().union(*(look.need for look in self._looks))

    def plan(self, count: int) -> list[tuple[int, int]]:
        """How many to claim from which shard: whose turn it is first."""
        looks = self._looks
        found = [shard for shard, look in enumerate(looks) if look.any]
        if not found:
            return []
        random.shuffle(found)
        found.sort(key=lambda shard: (looks[shard].low, looks[shard].rank))
        each, more = divmod(count, len(found))
        return [(shard, each + (place < more)) for place, shard in enumerate(found) if each or place < more]

    # -- what is new -----------------------------------------------------------------------------------------

    def hint(self, shard: int) -> None:
        """Look at it before the next claim, or now if anybody waits for one."""
        self._hints.add(shard)
        self.wake()

    def hint_all(self) -> None:
        """The same for all shards."""
        self._hints.update(range(len(TAGS)))
        self.wake()

    def hint_needing(self, agents: Collection[str]) -> None:
        """The same for the shards in which these wait for a token."""
        for shard, look in enumerate(self._looks):
            if not look.need.isdisjoint(agents):
                self._hints.add(shard)
        self.wake()

    def seen(self, shard: int, answer: Any) -> None:
        """A look at a shard saw this; see nodes.lua."""
        before, look = self._looks[shard], NOTHING
        if answer != 0:
            kind, rank, suspect, due, agents = answer
            need = frozenset(agent.decode() for agent in agents)
            look = Look(kind == b"l", int(rank or 0), kind != b"", suspect == 1, need)
            if due != b"":
                self._later(shard, int(due) / 1000)
        self._looks[shard] = look
        if look != before:
            self.wake()

    def failed(self, shard: int) -> None:
        """It cannot be told what is there; look again soon."""
        self._looks[shard] = NOTHING
        self._later(shard, AGAIN_S)

    def _later(self, shard: int, wait_s: float) -> None:
        timer = self._due.pop(shard, None)
        if timer is not None:
            timer.cancel()
        if not self._closed:
            self._due[shard] = asyncio.get_running_loop().call_later(wait_s, self.hint, shard)

    # -- looking and waiting ---------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look at the shards with a hint."""
        shards = sorted(self._hints)
        self._hints.clear()
        terms = tuple(self._terms())
        answers = await self._link.call_many([Call("look", TAGS[shard], terms) for shard in shards])
        for shard, answer in zip(shards, answers, strict=True):
            if isinstance(answer, StoreError):
                self.failed(shard)
            else:
                self.seen(shard, answer)

    async def look_once(self) -> None:
        """The same for several callers at once: they share it, and none of them can end it."""
        if self._looking is None or self._looking.done():
            self._looking = self._tasks.start(self.look(), "look")
        await asyncio.shield(self._looking)

    def wake(self) -> None:
        """Whoever waits looks for themselves."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self) -> None:
        """Return after the next `wake`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)
