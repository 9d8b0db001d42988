"""The commit loops: what the writers of this node's claims have put goes to Redis, all of one turn in one pipeline per server.

The pipeline in flight is the window: while one runs, dirty writers collect, and what each has put meanwhile is merged. Servers
do not wait for each other (lanes.py), and of one journal one call is under way at a time. A
call whose outcome is not known is made again, the same to the byte, until Redis says what became of it: it recognises what
it holds already. After a failover the store may hold less than this node has shown: the node writes the rest again under the
same ids, so no reader sees a difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

import structlog

from holdfast_protocol.errors import IllegalEvent
from holdfast_server.stores.base import Change, Claim, Fenced, JournalSealed, StoreError, Unavailable
from holdfast_server.stores.commits import BATCH_BYTES_MAX, RETRY_FIRST_S, RETRY_MAX_S
from holdfast_server.stores.log import Log
from holdfast_server.stores.packed import size_of
from holdfast_server.stores.writer import Writer
from holdfast_server.tasks import Tasks

from .calls import Calls
from .ends import Ends
from .follow import Follow
from .keys import tag_of
from .lanes import Lane, Lanes
from .link import Call
from .pens import Flight, Pen
from .rows import beside, effect, encoded_events, end_of, entries_of, whole_fields
from .shelf import Shelf

CLOSE_S: Final = 5.0
"""How long a closing store waits for Redis to take what was put."""

RESTORES_MAX: Final = 5
"""In a row, without an append between: more means that something else is wrong."""

log = structlog.get_logger(__name__)


class Appends:
    """Writes for the claims that this node holds."""

    def __init__(
        self, calls: Calls, shelf: Shelf, follow: Follow, node: str, pace: Callable[[], float] = lambda: 0.0
    ) -> None:
        """`pace` tells how long output may gather before it is sent, in seconds."""
        self._calls = calls
        self._shelf = shelf
        self._follow = follow
        self._node = node
        self._tasks = Tasks("redis-appends")
        self._lanes: Lanes[Pen | Writer] = Lanes(calls.server_of, self._round, pace, self._tasks)
        self._pens: dict[Log, Pen] = {}  # strong: what this node writes stays in its memory
        self._ends = Ends(shelf)
        self._closing = False
        self.ended: Callable[[Claim], None] = lambda _: None  # told of each claim that is over
        self.end_again: Callable[[Log], Awaitable[None]]  # ends from outside what this log ended with
        follow.repair = self.repair
        shelf.observers.insert(0, self._seen)

    @property
    def trouble(self) -> str | None:
        """Why Redis did not take the last append; None if it did, or if that was so long ago that it should be tried."""
        return self._lanes.trouble

    # -- claims ----------------------------------------------------------------------------------------------

    def hold(self, claim: Claim) -> None:
        """This node runs it from now on."""
        before = self._pens.get(claim.log)
        if before is not None:
            self._give_up(before, Fenced("A later term runs this request."))
        self._pens[claim.log] = Pen(claim, Writer(claim, self._put), self._shelf.place(claim.log))

    def pen(self, claim: Claim) -> Pen | None:
        """The pen of that claim, while this node runs it."""
        pen = self._pens.get(claim.log)
        return pen if pen is not None and pen.claim.term == claim.term else None

    def writer(self, claim: Claim) -> Writer:
        """The writer of that claim; one that only fails if this node does not run it any more."""
        pen = self.pen(claim)
        return pen.writer if pen is not None else Writer(claim, self._put)

    def let_go(self, claim: Claim) -> None:
        """It was released, parked or ended: the writer fails if it is used."""
        pen = self.pen(claim)
        if pen is not None:
            self._drop(pen)
            _answer(pen.restored, None)

    @property
    def held(self) -> list[Claim]:
        """What this node runs."""
        return [pen.claim for pen in self._pens.values()]

    def _give_up(self, pen: Pen, error: StoreError | IllegalEvent) -> None:
        self._drop(pen)
        pen.flight = None
        pen.writer.fail(error)
        _answer(pen.restored, None)

    def _drop(self, pen: Pen) -> None:
        if self._pens.get(pen.claim.log) is pen:
            del self._pens[pen.claim.log]
            self.ended(pen.claim)

    def repair(self, journal: Log) -> bool:
        """Redis holds less of it than this node: write the rest again, if this node writes it."""
        pen = self._pens.get(journal)
        if pen is None:
            claim = self._ends.claim(journal)
            if claim is None:
                return False
            pen = self._pens[journal] = Pen(claim, Writer(claim, self._put), self._shelf.place(journal))
        pen.restoring = True
        self._queue(pen)
        return True

    async def restored(self, claim: Claim) -> None:
        """Return when the rest was written again, or cannot be."""
        pen = self.pen(claim)
        if pen is not None:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            pen.restored.append(waiter)
            self.repair(claim.log)
            await waiter

    def _seen(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.look(change.log)

    def look(self, journal: Log) -> None:
        """If another has ended or claimed it, this node does not run it any more; its writer fails when it is used."""
        pen = self._pens.get(journal)
        if pen is not None and pen.flight is None and not pen.restoring and not self._mine(pen):
            self._drop(pen)

    @staticmethod
    def _mine(pen: Pen) -> bool:
        journal = pen.claim.log
        return not (journal.sealed or journal.erased) and journal.term == pen.claim.term

    # -- the loops -------------------------------------------------------------------------------------------

    def _put(self, writer: Writer) -> None:
        pen = self._pens.get(writer.log)
        if pen is not None and pen.writer is writer:
            self._queue(pen)
        else:
            writer.queued = True
            self._lanes.put(self._lanes.of(tag_of(writer.log.key.owner)), writer)

    def _queue(self, pen: Pen) -> None:
        if not pen.writer.queued:
            pen.writer.queued = True
            self._lanes.put(self._lane(pen), pen)

    def _lane(self, pen: Pen) -> Lane[Pen | Writer]:
        """Where it waits: while something of it is under way behind that, wherever its slot is now."""
        return pen.lane or self._lanes.of(pen.place.tag)

    async def close(self) -> None:
        """Write what was put, if Redis takes it soon; then refuse."""
        await self._lanes.idle(CLOSE_S)
        self._closing = True
        await self._tasks.close()
        for pen in list(self._pens.values()):
            self._give_up(pen, Unavailable("The store is closed."))

    async def _round(self, lane: Lane[Pen | Writer]) -> None:
        """Send what waits in this lane, and take in what came of it."""
        asked: set[Pen] = set()
        try:
            await self._through(lane, self._gather(lane, asked))
        except Exception:  # a bug of ours; nobody else would send what was taken out of the lane
            log.exception("a round of appends failed; what it did not settle is sent again")
            for pen in asked:
                if self._pens.get(pen.claim.log) is pen and not pen.writer.queued:
                    self._refused(pen, lane)
        finally:
            for pen in asked:
                pen.lane = None

    def _gather(self, lane: Lane[Pen | Writer], asked: set[Pen]) -> list[tuple[Pen, Call]]:
        """Take what waits, up to a bound, and find what to ask for it; all that was taken is in `asked`."""
        calls: list[tuple[Pen, Call]] = []
        size = 0
        while lane.dirty and size < BATCH_BYTES_MAX:
            pen = lane.dirty.popleft()
            if isinstance(pen, Writer):
                pen.queued = False
                pen.fail(self._end_of(pen.log))
                continue
            if self._lane(pen) is not lane:
                self._again(pen, lane)
                continue
            pen.writer.queued = False
            if pen in asked:
                continue  # it was put to while Redis refused it, and waits for its turn twice
            asked.add(pen)
            size += pen.writer.waiting_bytes + (size_of(pen.claim.log) if pen.restoring else 0)
            call = self._call(pen)
            if call is not None:
                pen.lane = lane
                calls.append((pen, call))
        return calls

    async def _through(self, lane: Lane[Pen | Writer], calls: list[tuple[Pen, Call]]) -> None:
        answers = await self._calls.many([call for _, call in calls])
        ended: list[tuple[Pen, Any]] = []
        for (pen, call), answer in zip(calls, answers, strict=True):
            if self._pens.get(pen.claim.log) is not pen:
                continue
            if isinstance(answer, StoreError):
                lane.refused(str(answer))
                self._refused(pen, lane)
                continue
            lane.refusal = None
            if not self._settle(pen, call, answer):
                ended.append((pen, answer))
        self._shelf.tell()
        if ended:
            await asyncio.gather(*(self._ended(pen, answer) for pen, answer in ended))

    def _call(self, pen: Pen) -> Call | None:
        """What is to be asked for this pen now."""
        writer, journal, claim = pen.writer, pen.claim.log, pen.claim
        if self._pens.get(journal) is not pen:
            if writer.unsettled:
                writer.fail(self._end_of(journal))
            return None
        if pen.restoring:
            return self._restore(pen)
        if pen.flight is None:
            if not writer.alive or not writer.unsettled:
                return None
            if not self._mine(pen):
                self._give_up(pen, self._end_of(journal))
                return None
            try:
                events = list(writer.take())
                pen.flight = Flight(journal.tail, events, encoded_events(events), effect(journal, events))
            except IllegalEvent:  # a bug of ours: nothing of it can ever be written
                log.exception("a writer is out of step with its journal", writer=repr(writer))
                self._give_up(
                    pen, IllegalEvent("What was put does not fit the journal; the server's log says why.")
                )
                return None
        flight = pen.flight
        return Call("finish" if flight.effect.ends else "append", pen.place.tag, (
            self._node, pen.place.prefix, claim.term, claim.nonce, flight.base, flight.end, flight.blob,
            int(flight.effect.ends), int(flight.effect.row), 0, *flight.effect.fields,
        ))  # fmt: skip

    def _restore(self, pen: Pen) -> Call:
        journal, claim = pen.claim.log, pen.claim
        chat = quote(journal.record.chat_id or "", safe="")
        fields = whole_fields(journal, claim.nonce, chat)
        inputs, accounts, rest = beside(journal)
        return Call("restore", pen.place.tag, (
            self._node, pen.place.prefix, claim.term, claim.nonce, journal.record.body_hash, len(fields) // 2,
            inputs, accounts, *end_of(journal), *fields, *rest, *entries_of(journal, pen.place.ends),
        ))  # fmt: skip

    def _refused(self, pen: Pen, lane: Lane[Pen | Writer]) -> None:
        """Redis did not take it, or did not say: the same again after a pause."""
        pen.pause_s = min(RETRY_MAX_S, pen.pause_s * 2 or RETRY_FIRST_S)
        pen.writer.queued = True
        asyncio.get_running_loop().call_later(pen.pause_s, self._resume, pen, lane)

    def _resume(self, pen: Pen, lane: Lane[Pen | Writer]) -> None:
        if not self._closing:
            self._again(pen, lane)

    def _again(self, pen: Pen, before: Lane[Pen | Writer]) -> None:
        """It waits where its slot is now; it was in that lane before."""
        lane = self._lane(pen)
        if lane is not before:
            before.refusal = None  # that server is not asked any more
        self._lanes.put(lane, pen)

    def _settle(self, pen: Pen, call: Call, answer: Any) -> bool:
        """Do what the answer says; False if the claim has ended by it. An append may have been under way as a look found that
        the rest must be written again."""
        pen.pause_s = 0.0
        word = answer[0]
        if call.function == "restore":
            if word != b"OK":
                return False
            pen.restoring = False
            pen.claim.log.version = max(pen.claim.log.version, int(answer[1]))
            log.warning("what a failover had lost was written again", request_id=pen.claim.log.key.request_id)
            _answer(pen.restored, None)
            if pen.claim.log.sealed:
                self._drop(pen)
            else:
                self._queue(pen)
            return True
        if word in (b"OK", b"DUP"):
            pen.restores = 0
            self._landed(pen, int(answer[1]))
            return True
        if word in (b"GAP", b"BEHIND", b"GONE") and pen.restores < RESTORES_MAX:
            pen.restores += 1
            pen.restoring = True
            self._queue(pen)
            return True
        return False

    def _landed(self, pen: Pen, version: int) -> None:
        """Redis holds what was under way."""
        journal, flight = pen.claim.log, pen.flight
        assert flight is not None
        tail = journal.tail
        self._shelf.grow(journal, flight.base, flight.events)
        if flight.effect.row:
            if version > journal.version + 1:
                self._follow.stale(journal)  # somebody changed the row in between
            if version > journal.version:
                journal.version = version
                self._shelf.note(journal, journal.tail, journal.tail, state=True)
        if flight.effect.ends:
            journal.lease = journal.parked = journal.released = False
            self._drop(pen)
            self._ends.keep(pen.claim)
        if journal.tail > tail:
            self._shelf.touch(journal)
        # Only now: a round that fails before this is made again with the same events, at the same place.
        pen.flight = None
        pen.writer.committed()
        if pen.writer.unsettled:  # it was put while the call was made again
            self._queue(pen)

    async def _ended(self, pen: Pen, answer: Any) -> None:
        """Another has the journal, or its outcome: see what it is now, and let the writer fail with that."""
        if pen.restoring and self._ends.claim(pen.claim.log) is not None:
            self._drop(pen)
            self._tasks.start(self._stand(pen.claim.log, answer), "end again")
            return
        try:
            await self._follow.sync(pen.claim.log)
        except StoreError:
            log.warning("the end of a claim could not be read", request_id=pen.claim.log.key.request_id)
        if not pen.writer.unsettled and pen.claim.log.sealed and pen.flight is None:
            self._drop(pen)
            return
        self._give_up(pen, self._end_of(pen.claim.log))

    async def _stand(self, journal: Log, answer: Any) -> None:
        """It had ended, and the store has gone on without that, or ended it too. What ended for good ends there again; if
        that fails, the next look finds it as it is."""
        word = answer[0]
        if word == b"FENCED" and self._ends.stands(journal):
            try:
                await self.end_again(journal)
            except StoreError:
                return
        if word == b"FENCED" or (word == b"SEALED" and answer[1].decode() != journal.status):
            self._ends.forget(journal)
            self._follow.lose(journal)
        elif word != b"SEALED":  # it was erased
            self._ends.forget(journal)
            self._follow.stale(journal)

    def keep(self, journal: Log) -> None:
        """This node has ended it from outside: that stands, whatever a failover loses."""
        self._ends.keep_outside(journal)

    @staticmethod
    def _end_of(journal: Log) -> StoreError:
        if journal.sealed:
            return JournalSealed(journal.status)
        return Fenced(f"Another term runs {journal.key.request_id}, or it was given back.")


def _answer(waiters: list[asyncio.Future[None]], result: None) -> None:
    due, waiters[:] = list(waiters), []
    for waiter in due:
        if not waiter.done():
            waiter.set_result(result)
