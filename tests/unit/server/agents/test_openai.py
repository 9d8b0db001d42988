"""The chat-completions agent's pure parts: what is asked, what is read, what failures mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from holdfast_protocol.transcript import TextPart, Transcript
from holdfast_server.agents import AgentFailure, Context, Message
from holdfast_server.agents.openai_errors import of_error_object, of_status, retry_after_s
from holdfast_server.agents.openai_prompt import GO_ON, MESSAGE_TOKENS, estimate, options_of, prompt
from holdfast_server.stores.base import Owner


def context(*messages: tuple[str, str], stands: str = "") -> Context:
    parts: list[Any] = [TextPart(at=0, text=stands)] if stands else []
    return Context(
        request_id="r", owner=Owner("", "local"), chat_id=None, options={}, attempt=1, reason="first", inputs=(),
        messages=[Message(role, text) for role, text in messages],  # type: ignore[arg-type]
        transcript=Transcript(parts=parts), step=None,  # type: ignore[arg-type]
    )  # fmt: skip


def asked(
    context: Context, tokens_max: int = 1000, system: str = "", *, goes_on: bool = False
) -> list[tuple[str, str]]:
    messages = prompt(context, system=system, tokens_max=tokens_max, goes_on=goes_on, count=len)
    return [(message["role"], message["content"]) for message in messages]


def test_the_newest_messages_are_kept_within_the_budget():
    """What is said to the model first stays; older messages go first, and no answer is left without its question."""
    history = context(
        ("system", "s2"),
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
        ("user", "q3"),
    )
    fixed = [("system", "s1"), ("system", "s2")]
    each = 2 + MESSAGE_TOKENS
    assert asked(history, 7 * each, "s1") == [*fixed, *[("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"), ("user", "q3")]]  # fmt: skip
    assert asked(history, 6 * each, "s1") == [*fixed, ("user", "q2"), ("assistant", "a2"), ("user", "q3")]
    assert asked(history, 5 * each, "s1") == [*fixed, ("user", "q2"), ("assistant", "a2"), ("user", "q3")]
    assert asked(history, 4 * each, "s1") == [*fixed, ("user", "q3")]
    assert asked(history, 0, "s1") == [*fixed, ("user", "q3")]


def test_empty_answers_are_left_out():
    """An answer that failed before its first word is nothing to send; a question must be there."""
    assert asked(context(("user", "a"), ("assistant", " "), ("user", "b"))) == [("user", "a"), ("user", "b")]
    with pytest.raises(AgentFailure, match="nothing to answer"):
        asked(context(("user", "  ")))


def test_a_cut_off_answer_is_gone_on_with_only_when_asked():
    """What stands is sent along with the request to go on from there."""
    history = context(("user", "q"), stands="half an ans")
    assert asked(history) == [("user", "q")]
    assert asked(history, goes_on=True) == [("user", "q"), ("assistant", "half an ans"), ("user", GO_ON)]


def test_tokens_are_estimated_by_script():
    """Four characters to a token, but one where words have no spaces."""
    assert estimate("a" * 400) == 100
    assert estimate("漢" * 100) == 100
    assert estimate("é" * 400) == 100


def test_models_may_be_bounded():
    """The option `model` names one of those that are allowed."""
    assert options_of({"model": "a", "top_p": 1}, ["a"]) == {"model": "a", "top_p": 1}
    wrong: list[dict[str, Any]] = [{"model": "b"}, {"model": 7}, {"stream": False}, {"messages": []}]
    for given in wrong:
        with pytest.raises(AgentFailure) as caught:
            options_of(given, ["a"])
        assert caught.value.code == "bad_option"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "x", "retry-after": "1"}, 1.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], expected: float | None):
    """Milliseconds before seconds; what is no time is not one."""
    assert retry_after_s(headers) == expected


def test_a_server_may_name_a_date():
    """Also a date is a time to wait until; one that has passed is none."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wait_s = retry_after_s({"retry-after": later})
    assert wait_s is not None
    assert 0 < wait_s <= 60
    assert retry_after_s({"retry-after": "Thu, 01 Jan 2015 00:00:00 GMT"}) == 0


@pytest.mark.parametrize(
    ("status", "reason", "code", "retryable"),
    [
        (429, "", "rate_limited", True),
        (429, "insufficient_quota", "quota", False),
        (400, "context_length_exceeded", "too_much_input", False),
        (400, "bad temperature", "upstream_refused", False),
        (413, "", "too_much_input", False),
        (422, "", "upstream_refused", False),
        (401, "Incorrect API key provided: sk-abcdef123456", "upstream_denied", False),
        (404, "", "upstream_not_found", False),
        (408, "", "upstream_error", True),
        (409, "", "upstream_error", True),
        (500, "<html>" * 1000, "upstream_error", True),
        (529, "", "upstream_error", True),
    ],
)
def test_what_a_status_means(status: int, reason: str, code: str, retryable: bool):
    """A code for programs and one short sentence for people; a key that a server repeats is not repeated."""
    failure = of_status(status, {"retry-after": "3"}, reason, model="m", base_url="http://x/v1")
    assert (failure.code, failure.retryable) == (code, retryable)
    assert failure.retry_after_s == (3.0 if retryable else None)
    assert len(str(failure)) < 400
    assert "sk-" not in str(failure)


@pytest.mark.parametrize(
    ("body", "retryable"),
    [
        ({"type": "server_error", "message": "overloaded"}, True),
        ({"error": {"code": "rate_limit_exceeded"}}, True),
        ({"type": "invalid_request_error", "message": "no"}, False),
        ({"code": 502, "message": "gateway"}, True),
        (None, True),
        ("text", True),
    ],
)
def test_an_error_in_the_middle_of_a_stream(body: Any, retryable: bool):
    """What is known to be the request's fault is not tried again; all else may pass."""
    assert of_error_object(body, "broke").retryable is retryable
