"""What nodes share beyond one shard: how many of an agent run in all of them, and who makes room for one that must run alone.

A token is the right to run one more of an agent that has a limit. It is taken before the claim, kept while the claim is
asked for and held, and given back after; Redis keeps how many each node has, and a node whose heartbeat has ended has none.
Every call says the whole number, and calls are numbered, so that one that was lost or comes late does no harm.

Redis never counts fewer for a node than the node has: it hears of more before the node does, and of fewer after.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from holdfast_server.stores.base import StoreError

from .link import Link

FLEET: Final = "{hf}"
"""The tag of the keys that all nodes share."""

WAKE: Final = "hf:wake"
"""The channel on which a shard number says that something may be claimable there, and `a<agent>` that a token came back."""

FULL_S: Final = 1.0
"""After a token was refused; a message says earlier that one came back, and messages may be lost."""

SPARE_S: Final = 1.0
"""How long a token may be had that no claim used."""


LANE_S: Final = 30.0
"""How long a node claims nothing so that it becomes empty, and how long it claims again at least before it tries anew: some
answers end in that time, and nobody else waits for much longer than that."""

LANE_PAUSE_MAX_S: Final = 480.0
"""Between two tries, in the end: twice as long each time, so that long answers cost those who wait little."""


class Fleet:
    """This node's calls to the slot that all nodes share."""

    def __init__(self, link: Link, node: str, lease_ms: int) -> None:
        self.link = link
        self.node = node
        self.lease_ms = lease_ms
        self._seq = 0

    def numbered(self) -> int:
        """The number of the next call."""
        self._seq += 1
        return self._seq


class Tokens:
    """The tokens of this node, for the agents in `limits`."""

    def __init__(self, fleet: Fleet, limits: Mapping[str, int]) -> None:
        self.limits: dict[str, int] = {agent: most for agent, most in limits.items() if most > 0}
        self._fleet = fleet
        self._used: Counter[str] = Counter()
        self._spare: Counter[str] = Counter()
        self._lent: Counter[str] = Counter()  # to a claim that is under way
        self._asked: set[str] = set()  # a call for more is under way
        self._spare_since: dict[str, float] = {}
        self._full_until: dict[str, float] = {}

    def terms(self) -> list[str | int]:
        """For a look: each agent with a limit, and how many of it could be claimed: 0 if there may be tokens to get, -1 if
        there are none."""
        return [
            item
            for agent in self.limits
            for item in (agent, self._spare[agent] + self._lent[agent] or self._none(agent))
        ]

    @contextmanager
    def lent(self) -> Iterator[tuple[list[str | int], list[str | int]]]:
        """The terms of the call that may use what is spare, and of those beside it that may not; one claim at a time. Until
        this is left, with every answer in or lost, what is lent is not spare, so that nobody gives it back; `spend` takes from
        it, and the rest is spare again. A claim whose answer was lost spends none: nothing of it runs here, and it goes back."""
        spends = [item for agent in self.limits for item in (agent, self._spare[agent] or self._none(agent))]
        beside = [item for agent in self.limits for item in (agent, self._none(agent))]
        lent, self._spare = self._spare, Counter()
        self._lent.update(lent)
        try:
            yield spends, beside
        finally:
            left, self._lent = self._lent, Counter()
            self._spare.update(left)

    def _none(self, agent: str) -> int:
        """-1 if there are no tokens to get now, as far as is known; else 0."""
        return -1 if self._full_until.get(agent, 0.0) > asyncio.get_running_loop().time() else 0

    def had(self) -> list[str | int]:
        """Each agent and how many this node has. Those for which more is asked are left out: that call says it, and whatever
        its outcome, no other may say more or less."""
        return [
            item for agent in self.limits if agent not in self._asked for item in (agent, self._count(agent))
        ]

    def missing(self, agent: str) -> bool:
        """Whether it makes sense to ask for one."""
        return (
            agent in self.limits
            and not self._spare[agent]
            and not self._lent[agent]
            and agent not in self._asked
            and not self._none(agent)
        )

    async def shut(self) -> frozenset[str]:
        """The agents of which as many run as may, on all nodes together. Raises: Unavailable."""
        fleet = self._fleet
        if not self.limits:
            return frozenset()
        others = await fleet.link.call("others", FLEET, fleet.node, *self.limits)
        return frozenset(
            agent
            for (agent, most), count in zip(self.limits.items(), others, strict=True)
            if count + self._used[agent] >= most
        )

    async def take(self, agent: str, count: int) -> bool:
        """Get up to `count` more; whether any is spare now. Nothing is asked where somebody asks already."""
        if agent in self._asked:
            return False
        self._asked.add(agent)
        try:
            has = await self._say(agent, more=count)
        except StoreError:
            has = -1
        finally:
            self._asked.discard(agent)
        got = has - self._count(agent)
        loop = asyncio.get_running_loop()
        if got > 0:
            self._spare[agent] += got
            self._spare_since[agent] = loop.time()
        else:
            self._full_until[agent] = loop.time() + FULL_S
        return got > 0

    def spend(self, agent: str) -> None:
        """The claim that is under way got one of these: what it was lent is used."""
        if agent in self.limits:
            self._used[agent] += 1
            self._lent[agent] = max(0, self._lent[agent] - 1)

    def use(self, agent: str) -> None:
        """One is held again that had been let go."""
        if agent in self.limits:
            self._used[agent] += 1
            self._spare[agent] = max(0, self._spare[agent] - 1)

    def free(self, agent: str) -> None:
        """That claim has ended: the token is spare; `settle` gives it back if nobody wants it."""
        if agent in self.limits:
            self._used[agent] -= 1
            self._spare[agent] += 1
            self._spare_since[agent] = asyncio.get_running_loop().time()

    def came_back(self, agent: str) -> None:
        """Somebody gave one back."""
        self._full_until.pop(agent, None)

    async def settle(self, wanted: frozenset[str]) -> None:
        """Give back what is spare and not wanted here, or was not used for long; not while more is asked for, whose answer
        is by what this node had."""
        now = asyncio.get_running_loop().time()
        for agent, spare in list(self._spare.items()):
            if not spare or agent in self._asked:
                continue
            if agent not in wanted or self._spare_since[agent] + SPARE_S <= now:
                self._spare[agent] = 0
                try:
                    await self._say(agent)
                except StoreError:
                    continue  # the next heartbeat says it

    def _count(self, agent: str) -> int:
        return self._used[agent] + self._spare[agent] + self._lent[agent]

    async def _say(self, agent: str, *, more: int = 0) -> int:
        fleet, has = self._fleet, self._count(agent)
        return int(
            await fleet.link.call(
                "tokens",
                FLEET,
                fleet.node,
                fleet.numbered(),
                fleet.lease_ms,
                agent,
                has,
                has + more,
                self.limits[agent],
            )
        )


class SoloLane:
    """At most one busy node at a time stops claiming, so that it becomes empty for a request that must run alone. It does so
    for a while; if what it runs goes on for longer, it serves the others again, and tries later."""

    def __init__(self, fleet: Fleet) -> None:
        self.held = False
        self._fleet = fleet
        self._since = 0.0  # when it was got
        self._after = 0.0  # not before then
        self._pause_s = 0.0

    async def want(self, wanted: bool) -> None:
        """Get it, keep it, or let it go; `held` says which."""
        now = asyncio.get_running_loop().time()
        if not wanted:
            self._after = self._pause_s = 0.0
        elif self.held and now - self._since >= LANE_S:
            self._pause_s = min(LANE_PAUSE_MAX_S, self._pause_s * 2 or LANE_S)
            self._after = now + self._pause_s
        wanted = wanted and now >= self._after
        if not wanted and not self.held:
            return
        fleet = self._fleet
        try:
            got = await fleet.link.call("solo", FLEET, fleet.node, fleet.lease_ms, int(wanted))
        except StoreError:
            got = 0  # its time runs out by itself
        held = wanted and got == 1
        if held and not self.held:
            self._since = now
        self.held = held
