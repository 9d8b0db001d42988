"""What other nodes do reaches those who watch here: the feed, who waits for ends, the history, tickets, the clock of the queue."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Completed
from holdfast_protocol.pushes import FeedRequest
from holdfast_server import endings as endings_module
from holdfast_server import projector as projector_module
from holdfast_server.admission import Admission, Bounds
from holdfast_server.agents.base import Clocks, Profile
from holdfast_server.chats import Chats
from holdfast_server.doors.ai_sdk.left_out import LeftOut
from holdfast_server.doors.tickets import Tickets
from holdfast_server.endings import Endings
from holdfast_server.expiry import Expiry
from holdfast_server.feed import Feed
from holdfast_server.journal import Journal
from holdfast_server.peers import Peers
from holdfast_server.projector import Projector
from holdfast_server.stores.base import Summary, Unavailable
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.tasks import Tasks
from tests.support.journals import ANN, BOB, Clock, accepted_of, asked, opened
from tests.support.shared_double import Common, SharedDouble


class Node:
    """A node's parts over a store of its own, and what it shares."""

    def __init__(self) -> None:
        self.common = Common()
        self.shared: SharedDouble = self.common.node("a")
        self.peers = Peers(self.shared)
        self.clock = Clock()
        self.store = MemoryStore(now_ms=self.clock)
        self.journal = Journal(self.store, now_ms=self.clock)
        self.nonces = 0

    async def no_chats(self, _):
        return []

    def nonce(self) -> str:
        self.nonces += 1
        return f"{self.nonces:08x}"

    def feed(self) -> Feed:
        return Feed(self.journal, self.no_chats, nonce=self.nonce, peers=self.peers)


@pytest.fixture
async def node():
    made = Node()
    await made.store.start()
    yield made
    await made.peers.close()
    await made.store.close()


def row(name: str = "r", owner=ANN, *, ended: bool = False) -> Summary:
    """The row of a request of another node."""
    log = opened(asked(name, owner=owner))
    log.version = 2
    if ended:
        log.version, log.outcome = 3, Completed(at=2_000, code="stop")
    return log.summary()


async def test_rows_of_others_come_into_the_feed(node):
    """Of whoever has a ring here, and as removed where they were removed; the store is asked for no one else."""
    feed = node.feed()
    node.shared.change(row())
    start = feed.place(ANN, None).offset
    assert node.shared.watched == {ANN: 1}
    node.shared.change(row())
    node.shared.change(row(owner=BOB))
    node.shared.change(row(), removed=True)
    events, _ = feed.read(ANN, start, 10)
    assert [(type(event), event.request.deleted) for event in events] == [
        (FeedRequest, False),
        (FeedRequest, True),
    ]


async def test_after_a_gap_every_ring_has_another_epoch(node):
    """Who has an old cursor is told so; who reads on is sent for a snapshot, and whoever waits is woken."""
    feed = node.feed()
    feed.hold(ANN)
    cursor, offset = feed.cursor(ANN), feed.tail(ANN)
    waiting = asyncio.create_task(feed.wait(ANN, offset))
    await asyncio.sleep(0)
    node.shared.gap()
    await waiting
    assert feed.place(ANN, cursor).reset == "unknown_epoch"
    assert feed.read(ANN, offset, 10) is None
    assert feed.place(ANN, feed.cursor(ANN)).reset is None


async def test_a_ring_that_is_let_go_is_not_watched_any_more(node, monkeypatch):
    """The store is asked to tell no more when the last ring of an owner goes."""
    monkeypatch.setattr("holdfast_server.feed.UNWATCHED_MAX", 1)
    feed = node.feed()
    feed.hold(ANN)
    feed.let_go(ANN)
    assert node.shared.watched == {ANN: 1}
    feed.place(BOB, None)
    assert node.shared.watched == {BOB: 1}


async def test_ends_elsewhere_are_told_to_who_waits(node, monkeypatch):
    """By the owner's rows while they are watched; after a gap, and every few seconds, all are looked at again."""
    monkeypatch.setattr(endings_module, "LOOK_S", 0.0)
    endings = Endings(node.journal, node.peers)
    keys = [asked("a").key, asked("b").key]
    with endings.watch(keys) as watch:
        assert node.shared.watched == {ANN: 1}
        node.shared.change(row("a"))
        assert watch.take() == []
        node.shared.change(row("a", ended=True))
        assert watch.take() == [keys[0]]
        node.shared.gap()
        assert watch.take() == keys
        await watch.wait()  # nothing was told
        assert watch.take() == keys
    assert node.shared.watched == {}


async def test_a_reader_of_the_history_sees_what_others_committed(node, tmp_path: Path):
    """What the store has noted as missing is projected before the reader goes on, and the note is taken away."""
    chats = Chats(f"sqlite+aiosqlite:///{tmp_path / 'h.db'}", now_ms=node.clock)
    await chats.start()
    tasks = Tasks("test")
    projector = Projector(node.store, chats, tasks, peers=node.peers)  # not started: it observes nothing
    record = asked("r")
    log = (await node.store.open(record, accepted_of(record))).log
    gone = asked("gone").key
    node.common.dirty = {record.key: log.version, gone: 3}
    await projector.catch_up(ANN)
    rows, _ = await chats.list_messages(ANN, "chat", 10)
    assert [message.text for message in rows if message.role == "user"] == ["Hello?"]
    assert node.common.dirty == {}
    node.shared.away = True
    with pytest.raises(Unavailable):
        await projector.catch_up(ANN)
    await tasks.close()
    await chats.close()


async def test_a_reader_waits_for_what_is_not_here_yet(node, tmp_path: Path, monkeypatch):
    """The store's note is of a later state than this node has: that one goes into the history, or the reader is told to try
    again."""
    monkeypatch.setattr(projector_module, "BEHIND_LOOK_S", 0.0)
    chats = Chats(f"sqlite+aiosqlite:///{tmp_path / 'h.db'}", now_ms=node.clock)
    await chats.start()
    tasks = Tasks("test")
    projector = Projector(node.store, chats, tasks, peers=node.peers)
    record = asked("r")
    log = (await node.store.open(record, accepted_of(record))).log
    node.common.dirty = {record.key: log.version + 1}
    with pytest.raises(Unavailable):
        await projector.catch_up(ANN, wait_s=0.05)
    assert node.common.dirty
    log.version += 1
    await projector.catch_up(ANN)
    assert node.common.dirty == {}
    await tasks.close()
    await chats.close()


async def test_tickets_let_in_at_any_node_once(node):
    """Also an operator's; nobody's after it was used."""
    here, there = Tickets(node.peers), Tickets(Peers(node.common.node("b")))
    ticket = await here.issue(BOB, True, 0.0)
    assert await there.take("another", 0.0) is None
    assert await there.take(ticket, 0.0) == (BOB, True)
    assert await here.take(ticket, 0.0) is None


async def test_what_a_load_left_out_is_told_at_any_node(node):
    """Once, to its owner, and not after a load that had everything."""
    here, there = LeftOut(node.peers), LeftOut(Peers(node.common.node("b")))
    await here.put(ANN, "c", "r", 0.0)
    assert await there.take(BOB, "c", 0.0) is None
    assert await there.take(ANN, "c", 0.0) == "r"
    await here.put(ANN, "c", "r", 0.0)
    await there.put(ANN, "c", None, 0.0)
    assert await here.take(ANN, "c", 0.0) is None


async def test_the_bound_on_all_that_is_open_is_the_clusters(node):
    """What other nodes have open counts."""
    admission = Admission(node.journal, Bounds(open_max=5), open_total=lambda: node.shared.open)
    with admission.place(ANN):
        pass
    node.shared.open = 5
    with pytest.raises(ProtocolError), admission.place(ANN):
        raise AssertionError


class Idle:
    """An agent whose requests may queue for a second."""

    profile = Profile(name="demo", clocks=Clocks(queue_s=1.0))


async def test_ends_of_requests_that_other_nodes_opened_are_noticed(node, monkeypatch):
    """They are found by reading what queues, although no change of them was ever seen here."""
    monkeypatch.setattr("holdfast_server.expiry.SWEEP_S", 0.0)
    monkeypatch.setattr(node.store, "observe", lambda _: None)
    agents: dict[str, Any] = {"demo": Idle()}
    expiry = Expiry(node.store, agents, node.clock, shared=True)
    tasks = Tasks("test")
    tasks.start(expiry.run(), "expiry")
    record = asked("r", at=node.clock.now)
    log = (await node.store.open(record, accepted_of(record))).log
    node.clock.now += 1_001
    await asyncio.wait_for(log.wait_sealed(), 5)
    assert (log.status, log.outcome.code) == ("timed_out", "queue")
    await tasks.close()
