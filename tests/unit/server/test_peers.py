"""What a node has of the others: rows, messages, values that one takes, and turns."""

import asyncio
from contextlib import suppress

import pytest

from holdfast_server import peers as module
from holdfast_server.peers import Peers
from holdfast_server.stores.base import Owner, Unavailable
from tests.support.journals import ANN, BOB
from tests.support.shared_double import Common
from tests.support.simloop import SimLoop


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


class Chat:
    """Two nodes that take turns in simulated time; `events`: when who went in, opened its journal, or was told to try again."""

    def __init__(self):
        self.sim = SimLoop(1)
        self.common = Common()
        self.shared = {name: self.common.node(name) for name in "ab"}
        self.peers = {name: Peers(shared) for name, shared in self.shared.items()}
        self.events = []

    def note(self, name, what):
        self.events.append((name, what, round(asyncio.get_running_loop().time() - self.began)))

    async def submit(self, name, after_s, takes_s):
        await asyncio.sleep(after_s)
        try:
            async with self.peers[name].turn("chat", "c"):
                self.note(name, "in")
                await asyncio.sleep(takes_s)
                self.note(name, "opens")
        except Unavailable:
            self.note(name, "again")

    def run(self, *work):
        async def main():
            self.began = asyncio.get_running_loop().time()
            await asyncio.gather(*work)
            for peers in self.peers.values():
                await peers.close()

        self.sim.run(main())
        assert not self.sim.leftover
        return self.events


def test_a_turn_is_kept_for_as_long_as_it_is_needed():
    """A database that takes longer than a turn neither lets a second one in nor refuses the first; it is given back at once."""
    chat = Chat()
    events = chat.run(chat.submit("a", 0, 50), chat.submit("b", 45, 0.1), chat.submit("b", 3, 0.1))
    assert events == [
        ("a", "in", 0), ("b", "again", 28), ("a", "opens", 50), ("b", "in", 50), ("b", "opens", 50),
    ]  # fmt: skip
    assert not chat.common.turns
    chat = Chat()
    assert chat.run(chat.submit("a", 0, 5), chat.submit("b", 1, 0))[2:] == [("b", "in", 5), ("b", "opens", 5)]


def test_whoever_cannot_keep_the_turn_does_nothing_more():
    """A node that does not reach the store is out before another one can be in, and is told to try again."""
    chat = Chat()

    async def cut():
        await asyncio.sleep(3)
        chat.shared["a"].away = True

    events = chat.run(chat.submit("a", 0, 30), chat.submit("b", 4, 1), cut())
    assert [event[:2] for event in events] == [("a", "in"), ("a", "again"), ("b", "in"), ("b", "opens")]


def test_a_turn_that_was_lost_is_not_used_any_more():
    """Whose turn another one has, by what the store says, is out as soon as that is known."""
    chat = Chat()

    async def lose():
        await asyncio.sleep(3)
        place = next(iter(chat.common.turns))
        chat.common.turns[place] = (b"another", asyncio.get_running_loop().time() + 60)

    assert chat.run(chat.submit("a", 0, 30), lose()) == [("a", "in", 0), ("a", "again", 4)]
    assert next(iter(chat.common.turns.values()))[0] == b"another"


def test_nobody_keeps_a_turn_for_ever():
    """What hangs inside is ended, so that the chat goes on."""
    chat = Chat()
    events = chat.run(chat.submit("a", 0, 900), chat.submit("b", 60, 1))
    assert [event[:2] for event in events] == [("a", "in"), ("a", "again"), ("b", "in"), ("b", "opens")]


def test_what_fails_inside_is_told_as_it_is():
    """A timeout of the body's own is no lost turn."""
    chat = Chat()

    async def fails():
        with suppress(TimeoutError):
            async with chat.peers["a"].turn("chat", "c"):
                raise TimeoutError
            raise AssertionError

    chat.run(fails())
    assert not chat.common.turns


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
