"""Claims of this node: what may be claimed and where, asked for together; who waits for something to claim.

Claims asked for in one turn of the loop go out together; each has a nonce of its own, and one
whose answer is lost goes back with the next renewal (see nodes.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

import structlog

from holdfast_server.stores.base import Key, Spot, StoreError
from holdfast_server.tasks import Tasks

from .book import Book, ClaimRow
from .keys import TAGS, tag_in
from .link import Call, Link
from .looks import Looks
from .nodes import Member, Presence, ShelfPort
from .places import Places
from .tokens import WAKE, Fleet, SoloLane, Tokens

log = structlog.get_logger(__name__)

LOW_WAITS_MS: Final = 60_000
"""How long `low` steps back behind everybody's requests, as in the other stores."""

ROUNDS_MAX: Final = 16
"""Calls in a row for the claims that were asked for together: shards may turn out to be empty, tokens to be gone."""

SOLO_AFTER_S: Final = 1.0
"""How long one that must run alone waits for a node that is idle anyway, before a busy one makes room."""

RATE_S: Final = 30.0
"""What the rate of claims is measured over."""


class Claims:
    """The queue as one node sees it. `start` and `close` are its life."""

    def __init__(
        self,
        link: Link,
        shelf: ShelfPort,
        node: str,
        *,
        lease_s: float = 5.0,
        owner_running_max: int | None = None,
        agents_max: Mapping[str, int] | None = None,
        now_ms: Callable[[], int] | None = None,
        nonce: Callable[[], str] = lambda: token_hex(4),
        worker: bool = True,
        roles: Sequence[str] = (),
        slots: int = 0,
        name: str = "",
        low_waits_ms: int = LOW_WAITS_MS,
    ) -> None:
        """`now_ms` decides on `not_before`, expired waits and how long low has waited; None: Redis's clock, the same for all
        nodes. Leases never depend on it. `slots` (how many may run here), `roles`, `name`: what the other nodes are told."""
        self._slots = slots
        self._link = link
        self._node = node
        self._most = owner_running_max or 0
        self._now_ms = now_ms
        self._nonce = nonce
        self._worker = worker
        self._roles = list(roles) if roles else ["gateway", *(["worker"] if worker else [])]
        self._name = name
        self._low_ms = low_waits_ms
        self._tasks = Tasks("claims")
        self._fleet = Fleet(link, node, round(lease_s * 1000))
        self._tokens = Tokens(self._fleet, agents_max or {})
        self._solo = SoloLane(self._fleet)
        self._book = Book()
        self._looks = Looks(link, self._terms, self._tasks)
        self._presence = Presence(
            self._fleet, self._book, self._tokens,
            terms=self._terms, seen=self._looks.seen, said=self._said, shelf=shelf, ticked=self._ticked,
        )  # fmt: skip
        self._places = Places(
            link, self._tokens, self._looks,
            most=self._most, terms=self._terms, members=lambda: self._presence.members, now_ms=now_ms,
        )  # fmt: skip
        self._asked: list[asyncio.Future[ClaimRow | None]] = []
        self._serving = False
        self._times: deque[float] = deque(maxlen=1024)
        self._suspects_since: float | None = None
        self._closed = False

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join the other nodes, and look after the shards. The functions must be loaded. Raises: Unavailable."""
        self._link.on_message(self._heard)
        self._link.on_gap(self._looks.hint_all)
        try:
            await self._link.subscribe(WAKE)
            await self._presence.start()
        except BaseException:
            await self._stop()
            raise

    async def drain(self) -> None:
        """Claim nothing more, for good, and say so: what this node has no use for goes back at once. What is held is held on."""
        self._worker = False
        self._roles = [role for role in self._roles if role != "worker"]
        self._looks.wake()
        try:
            await self._ticked()
            await self._presence.beat()
        except StoreError as error:
            log.info("the other nodes are told later that this one drains", error=str(error))

    async def close(self) -> None:
        """Claim nothing more, give back what is held without a strike, and leave. What was written must be in Redis before."""
        await self._stop()
        await self._presence.close()

    async def _stop(self) -> None:
        self._closed = True
        self._looks.close()
        for asked in self._asked:
            asked.cancel()
        await self._tasks.close()

    @property
    def members(self) -> list[Member]:
        """The nodes that live, this one too, as of the last heartbeat."""
        return self._presence.members

    @property
    def running(self) -> int:
        """Claims that are held."""
        return self._book.count

    # -- what the store says ---------------------------------------------------------------------------------

    def offered(self, tag: str) -> None:
        """Something may have become claimable in this shard, by what this node did."""
        self._looks.hint(int(tag[2:-1]))

    def held(self, prefix: str, term: int) -> bool:
        """Whether that claim is held, as far as this node knows."""
        return self._book.row(_shard(prefix), prefix, term) is not None

    def ended(self, prefix: str, term: int | None = None) -> None:
        """That claim is over: sealed, parked, released, or fenced; call it once Redis has said so."""
        shard = _shard(prefix)
        for row in self._book.drop(shard, prefix, term):
            self._tokens.free(row.agent)
            if row.agent in self._tokens.limits:
                self._tasks.start(self._tokens.settle(self._wanted), "give tokens back")
        self._looks.hint(shard)

    async def give_back(self, row: ClaimRow) -> None:
        """Nobody took this claim: it is claimable again, without a strike. If that cannot be said, a renewal says it."""
        self.ended(row.prefix, row.term)
        try:
            await self._link.call("back", tag_in(row.prefix), self._node, row.prefix, row.term, row.nonce)
        except StoreError:
            log.info("a claim goes back with the next renewal", journal=row.prefix)
        self._looks.hint(_shard(row.prefix))

    # -- claiming --------------------------------------------------------------------------------------------

    async def claim(self) -> ClaimRow | None:
        """The next claim; None if there is nothing that this node may claim. Cancelled, it gives back what it got. Raises:
        Unavailable; what Redis may have done nevertheless is given back."""
        if self._closed:
            return None
        asked: asyncio.Future[ClaimRow | None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        if not self._serving:
            self._serving = True
            self._tasks.start(self._serve(), "claim")
        try:
            return await asked
        except asyncio.CancelledError:
            if asked.done() and not asked.cancelled() and asked.exception() is None:
                self._unwanted(asked.result())
            raise

    def _unwanted(self, row: ClaimRow | None) -> None:
        if row is not None and not self._closed:
            self._tasks.start(self.give_back(row), "give a claim back")

    async def _serve(self) -> None:
        """Serve what was asked for, together, until nobody asks."""
        asked: list[asyncio.Future[ClaimRow | None]] = []
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                rows: list[ClaimRow] = []
                error: StoreError | None = None
                try:
                    error = await self._take(len(asked), rows)
                except Exception as bug:
                    log.exception("claiming failed")
                    error = StoreError(str(bug))
                for waiter in asked:
                    if waiter.done():
                        continue
                    if rows:
                        waiter.set_result(rows.pop(0))
                    elif error is not None:
                        waiter.set_exception(type(error)(*error.args))
                    else:
                        waiter.set_result(None)
                for row in rows:
                    self._unwanted(row)
        finally:
            self._serving = False
            for waiter in asked:
                waiter.cancel()  # of those still there: this node closes

    async def _take(self, count: int, rows: list[ClaimRow]) -> StoreError | None:
        """Claim up to `count` into `rows`; what went wrong if anything did."""
        looks, looked = self._looks, False
        if looks.hinted and self._may_claim():
            await looks.look()
        for _ in range(ROUNDS_MAX):
            if len(rows) >= count or not self._may_claim():
                return None
            error: StoreError | None = None
            if not self._book.count and (shard := looks.suspect) is not None:
                error = await self._claim([(shard, 1)], rows, alone=True)
            elif missing := self._missing():
                await self._fetch(missing, count - len(rows))
            elif plan := looks.plan(count - len(rows)):
                error = await self._claim(plan, rows, alone=False)
            elif looks.hinted:
                await looks.look()
            elif looked or rows:
                return None
            else:
                looked = True
                looks.hint_all()
            if error is not None:
                return error
        return None

    async def _claim(
        self, plan: Sequence[tuple[int, int]], rows: list[ClaimRow], *, alone: bool
    ) -> StoreError | None:
        """One call to each shard of the plan; what went wrong in any of them."""
        with self._tokens.lent() as (spends, beside):
            answers = await self._call_claims(plan, alone=alone, tokens=(spends, beside))
            return self._granted(plan, answers, rows)

    async def _call_claims(
        self, plan: Sequence[tuple[int, int]], *, alone: bool, tokens: tuple[list[str | int], list[str | int]]
    ) -> list[Any]:
        """Make the calls; the first may use the tokens that are spare, the others none."""
        book, lease_ms = self._book, self._fleet.lease_ms
        calls = []
        for place, (shard, count) in enumerate(plan):
            nonces = ",".join(self._nonce() for _ in range(count))
            terms = self._terms(tokens[place > 0])
            calls.append(Call("claim", TAGS[shard], (self._node, lease_ms, int(alone), nonces, *terms)))
            book.flights[shard] += 1
            book.begun[shard] += 1
        try:
            return await self._link.call_many(calls)
        finally:
            for shard, _ in plan:
                book.flights[shard] -= 1

    def _granted(
        self, plan: Sequence[tuple[int, int]], answers: Sequence[Any], rows: list[ClaimRow]
    ) -> StoreError | None:
        """Note what was claimed, and what is left there; what went wrong in any of the calls."""
        error: StoreError | None = None
        for (shard, _), answer in zip(plan, answers, strict=True):
            if isinstance(answer, StoreError):
                error = answer
                self._looks.failed(shard)
                continue
            got, look = answer
            for fields in got:
                row = _row(fields)
                self._book.add(shard, row)
                self._tokens.spend(row.agent)
                self._times.append(asyncio.get_running_loop().time())
                rows.append(row)
            self._looks.seen(shard, look)
        return error

    # -- waiting for something to claim ----------------------------------------------------------------------

    async def claimable(self) -> None:
        """Return when a claim may find something."""
        looks = self._looks
        while not self._may_find():
            if looks.hinted and self._may_claim():
                await looks.look_once()
            elif self._may_claim() and (missing := self._missing()):
                await self._fetch(missing, 1)
            else:
                await looks.changed()

    def _may_find(self) -> bool:
        looks = self._looks
        return self._may_claim() and (looks.busy > 0 or (not self._book.count and looks.suspect is not None))

    def _may_claim(self) -> bool:
        """Whether this node claims now: not while one runs alone on it, or while it waits to be empty for one."""
        if not self._worker or self._closed or self._book.alone is not None:
            return False
        return not (self._solo.held and self._book.count)

    def _heard(self, channel: str, body: bytes) -> None:
        if channel != WAKE:
            return
        if body.isdigit() and int(body) < len(TAGS):
            self._looks.hint(int(body))
        elif body[:1] == b"a":
            self._tokens.came_back(body[1:].decode(errors="replace"))
            self._looks.wake()

    def _terms(self, tokens: Sequence[str | int] | None = None) -> list[str | int]:
        """With these tokens; None: those of a look."""
        now: str | int = "" if self._now_ms is None else self._now_ms()
        return [now, self._most, self._low_ms, *(self._tokens.terms() if tokens is None else tokens)]

    # -- tokens, and the solo lane ---------------------------------------------------------------------------

    def _missing(self) -> list[str]:
        """Agents that wait for a token which may be had."""
        return [agent for agent in self._looks.need if self._tokens.missing(agent)]

    async def _fetch(self, agents: Sequence[str], count: int) -> None:
        """Try to get tokens; where they are wanted is looked at again, with or without them."""
        await asyncio.gather(*(self._tokens.take(agent, count) for agent in agents))
        self._looks.hint_needing(agents)

    @property
    def _wanted(self) -> frozenset[str]:
        """Agents whose tokens this node has a use for."""
        return self._looks.need if self._worker else frozenset()

    async def _ticked(self) -> None:
        """All shards were looked at."""
        await self._tokens.settle(self._wanted)
        now = asyncio.get_running_loop().time()
        if not self._worker or self._book.alone is not None or self._looks.suspect is None:
            self._suspects_since = None
        elif self._suspects_since is None:
            self._suspects_since = now
        since = self._suspects_since
        await self._solo.want(since is not None and (self._solo.held or now - since >= SOLO_AFTER_S))
        self._looks.wake()

    # -- places ----------------------------------------------------------------------------------------------

    def _said(self) -> Member:
        return Member(
            node=self._node, roles=self._roles, slots=self._slots if self._worker else 0, running=self._book.count,
            rate=round(self._rate(), 3), name=self._name,
        )  # fmt: skip

    def _rate(self) -> float:
        """Claims in a second, of late."""
        now, times = asyncio.get_running_loop().time(), self._times
        while times and times[0] < now - RATE_S:
            times.popleft()
        return len(times) / max(1.0, now - times[0]) if len(times) > 2 else 0.0

    async def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        """Where these stand; those that do not wait are left out. Raises: Unavailable."""
        return await self._places.spots(keys)


def _shard(prefix: str) -> int:
    return int(tag_in(prefix)[2:-1])


def _row(fields: Sequence[Any]) -> ClaimRow:
    prefix, term, nonce, start, how, alone, agent = fields
    return ClaimRow(
        prefix.decode(), int(term), nonce.decode(), int(start), how.decode(), alone == 1, agent.decode()
    )
