"""Batches: a list of requests under one id, kept before they are opened, and how far they are."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast_protocol.errors import ProtocolError
from holdfast_server.batches import BATCH_MAX, BatchConflict, Batches, BatchItem, UnknownBatch
from tests.support.histories import Histories
from tests.support.parts import ADA, EVE, Parts, ask, parts_in

DAY_MS = 86_400_000


@pytest.fixture
async def parts(histories: Histories, tmp_path: Path) -> AsyncIterator[Parts]:
    async with parts_in(tmp_path, history=histories.at(tmp_path / "history.db")) as made:
        yield made


@pytest.fixture
def batches(parts: Parts) -> Batches:
    return Batches(parts.chats.batch_rows, parts.journal.head, parts.chats.purged_status, now_ms=parts.now_ms)


async def test_the_same_list_is_found_and_another_is_a_conflict(batches: Batches) -> None:
    """A batch that is handed in again is the same one; its id is not free for another list, in another order neither."""
    made, new = await batches.create(ADA, "b", ["r1", "r2"])
    again, found = await batches.create(ADA, "b", ["r1", "r2"])
    assert (new, found, again) == (True, False, made)
    for other in (["r2", "r1"], ["r1"]):
        with pytest.raises(BatchConflict):
            await batches.create(ADA, "b", other)
    assert made.items == [BatchItem(request_id="r1"), BatchItem(request_id="r2")]


@pytest.mark.parametrize(
    ("ids", "param"),
    [
        ([], "requests"),
        (["r", "s", "r"], "requests[2].request_id"),
        ([f"r{number}" for number in range(BATCH_MAX + 1)], "requests"),
    ],
)
async def test_lists_that_are_none(batches: Batches, ids: list[str], param: str) -> None:
    """No request, one of them twice, or too many: refused with the field, and nothing is kept."""
    with pytest.raises(ProtocolError) as refused:
        await batches.create(ADA, "b", ids)
    assert refused.value.param == param
    with pytest.raises(UnknownBatch):
        await batches.get(ADA, "b")


async def test_what_is_a_strangers_is_unknown(batches: Batches) -> None:
    """Every verb sees one's own batches only; the same id of two owners is two batches."""
    await batches.create(ADA, "b", ["r1"])
    for verb in (batches.get, batches.cancel, batches.forget):
        with pytest.raises(UnknownBatch):
            await verb(EVE, "b")
    with pytest.raises(UnknownBatch):
        await batches.refused(EVE, "b", {"r1": ("x", "y")})
    assert await batches.list_batches(EVE) == ([], None)
    await batches.create(EVE, "b", ["other"])
    assert (await batches.get(ADA, "b")).request_ids == ["r1"]


async def test_progress_is_what_the_journals_say(batches: Batches, parts: Parts) -> None:
    """By status and in order: what runs, ended, was refused, was purged, is not open yet; it moves by itself."""
    await batches.create(ADA, "b", ["r1", "r2", "r3", "r4", "r5"])
    await batches.refused(ADA, "b", {"r4": ("too_many_requests", "Wait."), "stranger": ("x", "y")})
    for request_id in ("r1", "r2", "r3"):
        await parts.requests.submit(ADA, ask(request_id=request_id, chat_id=f"c-{request_id}"))
    await parts.requests.submit(EVE, ask(request_id="r5"))
    await parts.answer()
    await parts.requests.cancel(ADA, "r2")
    batch = await batches.get(ADA, "b")
    progress = await batches.progress(batch)
    assert progress.statuses == {
        "r1": "completed", "r2": "cancelled", "r3": "queued", "r4": "refused", "r5": "unknown",
    }  # fmt: skip
    assert (progress.total, progress.ended, progress.done) == (5, 3, False)
    assert progress.counts == {"completed": 1, "cancelled": 1, "queued": 1, "refused": 1, "unknown": 1}
    await parts.projector.catch_up(ADA)
    assert await parts.store.purge(parts.now_ms() + 1, 10**9) == 2
    assert (await batches.progress(batch)).statuses["r1"] == "completed"


async def test_refusals_are_noted_bounded_and_taken_back(batches: Batches) -> None:
    """Why a request was refused is kept with the batch, until it is accepted after all."""
    await batches.create(ADA, "b", ["r1", "r2"])
    await batches.refused(ADA, "b", {"r1": ("invalid", "x" * 5_000), "r2": ("draining", "Later.")})
    batch = await batches.refused(ADA, "b", {"r2": None})
    assert batch == await batches.get(ADA, "b")
    assert batch.items == [
        BatchItem(request_id="r1", code="invalid", message="x" * 500),
        BatchItem(request_id="r2"),
    ]


async def test_cancelling_is_noted_once(batches: Batches) -> None:
    """When all of it was to end stays as it was the first time."""
    await batches.create(ADA, "b", ["r1"])
    first = await batches.cancel(ADA, "b")
    assert first.cancelled_at is not None
    assert await batches.cancel(ADA, "b") == first == await batches.get(ADA, "b")


async def test_lists_are_newest_first_in_pages(batches: Batches) -> None:
    """Each batch is on one page; a forgotten one is on none; what is no mark is refused."""
    for number in range(5):
        await batches.create(ADA, f"b{number}", ["r"])
    await batches.forget(ADA, "b2")
    got, mark = await batches.list_batches(ADA, limit=2)
    more, end = await batches.list_batches(ADA, limit=2, before=mark)
    assert [batch.batch_id for batch in got + more] == ["b4", "b3", "b1", "b0"]
    assert end is None
    with pytest.raises(ProtocolError):
        await batches.list_batches(ADA, before="no mark")


async def test_old_ones_go(parts: Parts) -> None:
    """After keep_days, by the sweep; younger ones stay."""
    now = [1_000 * DAY_MS]
    batches = Batches(
        parts.chats.batch_rows, parts.journal.head, parts.chats.purged_status, now_ms=lambda: now[0], keep_days=2
    )  # fmt: skip
    await batches.create(ADA, "old", ["r"])
    now[0] += DAY_MS
    await batches.create(ADA, "young", ["r"])
    now[0] += DAY_MS + 1
    await batches.sweep()
    assert [batch.batch_id for batch in (await batches.list_batches(ADA))[0]] == ["young"]


async def test_a_list_that_cannot_be_read_is_an_empty_one(
    batches: Batches, histories: Histories, tmp_path: Path
) -> None:
    """Damage costs one batch its list, and nobody else anything."""
    await batches.create(ADA, "b", ["r1"])
    with closing(sqlite3.connect(histories.file(tmp_path / "history.db"), isolation_level=None)) as file:
        file.execute("UPDATE batches SET items = x'00ff'")
    batch = await batches.get(ADA, "b")
    assert batch.items == []
    assert (await batches.progress(batch)).done
