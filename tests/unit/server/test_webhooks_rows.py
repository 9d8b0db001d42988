"""Webhooks in the history's database: found when due, changed only by their own delivery, gone with their requests."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from holdfast_server.chats import Chats
from holdfast_server.stores.base import Key, key_of
from holdfast_server.webhook_terms import Hook, State, Try
from tests.support.histories import Histories
from tests.support.journals import ANN, BOB, Clock, answered, asked


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def chats(histories: Histories, tmp_path: Path, clock: Clock) -> AsyncIterator[Chats]:
    chats = Chats(histories.at(tmp_path / "history.db"), now_ms=clock, undo_s=0)
    await chats.start()
    yield chats
    await chats.close()


def hook(key: Key, state: State = "armed", *, host: str = "a:443", next_at: int = 0, at: int = 10) -> Hook:
    return Hook(
        key=key, url=f"https://{host}/x", host=host, delivery_id=f"msg_{key.request_id}", state=state,
        created_at=at, updated_at=at, next_at=next_at, tries=[Try(at=1, duration_ms=2, status=500, said="no")],
    )  # fmt: skip


async def test_what_is_put_is_found_and_replaced(chats: Chats) -> None:
    """By its owner's key alone, with its tries; a second one takes its place."""
    rows, key = chats.webhook_rows, key_of(ANN, "r")
    await rows.put(hook(key))
    assert await rows.of(key) == hook(key)
    assert await rows.of(key_of(BOB, "r")) is None
    await rows.put(hook(key, host="b:443"))
    assert await rows.of(key) == hook(key, host="b:443")


async def test_due_ones_are_read_past_full_hosts(chats: Chats) -> None:
    """Those whose time has come, the longest waiting first, without the hosts named; and when the next one is due."""
    rows = chats.webhook_rows
    keys = [key_of(ANN, f"r{number:03}") for number in range(450)]
    for number, key in enumerate(keys[:4]):
        await rows.put(hook(key, "due", host=f"h{number % 2}:443", next_at=100 - number))
    await rows.put(hook(keys[4], "delivered"))
    await rows.put(hook(keys[449]))
    assert [one.key for one in await rows.due(99, 10, ())] == [keys[3], keys[2], keys[1]]
    assert [one.key for one in await rows.due(99, 10, ["h1:443"])] == [keys[2]]
    assert [one.key for one in await rows.due(99, 1, ())] == [keys[3]]
    assert (await rows.next_at(98), await rows.next_at(100)) == (99, None)
    await rows.make_due(keys, 50)
    made = [one for one in await rows.due(1_000, 10, ()) if one.next_at == 50]
    assert [(one.key, one.state) for one in made] == [(keys[449], "due")]


async def test_a_try_settles_its_own_delivery_only(chats: Chats) -> None:
    """What was forgotten, or is another delivery by now, is not changed by a try that ends late."""
    rows, key = chats.webhook_rows, key_of(ANN, "r")
    done = replace(hook(key, "due"), state="delivered", tried=1, updated_at=20)
    await rows.settle(done)
    assert await rows.of(key) is None
    await rows.put(replace(hook(key, "due"), delivery_id="msg_other"))
    await rows.settle(done)
    assert (await rows.of(key)) == replace(hook(key, "due"), delivery_id="msg_other")
    await rows.put(hook(key, "due"))
    await rows.settle(done)
    assert await rows.of(key) == done
    assert await rows.again(key, 30)
    assert await rows.of(key) == replace(done, state="due", next_at=30, updated_at=30, tried=0)
    await rows.put(hook(key))
    assert not await rows.again(key, 30)


async def test_pages_of_armed_ones_go_through_all(chats: Chats) -> None:
    """Every armed one is on one page, in the order of the keys, whoever's it is."""
    rows = chats.webhook_rows
    keys = sorted(key_of(owner, f"r{number}") for owner in (ANN, BOB) for number in range(3))
    for key in keys:
        await rows.put(hook(key))
    await rows.put(hook(key_of(ANN, "r9"), "due"))
    got: list[tuple[Key, int]] = []
    while page := await rows.armed(got[-1][0] if got else None, 4):
        got += page
    assert got == [(key, 10) for key in keys]


async def test_what_is_forgotten(chats: Chats) -> None:
    """By key; those that never got a request by age; those that ended by age; nothing else with them."""
    rows = chats.webhook_rows
    keys = {name: key_of(ANN, name) for name in ("gone", "old", "young", "due", "ended", "fresh")}
    for name, key in keys.items():
        state: State = "due" if name == "due" else "given_up" if name in ("ended", "fresh") else "armed"
        await rows.put(hook(key, state, at=20 if name in ("young", "fresh") else 10))
    await rows.remove([keys["gone"]])
    await rows.remove_unopened(list(keys.values()), 15)
    await rows.remove_ended(15)
    left = [name for name, key in keys.items() if await rows.of(key) is not None]
    assert left == ["young", "due", "fresh"]


async def test_they_are_erased_with_their_chat(chats: Chats, clock: Clock) -> None:
    """When a chat's journals are known to be gone, nobody is called for them any more."""
    await chats.project_sealed(answered(asked("r1"), "answer"))
    rows = chats.webhook_rows
    for owner in (ANN, BOB):
        await rows.put(hook(key_of(owner, "r1"), "due"))
    await chats.delete_chat(ANN, "chat")
    clock.now += 1_000
    ((owner, request_ids),) = await chats.erase_due()
    await chats.erased(owner, request_ids)
    assert [one.key for one in await rows.due(1, 9, ())] == [key_of(BOB, "r1")]


async def test_tries_that_cannot_be_read_are_as_good_as_none(
    chats: Chats, histories: Histories, tmp_path: Path
) -> None:
    """Damage costs the log of one webhook, not its delivery."""
    rows, key = chats.webhook_rows, key_of(ANN, "r")
    await rows.put(hook(key, "due"))
    with closing(sqlite3.connect(histories.file(tmp_path / "history.db"), isolation_level=None)) as file:
        file.execute("UPDATE webhooks SET tries = x'00ff'")
    assert await rows.due(1, 9, ()) == [replace(hook(key, "due"), tries=[])]


async def test_a_due_one_is_taken_by_one_node(chats: Chats) -> None:
    """Of two that have read it the first takes it, until then nobody else reads it as due; whoever took it settles it."""
    rows, key = chats.webhook_rows, key_of(ANN, "r")
    await rows.put(hook(key, "due", next_at=5))
    (read,) = await rows.due(10, 10, ())
    assert await rows.take(read, 500)
    assert not await rows.take(read, 600)
    assert (await rows.due(10, 10, ()), await rows.next_at(10)) == ([], 500)
    done = replace(read, state="delivered", next_at=0, updated_at=20)
    await rows.settle(done)
    assert await rows.of(key) == done
