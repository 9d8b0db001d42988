"""The operations on batches and webhooks, as data."""

from __future__ import annotations

from typing import Final

from . import batch_calls, batch_results, webhook_calls
from .batch_shapes import (
    BATCH,
    BATCHES,
    CANCEL,
    RESULTS,
    AcceptedBatch,
    BatchCancelled,
    BatchList,
    BatchStatus,
    NewBatch,
)
from .framing import StreamQuery
from .listing import PageQuery
from .operations import NDJSON, SSE, Answer, Header, Operation

GROUP: Final = "Batches"

_UNKNOWN: Final = ("unknown_request",)

_STREAMS: Final = {
    NDJSON: "One JSON object per line. `{type: result, request_id, status, text, error, usage, progress: {done, total}, cursor}` for each request once it has ended; then `{type: end, progress, missing, cursor}`. Empty lines are a sign of life.",
    SSE: "The same objects as `data`, `event` is their `type`, `id` the cursor behind it.",
}

OPERATIONS: Final[list[Operation]] = [
    Operation(
        "POST", BATCHES, "createBatch", GROUP, "Ask many things",
        "Hands in up to 100 requests under one id. Each is accepted or refused by itself: the answer says which, and one that is refused does not hold up the others. Requests of one chat are opened in their order. The same batch again opens what is missing, and nothing twice.",
        batch_calls.create,
        (Answer(202, "The batch is durable, with every request that was accepted.", AcceptedBatch, (Header("Location", "The batch's address."),)),),
        body=NewBatch,
        headers=(
            Header("Idempotency-Key", "Stands for the `batch_id` where the body has none.", {"type": "string", "minLength": 1, "maxLength": 255}),
        ),
        refusals=("request_conflict", "storage_full"),
        example={"requests": [{"text": "Why is the sky blue?"}, {"text": "Why is it red at dusk?"}]},
    ),
    Operation(
        "GET", BATCHES, "listBatches", GROUP, "List batches", "Your batches, newest first.",
        batch_calls.list_batches, (Answer(200, "A page of them.", BatchList, (Header("Link", 'The next page, as `rel="next"`.'),)),),
        query=PageQuery, example_query="?limit=20",
    ),
    Operation(
        "GET", BATCH, "getBatch", GROUP, "How far a batch is",
        "How many of its requests have ended, and what became of each. With `results=true` the texts of those that have ended are there too, as many as one answer takes; `next` goes on.",
        batch_calls.get_batch, (Answer(200, "The batch.", BatchStatus),),
        query=batch_calls.BatchQuery, refusals=_UNKNOWN, example_query="?results=true",
    ),
    Operation(
        "GET", RESULTS, "readResults", GROUP, "Results of a batch, as they come",
        "One object per request once it has ended, those that ended first first, and one at the end. Come back with the last `cursor` (or Last-Event-ID) and you are told what is missing, each once.",
        batch_results.read_results,
        (
            Answer(200, "The results.", None, (), _STREAMS),
            Answer(204, "You have them all (SSE with Last-Event-ID); EventSource then stays away."),
        ),
        query=StreamQuery,
        headers=(Header("Last-Event-ID", "A cursor, as EventSource sends it; wins over `cursor`."),),
        refusals=_UNKNOWN, ticket=True, example_query="?format=sse",
    ),
    Operation(
        "POST", CANCEL, "cancelBatch", GROUP, "End a batch",
        "Ends all of its requests that have not ended; what was shown stands. Nothing of it is opened any more.",
        batch_calls.cancel, (Answer(200, "How many this call ended.", BatchCancelled),), refusals=_UNKNOWN,
    ),
    Operation(
        "DELETE", BATCH, "deleteBatch", GROUP, "Forget a batch", "Forgets the batch; its requests stay as they are, and go on.",
        batch_calls.delete, (Answer(204, "It is forgotten."),), refusals=_UNKNOWN,
    ),
    Operation(
        "GET", webhook_calls.WEBHOOKS, "readDeliveries", "Webhooks", "Delivery log",
        "The webhook of a request, how far its delivery is, and its latest tries.",
        webhook_calls.read_deliveries, (Answer(200, "The log.", webhook_calls.DeliveryLog),), refusals=_UNKNOWN,
    ),
    Operation(
        "POST", webhook_calls.REDELIVER, "redeliverWebhook", "Webhooks", "Deliver once more",
        "Calls the webhook of a request once more, now, whatever became of it before, with the same `webhook-id`.",
        webhook_calls.redeliver, (Answer(202, "It is tried now.", webhook_calls.Redelivery),),
        refusals=("unknown_request", "ended"),
    ),
]  # fmt: skip
