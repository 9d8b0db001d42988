"""What the projector remembers of its own work: nothing is written twice, and nothing is left out for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast_server.chats import Chats
from holdfast_server.peers import Peers
from holdfast_server.projector import Projector
from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.log import Log
from holdfast_server.tasks import Tasks
from tests.support.journals import ANN, asked
from tests.support.shared_double import Common
from tests.unit.server.test_projector import Parts, Trouble, answer, parts, projector_of, shown, submit

__all__ = ["parts"]  # the fixture


class Written:
    """A history that counts what it is asked to write, and takes its time."""

    def __init__(self, chats: Chats) -> None:
        self.calls: list[str] = []
        self._chats = chats

    async def project_opened(self, log: Log) -> None:
        self.calls.append("opened")
        await asyncio.sleep(0)
        await self._chats.project_opened(log)

    async def project_sealed(self, log: Log) -> bool:
        self.calls.append("sealed")
        await asyncio.sleep(0)
        return await self._chats.project_sealed(log)


async def test_who_catches_up_does_not_write_what_is_written(parts: Parts) -> None:
    """What was noted of a journal and several who catch up want it projected at the same time: its beginning and its end are
    written once each."""
    store, chats = parts
    common = Common()
    peers = Peers(common.node("a"))
    written: Any = Written(chats)
    projector = Projector(store, written, Tasks("test"), sweep_s=3_600, peers=peers)
    await projector.start()
    journal = await submit(store, asked("r1"))
    for _ in range(2):
        common.dirty = {journal.key: journal.version}
        await asyncio.gather(*(projector.catch_up(ANN) for _ in range(3)))
        await projector.catch_up()
    assert written.calls == ["opened"]
    await answer(store)
    common.dirty = {journal.key: journal.version}
    await asyncio.gather(*(projector.catch_up(ANN) for _ in range(3)))
    await projector.catch_up()
    assert written.calls == ["opened", "sealed"]
    assert common.dirty == {}
    await projector.close()
    await peers.close()
    assert await store.unprojected(10) == []


async def test_an_id_that_comes_again_is_another_journal(parts: Parts) -> None:
    """A request that was deleted, and is asked again under its id, is written again. Red if what was projected is
    remembered by the id alone."""
    store, chats = parts
    projector = projector_of(store, chats)
    await projector.start()
    key = (await submit(store, asked("r1", "first?"))).key
    await projector.catch_up()
    await chats.delete_message(ANN, "chat", "q-r1")
    await store.erase([key])
    await chats.erased(ANN, ["r1"])
    await submit(store, asked("r1", "again?", at=2_000))
    await projector.catch_up()
    assert await shown(chats) == [("r1", "", None), ("q-r1", "again?", None)]
    await answer(store)
    await projector.catch_up()
    assert (await shown(chats))[0] == ("r1", "Yes.", "completed")
    await projector.close()


async def test_a_sweep_that_fails_keeps_nothing_waiting(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nodes share a store, part of it may be away for long: what this node commits meanwhile is in the history."""
    store, chats = parts

    async def away(*_: object, **__: object) -> Any:
        raise Unavailable("a server is away")

    monkeypatch.setattr(store, "summaries", away)
    written = asyncio.Event()

    async def before(*_: object) -> None:
        written.set()

    history: Any = Trouble(chats, before)
    peers = Peers(Common().node("a"))
    projector = Projector(store, history, Tasks("test"), sweep_s=3_600, peers=peers)
    await projector.start()
    await submit(store, asked("r1"))
    await asyncio.wait_for(written.wait(), 10)
    await projector.close()
    await peers.close()
