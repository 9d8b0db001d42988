"""A journal with a pen, over the memory store: for tests of those who read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast_protocol import events as ev
from holdfast_server.journal import Journal
from holdfast_server.stores.base import Change, Claim, LogWriter, Owner
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryStore

from .journals import ANN, asked


class Desk:
    """A memory store and its journal; `lossy` swallows what the store tells its observers."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self._nonces = 0
        self.store = MemoryStore(now_ms=now_ms, nonce=self._nonce)
        self.journal = Journal(self.store, now_ms=now_ms, nonce=self._nonce)
        self.lossy = False

    def _nonce(self) -> str:
        self._nonces += 1
        return f"{self._nonces:08x}"

    def observe(self, observer: Callable[[Sequence[Change]], None]) -> None:
        """As the journal's, with wake-ups that may be lost."""
        self.journal.observe(lambda changes: None if self.lossy else observer(changes))

    async def open(self, request_id: str, owner: Owner = ANN) -> Pen:
        """A request that was accepted; nobody has claimed it."""
        await self.store.start() if not self._nonces else None
        opened = await self.journal.open(asked(request_id, owner=owner, chat_id=None))
        return Pen(self, opened.log)

    async def run(self, request_id: str, owner: Owner = ANN) -> Pen:
        """A request that has started, with its text part open."""
        pen = await self.open(request_id, owner)
        await pen.begin()
        return pen


class Pen:
    """Writes one journal."""

    def __init__(self, desk: Desk, log: Log) -> None:
        self.desk = desk
        self.log = log
        self.attempt = 0
        self.part = 0
        self._claim: Claim | None = None
        self._writer: LogWriter | None = None

    @property
    def request_id(self) -> str:
        return self.log.key.request_id

    async def put(self, *events: ev.Event) -> None:
        """Append events, durably."""
        assert self._writer is not None
        for event in events:
            self._writer.put(event)
        await self._writer.flush()

    async def begin(self, keep: ev.Keep = "all") -> None:
        """Start an attempt: the first, one that goes on in the open part, or one that drops everything."""
        if self._claim is None:
            self._claim = await self.desk.store.claim()
            assert self._claim is not None
            assert self._claim.log is self.log
            self._writer = self.desk.store.writer(self._claim)
        self.attempt += 1
        now, claim = self.desk.now_ms(), self._claim
        reason: ev.Reason = "first" if self.attempt == 1 else "retry"
        await self.put(
            ev.Started(
                at=now, attempt=self.attempt, term=claim.term, nonce=claim.nonce, keep=keep, reason=reason
            )
        )
        if self.attempt == 1 or keep == "none":
            await self.put(ev.PartStarted(at=now, part=self.part, kind="text"))

    async def say(self, *texts: str) -> None:
        """Append to the open part; each text is one event."""
        for text in texts:
            await self.put(ev.Delta(at=self.desk.now_ms(), part=self.part, text=text))

    async def end(self) -> None:
        """Close the part and complete."""
        now = self.desk.now_ms()
        await self.put(ev.PartDone(at=now, part=self.part), ev.Completed(at=now, code="stop"))
