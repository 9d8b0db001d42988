"""Any sequence of calls, refusals, restarts and compactions, against a model that is a plain list of journals."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast_protocol import events as ev
from holdfast_server.stores.base import (
    Fenced,
    InboxUnread,
    JournalSealed,
    NotWaiting,
    StorageFull,
    Unavailable,
    UnknownRequest,
)  # fmt: skip
from holdfast_server.stores.embedded import EmbeddedStore
from tests.support.disks import KeptDisk
from tests.support.journals import Clock
from tests.support.scribe import Held, Scribe, cancelled, decision, key, steer, text_of

T = TypeVar("T")
NAMES = [f"r{number}" for number in range(4)]
names = st.sampled_from(NAMES)
numbers = st.integers(0, 3)


class Model:
    """What a journal should be."""

    def __init__(self, name: str, after: str | None) -> None:
        self.name = name
        self.after = after
        self.text = ""
        self.status = "queued"
        self.parked = False
        self.term = 0
        self.parts = 0
        self.waits = 0
        self.open_wait: str | None = None
        self.wait_part = 0
        self.inbox: list[str] = []
        self.held: Held | None = None
        self.begun = False  # this term has written `started`

    @property
    def sealed(self) -> bool:
        return self.status in {"cancelled", "completed"}


class Journals(RuleBasedStateMachine):
    """The store beside the model; after every step both must agree."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.disk = KeptDisk()
        self.models: list[Model] = []
        self.zombies: list[Held] = []
        self.start()

    def start(self) -> None:
        """A process over what the disk holds."""
        self.store = EmbeddedStore(self.disk, now_ms=self.clock, memory_bytes_max=0)
        self.scribe = Scribe(self.store, self.clock)
        self.run(self.store.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def model(self, name: str) -> Model | None:
        return next((model for model in self.models if model.name == name), None)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        if not killed:
            self.run(self.store.close())
        self.start()
        for model in self.models:
            if model.held is not None:
                model.held = None

    @rule(name=names, after=st.none() | names, refused=st.booleans())
    def open(self, name: str, after: str | None, refused: bool) -> None:
        known = self.model(name)
        if refused and known is None:
            self.disk.refusals = [StorageFull("full")]
            try:
                self.run(self.scribe.open(name, after=after, body_hash=name.encode()))
            except Unavailable:
                return
            raise AssertionError("it was opened on a full disk")
        self.run(self.scribe.open(name, after=after, body_hash=name.encode()))
        if known is None:
            self.models.append(Model(name, after if after != name else None))
            if after == name:
                self.run(self.store.erase([key(name)]))
                self.models.pop()

    def claimable(self) -> Model | None:
        for model in self.models:
            before = self.model(model.after) if model.after is not None else None
            if (
                not model.sealed
                and model.held is None
                and not model.parked
                and (before is None or before.sealed)
            ):
                return model
        return None

    @rule()
    def claim(self) -> None:
        expected = self.claimable()
        claim = self.run(self.store.claim())
        assert (claim.log.key.request_id if claim else None) == (expected.name if expected else None)
        if claim is not None and expected is not None:
            expected.term += 1
            assert claim.term == expected.term
            expected.held = Held(claim, self.store.writer(claim))
            expected.begun = False

    def holder(self, number: int) -> Model:
        """One of those that are claimed."""
        holders = [model for model in self.models if model.held is not None]
        return holders[number % len(holders)]

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(number=numbers, text=st.text(max_size=5), lost=st.booleans())
    def write(self, number: int, text: str, lost: bool) -> None:
        model = self.holder(number)
        assert model.held is not None
        self.disk.lose_reply = lost
        self.run(self.put(model, model.held, text))
        self.disk.lose_reply = False

    async def put(self, model: Model, held: Held, text: str) -> None:
        claim, writer = held.claim, held.writer
        if not model.begun:
            writer.put(ev.Started(at=1, attempt=1, term=claim.term, nonce=claim.nonce))
            model.begun, model.status = True, "running"
            if model.open_wait is not None:
                writer.put(ev.Decided(at=1, part=model.wait_part, wait_id=model.open_wait))
                model.open_wait = None
        writer.put(ev.PartStarted(at=2, part=model.parts, kind="text"))
        writer.put(ev.Delta(at=2, part=model.parts, text=text))
        writer.put(ev.PartDone(at=2, part=model.parts))
        model.parts += 1
        model.text += text
        await writer.flush()

    @precondition(lambda self: any(model.held and model.begun for model in self.models))
    @rule(number=numbers)
    def complete(self, number: int) -> None:
        model = self.holder(number)
        if model.held is not None and model.begun:
            self.run(self.end(model.held))
            model.status, model.held = "completed", None

    async def end(self, held: Held) -> None:
        held.writer.put(ev.Completed(at=3, code="stop"))
        await held.writer.flush()

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(number=numbers)
    def release(self, number: int) -> None:
        model = self.holder(number)
        assert model.held is not None
        self.run(self.store.release(model.held.claim))
        self.zombies.append(model.held)
        model.held = None

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(number=numbers, seen=st.integers(0, 2))
    def park(self, number: int, seen: int) -> None:
        model = self.holder(number)
        if model.held is None or not model.begun:
            return
        wait_id = f"w{model.waits}"
        call = self.store.park(model.held.claim, seen, model.held.wait(part=model.parts, wait_id=wait_id))
        try:
            self.run(call)
        except InboxUnread:
            assert len(model.inbox) > seen
            return
        assert len(model.inbox) <= seen
        model.open_wait, model.wait_part = wait_id, model.parts
        model.waits += 1
        model.parts += 1
        model.status, model.parked, model.held = "waiting", True, None

    @rule(name=names, what=st.sampled_from(["decide", "steer"]), number=st.integers(0, 3))
    def put_input(self, name: str, what: str, number: int) -> None:
        model = self.model(name)
        item = decision(f"w{number}") if what == "decide" else steer(f"s{number}")
        try:
            new = self.run(self.store.put_input(key(name), item))
        except UnknownRequest:
            assert model is None
        except NotWaiting:
            assert model is not None
            assert what == "decide"
            assert model.open_wait != item.id
        except JournalSealed:
            assert model is not None
            assert model.sealed
        else:
            assert model is not None
            assert new == (item.id not in model.inbox)
            if new:
                model.inbox.append(item.id)
                model.parked = False

    @rule(name=names)
    def cancel(self, name: str) -> None:
        model = self.model(name)
        try:
            self.run(self.store.seal(key(name), cancelled()))
        except UnknownRequest:
            assert model is None
            stands = None
        except JournalSealed as error:
            stands = error.status
        else:
            stands = None
        if stands is not None:
            assert model is not None
            assert stands == model.status
        elif model is not None:
            assert not model.sealed
            model.status, model.held, model.parked = "cancelled", None, False

    @rule(name=names)
    def erase(self, name: str) -> None:
        self.run(self.store.erase([key(name)]))
        self.models = [model for model in self.models if model.name != name]

    @rule()
    def compact(self) -> None:
        self.run(self.store.compact())

    @rule()
    def purge(self) -> None:
        self.run(self.store.purge(2**50, 0))
        self.models = [model for model in self.models if not model.sealed]

    @precondition(lambda self: self.zombies)
    @rule()
    def haunt(self) -> None:
        """A holder that was handed over goes on."""
        zombie = self.zombies.pop()
        for call in (self.store.release(zombie.claim), self.store.park(zombie.claim, 9, zombie.wait())):
            try:
                self.run(call)
            except (Fenced, JournalSealed):
                continue
            raise AssertionError("a zombie wrote")

    @invariant()
    def agree(self) -> None:
        rows, mark = self.run(self.store.summaries(None, active=False, chat_id=None, limit=9, before=None))
        assert [row.key.request_id for row in rows] == [model.name for model in reversed(self.models)]
        assert mark is None
        for model in self.models:
            log = self.run(self.store.log(key(model.name)))
            assert text_of(log) == model.text
            assert log.status == model.status
            assert log.fold().offset == log.tail
            assert (log.term, log.parked) == (model.term, model.parked)
            assert [item.id for item in log.inbox] == model.inbox
            assert [epoch.term for epoch in log.chain] == list(range(model.term + 1))


TestJournals = Journals.TestCase
TestJournals.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
