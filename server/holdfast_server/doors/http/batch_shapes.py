"""What the native API says of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from holdfast_protocol.commands import Id
from holdfast_protocol.errors import ERRORS
from holdfast_protocol.events import Completed, Usage
from holdfast_server.batches import BATCH_MAX, Batch, BatchItem, ItemStatus, Progress
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.stores.log import Log

from .operations import absolute, path_of
from .request_shapes import AcceptedRequest, Closed, NewRequest, RequestError, Shape

BATCHES: Final = "/v1/batches"
BATCH: Final = "/v1/batches/{batch_id}"
RESULTS: Final = "/v1/batches/{batch_id}/results"
CANCEL: Final = "/v1/batches/{batch_id}/cancel"


class NewBatch(Closed, frozen=True, kw_only=True):
    """Requests that are handed in together, each as for `POST /v1/requests`. `batch_id` (or the header Idempotency-Key) is
    the idempotency key: the same batch again opens what is missing of it, and nothing twice. A request without a
    `request_id` gets one that follows from the batch's id and its place."""

    requests: Annotated[list[NewRequest], msgspec.Meta(min_length=1, max_length=BATCH_MAX)]
    batch_id: Id | None = None


class BatchUrls(Shape, frozen=True, kw_only=True):
    """Where to go on: how far it is, its results as they come, and the end of it."""

    itself: str = msgspec.field(name="self")
    results: str
    cancel: str


class BatchProgress(Shape, frozen=True, kw_only=True):
    """`done` of `total` will not change any more."""

    done: int
    total: int


class BatchOpened(Shape, frozen=True, kw_only=True):
    """What became of handing in one request: one of the two is there."""

    request_id: str
    accepted: AcceptedRequest | None
    error: RequestError | None


class AcceptedBatch(Shape, frozen=True, kw_only=True):
    """The batch is durable, and so is every request of it that was accepted. `created` is false if it was there already."""

    batch_id: str
    created: bool
    progress: BatchProgress
    counts: dict[str, int]
    results: list[BatchOpened]
    urls: BatchUrls


class BatchRequest(Shape, frozen=True, kw_only=True):
    """One request of a batch. `status` is the request's, or `refused` (it was not accepted), or `unknown` (not opened: hand in
    the batch again; or deleted). `text` and `usage` are there where results were asked for and it has ended."""

    request_id: str
    status: ItemStatus
    error: RequestError | None
    text: str | msgspec.UnsetType | None = msgspec.UNSET
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET


class BatchStatus(Shape, frozen=True, kw_only=True):
    """A batch as it is now. `counts` is by status; `requests` are in the order in which they were handed in, from the place
    that was asked for; `next`, if there is more, is the place to go on from, as `start`."""

    batch_id: str
    created_at: int
    cancelled_at: int | None
    progress: BatchProgress
    counts: dict[str, int]
    requests: list[BatchRequest]
    next: int | None
    urls: BatchUrls


class BatchRow(Shape, frozen=True, kw_only=True):
    """A batch in a list."""

    batch_id: str
    created_at: int
    cancelled_at: int | None
    total: int
    urls: BatchUrls


class BatchList(Shape, frozen=True, kw_only=True):
    """A page of batches, newest first; `next` goes on, as `before`."""

    batches: list[BatchRow]
    next: str | None


class BatchCancelled(Shape, frozen=True, kw_only=True):
    """How many requests this call ended."""

    cancelled: int


class BatchResult(Shape, frozen=True, kw_only=True):
    """A request of a batch that has ended. `progress.done` counts the results up to this one; `cursor` goes on behind it."""

    type: Literal["result"] = "result"
    request_id: str
    status: ItemStatus
    text: str
    error: RequestError | None
    usage: Usage | None
    progress: BatchProgress
    cursor: str


class BatchEnd(Shape, frozen=True, kw_only=True):
    """Nothing more will come. `missing`: requests that were not opened (hand in the batch again), or were deleted."""

    type: Literal["end"] = "end"
    progress: BatchProgress
    missing: list[str]
    cursor: str


# -- how they are made -------------------------------------------------------------------------------------------


def urls_of(visit: Visit, batch_id: Id) -> BatchUrls:
    """A batch's addresses."""
    return BatchUrls(
        itself=absolute(visit, path_of(BATCH, batch_id=batch_id)),
        results=absolute(visit, path_of(RESULTS, batch_id=batch_id)),
        cancel=absolute(visit, path_of(CANCEL, batch_id=batch_id)),
    )


def row_of(visit: Visit, batch: Batch) -> BatchRow:
    """A batch as it is listed."""
    return BatchRow(
        batch_id=batch.batch_id, created_at=batch.created_at, cancelled_at=batch.cancelled_at,
        total=len(batch.items), urls=urls_of(visit, batch.batch_id),
    )  # fmt: skip


def progress_of(progress: Progress) -> BatchProgress:
    """How far it is."""
    return BatchProgress(done=progress.ended, total=progress.total)


def refusal_of(item: BatchItem) -> RequestError:
    """Why a request of the batch was refused."""
    known = ERRORS.get(item.code)
    return RequestError(code=item.code, message=item.message, retryable=known is not None and known.retryable)


def error_of(refused: Refused) -> RequestError:
    """Why a request is refused now."""
    return RequestError(code=refused.code, message=refused.message, retryable=refused.retryable)


def outcome_error(log: Log) -> RequestError | None:
    """Why a request that has ended has no whole answer."""
    outcome = log.outcome
    if outcome is None or isinstance(outcome, Completed):
        return None
    return RequestError(code=outcome.code, message=outcome.message, retryable=outcome.retryable)


def sorted_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """In a stable order, without zeros."""
    return {status: count for status, count in sorted(counts.items()) if count}
