"""The priority of a request, from what was submitted to what the store keeps."""

import pytest

from holdfast_server.submissions import hash_of
from tests.support.parts import ADA, ask


def test_a_priority_is_part_of_what_was_asked_only_if_it_is_not_normal():
    """A retry of an earlier release, which knew no priorities, is still the same request."""
    plain = hash_of(ask(request_id="r1"))
    assert hash_of(ask(request_id="r1", priority="normal")) == plain
    assert (
        len(
            {
                plain,
                hash_of(ask(request_id="r1", priority="low")),
                hash_of(ask(request_id="r1", priority="high")),
            }
        )
        == 3
    )


@pytest.mark.parametrize("chat_id", ["c1", None])
async def test_a_priority_reaches_the_record(bench, chat_id):
    """With a chat and without one the store is told which of one's own goes first."""
    asked = ask(request_id="r1", chat_id=chat_id, priority="high")
    assert (await bench.requests.submit(ADA, asked)).log.record.priority == "high"
