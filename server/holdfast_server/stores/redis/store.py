"""The store of many equal nodes: journals in Redis, each transition one function call there, logs in every node's memory.

Whatever decides - who may append, whose turn it is, which of many seals holds - is decided in Redis, in one call that reads,
checks and then writes. What this node knows of a journal is a copy that is kept current; nothing is ever decided by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Final, Literal

from holdfast_protocol.events import Accepted, Outcome, Waiting
from holdfast_server.stores.base import (
    Account,
    Change,
    Claim,
    InboxItem,
    Key,
    LogWriter,
    Opened,
    Owner,
    Record,
    Spot,
    Summary,
    Unavailable,
)
from holdfast_server.stores.log import Log
from holdfast_server.stores.shared import Acceptances

from .address import Address
from .appends import Appends
from .calls import Calls
from .claims import Claims
from .follow import Follow
from .keys import ALL, META, SHARDS, node_channel, tag_of
from .link import Link
from .messages import Messages
from .outside import Outside
from .reads import Reads
from .sharing import Sharing
from .shelf import Shelf
from .source import library
from .terms import Terms
from .upkeep import Upkeep

MEMORY_BYTES_MAX: Final = 64 * 1024 * 1024
"""Journals kept in memory though nobody holds them: some hundred long answers."""

LEASE_S: Final = 5.0
"""How long a node may be silent before others take up what it ran."""


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _nonce() -> str:
    return token_hex(4)


class RedisStore:
    """A Store, and what several nodes share."""

    durability: Literal["process", "power"]

    def __init__(
        self,
        address: str,
        *,
        name: str = "",
        durability: Literal["process", "power"] = "process",
        now_ms: Callable[[], int] | None = None,
        nonce: Callable[[], str] = _nonce,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        owner_running_max: int | None = None,
        owner_open_max: int | None = None,
        agents_max: Mapping[str, int] | None = None,
        lease_s: float = LEASE_S,
        acceptances: Acceptances | None = None,
        worker: bool = True,
        slots: int = 0,
        volatile_ok: bool = False,
        pace: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`address` as in address.py. `now_ms` rules what requests say of times (None: each call's own clock, and Redis's
        for claims), never leases. `owner_running_max`, `owner_open_max`: how many requests of one owner may be claimed, and
        open, at a time. `slots`: how many run on this node at once, as the others are told. Raises: ValueError if the address is none."""
        self.durability = durability
        self.node = token_hex(8)
        self._address = Address.parse(address)
        self._name = name
        self._clock_ms = now_ms
        self._now_ms = now_ms or _clock_ms
        self._nonce = nonce
        self._owner_running_max = owner_running_max
        self._owner_open_max = owner_open_max
        self._agents_max = dict(agents_max or {})
        self._lease_s = lease_s
        self._acceptances = acceptances
        self._worker = worker
        self._slots = slots
        self._volatile_ok = volatile_ok
        self._pace = pace
        self._shelf = Shelf(memory_bytes_max)
        self._topics: dict[bytes, list[Callable[[bytes], None]]] = {}
        self._sharing = Sharing(self._topics)
        self._gap_observers: list[Callable[[], None]] = []
        self._rows_observers: list[Callable[[Summary, bool], None]] = []
        self._lost_observers: list[Callable[[Log], None]] = []

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        source = library()
        self._link = await Link.connect(
            self._address,
            name=self._name or self.node,
            volatile_ok=self._volatile_ok,
            power=self.durability == "power",
        )
        try:
            await self._link.load(source=source.source, library=source.name)
            await self._agree()
            self._wire()
            await self._join()
        except BaseException:
            await self._link.close()
            raise
        self._follow.start()

    async def _agree(self) -> None:
        """See to it that this Redis has the layout of this release. It is asked first: one that is full takes no SET, not even
        one that would change nothing. Raises: Unavailable."""
        meta = await self._link.raw("GET", META)
        if meta is None:
            await self._link.raw("SET", META, f"shards={SHARDS}", "NX")
            meta = await self._link.raw("GET", META)
        if meta != f"shards={SHARDS}".encode():
            raise Unavailable(
                "This Redis holds the data of another layout; use the release that wrote it, or an empty Redis."
            )

    async def _join(self) -> None:
        """Be told, and be one of the nodes. Raises: Unavailable; then nothing is left running."""
        try:
            await self._link.subscribe(node_channel(self.node), ALL)
            await self._claims.start()
        except BaseException:
            for part in (self._terms, self._follow, self._calls):
                await part.close()
            raise

    def _wire(self) -> None:
        """Make the parts, over the link."""
        link, shelf, node = self._link, self._shelf, self.node
        calls = self._calls = Calls(link)
        follow = self._follow = Follow(calls, shelf, node, self._lease_s)
        self._messages = Messages(calls, shelf, follow, node, self._rows_observers)
        self._messages.missed = self._missed
        appends = self._appends = Appends(calls, shelf, follow, node, self._pace)
        follow.observers_of_loss = [appends.look, *self._lost_observers]
        self._lost_observers = follow.observers_of_loss
        reads = self._reads = Reads(calls)
        self._upkeep = Upkeep(
            calls, follow, shelf, node, acceptances=self._acceptances, told=self._messages.tell
        )
        claims = self._claims = Claims(
            link, self, node, lease_s=self._lease_s, owner_running_max=self._owner_running_max,
            agents_max=self._agents_max, now_ms=self._clock_ms, nonce=self._nonce, worker=self._worker, slots=self._slots,
            name=self._name,
        )  # fmt: skip
        self._terms = Terms(calls, shelf, follow, appends=appends, claims=claims, reads=reads, node=node)
        self._outside = Outside(
            calls, shelf, follow, node, appends=appends, claims=claims,
            now_ms=self._now_ms, clock_ms=self._clock_ms, owner_open_max=self._owner_open_max, acceptances=self._acceptances,
        )  # fmt: skip
        self._terms.condemn = self._outside.condemn
        self._sharing.start(link, calls)
        link.on_message(self._message)
        link.on_gap(self._gap)

    async def close(self) -> None:
        await self._appends.close()
        await self._terms.close()
        await self._claims.close()
        await self._follow.close()
        await self._calls.close()
        await self._link.close()

    @property
    def trouble(self) -> str | None:
        """A sentence while Redis refuses what is written, or is not there; else None."""
        return self._link.trouble or self._appends.trouble

    def observe(self, observer: Callable[[Sequence[Change]], None]) -> None:
        self._shelf.observers.append(observer)

    def _message(self, channel: str, body: bytes) -> None:
        if not self._sharing.take(channel, body):
            self._messages.take(channel, body)

    def _gap(self) -> None:
        self._follow.gap()
        self._missed()

    def _missed(self) -> None:
        for observer in self._gap_observers:
            observer()

    # -- opening and reading ---------------------------------------------------------------------------------

    async def open(self, record: Record, accepted: Accepted) -> Opened:
        return await self._outside.open(record, accepted)

    async def reopen(self, record: Record, accepted: Accepted, past: str = "") -> str | None:
        return await self._outside.reopen(record, accepted, past)

    async def log(self, key: Key) -> Log:
        return await self._follow.load(key)

    def live(self, key: Key) -> Log | None:
        return self._shelf.get(key)

    async def head(self, key: Key) -> Summary:
        return await self._reads.head(key)

    async def summaries(
        self, owner: Owner | None, *, active: bool, chat_id: str | None, limit: int, before: str | None
    ) -> tuple[list[Summary], str | None]:
        return await self._reads.page(owner, active=active, chat_id=chat_id, limit=limit, before=before)

    async def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        return await self._claims.spots(keys)

    # -- claims ----------------------------------------------------------------------------------------------

    async def claim(self) -> Claim | None:
        return await self._terms.claim()

    async def claimable(self) -> None:
        await self._terms.claimable()

    def writer(self, claim: Claim) -> LogWriter:
        return self._terms.writer(claim)

    async def release(self, claim: Claim) -> None:
        await self._terms.release(claim)

    async def park(self, claim: Claim, inbox_seen: int, waiting: Waiting) -> None:
        await self._terms.park(claim, inbox_seen, waiting)

    # -- from outside ----------------------------------------------------------------------------------------

    async def put_input(self, key: Key, item: InboxItem) -> bool:
        return await self._outside.put_input(key, item)

    async def seal(self, key: Key, outcome: Outcome) -> Log:
        return await self._outside.seal(key, outcome)

    async def condemn(self, prefix: str) -> None:
        """Seal what has killed whoever ran it. Raises: Unavailable."""
        await self._outside.condemn(prefix)

    async def moved(self, prefixes: Sequence[str]) -> None:
        """Read on those of these that are in memory."""
        await self._follow.sync_all(prefixes)

    async def account(self, key: Key, account: Account) -> None:
        await self._outside.account(key, account)

    async def accounts(self, key: Key) -> list[Account]:
        return await self._reads.accounts(key)

    # -- the history, and going away -------------------------------------------------------------------------

    async def unprojected(self, limit: int) -> list[Log]:
        return await self._upkeep.unprojected(limit)

    async def projected(self, keys: Sequence[Key]) -> None:
        await self._upkeep.projected(keys)

    async def erase(self, keys: Sequence[Key]) -> None:
        await self._upkeep.erase(keys, self._now_ms())
        for key in keys:
            self._claims.offered(tag_of(key.owner))

    async def compact(self) -> int:
        return await self._upkeep.compact()

    async def purge(self, older_than_ms: int, bytes_max: int) -> int:
        return await self._upkeep.purge(older_than_ms, bytes_max)

    # -- what nodes share ------------------------------------------------------------------------------------

    def watch(self, owner: Owner) -> None:
        self._messages.watch(owner)

    def unwatch(self, owner: Owner) -> None:
        self._messages.unwatch(owner)

    def observe_rows(self, observer: Callable[[Summary, bool], None]) -> None:
        self._rows_observers.append(observer)

    def observe_lost(self, observer: Callable[[Log], None]) -> None:
        self._lost_observers.append(observer)

    def observe_gap(self, observer: Callable[[], None]) -> None:
        self._gap_observers.append(observer)

    def observe_message(self, topic: str, observer: Callable[[bytes], None]) -> None:
        self._topics.setdefault(topic.encode(), []).append(observer)

    async def publish(self, topic: str, body: bytes) -> None:
        await self._sharing.publish(topic, body)

    async def put_once(self, name: str, value: bytes, keep_s: float) -> None:
        await self._sharing.put_once(name, value, keep_s)

    async def take_once(self, name: str) -> bytes | None:
        return await self._sharing.take_once(name)

    async def drain(self) -> None:
        await self._claims.drain()

    async def take_turn(self, name: str, token: bytes, keep_s: float) -> bool:
        """Have the turn of that name for so long at most; False while it is another's. Raises: Unavailable."""
        return await self._sharing.take_turn(name, token, keep_s)

    async def end_turn(self, name: str, token: bytes) -> None:
        """Give it back, long before it ends by itself. Raises: Unavailable."""
        await self._sharing.end_turn(name, token)

    async def count_open(self) -> int:
        """How many requests have no outcome, on all nodes. Raises: Unavailable."""
        return await self._upkeep.count_open()

    async def dirty(self, owner: Owner) -> list[tuple[Key, int]]:
        return await self._upkeep.dirty(owner)

    async def clean(self, marks: Sequence[tuple[Key, int]]) -> None:
        await self._upkeep.clean(marks)
