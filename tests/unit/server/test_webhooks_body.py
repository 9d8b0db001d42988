"""What a webhook carries, how it is signed, and when it is tried again."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode

import pytest

from holdfast_protocol.events import Cancelled, Usage
from holdfast_server.projections.base import Asked
from holdfast_server.projections.webhook import webhook_body
from holdfast_server.reels import asked_of
from holdfast_server.webhook_signing import Signer, secret_fault
from holdfast_server.webhook_terms import RETRY_S, WebhookSettings, one_line, retry_after_s, wait_ms
from tests.support.hooks import SECRET
from tests.support.journals import answered, asked, opened

OTHER = "whsec_" + b64encode(b"another secret of 32 bytes, yes!").decode()


def test_the_body_of_an_answer() -> None:
    """Everything about the outcome, in one object, from the log alone."""
    log = answered(asked("r1", at=1_700_000_000_042), "Größe |x")
    transcript = log.fold().transcript()
    transcript.usage = Usage(at=1, input_tokens=3, output_tokens=4)
    body = webhook_body(asked_of(log), transcript, url="/v1/requests/r1", text_bytes_max=100)
    assert body == {
        "type": "request.completed",
        "timestamp": "2023-11-14T22:13:20.542Z",
        "data": {
            "request_id": "r1", "chat_id": "chat", "agent": "demo", "status": "completed",
            "outcome": {"code": "stop", "message": ""}, "text": "Größe x", "text_truncated": False,
            "usage": {
                "input_tokens": 3, "output_tokens": 4, "reasoning_tokens": 0, "cached_tokens": 0, "estimated": False,
            },
            "created_at": 1_700_000_000_042, "ended_at": 1_700_000_000_542, "url": "/v1/requests/r1",
        },
    }  # fmt: skip


def test_the_body_of_what_was_never_begun() -> None:
    """Another outcome has another type; what is not there is null or empty."""
    log = opened(asked("r1", chat_id=None))
    log.extend([Cancelled(at=5_000, code="user", message="Stopped.")])
    known = Asked(request_id="r1", agent="demo", created_at=1_000)
    body = webhook_body(known, log.fold().transcript(), url="u", text_bytes_max=100)
    assert (body["type"], body["timestamp"]) == ("request.cancelled", "1970-01-01T00:00:05.000Z")
    data = body["data"]
    assert (data["text"], data["usage"], data["chat_id"]) == ("", None, None)
    assert data["outcome"] == {"code": "user", "message": "Stopped."}


@pytest.mark.parametrize(
    ("bytes_max", "text", "truncated"),
    [(7, "Größe", False), (6, "Größ", True), (5, "Grö", True), (0, "", True)],
)
def test_a_long_text_is_cut_between_characters(bytes_max: int, text: str, truncated: bool) -> None:
    """At most so many bytes, never half a character; and it says so."""
    log = answered(asked("r1"), "Größe")
    data = webhook_body(asked_of(log), log.fold().transcript(), url="u", text_bytes_max=bytes_max)["data"]
    assert (data["text"], data["text_truncated"]) == (text, truncated)


def test_signatures_follow_the_specification() -> None:
    """The specification's own example, and one signature for each secret."""
    example = Signer(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    headers = example.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_999, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    both = Signer([SECRET, OTHER]).headers("msg_1", 7_000, b"{}")["webhook-signature"].split(" ")
    for secret, signature in zip((SECRET, OTHER), both, strict=True):
        key = b64decode(secret.removeprefix("whsec_"))
        assert signature == "v1," + b64encode(hmac.new(key, b"msg_1.7.{}", "sha256").digest()).decode()
    assert not Signer([])


@pytest.mark.parametrize(
    "secret",
    ["", "secret", "whsec_", "whsec_%%%%", "whsec_c2hvcnQ=", "whsec_" + "A" * 200, "WHSEC_" + SECRET[6:]],
)
def test_what_is_no_secret_is_said_without_saying_it(secret: str) -> None:
    """A wrong secret is refused, in a sentence that does not hold it."""
    fault = secret_fault(secret)
    assert fault is not None
    assert len(secret) < 7 or secret not in fault
    with pytest.raises(ValueError, match=r"."):
        Signer([secret])


def test_good_and_too_many_secrets() -> None:
    """A secret in the right form has no fault; nine of them are too many."""
    assert secret_fault(SECRET) is None
    with pytest.raises(ValueError, match="at most"):
        Signer([SECRET] * 9)


def test_waits_follow_the_schedule_with_jitter() -> None:
    """Each wait is its place's, a little longer by the dice; Retry-After only lengthens it, and not beyond a day."""
    settings = WebhookSettings()
    assert [wait_ms(settings, tried, None, 0.0) for tried in (1, 2, 9, 10)] == [
        5_000,
        300_000,
        86_400_000,
        None,
    ]
    assert wait_ms(settings, 1, None, 0.5) == 5_500
    assert wait_ms(settings, 1, 60, 0.5) == 60_000
    assert wait_ms(settings, 2, 60, 0.0) == 300_000
    assert wait_ms(settings, 1, 10**9, 0.0) == 86_400_000
    assert wait_ms(settings, len(RETRY_S) + 1, 60, 0.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("7", 7), (" 120 ", 120), ("-5", None), ("1.5", None), ("soon", None), ("", None), ("9" * 400, 9_999_999_999),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90), ("Thu, 01 Jan 1970 00:00:01 GMT", 0), ("Thu, 99 Jan 1970", None),
    ],
)  # fmt: skip
def test_retry_after(text: str | None, seconds: float | None) -> None:
    """Seconds or a date; what is neither is none."""
    assert retry_after_s(text, 10_000) == seconds


def test_what_receivers_say_is_one_short_plain_line() -> None:
    """Nothing in it moves a terminal or fills a log."""
    assert one_line("a\r\n\x1b[2Jb\u202e c\x00" + "x" * 999) == ("a [2Jb c " + "x" * 200)[:200]
