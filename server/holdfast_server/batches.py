"""Batches: requests that were handed in together, under one id, so that they can be looked at and ended together.

A batch is a list of request ids and nothing else; each of them is a request like any other, and lives on without it. It is
written before its requests are opened, so whoever hands in a batch again after a crash finds the list and completes it.
How far it is follows from the requests' rows whenever somebody asks: there is no count that could be wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, Status

from .stores.base import Damaged, Key, Owner, RequestConflict, Summary, UnknownRequest, key_of

BATCH_MAX: Final = 100
"""Requests in one batch: as many as one command may submit, and as a person may have open by default."""

LIST_MAX: Final = 200
"""Batches on one page of a list; each is some kB."""

MESSAGE_CHARS_MAX: Final = 500
"""Of why a request was refused: what is said to people fits."""

DAY_MS: Final = 86_400_000

ItemStatus = Status | Literal["refused", "unknown"]


class UnknownBatch(UnknownRequest):
    """No such batch of this owner: it never was, or it is too old."""


class BatchConflict(RequestConflict):
    """The batch id is in use for another list of requests."""


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request of a batch; `code` and `message` say why it was refused, if it was."""

    request_id: str
    code: str = ""
    message: str = ""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it is kept. Times are in ms; the items are in the order in which they were handed in."""

    owner: Owner
    batch_id: str
    created_at: int
    items: list[BatchItem]
    cancelled_at: int | None = None

    @property
    def request_ids(self) -> list[str]:
        """Its requests, those that were refused too."""
        return [item.request_id for item in self.items]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch is. `statuses` has every request of it in order: its status, `refused`, or `unknown` (not opened yet,
    or erased). `ended` of `total` will not change any more; `counts` is by status."""

    total: int
    ended: int
    counts: dict[str, int]
    statuses: dict[str, ItemStatus]

    @property
    def done(self) -> bool:
        """Whether all of it has ended."""
        return self.ended == self.total


class Rows(Protocol):
    """Where batches are kept. Every call may raise Unavailable."""

    async def add(self, batch: Batch) -> Batch | None:
        """Insert it, or return the one that is there."""

    async def of(self, owner: Owner, batch_id: str) -> Batch | None:
        """A batch."""

    async def note(
        self, owner: Owner, batch_id: str, refused: Mapping[str, tuple[str, str] | None]
    ) -> Batch | None:
        """Note which of its requests were refused, or are no more (None)."""

    async def cancel(self, owner: Owner, batch_id: str, at: int) -> Batch | None:
        """Note that it is to end; the first time stays."""

    async def page(self, owner: Owner, limit: int, before: str | None) -> tuple[list[Batch], str | None]:
        """Newest first, and the mark for the next page. Raises: ProtocolError for what is no mark."""

    async def remove(self, owner: Owner, batch_id: str) -> bool:
        """Forget it; False if there is none."""

    async def remove_old(self, before: int) -> None:
        """Forget those that were made before then."""


class Batches:
    """The batches of one node. `head` is the journal's; `purged_status` is the history's word on requests whose journal is
    gone. Every call may raise Unavailable; what is another owner's is unknown (I9)."""

    def __init__(
        self,
        rows: Rows,
        head: Callable[[Key], Awaitable[Summary]],
        purged_status: Callable[[Owner, str], Awaitable[tuple[Status, str | None]]],
        *,
        now_ms: Callable[[], int],
        keep_days: float = 30.0,
    ) -> None:
        self._rows = rows
        self._head = head
        self._purged_status = purged_status
        self._now_ms = now_ms
        self._keep_ms = int(keep_days * DAY_MS)

    async def create(self, owner: Owner, batch_id: str, request_ids: Sequence[str]) -> tuple[Batch, bool]:
        """Write the list, or find the same one; then open the requests. True if it is new. Raises: BatchConflict,
        ProtocolError."""
        ids = list(request_ids)
        if not 1 <= len(ids) <= BATCH_MAX:
            raise ProtocolError("invalid", f"A batch has 1 to {BATCH_MAX} requests.", param="requests")
        seen: set[str] = set()
        for number, request_id in enumerate(ids):
            if request_id in seen:
                text = "Two requests of the batch have the same `request_id`."
                raise ProtocolError("invalid", text, param=f"requests[{number}].request_id")
            seen.add(request_id)
        items = [BatchItem(request_id=request_id) for request_id in ids]
        batch = Batch(owner=owner, batch_id=batch_id, created_at=self._now_ms(), items=items)
        known = await self._rows.add(batch)
        if known is None:
            return batch, True
        if known.request_ids != ids:
            raise BatchConflict(batch_id)
        return known, False

    async def refused(
        self, owner: Owner, batch_id: str, refused: Mapping[str, tuple[str, str] | None]
    ) -> Batch:
        """Note why requests of it were refused, as (code, message); None for one that was and is accepted now. Raises:
        UnknownBatch."""
        bounded = {
            request_id: None if why is None else (why[0][:64], why[1][:MESSAGE_CHARS_MAX])
            for request_id, why in refused.items()
        }
        return _there(await self._rows.note(owner, batch_id, bounded), batch_id)

    async def get(self, owner: Owner, batch_id: str) -> Batch:
        """The batch. Raises: UnknownBatch."""
        return _there(await self._rows.of(owner, batch_id), batch_id)

    async def cancel(self, owner: Owner, batch_id: str) -> Batch:
        """Note that all of it is to end; then cancel its requests, and open none that is not open. Again is harmless.
        Raises: UnknownBatch."""
        return _there(await self._rows.cancel(owner, batch_id, self._now_ms()), batch_id)

    async def list_batches(
        self, owner: Owner, limit: int = 50, before: str | None = None
    ) -> tuple[list[Batch], str | None]:
        """Newest first, and the mark for the next page. Raises: ProtocolError."""
        return await self._rows.page(owner, max(1, min(limit, LIST_MAX)), before)

    async def forget(self, owner: Owner, batch_id: str) -> None:
        """Forget the batch; its requests stay. Raises: UnknownBatch."""
        if not await self._rows.remove(owner, batch_id):
            raise UnknownBatch(batch_id)

    async def progress(self, batch: Batch) -> Progress:
        """How far it is now; costs a row per request."""
        statuses = {item.request_id: await self._status(batch.owner, item) for item in batch.items}
        counts: Counter[str] = Counter(statuses.values())
        ended = sum(count for status, count in counts.items() if status in OUTCOME_STATUSES)
        return Progress(
            total=len(batch.items), ended=ended + counts["refused"], counts=dict(counts), statuses=statuses
        )

    async def _status(self, owner: Owner, item: BatchItem) -> ItemStatus:
        if item.code:
            return "refused"
        try:
            return (await self._head(key_of(owner, item.request_id))).status
        except Damaged:
            return "unknown"
        except UnknownRequest:
            pass
        try:
            return (await self._purged_status(owner, item.request_id))[0]
        except UnknownRequest:
            return "unknown"

    async def sweep(self) -> None:
        """Forget what is too old."""
        await self._rows.remove_old(self._now_ms() - self._keep_ms)


def _there(batch: Batch | None, batch_id: str) -> Batch:
    if batch is None:
        raise UnknownBatch(batch_id)
    return batch
