"""Ids made by the client."""

from __future__ import annotations

import re
import uuid

from holdfast_client.ids import new_id
from holdfast_protocol.limits import ID_PATTERN


def test_ids_are_uuids_of_version_7():
    """They fit the protocol's grammar, carry version and variant, and do not repeat."""
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    for text in ids:
        assert re.fullmatch(ID_PATTERN, text)
        value = uuid.UUID(text)
        assert (value.int >> 76 & 0xF, value.variant) == (7, uuid.RFC_4122)


def test_later_ids_sort_later():
    """The first 48 bits are the time, so ids sort as they were made."""
    first, second = uuid.UUID(new_id()).int >> 80, uuid.UUID(new_id()).int >> 80
    assert 0 <= second - first < 60_000
