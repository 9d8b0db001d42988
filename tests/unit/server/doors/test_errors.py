"""What a store's refusal is called on the wire."""

from __future__ import annotations

import pytest

from holdfast_server.doors.errors import error_reply
from holdfast_server.stores.base import StorageFull, StoreError, TooManyOpen, Unavailable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TooManyOpen("2 requests are open"), "too_many_requests"),
        (StorageFull("full"), "storage_full"),
        (Unavailable("away"), "unavailable"),
    ],
)
def test_a_refusal_that_passes_may_be_tried_again(error: StoreError, code: str) -> None:
    """Each has a code of its own, whichever command met it, and none is an incident."""
    reply = error_reply(error, 1)
    assert (reply.code, reply.retryable) == (code, True)
