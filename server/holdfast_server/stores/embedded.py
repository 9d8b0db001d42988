"""The store of one process: one state machine of journals in memory, over a disk that makes commits durable.

Memory holds every unsealed journal whole, and sealed ones until they are packed; then they are read back from their
rows when somebody asks, and kept while they are read and a while longer (a bound in bytes). All writing goes through one
commit queue, all deciding through one stage, so memory, SQLite and the simulator's disk differ only below `Disk`.

Leases belong to the boot: they are never timed, and at a start every lease is void at once, because the folder's lock
says that nobody else can be alive. So a stalled process never loses its own requests to itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import nlargest
from secrets import token_hex
from typing import Final, Literal, TypeVar
from weakref import WeakValueDictionary

import msgspec
import structlog

from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.events import Accepted, Outcome, Waiting

from .base import (
    Account,
    Change,
    Claim,
    Damaged,
    InboxItem,
    JournalSealed,
    Key,
    LogWriter,
    NotWaiting,
    Opened,
    Owner,
    Record,
    RequestConflict,
    Spot,
    Summary,
    UnknownRequest,
)  # fmt: skip
from .claimers import Claimers
from .commits import CommitQueue
from .disk import Disk
from .drafts import Elsewhere
from .journals import Journals
from .log import Log
from .packed import PackedLogs
from .queue import Queue
from .stage import Stage
from .upkeep import Upkeep
from .writer import Writer

T = TypeVar("T")

MEMORY_BYTES_MAX: Final = 64 * 1024 * 1024
"""Packed journals kept in memory after they were read: some hundred long answers."""

log = structlog.get_logger(__name__)

MARK_DIGITS_MAX: Final = 18
"""Of a number that SQLite holds; a longer mark is none of ours."""

_ENCODER: Final = msgspec.msgpack.Encoder()


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _nonce() -> str:
    return token_hex(4)


def _storable(value: object) -> None:
    """One value that cannot be written would fail the whole commit. Raises: IllegalEvent."""
    try:
        _ENCODER.encode(value)
    except (UnicodeEncodeError, msgspec.EncodeError, TypeError, OverflowError, RecursionError) as error:
        raise IllegalEvent(f"it cannot be stored: {error}") from None


class EmbeddedStore:
    """A Store over a Disk."""

    durability: Literal["process", "power"]

    def __init__(
        self,
        disk: Disk,
        *,
        durability: Literal["process", "power"] = "process",
        now_ms: Callable[[], int] = _clock_ms,
        nonce: Callable[[], str] = _nonce,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        owner_running_max: int | None = None,
        agents_max: Mapping[str, int] | None = None,
        pace: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`owner_running_max`: how many requests of one owner may be claimed at a time; None: any number. `agents_max`: the
        same of an agent; 0, or no entry: any number."""
        self.durability = durability
        self._disk = disk
        self._now_ms = now_ms
        self._nonce = nonce
        self._journals = Journals(owner_running_max, agents_max)
        self._commits = CommitQueue(disk, lambda: Stage(self._journals, self._now_ms()), self._settled, pace)
        self._observers: list[Callable[[Sequence[Change]], None]] = []
        self._writers: WeakValueDictionary[tuple[int, int], Writer] = WeakValueDictionary()
        self._packed = PackedLogs(disk, memory_bytes_max)
        self._upkeep = Upkeep(disk, self._journals, self._commits, self._packed.add)
        self._claimers = Claimers(self._journals, now_ms)
        self._queue = Queue(self._journals, now_ms)

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        restored = await self._disk.start()
        journals = self._journals
        for journal in restored.logs:
            journals.add(journal, restored.first_seq[journal.number])
            journals.ready.hint(journal)
        lost = sum(journal.status == "running" and not journal.released for journal in restored.logs)
        if lost:
            log.info("answers that the last end of the server cut off are taken up again", answers=lost)
        journals.next_seq, journals.next_number = restored.next_seq, restored.next_number
        for key, state in restored.late:
            for account in state.accounts:
                await self.account(key, account)
            if state.projected:
                await self.projected([key])

    async def close(self) -> None:
        await self._commits.close()
        self._claimers.close()
        await self._disk.close()

    def observe(self, observer: Callable[[Sequence[Change]], None]) -> None:
        self._observers.append(observer)

    @property
    def trouble(self) -> str | None:
        """A sentence while the disk refuses what is written, else None."""
        return self._commits.trouble

    def _settled(self, changes: Sequence[Change]) -> None:
        """A commit has ended: tell the observers what it changed, and those who wait for something to claim."""
        if changes:
            for observer in self._observers:
                try:
                    observer(changes)
                except Exception:  # one that breaks its promise must not stop the rest
                    log.exception("an observer of the store failed")
        self._claimers.look()

    # -- opening and reading ---------------------------------------------------------------------------------

    async def open(self, record: Record, accepted: Accepted) -> Opened:
        _storable((record, accepted))
        while True:
            packings = self._journals.packings
            if record.key not in self._journals.by_key:
                packed = await self._packed.read(record.key)
                if packed is not None:
                    if packed.record.body_hash != record.body_hash:
                        raise RequestConflict(f"{record.key.request_id} was used for another request")
                    return Opened(packed, created=False)
            try:
                journal, created = await self._commits.do(partial(self._open, record, accepted, packings))
            except Elsewhere:
                continue
            return Opened(journal, created)

    def _open(self, record: Record, accepted: Accepted, packings: int, stage: Stage) -> tuple[Log, bool]:
        """As the stage, unless the journal may have been packed since it was looked for on the disk."""
        if packings != self._journals.packings and stage.find(record.key) is None:
            raise Elsewhere
        return stage.open(record, accepted)

    async def log(self, key: Key) -> Log:
        journal = self._journals.by_key.get(key) or await self._packed.read(key)
        if journal is None:
            raise UnknownRequest(key.request_id)
        return journal

    def live(self, key: Key) -> Log | None:
        return self._journals.by_key.get(key) or self._packed.get(key)

    # -- claims ----------------------------------------------------------------------------------------------

    async def claim(self) -> Claim | None:
        if not self._claimers.claimable():
            return None
        return await self._commits.do(lambda stage: stage.claim(self._nonce()), orphaned=self._unclaim)

    def _unclaim(self, claim: Claim | None) -> None:
        """Whoever claimed is gone: nobody else would ever give this lease back."""
        if claim is not None:
            self._commits.later(lambda stage: stage.release(claim))

    async def claimable(self) -> None:
        await self._claimers.wait()

    def writer(self, claim: Claim) -> LogWriter:
        writer = self._writers.get((claim.log.number, claim.term))
        if writer is None:
            writer = self._writers[claim.log.number, claim.term] = Writer(claim, self._commits.dirty)
        return writer

    async def _flushed(self, claim: Claim) -> None:
        writer = self._writers.get((claim.log.number, claim.term))
        if writer is not None:
            await writer.flush()

    async def release(self, claim: Claim) -> None:
        await self._flushed(claim)
        await self._commits.do(lambda stage: stage.release(claim))

    async def park(self, claim: Claim, inbox_seen: int, waiting: Waiting) -> None:
        _storable(waiting)
        await self._flushed(claim)
        await self._commits.do(lambda stage: stage.park(claim, inbox_seen, waiting))

    # -- from outside ----------------------------------------------------------------------------------------

    async def put_input(self, key: Key, item: InboxItem) -> bool:
        _storable(item)
        try:
            return await self._outside(key, lambda stage: stage.put_input(key, item))
        except JournalSealed:
            for known in (await self.log(key)).inbox:  # packed: judged as the stage judges what is in memory
                if (known.kind, known.id) == (item.kind, item.id):
                    if item.kind == "decision" and (known.value, known.digest) != (item.value, item.digest):
                        raise NotWaiting(f"{item.id} was decided otherwise") from None
                    return False
            raise

    async def seal(self, key: Key, outcome: Outcome) -> Log:
        _storable(outcome)
        return await self._outside(key, lambda stage: stage.seal(key, outcome), frees=True)

    async def _outside(self, key: Key, work: Callable[[Stage], T], *, frees: bool = False) -> T:
        """A transition of somebody without a lease. Raises: UnknownRequest, JournalSealed."""
        while True:
            try:
                return await self._commits.do(work, frees=frees)
            except Elsewhere:
                journal = await self.log(key)
                if journal.sealed:
                    raise JournalSealed(journal.status) from None

    async def account(self, key: Key, account: Account) -> None:
        _storable(account)
        await self._commits.do(lambda stage: stage.account(key, account))

    async def accounts(self, key: Key) -> list[Account]:
        journal = self._journals.by_key.get(key)
        if journal is not None:
            return [journal.accounts[term] for term in sorted(journal.accounts)]
        return await self._disk.accounts(key) or []

    # -- lists -----------------------------------------------------------------------------------------------

    async def head(self, key: Key) -> Summary:
        journal = self._journals.by_key.get(key)
        summary = journal.summary() if journal is not None else await self._disk.head(key)
        if summary is None:
            raise UnknownRequest(key.request_id)
        return summary

    async def summaries(
        self, owner: Owner | None, *, active: bool, chat_id: str | None, limit: int, before: str | None
    ) -> tuple[list[Summary], str | None]:
        below = (
            int(before)
            if before is not None and before.isdecimal() and len(before) <= MARK_DIGITS_MAX
            else None
        )
        journals = self._journals
        rows: dict[int, Summary] = {}
        packings = -1
        while not active and packings != journals.packings:  # what is packed meanwhile is in neither
            packings = journals.packings
            rows = dict(await self._disk.page(owner, chat_id, below, limit + 1))
        held = [journals.active.of(owner, chat_id), *([] if active else [journals.ended.of(owner, chat_id)])]
        inside = (number for shelf in held for number in shelf if below is None or number < below)
        numbers = nlargest(limit + 1, {*rows, *inside})
        page = [
            journal.summary()
            if (journal := journals.by_number.get(number)) is not None
            else msgspec.structs.replace(rows[number], number=number)
            for number in numbers[:limit]
        ]
        return page, str(numbers[limit - 1]) if len(numbers) > limit > 0 else None

    async def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        return self._queue.spots(keys)

    async def unprojected(self, limit: int) -> list[Log]:
        found: dict[int, Log] = {}
        for key in await self._disk.unprojected(limit):
            try:
                journal = await self._packed.read(key)
            except Damaged as error:
                log.warning(
                    "an answer cannot go into the history", request_id=key.request_id, reason=str(error)
                )
                continue
            if journal is not None and not journal.projected:
                found[journal.number] = journal
        found |= {
            number: journal
            for number, journal in self._journals.ended.of(None, None).items()
            if not journal.projected and journal.record.chat_id is not None
        }
        return [found[number] for number in sorted(found)[:limit]]

    async def projected(self, keys: Sequence[Key]) -> None:
        await self._commits.do(lambda stage: stage.project(keys), frees=True)
        self._packed.projected(keys)

    # -- going away ------------------------------------------------------------------------------------------

    async def erase(self, keys: Sequence[Key]) -> None:
        await self._commits.do(lambda stage: stage.remove(keys, erase=True), frees=True)
        self._upkeep.erased()
        self._packed.forget(keys, erased=True)

    async def compact(self) -> int:
        return await self._upkeep.compact()

    async def purge(self, older_than_ms: int, bytes_max: int) -> int:
        count = 0
        async for keys in self._upkeep.purge(older_than_ms, bytes_max):
            self._packed.forget(keys, erased=False)
            count += len(keys)
        return count
