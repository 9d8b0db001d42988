"""What a list of requests costs: the journals that it returns, not those that are there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdfast_server.stores.base import Owner
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryStore
from tests.support.disks import KeptDisk
from tests.support.journals import ANN, BOB, Clock
from tests.support.scribe import Scribe, cancelled, key


@pytest.fixture
async def scribe() -> AsyncIterator[Scribe]:
    store = MemoryStore()
    await store.start()
    yield Scribe(store, Clock())
    await store.close()


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The requests whose journals somebody looked at since it was cleared."""
    seen: set[str] = set()
    key_of: Any = Log.__dict__["key"]
    for name in ("key", "record", "status", "projected"):

        def read(log: Log, slot: Any = Log.__dict__[name]) -> object:
            seen.add(key_of.__get__(log).request_id)
            return slot.__get__(log)

        monkeypatch.setattr(Log, name, property(read, Log.__dict__[name].__set__))
    return seen


async def test_a_chats_list_looks_at_the_chats_journals(scribe: Scribe, looked_at: set[str]) -> None:
    """A submit asks what runs in its chat: what others run, and what has ended, is not looked at."""
    for number in range(40):
        await scribe.open(f"other{number}", chat_id=f"other{number}")
        await scribe.open(f"bobs{number}", owner=BOB, chat_id="c")
        await scribe.open(f"ended{number}", chat_id="c")
        await scribe.store.seal(key(f"ended{number}"), cancelled())
    await scribe.open("mine", chat_id="c")
    looked_at.clear()
    assert await scribe.ids(active=True, chat_id="c") == ["mine"]
    assert looked_at == {"mine"}
    looked_at.clear()
    assert len(await scribe.ids(active=True)) == 41
    assert looked_at == {"mine", *(f"other{number}" for number in range(40))}


async def test_a_page_looks_at_its_own_journals(scribe: Scribe, looked_at: set[str]) -> None:
    """Of an owner with many the rows beyond the page are not made."""
    for number in range(40):
        await scribe.open(f"r{number}", chat_id=None)
    looked_at.clear()
    rows, mark = await scribe.store.summaries(ANN, active=True, chat_id=None, limit=3, before=None)
    assert [row.key.request_id for row in rows] == ["r39", "r38", "r37"]
    assert looked_at == {"r37", "r38", "r39"}
    rows, mark = await scribe.store.summaries(ANN, active=False, chat_id=None, limit=3, before=mark)
    assert [row.key.request_id for row in rows] == ["r36", "r35", "r34"]
    assert looked_at == {f"r{number}" for number in range(34, 40)}


async def test_what_the_history_lacks_is_sought_among_what_has_ended(
    scribe: Scribe, looked_at: set[str]
) -> None:
    """Running requests are not looked at."""
    for number in range(9):
        await scribe.open(f"r{number}", chat_id="c")
    await scribe.store.seal(key("r4"), cancelled())
    looked_at.clear()
    assert [log.number for log in await scribe.store.unprojected(9)] == [5]
    assert looked_at == {"r4"}


@pytest.mark.parametrize("owner", [ANN, None])
async def test_lists_hold_after_every_way_to_end(owner: Owner | None) -> None:
    """Sealed, erased, packed and started anew: active is what has no outcome, and the rest is there until it goes."""
    disk = KeptDisk()
    store = EmbeddedStore(disk)
    await store.start()
    scribe = Scribe(store, Clock())
    for name in ("sealed", "erased", "packed", "left"):
        await scribe.open(name, chat_id="c")
    await store.seal(key("packed"), cancelled())
    await store.compact()
    await store.erase([key("erased")])
    await store.seal(key("sealed"), cancelled())
    for _ in range(2):
        assert await scribe.ids(owner, active=True) == ["left"]
        assert await scribe.ids(owner, active=True, chat_id="c") == ["left"]
        assert await scribe.ids(owner) == ["left", "packed", "sealed"]
        assert await scribe.ids(owner, chat_id="c") == ["left", "packed", "sealed"]
        assert await scribe.ids(owner, chat_id="d") == []
        await store.close()
        store = EmbeddedStore(disk)
        await store.start()
        scribe = Scribe(store, Clock())
    await store.close()


async def test_a_journal_that_is_packed_meanwhile_is_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """1. a list asks the disk; 2. a journal is packed and leaves memory; 3. it is in neither answer, so the disk is asked
    again."""
    disk = KeptDisk()
    store = EmbeddedStore(disk, now_ms=Clock())
    await store.start()
    scribe = Scribe(store, Clock())
    await scribe.ended("r1", "text")
    page = disk.page

    async def slow(*arguments: Any) -> Any:
        rows = await page(*arguments)
        await store.compact()
        return rows

    monkeypatch.setattr(disk, "page", slow)
    assert await scribe.ids() == ["r1"]
    await store.close()
