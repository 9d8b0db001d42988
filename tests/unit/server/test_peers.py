"""What a node has of the others: rows, messages, values that one takes, and turns."""

import asyncio

import pytest

from holdfast_server import peers as module
from holdfast_server.peers import Peers
from holdfast_server.stores.base import Owner, Unavailable
from tests.support.journals import ANN, BOB
from tests.support.shared_double import Common


async def test_an_owner_is_watched_while_somebody_holds_him():
    """Two hold the same: the store is asked once, and told when the last has let go."""
    shared = Common().node("a")
    peers = Peers(shared)
    peers.hold(ANN)
    peers.hold(ANN)
    assert shared.watched == {ANN: 1}
    peers.let_go(ANN)
    assert shared.watched == {ANN: 1}
    peers.let_go(ANN)
    assert shared.watched == {}


async def test_a_server_that_is_alone_needs_nothing_of_it():
    """Holding, publishing, turns and notes of what the history misses cost nothing and do nothing."""
    peers = Peers()
    peers.hold(ANN)
    peers.let_go(BOB)
    await peers.publish("chats", b"x")
    async with peers.turn("chat", "c"), peers.turn("chat", "c"):
        pass
    assert (peers.alone, peers.open_total, await peers.dirty(ANN)) == (True, None, [])


async def test_messages_come_to_the_others_only():
    """Who publishes is not told of it, and one observer's bug keeps nobody else from being told."""
    common = Common()
    a, b = Peers(common.node("a")), Peers(common.node("b"))
    came = []

    def faulty(body):
        raise ValueError(body)

    a.observe_message("chats", lambda body: came.append(("a", body)))
    b.observe_message("chats", faulty)
    b.observe_message("chats", lambda body: came.append(("b", body)))
    await a.publish("chats", b"new\nline")
    assert came == [("b", b"new\nline")]


async def test_a_value_is_taken_once_whichever_node_asks():
    """Under a name that shows nothing of what it was made of."""
    common = Common()
    a, b = Peers(common.node("a")), Peers(common.node("b"))
    await a.put_once("ticket", "secret", b"v", 60.0)
    assert "secret" not in next(iter(common.values))
    assert await b.take_once("ticket", "secret") == b"v"
    assert await a.take_once("ticket", "secret") is None


async def test_turns_go_one_after_another(monkeypatch):
    """Across nodes, also where whoever has one is cancelled; other names are not waited for."""
    monkeypatch.setattr(module, "TURN_LOOK_S", (0.0, 0.0))
    common = Common()
    a, b = Peers(common.node("a")), Peers(common.node("b"))
    inside = []

    async def go(peers, name, leave):
        async with peers.turn("chat", "c"):
            inside.append(name)
            await leave.wait()
            inside.append(f"{name} ends")

    first, second = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(go(a, "one", first))
    await asyncio.sleep(0)
    two = asyncio.create_task(go(b, "two", second))
    async with b.turn("chat", "another"):
        pass
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == ["one"]
    one.cancel()
    second.set()
    await two
    assert inside == ["one", "two", "two ends"]
    assert not common.turns


async def test_a_turn_that_is_kept_for_too_long_is_not_waited_for(monkeypatch):
    """Whoever wants it is told to try again."""
    monkeypatch.setattr(module, "TURN_WAIT_S", 0.0)
    common = Common()
    a, b = Peers(common.node("a")), Peers(common.node("b"))
    async with a.turn("chat", "c"):
        with pytest.raises(Unavailable):
            async with b.turn("chat", "c"):
                raise AssertionError


async def test_after_a_silence_everything_is_asked_for_anew(monkeypatch):
    """A node that could not reach the store for long, or stood still, asks again for the rows it wants, and its readers begin
    anew; short silences do nothing."""
    monkeypatch.setattr(module, "COUNT_S", 0.0)
    shared = Common().node("a")
    peers = Peers(shared)
    gaps: list[int] = []
    asked: list[Owner] = []
    peers.observe_gap(lambda: gaps.append(1))
    peers.hold(ANN)
    monkeypatch.setattr(shared, "watch", asked.append)
    shared.open = 7
    peers.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (peers.open_total, gaps, asked) == (7, [], [])
    monkeypatch.setattr(module, "QUIET_S", -1.0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (asked[0], gaps[0]) == (ANN, 1)
    await peers.close()
