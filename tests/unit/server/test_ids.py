"""Ids that the server mints."""

import re
import uuid

from holdfast_protocol.limits import ID_PATTERN
from holdfast_server.ids import new_id


def test_ids_are_uuid7_and_differ():
    """Version 7, of the id grammar, and never twice the same."""
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    for text in ids[:50]:
        assert uuid.UUID(text).version == 7
        assert uuid.UUID(text).variant == uuid.RFC_4122
        assert re.fullmatch(ID_PATTERN, text)
