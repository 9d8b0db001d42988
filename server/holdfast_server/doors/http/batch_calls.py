"""Batches over HTTP: handing in, list, how far it is, the end of all of it, and forgetting it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web

from holdfast_protocol.lifecycle import OUTCOME_STATUSES
from holdfast_server.batches import BATCH_MAX, Batch, ItemStatus
from holdfast_server.stores.base import Damaged, UnknownRequest
from holdfast_server.tasks import Tasks

from .batch_opening import BatchOpening
from .batch_results import DAMAGED, batch_named, batches_of, unknown_batch
from .batch_shapes import (
    BATCH,
    BATCHES,
    AcceptedBatch,
    BatchCancelled,
    BatchList,
    BatchRequest,
    BatchStatus,
    outcome_error,
    progress_of,
    refusal_of,
    row_of,
    sorted_counts,
    urls_of,
)
from .listing import PageQuery, next_link, reading_a_page
from .operations import Asked, Query, answer, local, no_content, path_of

PAGE_BYTES_MAX: Final = 1024 * 1024
"""Text in one answer; its `next` goes on from where it was cut. One answer at least is in it."""


class BatchQuery(Query, frozen=True, kw_only=True):
    """How much of the batch."""

    results: Annotated[
        bool, msgspec.Meta(description="Whether the texts of those that have ended are there too.")
    ] = False
    start: Annotated[
        int, msgspec.Meta(ge=0, le=BATCH_MAX, description="The place of the first request that is listed.")
    ] = 0


async def create(asked: Asked) -> web.StreamResponse:
    """Hand in a batch."""
    batches, endings = batches_of(asked)
    batch, created, opened = await BatchOpening(asked, batches, endings).open()
    progress = await batches.progress(batch)
    body = AcceptedBatch(
        batch_id=batch.batch_id, created=created, progress=progress_of(progress), counts=sorted_counts(progress.counts),
        results=opened, urls=urls_of(asked.visit, batch.batch_id),
    )  # fmt: skip
    return answer(body, 202, {hdrs.LOCATION: local(asked.visit, path_of(BATCH, batch_id=batch.batch_id))})


async def list_batches(asked: Asked) -> web.StreamResponse:
    """A page of them."""
    query: PageQuery = asked.query
    with reading_a_page():
        rows, mark = await batches_of(asked)[0].list_batches(asked.visit.owner, query.limit, query.before)
    shown = BatchList(batches=[row_of(asked.visit, row) for row in rows], next=mark)
    return answer(shown, headers=next_link(asked, BATCHES, mark))


async def get_batch(asked: Asked) -> web.StreamResponse:
    """How far it is, and what became of each request."""
    query: BatchQuery = asked.query
    batch = await batch_named(asked)
    progress = await batches_of(asked)[0].progress(batch)
    shown: list[BatchRequest] = []
    after: int | None = None
    room = PAGE_BYTES_MAX
    for number in range(query.start, len(batch.items)):
        one = await _shown(asked, batch, number, progress.statuses, with_text=query.results)
        room -= len(one.text) if isinstance(one.text, str) else 0
        if room < 0 and shown:
            after = number
            break
        shown.append(one)
    body = BatchStatus(
        batch_id=batch.batch_id, created_at=batch.created_at, cancelled_at=batch.cancelled_at,
        progress=progress_of(progress), counts=sorted_counts(progress.counts), requests=shown, next=after,
        urls=urls_of(asked.visit, batch.batch_id),
    )  # fmt: skip
    return answer(body)


async def cancel(asked: Asked) -> web.StreamResponse:
    """End all of it. What is being opened in this moment is ended by who opens it."""
    batch = await batch_named(asked)
    batch = await batches_of(asked)[0].cancel(batch.owner, batch.batch_id)
    tasks = Tasks("batch_cancel")

    async def end(request_id: str) -> bool:
        try:
            return (await asked.desk.requests.cancel(batch.owner, request_id))[0]
        except UnknownRequest:
            return False

    try:
        started = [tasks.start(end(one), "cancel") for one in batch.request_ids]
        await asyncio.wait(started)
        count = sum(task.result() for task in started)
    finally:
        await tasks.close()
    return answer(BatchCancelled(cancelled=count))


async def delete(asked: Asked) -> web.StreamResponse:
    """Forget the batch; its requests stay."""
    try:
        await batches_of(asked)[0].forget(asked.visit.owner, asked.id("batch_id"))
    except UnknownRequest:
        raise unknown_batch() from None
    return no_content()


async def _shown(
    asked: Asked, batch: Batch, number: int, statuses: dict[str, ItemStatus], *, with_text: bool
) -> BatchRequest:
    item = batch.items[number]
    status = statuses[item.request_id]
    if item.code:
        return BatchRequest(request_id=item.request_id, status=status, error=refusal_of(item))
    if status not in OUTCOME_STATUSES:
        return BatchRequest(request_id=item.request_id, status=status, error=None)
    try:
        log = await asked.desk.requests.find(batch.owner, item.request_id)
    except Damaged:
        return BatchRequest(request_id=item.request_id, status=status, error=DAMAGED)
    except UnknownRequest:
        return BatchRequest(request_id=item.request_id, status="unknown", error=None)
    shown = BatchRequest(request_id=item.request_id, status=log.status, error=outcome_error(log))
    if not with_text:
        return shown
    return msgspec.structs.replace(shown, text=log.fold().transcript().text, usage=log.usage)
