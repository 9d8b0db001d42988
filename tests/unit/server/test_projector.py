"""The projector over the memory store: what is committed reaches the history, whatever fails in between (I11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from holdfast_protocol.events import Started
from holdfast_server import projector as module
from holdfast_server.chats import Chats
from holdfast_server.projector import Projector
from holdfast_server.stores.base import Key, Owner, Record, Unavailable
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.tasks import Tasks
from tests.support.histories import Histories
from tests.support.journals import ANN, BOB, accepted_of, asked, output_of

Parts = tuple[MemoryStore, Chats]


@pytest.fixture
async def parts(histories: Histories, tmp_path: Path) -> AsyncIterator[Parts]:
    store, chats = (
        MemoryStore(),
        Chats(histories.at(tmp_path / "history.db"), now_ms=lambda: 5_000),
    )
    await store.start()
    await chats.start()
    yield store, chats
    await chats.close()
    await store.close()


async def submit(store: MemoryStore, record: Record) -> Log:
    return (await store.open(record, accepted_of(record))).log


async def answer(store: MemoryStore, text: str = "Yes.") -> Key:
    """Claim the oldest request and answer it."""
    claim = await store.claim()
    assert claim is not None
    writer = store.writer(claim)
    writer.put(Started(at=2_000, attempt=1, term=claim.term, nonce=claim.nonce))
    for event in output_of(text, 2_000):
        writer.put(event)
    await writer.flush()
    assert claim.log.sealed
    return claim.log.key


async def shown(chats: Chats, owner: Owner = ANN, chat_id: str = "chat") -> list[tuple[str, str, str | None]]:
    rows, _ = await chats.list_messages(owner, chat_id, 200)
    return [(row.message_id, row.text, row.status) for row in rows]


class Trouble:
    """A history that does what it is told before it does what it should."""

    def __init__(self, chats: Chats, before: Callable[[str, Key], Any]) -> None:
        self._chats = chats
        self._before = before

    async def project_opened(self, log: Log) -> None:
        await self._before("opened", log.key)
        await self._chats.project_opened(log)

    async def project_sealed(self, log: Log) -> bool:
        await self._before("sealed", log.key)
        return await self._chats.project_sealed(log)


def projector_of(
    store: MemoryStore, chats: Chats, before: Callable[[str, Key], Any] | None = None
) -> Projector:
    history: Any = chats if before is None else Trouble(chats, before)
    return Projector(store, history, Tasks("test"), sweep_s=3_600)


async def test_what_is_committed_is_in_the_history(parts: Parts) -> None:
    """After catch_up the history holds what was committed before: the question at once, the answer once it has ended."""
    store, chats = parts
    projector = projector_of(store, chats)
    await projector.start()
    await submit(store, asked("r1", "first?", at=1_000))
    await submit(store, asked("r2", "second?", parent_id="r1", at=1_001))
    await projector.catch_up()
    assert await shown(chats) == [
        ("r2", "", None),
        ("q-r2", "second?", None),
        ("r1", "", None),
        ("q-r1", "first?", None),
    ]
    await answer(store)
    await projector.catch_up()
    assert (await shown(chats))[2] == ("r1", "Yes.", "completed")
    await projector.close()
    assert await store.unprojected(10) == []


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_crash_between_the_two_commits_is_made_good(parts: Parts, sealed: bool) -> None:
    """What a process committed to the journal and died before it told the history is there after the next start."""
    store, chats = parts
    await submit(store, asked("r1", "first?"))
    if sealed:
        await answer(store)
    projector = projector_of(store, chats)
    await projector.start()
    await projector.catch_up()
    expected = ("r1", "Yes.", "completed") if sealed else ("r1", "", None)
    assert await shown(chats) == [expected, ("q-r1", "first?", None)]
    await projector.close()


async def test_a_crash_between_history_and_mark_is_harmless(parts: Parts) -> None:
    """An answer that the history holds and the store does not know as projected is marked, and stays as it is."""
    store, chats = parts
    await submit(store, asked("r1"))
    await answer(store)
    await chats.project_sealed((await store.unprojected(1))[0])
    before = await chats.get_chat(ANN, "chat")
    projector = projector_of(store, chats)
    await projector.start()
    await projector.catch_up()
    await projector.close()
    assert await store.unprojected(10) == []
    assert await chats.get_chat(ANN, "chat") == before


async def test_requests_without_a_chat_stay_out(parts: Parts) -> None:
    """A request that carries its own messages writes no chat."""
    store, chats = parts
    projector = projector_of(store, chats)
    await projector.start()
    await submit(store, asked("r1", chat_id=None))
    await answer(store)
    await projector.catch_up()
    assert await chats.list_chats(ANN) == ([], None)
    await projector.close()


async def test_an_end_that_comes_while_the_beginning_is_written(parts: Parts) -> None:
    """1. The opened journal is being projected, as it was. 2. It is sealed meanwhile. 3. catch_up returns only when the
    answer is there too. Red if a key leaves the queue after its projection instead of before."""
    store, chats = parts
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def before(step: str, _: Key) -> None:
        if step == "opened":
            reached.set()
            await go_on.wait()

    projector = projector_of(store, chats, before)
    await projector.start()
    await projector.catch_up()
    await submit(store, asked("r1"))
    await reached.wait()
    await answer(store)
    waiting = asyncio.create_task(projector.catch_up())
    await asyncio.sleep(0)
    go_on.set()
    await waiting
    assert (await shown(chats))[0] == ("r1", "Yes.", "completed")
    await projector.close()


async def test_a_locked_history_is_tried_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the history does not answer nothing is lost or overtaken; catch_up waits, at most as long as it is told."""
    store, chats = parts
    monkeypatch.setattr(module, "RETRY_S_MIN", 0)
    monkeypatch.setattr(module, "RETRY_S_MAX", 0)
    locked, steps = True, []

    async def before(step: str, key: Key) -> None:
        if locked:
            raise Unavailable("database is locked")
        steps.append((step, key.request_id))

    projector = projector_of(store, chats, before)
    await projector.start()
    await projector.catch_up()
    for number in range(3):
        await submit(store, asked(f"r{number}", at=1_000 + number))
    with pytest.raises(Unavailable, match="behind"):
        await projector.catch_up(wait_s=0)
    locked = False
    with structlog.testing.capture_logs() as lines:
        await projector.catch_up()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("answers reach the history again", "info")
    ]
    assert steps == [("opened", "r0"), ("opened", "r1"), ("opened", "r2")]
    await projector.close()


async def test_one_that_cannot_be_projected_holds_up_nobody(parts: Parts) -> None:
    """A journal that the history refuses for a reason of its own is left alone; those behind it are projected."""
    store, chats = parts

    async def before(step: str, key: Key) -> None:
        if key.request_id == "r0" and step == "sealed":
            raise ValueError("poison")

    for number in range(3):
        await submit(store, asked(f"r{number}", at=1_000 + number))
        await answer(store)
    projector = projector_of(store, chats, before)
    await projector.start()
    await projector.catch_up()
    assert [text for _, text, status in await shown(chats) if status] == ["Yes.", "Yes."]
    assert [log.key.request_id for log in await store.unprojected(10)] == ["r0"]
    await projector.close()


async def test_a_full_queue_is_let_go_and_found_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """I8: the queue is bounded in keys. 1. The first key is being projected. 2. More come than the queue holds. 3. The
    first is done, and a sweep looks for the others: catch_up waits for its end. Red if being done with the first is
    taken for being done with all."""
    store, chats = parts
    monkeypatch.setattr(module, "QUEUE_KEYS_MAX", 2)
    first, sweep, swept = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def before(_: str, key: Key) -> None:
        if not first.is_set():
            await first.wait()
        else:
            sweep.set()
            await swept.wait()

    projector = projector_of(store, chats, before)
    await projector.start()
    await projector.catch_up()
    for number in range(4):  # one in hand, two in the queue, one that lets it go
        await submit(store, asked(f"r{number}", at=1_000 + number))
    waiting = asyncio.create_task(projector.catch_up())
    await asyncio.sleep(0)
    first.set()
    await sweep.wait()
    await asyncio.sleep(0)
    assert not waiting.done()
    swept.set()
    await waiting
    assert len(await shown(chats)) == 8
    await projector.close()


async def test_more_than_one_sweep_holds(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep goes on until nothing is left, however little it takes at once, and past those that are refused."""
    store, chats = parts
    monkeypatch.setattr(module, "SWEEP_ROWS", 2)

    async def before(_: str, key: Key) -> None:
        if key.request_id in ("r0", "r1", "r2"):
            raise ValueError("poison")

    for number in range(9):
        await submit(store, asked(f"r{number}", at=1_000 + number))
        if number < 7:
            await answer(store)
    projector = projector_of(store, chats, before)
    await projector.start()
    await projector.catch_up()
    await projector.close()
    assert len(await shown(chats)) == 12
    assert len(await store.unprojected(20)) == 3


async def test_what_was_deleted_is_not_projected_again(parts: Parts) -> None:
    """The answer of an erased chat is marked as projected and writes nothing; its journal is named for erasure."""
    store, chats = parts
    projector = projector_of(store, chats)
    await projector.start()
    await submit(store, asked("r1"))
    await projector.catch_up()
    await chats.delete_chat(ANN, "chat")
    await chats.erase_due(now_ms=5_000 + 30_000)
    await answer(store)
    await projector.catch_up()
    assert await chats.is_deleted(ANN, "chat")
    assert not await chats.has_message(ANN, "r1")
    assert await chats.erase_due() == [(ANN, ["r1"])]
    await projector.close()
    assert await store.unprojected(10) == []


async def test_a_lost_history_is_rebuilt(parts: Parts, histories: Histories, tmp_path: Path) -> None:
    """I11: from the journals alone, marked or not, a new file gets the same messages."""
    store, chats = parts
    projector = projector_of(store, chats)
    await projector.start()
    for number in range(4):
        await submit(store, asked(f"r{number}", f"question {number}", at=1_000 + number))
        if number < 3:
            await answer(store, f"answer {number}")
    await projector.catch_up()
    await projector.close()
    other = Chats(histories.at(tmp_path / "new.db"), now_ms=lambda: 9_000)
    await other.start()
    assert await projector_of(store, other).rebuild() == 4
    assert await other.list_messages(ANN, "chat") == await chats.list_messages(ANN, "chat")
    assert (
        (await other.get_chat(ANN, "chat")).title == (await chats.get_chat(ANN, "chat")).title == "question 0"
    )
    assert (await other.get_chat(ANN, "chat")).version > (await chats.get_chat(ANN, "chat")).version
    await other.close()


async def test_closing_lets_nobody_wait(parts: Parts) -> None:
    """Who waits to catch up when the server stops is told so."""
    store, chats = parts

    async def before(_: str, __: Key) -> None:
        await asyncio.Event().wait()

    projector = projector_of(store, chats, before)
    await projector.start()
    await projector.catch_up()
    await submit(store, asked("r1"))
    waiting = asyncio.create_task(projector.catch_up())
    await asyncio.sleep(0)
    await projector.close()
    with pytest.raises(Unavailable, match="stops"):
        await waiting


async def test_one_owners_trouble_delays_no_other(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """1. Ann's projection is stuck. 2. Bob's history is whole: he does not wait, she does. 3. Hers is refused again and
    again: what Bob writes then is there when he reads, and hers once it is taken."""
    store, chats = parts
    monkeypatch.setattr(module, "RETRY_S_MIN", 0.01)
    monkeypatch.setattr(module, "RETRY_S_MAX", 0.01)
    stuck, refused = asyncio.Event(), True

    async def before(_: str, key: Key) -> None:
        if key.owner == ANN:
            await stuck.wait()
            if refused:
                raise Unavailable("not now")

    projector = projector_of(store, chats, before)
    await projector.start()
    await submit(store, asked("b1", owner=BOB, chat_id="his"))
    await projector.catch_up()
    await submit(store, asked("r1"))
    await asyncio.sleep(0)
    await projector.catch_up(BOB, wait_s=0)
    for owner in (ANN, None):
        with pytest.raises(Unavailable, match="behind"):
            await projector.catch_up(owner, wait_s=0)
    stuck.set()
    await submit(store, asked("b2", owner=BOB, parent_id="b1", chat_id="his", at=1_001))
    await projector.catch_up(BOB)
    assert [row[0] for row in await shown(chats, BOB, "his")] == ["b2", "q-b2", "b1", "q-b1"]
    refused = False
    await projector.catch_up(ANN)
    assert [row[0] for row in await shown(chats)] == ["r1", "q-r1"]
    await projector.close()
