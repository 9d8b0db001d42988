"""Claims of this node, from the one to the next: taken, written under, given back or parked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.events import Waiting
from holdfast_server.stores.base import (
    Claim,
    Damaged,
    Fenced,
    InboxUnread,
    JournalSealed,
    LogWriter,
    StoreError,
    UnknownRequest,
)
from holdfast_server.stores.log import Log
from holdfast_server.tasks import Tasks

from .appends import RESTORES_MAX, Appends
from .book import ClaimRow
from .calls import AGAIN, Calls
from .claims import Claims
from .follow import Follow
from .keys import key_in, prefix_of, tag_in
from .reads import Reads
from .rows import effect, encode, encoded_events, fields_in
from .shelf import Shelf

DAMAGED_S: Final = 5.0
"""How long a claim is kept whose journal cannot be read, before another node may try: at once would be again and again."""

DAMAGED_MAX: Final = 20
"""How often this node claims a journal that it cannot read, at the least: after that it is given up, for each claim makes it
longer. A release that cannot read what a later one wrote has long been replaced."""

DAMAGED_KEPT_MAX: Final = 1_000
"""Such journals that are counted; the oldest are counted anew."""

log = structlog.get_logger(__name__)


class Terms:
    """What the holder of a term may do, and who gets one."""

    def __init__(
        self,
        calls: Calls,
        shelf: Shelf,
        follow: Follow,
        *,
        appends: Appends,
        claims: Claims,
        reads: Reads,
        node: str,
    ) -> None:
        self._calls = calls
        self._shelf = shelf
        self._follow = follow
        self._appends = appends
        self._claims = claims
        self._reads = reads
        self._node = node
        self._tasks = Tasks("redis-terms")
        self._damaged: dict[str, int] = {}
        self._returning: set[asyncio.Task[None]] = set()
        appends.ended = self._claim_ended
        self.condemn: Callable[[str, str], Awaitable[None]]

    async def close(self) -> None:
        """What is under way is given up; the claims of a node that leaves are given back by `Claims`."""
        await self._tasks.close()

    async def claim(self) -> Claim | None:
        """See Store.claim."""
        task = self._tasks.start(self._claimed(), "claim")
        try:
            claimed: Claim | StoreError | None = await asyncio.shield(task)
        except asyncio.CancelledError:
            returning = self._tasks.start(self._unclaim(task), "give back")
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise
        if isinstance(claimed, StoreError):
            raise type(claimed)(*claimed.args)
        return claimed

    async def _claimed(self) -> Claim | StoreError | None:
        try:
            return await self._claim()
        except StoreError as error:
            return error

    async def _claim(self) -> Claim | None:
        row = await self._claims.claim()
        if row is None:
            return None
        try:
            journal = await self._current(row)
        except UnknownRequest:
            await self._claims.give_back(row)  # it was erased, or lost, just now
            return None
        except Damaged:
            self._tasks.start(self._give_back_later(row), "give back later")
            raise
        except BaseException:
            self._tasks.start(self._claims.give_back(row), "give back")
            raise
        self._damaged.pop(row.prefix, None)
        claim = Claim(journal, row.term, row.nonce, row.start, row.how, row.alone, judged=True)
        self._appends.hold(claim)
        self._appends.look(journal)  # it may have been ended meanwhile
        self._shelf.tell()
        return claim

    async def _current(self, row: ClaimRow) -> Log:
        """The log of a new claim as the claim has left it, with what a restore would need."""
        key = key_in(row.prefix)
        while True:
            journal = await self._follow.load(key)
            _, accounts = await asyncio.gather(self._follow.sync(journal), self._reads.accounts(key))
            # What was put in through this node may have been lost since, and something else put in through another.
            inbox = await self._reads.inbox(key) if journal.inbox else []
            if inbox != journal.inbox[: len(inbox)]:
                journal.inbox[:] = inbox
            if not journal.erased:
                journal.accounts.update((account.term, account) for account in accounts)
                return journal

    async def _give_back_later(self, row: ClaimRow) -> None:
        count = self._damaged[row.prefix] = self._damaged.pop(row.prefix, 0) + 1
        if len(self._damaged) > DAMAGED_KEPT_MAX:
            del self._damaged[next(iter(self._damaged))]
        await asyncio.sleep(DAMAGED_S)
        if count >= DAMAGED_MAX:
            log.error("a request that cannot be read is given up", journal=row.prefix)
            try:
                await self.condemn(row.prefix, "damaged")
            except StoreError as error:
                log.info("could not be ended; it is tried again", journal=row.prefix, error=str(error))
        await self._claims.give_back(row)

    async def _unclaim(self, claiming: asyncio.Task[Claim | StoreError | None]) -> None:
        """Whoever claimed is gone: give the lease back."""
        try:
            claim = await claiming
            if isinstance(claim, Claim):
                await self.release(claim)
        except StoreError:
            log.warning("a claim that nobody waited for could not be given back")

    async def claimable(self) -> None:
        """See Store.claimable."""
        while self._returning:  # what a cancelled claim took is about to be claimable again
            await asyncio.wait(self._returning)
        await self._claims.claimable()

    def writer(self, claim: Claim) -> LogWriter:
        """See Store.writer."""
        return self._appends.writer(claim)

    async def release(self, claim: Claim) -> None:
        """See Store.release."""
        await self._flushed(claim)
        answer = await self._under(claim, "release", AGAIN)
        self._restated(claim.log, answer)
        self._gone(claim)

    async def park(self, claim: Claim, inbox_seen: int, waiting: Waiting) -> None:
        """See Store.park."""
        encode(waiting)
        await self._flushed(claim)
        journal = claim.log
        made = effect(journal, [waiting]) if not journal.sealed else None
        fields = made.fields if made is not None else []
        base, blob = journal.tail, encoded_events([waiting])
        answer = await self._under(
            claim, "park", base, base + 1, blob, inbox_seen, waiting.wait_id, AGAIN, *fields
        )
        if answer[0] == b"UNREAD":
            raise InboxUnread(f"{int(answer[1])} inputs, {inbox_seen} seen")
        if answer[0] == b"DECIDED":
            raise IllegalEvent(f"{waiting.wait_id} was decided before; each wait needs an id of its own")
        self._shelf.grow(journal, base, [waiting])
        self._restated(journal, answer)
        self._gone(claim)

    async def _flushed(self, claim: Claim) -> None:
        pen = self._appends.pen(claim)
        if pen is not None:
            await pen.writer.flush()

    async def _under(self, claim: Claim, function: str, *args: bytes | str | int) -> Any:
        """A call of the holder of the term. Raises: Fenced, JournalSealed, Unavailable."""
        prefix = prefix_of(claim.log.key)
        answer: Any = None
        for _ in range(RESTORES_MAX):
            answer = await self._calls.sure(
                function, tag_in(prefix), self._node, prefix, claim.term, claim.nonce, *args
            )
            if answer[0] in (b"OK", b"UNREAD", b"DECIDED"):
                return answer
            if answer[0] not in (b"GAP", b"BEHIND", b"GONE"):
                break
            await self._appends.restored(claim)
        await self._follow.sync(claim.log)
        self._appends.let_go(claim)
        if answer[0] == b"SEALED":
            raise JournalSealed(answer[1].decode())
        raise Fenced(f"Another term runs {claim.log.key.request_id}, or it was given back.")

    def _gone(self, claim: Claim) -> None:
        self._appends.let_go(claim)
        self._shelf.tell()

    def _claim_ended(self, claim: Claim) -> None:
        self._claims.ended(prefix_of(claim.log.key), claim.term)

    def _restated(self, journal: Log, answer: Any) -> None:
        if answer[2] and not self._shelf.restate(journal, fields_in(answer[2])):
            self._follow.stale(journal)
