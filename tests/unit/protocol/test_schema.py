"""The AsyncAPI document's own rules; what it says of messages is tested in tests/architecture/test_docs.py."""

from __future__ import annotations

from typing import get_args

import pytest

from holdfast_protocol import schema
from holdfast_protocol.codec import CODECS, ServerMessage
from holdfast_protocol.commands import Command, Ping
from holdfast_protocol.errors import CLOSE_CODES, ERRORS
from holdfast_protocol.events import KINDS


def test_everything_is_in_it() -> None:
    """Every message, subprotocol, error and close code is in the document."""
    document = schema.asyncapi("1.2.3")
    tags = {schema.tag_of(cls) for cls in (*get_args(Command), *get_args(ServerMessage))}
    assert set(document["components"]["messages"]) == set(document["channels"]["ws"]["messages"]) == tags
    assert [each["name"] for each in document["x-subprotocols"]] == list(CODECS)
    assert set(document["x-errors"]) == set(ERRORS)
    assert set(document["x-close-codes"]) == {str(code) for code in CLOSE_CODES}
    assert document["info"]["version"] == "1.2.3"


def test_commands_are_closed_and_events_open() -> None:
    """Commands permit no further fields; pages permit events of any other name, and known names only as they are."""
    found = schema.schemas()
    for cls in get_args(Command):
        assert found[cls.__name__]["additionalProperties"] is False
    assert found["LaterEvent"]["properties"]["type"]["not"]["enum"] == list(KINDS.values())
    for holder in ("Page", "Log"):
        assert {"$ref": "#/components/schemas/LaterEvent"} in found[holder]["properties"]["events"]["items"][
            "anyOf"
        ]


def test_a_command_that_names_no_reply_is_a_bug() -> None:
    """The reply comes from the command's text; without one the document cannot be made."""
    assert schema.reply_of(Ping) == "pong"
    with pytest.raises(AssertionError, match="does not say"):
        schema.reply_of(int)
