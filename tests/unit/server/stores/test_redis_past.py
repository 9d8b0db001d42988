"""Whether what Redis holds is the past of a log in memory: the same epochs, and none that began before the log's end."""

import pytest

from holdfast_protocol.cursor import Epoch
from holdfast_server.stores.redis.rows import same_past
from tests.support.journals import answered, asked


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({b"c0": b"first:0", b"c1": b"second:1"}, True),
        ({b"c0": b"first:0"}, True),  # the store is behind
        ({b"c0": b"other:0", b"c1": b"second:1"}, False),
        ({b"c0": b"first:0", b"c1": b"other:1"}, False),
        ({b"c0": b"first:0", b"c1": b"second:1", b"c2": b"third:6"}, True),
        ({b"c0": b"first:0", b"c1": b"second:1", b"c2": b"third:9"}, True),
        ({b"c0": b"first:0", b"c1": b"second:1", b"c2": b"third:4"}, False),  # went on from an older copy
    ],
)
def test_the_past_of_a_log(fields, same):
    """A term that only the store knows must begin at the log's end or later: else the store went on from an older copy."""
    log = answered(asked("r"))
    log.chain = [Epoch(0, "first", 0), Epoch(1, "second", 1)]
    assert log.tail == 6
    assert same_past(log, fields) is same
