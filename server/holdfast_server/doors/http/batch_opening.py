"""Handing in a batch: the list first, then its requests, each accepted or refused by itself.

The list is durable before the first request is opened, and each request's id follows from the batch. So a batch that was cut
off in between is handed in again, and what is there already is found, not opened twice.
"""

from __future__ import annotations

from typing import Final

from holdfast_server.batches import Batch, BatchConflict, Batches
from holdfast_server.doors.bodies import id_of_key, idempotent_id
from holdfast_server.doors.in_lines import in_lines
from holdfast_server.doors.refusal import FORESEEN, Refused, refused_of
from holdfast_server.endings import Endings
from holdfast_server.requests import Opened
from holdfast_server.stores.base import RequestConflict, key_of

from .batch_shapes import BatchOpened, NewBatch, error_of
from .operations import Asked
from .request_shapes import NewRequest, accepted_of
from .submitting import open_request

CANCELLED: Final = "batch_cancelled"


class BatchOpening:
    """One handing in of a batch."""

    def __init__(self, asked: Asked, batches: Batches, endings: Endings) -> None:
        self._asked = asked
        self._body: NewBatch = asked.body
        self._owner = asked.visit.owner
        self._batches = batches
        self._endings = endings
        key = idempotent_id(asked.visit)  # looked at also where the body wins: a wrong one is told
        batch_id = self._body.batch_id or key or asked.desk.new_id()
        self.batch_id = batch_id
        self._ids = [
            new.request_id or id_of_key(f"{batch_id}-{number}")
            for number, new in enumerate(self._body.requests)
        ]

    async def open(self) -> tuple[Batch, bool, list[BatchOpened]]:
        """The batch, whether it is new, and what became of each request. Raises: Refused, ProtocolError, StoreError."""
        with self._endings.opening([key_of(self._owner, request_id) for request_id in self._ids]):
            try:
                batch, created = await self._batches.create(self._owner, self.batch_id, self._ids)
            except BatchConflict:
                raise Refused(
                    409, "batch_conflict", "This batch id was used for other requests; take a new id."
                ) from None
            found = await self._open_all(batch)
            batch = await self._note(batch, found, created=created)
        return batch, created, [self._opened(*one) for one in zip(self._ids, found, strict=True)]

    async def _open_all(self, batch: Batch) -> list[Opened | Exception]:
        """Requests of one chat in their order, all others at once, so that they share commits."""
        found: list[Opened | Exception | None] = [None] * len(self._ids)

        async def open_one(number: int) -> None:
            found[number] = await self._open_one(batch, self._body.requests[number], self._ids[number])

        await in_lines((new.chat_id for new in self._body.requests), open_one)
        return [one for one in found if one is not None]

    async def _open_one(self, batch: Batch, new: NewRequest, request_id: str) -> Opened | Exception:
        try:
            if batch.cancelled_at is not None:
                return await self._find(request_id)
            return await open_request(self._asked, new, request_id)
        except FORESEEN as error:
            return error
        except Exception as error:  # noqa: BLE001 - it is told under a number, as everywhere; the others are opened
            return refused_of(error, "batch")

    async def _find(self, request_id: str) -> Opened:
        """A request of a cancelled batch: nothing of that is opened any more."""
        row = (await self._asked.desk.requests.probe(self._owner, [request_id]))[0]
        if row.state == "unknown":
            raise Refused(409, CANCELLED, "The batch was cancelled before this request was opened.")
        return Opened(await self._asked.desk.requests.find(self._owner, request_id), False)

    async def _note(self, batch: Batch, found: list[Opened | Exception], *, created: bool) -> Batch:
        """Note who was refused. If it was cancelled while it was opened, what came too late for that is ended here."""
        before = {item.request_id: bool(item.code) for item in batch.items}
        refused: dict[str, tuple[str, str] | None] = {}
        for request_id, one in zip(self._ids, found, strict=True):
            if isinstance(one, Opened):
                if before[request_id]:
                    refused[request_id] = None
            elif created or before[request_id] or not isinstance(one, RequestConflict):
                # A conflict of one that was not refused before is this call's fault: the request is there, and stays.
                told = refused_of(one)
                refused[request_id] = (told.code, told.message)
        if refused:
            batch = await self._batches.refused(self._owner, self.batch_id, refused)
        else:
            batch = await self._batches.get(self._owner, self.batch_id)
        if batch.cancelled_at is not None:
            for one in found:
                if isinstance(one, Opened) and not one.log.sealed:
                    await self._asked.desk.requests.cancel(self._owner, one.log.key.request_id)
        return batch

    def _opened(self, request_id: str, one: Opened | Exception) -> BatchOpened:
        if isinstance(one, Opened):
            accepted = accepted_of(self._asked.visit, one.log, created=one.created)
            return BatchOpened(request_id=request_id, accepted=accepted, error=None)
        return BatchOpened(request_id=request_id, accepted=None, error=error_of(refused_of(one)))
