"""What HTTP doors advise about each of the protocol's codes, and what is wrong with a value, in words."""

from typing import Annotated

import msgspec
import pytest
from aiohttp import web

from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_server.doors.bodies import convert
from holdfast_server.doors.http.request_shapes import NewRequest
from holdfast_server.doors.openai.naming import RESPONSE, not_found
from holdfast_server.doors.refusal import ADVICE, NOT_OVER_HTTP, Refused, refused_of
from holdfast_server.stores.base import RequestConflict


class Patterned(msgspec.Struct):
    """Something with a pattern of its own."""

    name: Annotated[str, msgspec.Meta(pattern="^a$")]


FOREIGN = ("frame", "hello", "list_agents", "reconnect", "Unsubscribe", "command", "protocol version")


@pytest.mark.parametrize("code", sorted(set(ERRORS) - NOT_OVER_HTTP))
def test_advice_is_for_callers_over_http(code):
    """No code tells of frames, commands and connections to who called over HTTP."""
    message = refused_of(ProtocolError(code)).message
    assert message == ADVICE[code]
    assert not [word for word in FOREIGN if word in message]


def test_what_a_raiser_says_itself_stays():
    """Only the stock advice is replaced."""
    assert refused_of(ProtocolError("invalid", "`a` goes without `b`.")).message == "`a` goes without `b`."


def test_the_store_speaks_http_too():
    """A conflict that the store finds names the header that HTTP has for it."""
    refused = refused_of(RequestConflict("r1"))
    assert (refused.code, "Idempotency-Key" in refused.message) == ("request_conflict", True)


def test_limits_are_named():
    """Who sends too much is told how much there may be, whoever notices it."""
    noticed = web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)
    for error in (noticed, ProtocolError("too_large")):
        refused = refused_of(error)
        assert refused.status == 413
        assert "1 MiB" in refused.message
        assert "512 KiB" in refused.message


def test_the_agent_is_the_field_that_is_wrong():
    """An agent that is not there is told with its field."""
    assert refused_of(ProtocolError("unknown_agent")).param == "agent"


@pytest.mark.parametrize("request_id", ["a b", "", "a" * 65])
def test_an_id_that_is_none_is_told_in_words(request_id):
    """Nobody has to read a pattern to learn what an id may be."""
    with pytest.raises(Refused) as refused:
        convert({"text": "x", "request_id": request_id}, NewRequest)
    assert refused.value.message == "Expected 1 to 64 letters, digits, `_` or `-` at `request_id`."
    assert refused.value.param == "request_id"


def test_other_patterns_are_told_in_words_too():
    """A field with another pattern does not show it either."""
    with pytest.raises(Refused) as refused:
        convert({"text": "x", "webhook": {"url": "ftp://x"}}, NewRequest)
    assert (
        refused.value.message
        == "Expected an address that begins with `https://` or `http://` at `webhook.url`."
    )

    with pytest.raises(Refused, match="another form at `name`"):
        convert({"name": "b"}, Patterned)


def test_a_name_with_its_prefix_gets_no_lesson_about_it():
    """Who left the prefix out is told of it, and nobody else."""
    assert RESPONSE not in not_found("resp_x", RESPONSE).message.replace("resp_x", "")
    assert "begin with `resp_`" in not_found("x", RESPONSE).message
