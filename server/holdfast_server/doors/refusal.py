"""How HTTP doors say no: one shape for all of them, the one that OpenAI's clients read, and one table of statuses.

    {"error": {"message": "...", "type": "invalid_request_error", "param": "input[2].text", "code": "invalid"}}

`code` is a code of the protocol (holdfast_protocol.errors) or one of a door's own; `param` is the field that is wrong.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_protocol.limits import COMMAND_BYTES_MAX, TEXT_BYTES_MAX
from holdfast_server.stores.base import StoreError

from .errors import error_reply

RETRY_AFTER_S: Final = 5
"""What a client is told to wait where nothing better is known: about a restart."""

_KINDS: Final = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 409: "conflict_error",
    429: "rate_limit_error",
}  # fmt: skip

STATUSES: Final[dict[str, int]] = {
    "malformed": 400, "invalid": 400, "too_large": 413, "too_deep": 400, "unknown_command": 404, "unauthenticated": 401,
    "not_permitted": 403, "unknown_request": 404, "unknown_chat": 404, "unknown_message": 404, "unknown_agent": 404,
    "request_conflict": 409, "not_waiting": 409, "ended": 409, "too_many_subscriptions": 429, "too_many_requests": 429,
    "rate_limited": 429, "overloaded": 503, "draining": 503, "unavailable": 503, "storage_full": 503, "damaged": 500,
    "internal": 500,
}  # fmt: skip
"""The HTTP status of each of the protocol's codes."""

NOT_OVER_HTTP: Final = frozenset({"unknown_command", "too_many_subscriptions"})
"""Codes of what only a WebSocket has."""

ADVICE: Final[dict[str, str]] = {code: row.advice for code, row in ERRORS.items() if code not in NOT_OVER_HTTP} | {
    "malformed": "The body is not valid JSON, or the call no valid HTTP; send one JSON value in UTF-8.",
    "invalid": "A field, parameter or header is missing or wrong; `param` names it.",
    "too_large": f"A body may have {COMMAND_BYTES_MAX // 1024**2} MiB, and a text in it {TEXT_BYTES_MAX // 1024} KiB; send less.",
    "unauthenticated": "Send a valid token: `Authorization: Bearer ...`.",
    "unknown_agent": "No such agent here; name another, or none for the default one.",
    "request_conflict": "This Idempotency-Key or id was used for another request; take a new one.",
    "rate_limited": "Too many calls; slow down and try again.",
    "draining": "The server is about to restart; send it again in a moment.",
    "unavailable": "The store did not answer; the outcome is unknown, send it again with the same Idempotency-Key or id.",
}  # fmt: skip
"""What to do about each code, to those who call over HTTP: the protocol's own advice speaks of frames and connections."""

_PARAMS: Final = {"unknown_agent": "agent"}
"""The field that is wrong, where the code tells it."""


class Refused(Exception):
    """The answer is no; `message` is for people, and says what to do. `kind`: the error's type; by default it follows from
    the status. `retryable`: whether the same call may succeed later (default: for 429, 502, 503)."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind or _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.retryable = status in (429, 502, 503) if retryable is None else retryable
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The error as every door shows it."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def conflict(param: str) -> Refused:
    """The id, which was given as `param`, is that of another request."""
    return Refused(409, "request_conflict", ADVICE["request_conflict"], param=param)


def refused_of(error: Exception, doing: str = "") -> Refused:
    """What went wrong, as a refusal. What nobody foresaw is logged under a number, and only the number is told."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Refused(413, "too_large", ADVICE["too_large"])
    reply = error_reply(error, None, doing=doing)
    wait_ms = reply.retry_after_ms
    message = reply.message
    if message == ERRORS[reply.code].advice:
        message = ADVICE.get(reply.code, message)
    return Refused(
        STATUSES[reply.code],
        reply.code,
        message,
        param=getattr(error, "param", None) or _PARAMS.get(reply.code),
        retryable=reply.retryable,
        retry_after_s=None if wait_ms is None else wait_ms / 1000,
    )


FORESEEN: Final = (Refused, ProtocolError, StoreError, TimeoutError, web.HTTPRequestEntityTooLarge)
"""What handlers raise to say no; anything else is a bug, and is told as `internal`."""


def response_of(refused: Refused) -> web.Response:
    """The refusal as a response. `x-should-retry` keeps SDKs from repeating what cannot succeed."""
    headers = dict(refused.headers)
    headers["x-should-retry"] = "true" if refused.retryable else "false"
    headers[hdrs.CACHE_CONTROL] = "no-store"
    if refused.retryable and refused.status in (429, 503):
        wait_s = RETRY_AFTER_S if refused.retry_after_s is None else refused.retry_after_s
        headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(wait_s)))
    if refused.status == 401:
        headers.setdefault(hdrs.WWW_AUTHENTICATE, "Bearer")
    return web.Response(
        status=refused.status,
        body=msgspec.json.encode(refused.body),
        content_type="application/json",
        headers=headers,
    )
