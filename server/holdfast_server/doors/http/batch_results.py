"""The results of a batch as they come: one object per request once it has ended, those that ended first first.

A reader's place is the set of the results that it has, a bit for each request: no order of clocks has to be the same when it
comes back, and nothing is told twice or left out. One that was refused is told as refused.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Final

import msgspec
from aiohttp import web

from holdfast_protocol.lifecycle import OUTCOME_STATUSES
from holdfast_server.batches import Batch, Batches, BatchItem
from holdfast_server.doors.reception import sole
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import EventStream
from holdfast_server.endings import Endings, Watch
from holdfast_server.requests import Requests
from holdfast_server.stores.base import Damaged, UnknownRequest, key_of

from .batch_shapes import BatchEnd, BatchProgress, BatchResult, outcome_error, refusal_of
from .framing import LAST_EVENT_ID, StreamQuery, frame, media_of, opening
from .operations import NDJSON, NEGOTIATED, SSE, Asked, no_content
from .request_shapes import RequestError

DAMAGED: Final = RequestError(
    code="damaged", message="This answer was damaged where it is kept; it cannot be shown as if it were whole.",
    retryable=False,
)  # fmt: skip


class Told:
    """Which results a reader has, of a batch."""

    def __init__(self, batch: Batch, cursor: str | None, param: str) -> None:
        """Raises: Refused for what is no cursor of this batch."""
        self._tag = f"{zlib.crc32(batch.batch_id.encode()):08x}"
        self._places = {item.request_id: number for number, item in enumerate(batch.items)}
        self._mask = 0
        if cursor is not None:
            mask, _, tag = cursor.partition("-")
            try:
                self._mask = int(mask, 16) if mask.isalnum() and mask.isascii() else -1
            except ValueError:
                self._mask = -1
            if tag != self._tag or not 0 <= self._mask < 1 << len(self._places):
                raise Refused(
                    400, "invalid", "This is no cursor of this batch; begin without one.", param=param
                )

    def __contains__(self, request_id: str) -> bool:
        return bool(self._mask >> self._places[request_id] & 1)

    def __len__(self) -> int:
        return self._mask.bit_count()

    def add(self, request_id: str) -> None:
        """The reader has it."""
        self._mask |= 1 << self._places[request_id]

    @property
    def cursor(self) -> str:
        """The place in this."""
        return f"{self._mask:x}-{self._tag}"


class Results:
    """What a reader of one batch is told."""

    def __init__(
        self, requests: Requests, batches: Batches, endings: Endings, batch: Batch, told: Told
    ) -> None:
        self._requests = requests
        self._batches = batches
        self._endings = endings
        self._batch = batch
        self._told = told
        self.missing: dict[str, None] = {}

    @property
    def waiting(self) -> list[str]:
        """Those that may still end, or be opened."""
        return [one for one in self._batch.request_ids if one not in self._told and one not in self.missing]

    async def look(self, request_ids: Iterable[str]) -> list[str]:
        """Of these, what can be told now, in the order in which they ended, those of one moment as given. What is not there, and is not about to be
        opened, is missing. Raises: Unavailable, UnknownBatch if the batch was removed."""
        some = {one: number for number, one in enumerate(request_ids) if one not in self._told}
        if not some:
            return []
        endings, owner = self._endings, self._batch.owner
        age_ms = self._requests.now_ms() - self._batch.created_at
        coming = {
            one for one in some if endings.is_opening(key_of(owner, one), age_ms)
        }  # asked first: it may end while we look
        self._batch = await self._batches.get(owner, self._batch.batch_id)
        part = msgspec.structs.replace(
            self._batch, items=[item for item in self._batch.items if item.request_id in some]
        )
        statuses = (await self._batches.progress(part)).statuses
        ended: list[tuple[int, int, str]] = []
        for request_id, status in statuses.items():
            self.missing.pop(request_id, None)
            if status == "refused":
                ended.append((self._batch.created_at, some[request_id], request_id))
            elif status in OUTCOME_STATUSES or status == "unknown":
                at = await self._ended_at(request_id)
                if at is not None:
                    ended.append((at, some[request_id], request_id))
                elif status == "unknown" and request_id not in coming:
                    self.missing[request_id] = None
        return [request_id for _, _, request_id in sorted(ended)]

    async def _ended_at(self, request_id: str) -> int | None:
        owner = self._batch.owner
        try:
            return await self._endings.ended_at(key_of(owner, request_id))
        except Damaged:
            return self._batch.created_at
        except UnknownRequest:
            pass
        try:
            outcome = (await self._requests.find(owner, request_id)).outcome
        except UnknownRequest:
            return None
        except Damaged:
            return self._batch.created_at
        return None if outcome is None else outcome.at

    async def result(self, request_id: str) -> BatchResult | None:
        """What to tell of one that has ended; None if it was deleted in this moment. The reader then has it."""
        item = next(one for one in self._batch.items if one.request_id == request_id)
        shown = BatchResult(
            request_id=request_id, status="refused", text="", error=refusal_of(item), usage=None,
            progress=BatchProgress(done=0, total=0), cursor="",
        )  # fmt: skip
        if not item.code:
            found = await self._answer(item)
            if found is None:
                self.missing[request_id] = None
                return None
            shown = found
        self._told.add(request_id)
        return msgspec.structs.replace(shown, progress=self.progress, cursor=self._told.cursor)

    async def _answer(self, item: BatchItem) -> BatchResult | None:
        nowhere = BatchProgress(done=0, total=0)
        try:
            log = await self._requests.find(self._batch.owner, item.request_id)
        except Damaged:
            return BatchResult(
                request_id=item.request_id, status="unknown", text="", error=DAMAGED, usage=None, progress=nowhere,
                cursor="",
            )  # fmt: skip
        except UnknownRequest:
            return None
        if log.erased:
            return None
        return BatchResult(
            request_id=item.request_id, status=log.status, text=log.fold().transcript().text,
            error=outcome_error(log), usage=log.usage, progress=nowhere, cursor="",
        )  # fmt: skip

    @property
    def progress(self) -> BatchProgress:
        """How many results the reader has."""
        return BatchProgress(done=len(self._told), total=len(self._batch.items))

    @property
    def end(self) -> BatchEnd:
        """What is said at the end."""
        return BatchEnd(progress=self.progress, missing=list(self.missing), cursor=self._told.cursor)


async def read_results(asked: Asked) -> web.StreamResponse:
    """The results of a batch, until all of it has ended."""
    query: StreamQuery = asked.query
    batches, endings = batches_of(asked)
    batch = await batch_named(asked)
    last_id = sole(asked.visit.request, LAST_EVENT_ID) or None
    media = media_of(asked, NDJSON)
    told = Told(batch, last_id or query.cursor, LAST_EVENT_ID if last_id else "cursor")
    results = Results(asked.desk.requests, batches, endings, batch, told)
    with endings.watch([key_of(batch.owner, one) for one in results.waiting]) as watch:
        first = await results.look(results.waiting)
        if media == SSE and last_id is not None and not first and not results.waiting:
            return no_content()  # it has it all: with this EventSource stops coming back
        async with EventStream(asked.visit, media=media, headers=dict(NEGOTIATED)) as stream:
            await stream.write(opening(media))
            async with aclosing(_results(stream, results, watch, first)) as shown:  # type: ignore[type-var]
                async for one in shown:
                    await stream.write(frame(media, one.type, one, one.cursor))
        return stream.response


async def _results(
    stream: EventStream, results: Results, watch: Watch, due: list[str]
) -> AsyncIterator[BatchResult | BatchEnd]:
    """Each result once, then the end; when the server closes, just no more. Raises: ReaderGone, StoreError."""
    reception = stream.visit.reception
    while True:
        for request_id in due:
            found = await results.result(request_id)
            if found is not None:
                yield found
        if not results.waiting:
            yield results.end
            return
        if not await reception.within(watch.wait(), reception.settings.keep_alive_s):
            if reception.closed:
                return
            await stream.keep_alive()
        due = await results.look([key.request_id for key in watch.take()])


def batches_of(asked: Asked) -> tuple[Batches, Endings]:
    """The batches of this server. Raises: Refused if it keeps none."""
    desk = asked.desk
    if desk.batches is None or desk.endings is None:
        raise Refused(404, "not_served", "This server keeps no batches.")
    return desk.batches, desk.endings


async def batch_named(asked: Asked) -> Batch:
    """The batch in the path. Raises: Refused, Unavailable."""
    batches, _ = batches_of(asked)
    try:
        return await batches.get(asked.visit.owner, asked.id("batch_id"))
    except UnknownRequest:
        raise unknown_batch() from None


def unknown_batch() -> Refused:
    """There is none, or it is not the caller's."""
    return Refused(404, "unknown_batch", "No such batch of yours; it may have been deleted.")
