"""What the store's refusals are called on the wire: the one table, at the door."""

from __future__ import annotations

import secrets
from typing import Final

import structlog

from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_protocol.replies import Error
from holdfast_server.history.visible import UnknownChat, UnknownMessage
from holdfast_server.stores.base import (
    Damaged,
    Fenced,
    InboxUnread,
    JournalSealed,
    NotWaiting,
    RequestConflict,
    StorageFull,
    StoreError,
    TooManyOpen,
    Unavailable,
    UnknownRequest,
)

log = structlog.get_logger(__name__)

CODES: Final[dict[type[StoreError], str]] = {
    UnknownRequest: "unknown_request",
    UnknownChat: "unknown_chat",
    UnknownMessage: "unknown_message",
    RequestConflict: "request_conflict",
    JournalSealed: "ended",
    NotWaiting: "not_waiting",
    TooManyOpen: "too_many_requests",
    StorageFull: "storage_full",
    Damaged: "damaged",
    Unavailable: "unavailable",
    # These two are answers to runners; at a door they are a bug.
    Fenced: "internal",
    InboxUnread: "internal",
}


def error_reply(
    error: Exception, ref: int | None, *, request_id: str | None = None, doing: str = ""
) -> Error:
    """The reply to a command that raised `error`. What nobody foresaw is logged under a number, and only the number is
    told."""
    if isinstance(error, TimeoutError):
        error = ProtocolError("unavailable")
    if isinstance(error, ProtocolError):
        return Error(
            ref=ref if error.ref is None else error.ref,
            code=error.code,
            message=str(error),
            retryable=error.retryable,
            retry_after_ms=error.retry_after_ms,
            request_id=request_id,
        )
    code = next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "internal")
    message = ERRORS[code].advice
    if code == "internal":
        incident = secrets.token_hex(4)
        log.error("command failed", incident=incident, command=doing, exc_info=error)
        message = f"{message} Incident {incident}."
    return Error(ref=ref, code=code, message=message, retryable=ERRORS[code].retryable, request_id=request_id)
