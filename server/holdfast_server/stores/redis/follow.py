"""Keeps the logs in memory current, whoever writes them: reads what is missing, and asks each second, because messages get lost.

A log of which something is known to be missing is *stale*: it is read from where it ends. One reader serves all stale logs,
many in one pipeline.

A journal whose stored past is another than what is here has been lost (a failover gave up what was not replicated, or an old
copy was restored): the log is abandoned and its readers are told. Where the store merely holds less, the node that writes it
gets some time to write it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from holdfast_protocol.codec import decode_events
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.stores.base import Damaged, Key, StoreError, Unavailable, UnknownRequest
from holdfast_server.stores.blob import Packed, unpack
from holdfast_server.stores.log import Log
from holdfast_server.stores.packed import HELD_BYTES_MAX
from holdfast_server.tasks import Tasks

from .calls import Calls
from .keys import prefix_of, tag_in
from .link import Call
from .rows import Fields, entries_in, fields_in, inbox_in, last_id, log_in, same_past, set_chain, set_state
from .shelf import Shelf

TICK_S: Final = 1.0
"""How late a change may be seen whose message was lost."""

FOLLOW_MS: Final = 10_000
"""For how long a node is told of a log, and of an owner's rows; renewed long before."""

READ_MAX: Final = 100
"""Logs read in one pipeline."""

GRACE_S: Final = 3.0
"""How long, beyond a lease, a log may be ahead of the store: the node that writes it sees that within a tick or two."""

DAMAGE: Final = "What the store holds of this request cannot be read; was it written by a later release?"

log = structlog.get_logger(__name__)


class Follow:
    """What this node knows of journals, brought up to what Redis holds."""

    def __init__(self, calls: Calls, shelf: Shelf, node: str, lease_s: float) -> None:
        self._calls = calls
        self._shelf = shelf
        self._node = node
        self._lease_s = lease_s
        self._tasks = Tasks("redis-follow")
        self._stale: dict[Log, list[asyncio.Future[None]]] = {}
        self._reading = False
        self._closed = False
        self._all = False  # everything is still to be compared
        self._loading: dict[str, asyncio.Future[Log | StoreError]] = {}
        self._expected: dict[str, int] = {}  # being opened or loaded
        self._missed: set[str] = set()  # of those, which were told of
        self.ticked: Callable[[bool], None] = lambda _: None
        self.repair: Callable[[Log], bool] = lambda _: False  # True: this node writes it, and writes it again
        self.observers_of_loss: list[Callable[[Log], None]] = []

    def start(self) -> None:
        """Begin to tick."""
        self._tasks.start(self._run(), "tick")

    async def close(self) -> None:
        """Stop; who waits for a log is refused."""
        self._closed = True
        await self._tasks.close()
        for waiters in self._stale.values():
            _settle(waiters, Unavailable("The store is closed."))
        self._stale.clear()

    # -- reading ---------------------------------------------------------------------------------------------

    async def load(self, key: Key) -> Log:
        """The log, from memory or from Redis. Raises: UnknownRequest, Damaged, Unavailable."""
        prefix = prefix_of(key)
        known = self._shelf.at(prefix)
        if known is not None:
            return self._shelf.touch(known)
        loading = self._loading.get(prefix)
        if loading is None:
            if self._shelf.held_bytes > HELD_BYTES_MAX:
                raise Unavailable("Too many long answers are being read at once; try again in a moment.")
            loading = self._loading[prefix] = self._tasks.start(self._load(key, prefix), "load")
        loaded: Log | StoreError = await asyncio.shield(loading)
        if isinstance(loaded, StoreError):
            raise type(loaded)(*loaded.args)
        return loaded

    async def _load(self, key: Key, prefix: str) -> Log | StoreError:
        self.expect(prefix)
        try:
            answer = await self._calls.ask("follow", tag_in(prefix), self._node, prefix, "-", 0, FOLLOW_MS, 1)
            if answer[0] != b"OK":
                return UnknownRequest(key.request_id)
            fields = fields_in(answer[1])
            journal, ends = await self._whole(fields, answer)
            journal.inbox = inbox_in(answer[4])
            set_state(journal, fields)
            return self._shelf.put(journal, ends)
        except StoreError as error:
            return error
        finally:
            del self._loading[prefix]
            self.arrived(prefix)

    async def _whole(self, fields: Fields, answer: Any) -> tuple[Log, list[int]]:
        try:
            if answer[5]:
                data, sha, text_sha = answer[5]
                return await asyncio.to_thread(unpack, Packed(data, sha, text_sha)), []
            entries = entries_in(answer[3])
            return log_in(fields, answer[2], entries), [end for end, _ in entries]
        except Damaged:
            raise
        except (ValueError, IndexError, IllegalEvent, TypeError) as error:
            raise Damaged(DAMAGE) from error

    def expect(self, prefix: str) -> None:
        """This log is about to come into memory: what is told of it meanwhile is not to be missed."""
        self._expected[prefix] = self._expected.get(prefix, 0) + 1

    def missed(self, prefix: str) -> None:
        """Something was told of it."""
        if prefix in self._expected:
            self._missed.add(prefix)

    def arrived(self, prefix: str) -> None:
        """It has, or it has not after all."""
        self._expected[prefix] -= 1
        if not self._expected[prefix]:
            del self._expected[prefix]
            if prefix in self._missed:
                self._missed.discard(prefix)
                journal = self._shelf.at(prefix)
                if journal is not None:
                    self.stale(journal)

    async def sync(self, journal: Log) -> None:
        """Return when the log is what the store holds now. Raises: Unavailable."""
        if self._closed:
            raise Unavailable("The store is closed.")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stale.setdefault(journal, []).append(waiter)
        self._read()
        await waiter

    async def sync_all(self, prefixes: Sequence[str]) -> None:
        """Return when those of these that are in memory are what the store holds now, or cannot be read."""
        journals = [journal for journal in map(self._shelf.at, prefixes) if journal is not None]
        await asyncio.gather(*(self.sync(journal) for journal in journals), return_exceptions=True)

    def stale(self, journal: Log) -> None:
        """Read on soon."""
        self._stale.setdefault(journal, [])
        self._read()

    def _read(self) -> None:
        if not self._reading:
            self._reading = True
            self._tasks.start(self._reader(), "read")

    async def _reader(self) -> None:
        try:
            await asyncio.sleep(0)  # what the same turn finds stale goes along
            while self._stale:
                due = [(journal, self._stale.pop(journal)) for journal in list(self._stale)[:READ_MAX]]
                try:
                    answers = await self._calls.many([self._question(journal) for journal, _ in due])
                    for (journal, waiters), answer in zip(due, answers, strict=True):
                        _settle(waiters, await self._outcome(journal, answer))
                finally:  # the store closes, or a bug of ours: nobody waits for ever
                    for _, waiters in due:
                        _settle(waiters, Unavailable("The store could not be read."))
                self._shelf.tell()
        finally:
            self._reading = False

    async def _outcome(self, journal: Log, answer: Any) -> StoreError | None:
        if isinstance(answer, StoreError):
            self._all = self._all or journal.sealed  # which is asked after only together with everything
            return answer
        try:
            await self._settle(journal, answer)
        except StoreError as error:
            return error
        except Exception:  # what is stored does not fit what is here
            log.exception("a journal could not be read on", request_id=journal.key.request_id)
            return Damaged(DAMAGE)
        return None

    def _question(self, journal: Log, whole: int = 0) -> Call:
        place = self._shelf.place(journal)
        args = (self._node, place.prefix, last_id(journal), len(journal.inbox), FOLLOW_MS, whole)
        return Call("follow", place.tag, args)

    async def _settle(self, journal: Log, answer: Any) -> None:
        """Make the log what the store holds."""
        place = self._shelf.place(journal)
        if self._shelf.at(place.prefix) is not journal:
            return
        if answer[0] != b"OK":
            self._absent(journal, erased=int(answer[1]) >= max(1, journal.number))
            return
        fields = fields_in(answer[1])
        tail, term = int(fields[b"tail"]), int(fields[b"term"])
        if journal.sealed and (
            tail > journal.tail
            or not (_ended(fields) or tail < journal.tail)
            or not same_past(journal, fields)
        ):
            if not self.repair(journal):
                self.lose(journal)
        elif not same_past(journal, fields):
            self.lose(journal)
        elif tail < journal.tail or term < journal.term or self._older(journal, fields):
            if _ended(fields):
                self.lose(journal)
            else:
                self._behind(journal)
        else:
            place.behind_at = None
            set_chain(journal, fields)
            if tail > journal.tail and fields[b"packed"] != b"0":
                await self._catch_up(journal, fields)
            for end, blob in entries_in(answer[3]):
                events = decode_events(blob)
                if not self._shelf.grow(journal, end - len(events), events):
                    self.lose(journal)
                    return
            if tail > journal.tail or (_ended(fields) and not journal.sealed):
                self.lose(journal)
            else:
                self._shelf.restate(journal, fields, answer[4])

    @staticmethod
    def _older(journal: Log, fields: Fields) -> bool:
        """Whether the store has lost a change of the row alone, as an input is."""
        return (
            int(fields[b"tail"]) == journal.tail
            and int(fields[b"ver"]) < journal.version
            and not journal.sealed
        )

    async def _catch_up(self, journal: Log, fields: Fields) -> None:
        """It was packed before we had its end."""
        question = self._question(journal, 1)
        answer = await self._calls.ask(question.function, question.tag, *question.args)
        if answer[0] == b"OK" and answer[5]:
            whole, _ = await self._whole(fields, answer)
            self._shelf.grow(journal, 0, whole.events)

    def _absent(self, journal: Log, *, erased: bool) -> None:
        if erased:
            self._shelf.remove(journal)
        elif journal.sealed and not self.repair(journal):
            self._shelf.drop(journal)  # purged
        elif not journal.sealed:
            self._behind(journal)

    def _behind(self, journal: Log) -> None:
        """The store holds less than we do: whoever writes it writes it again; if nobody does, it is lost."""
        place = self._shelf.place(journal)
        now = asyncio.get_running_loop().time()
        if self.repair(journal):
            place.behind_at = None
        elif place.behind_at is None:
            place.behind_at = now
        elif now - place.behind_at > self._lease_s + GRACE_S:
            self.lose(journal)

    def lose(self, journal: Log) -> None:
        """The store has another past than this log: let it go, and tell its readers."""
        log.warning("the store has lost what was written", request_id=journal.key.request_id)
        self._shelf.remove(journal, lost=True)
        for observer in self.observers_of_loss:
            observer(journal)

    # -- the tick --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.look()

    async def look(self, *, everything: bool = False) -> None:
        """Ask for every log that has not ended (`everything`: for all) whether it is what the store holds."""
        try:
            self._shelf.resize()
            everything, self._all = everything or self._all, False
            self.ticked(everything)
            groups: dict[str, list[Log]] = {}
            for journal in self._shelf:
                place = self._shelf.place(journal)
                unsure = place.behind_at is not None or place.ended_at is not None
                if everything or unsure or not journal.sealed:
                    groups.setdefault(place.tag, []).append(journal)
            answers = await self._calls.many([self._check(tag, logs) for tag, logs in groups.items()])
            for logs, answer in zip(groups.values(), answers, strict=True):
                if isinstance(answer, StoreError):
                    self._all = self._all or everything
                    continue
                others = {int(number) - 1 for number in answer}
                for number, journal in enumerate(logs):
                    if number in others:
                        self.stale(journal)
                    else:
                        self._shelf.place(journal).behind_at = None
        except Exception:  # it goes on each second
            log.exception("the logs could not be compared with the store")

    def _check(self, tag: str, logs: list[Log]) -> Call:
        args: list[bytes | str | int] = [self._node, FOLLOW_MS]
        for journal in logs:
            epoch = journal.chain[-1]
            args += [
                self._shelf.place(journal).prefix, journal.tail, journal.version, epoch.term,
                f"{epoch.nonce}:{epoch.start}",
            ]  # fmt: skip
        return Call("check", tag, tuple(args))

    def gap(self) -> None:
        """Messages may have been lost."""
        self._tasks.start(self.look(everything=True), "gap")


def _ended(fields: Fields) -> bool:
    return fields[b"st"] not in (b"new", b"queued", b"running", b"waiting")


def _settle(waiters: list[asyncio.Future[None]], error: StoreError | None) -> None:
    for waiter in waiters:
        if not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(type(error)(*error.args))
