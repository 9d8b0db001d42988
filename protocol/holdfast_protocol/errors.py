"""Error codes and close codes: one table each, read by both ends, the documents and the tests.

Three kinds of trouble, three places: a wrong command gets one `error` reply and the connection lives; a connection that
cannot go on gets a close code, which says whether to reconnect; a request that went wrong gets a terminal event in its
journal, where whoever was away will find it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class ErrorCode(NamedTuple):
    """What a code means: whether the same command may succeed later, and a sentence that says what to do."""

    retryable: bool
    advice: str


ERRORS: Final[dict[str, ErrorCode]] = {
    "malformed": ErrorCode(
        False, "The frame is not valid in this codec; send one JSON text or MessagePack binary object."
    ),
    "invalid": ErrorCode(False, "A field is missing, unknown or of the wrong type; the message names it."),
    "too_large": ErrorCode(False, "The frame or a value in it is over a limit; send less."),
    "too_deep": ErrorCode(False, "Values are nested too deeply; flatten them."),
    "unknown_command": ErrorCode(False, "This server does not know the command; check the protocol version."),
    "unauthenticated": ErrorCode(False, "Send hello with a valid token first."),
    "not_permitted": ErrorCode(False, "Only operators may do this; ask whoever runs the server."),
    "unknown_request": ErrorCode(False, "No such request of yours; it may have been deleted."),
    "unknown_chat": ErrorCode(False, "No such chat of yours; it may have been deleted."),
    "unknown_message": ErrorCode(False, "No such message of yours in this chat."),
    "unknown_agent": ErrorCode(False, "No such agent; list_agents tells which exist."),
    "request_conflict": ErrorCode(False, "This request id was used for another request; take a new id."),
    "not_waiting": ErrorCode(
        False,
        "It does not wait for this: it was decided, it expired, or what is asked has changed; look again.",
    ),
    "ended": ErrorCode(False, "The request has ended; nothing can be added to it."),
    "too_many_subscriptions": ErrorCode(False, "Unsubscribe from something first."),
    "too_many_requests": ErrorCode(
        True, "Too many requests of yours are running or queued; wait for one to end."
    ),
    "rate_limited": ErrorCode(True, "Too many commands; slow down and try again."),
    "overloaded": ErrorCode(True, "The server is at its memory bound; try again later."),
    "draining": ErrorCode(True, "The server is about to restart; reconnect and send it again."),
    "unavailable": ErrorCode(
        True, "The store did not answer; the outcome is unknown, send it again with the same id."
    ),
    "storage_full": ErrorCode(True, "The disk is full; running answers go on, new ones must wait."),
    "damaged": ErrorCode(
        False, "This answer was damaged where it is kept; it cannot be shown as if it were whole."
    ),
    "internal": ErrorCode(True, "The server failed; the incident is in its log."),
}


class CloseCode(NamedTuple):
    """Whether a client should reconnect after this close code, and what it means."""

    reconnect: bool
    meaning: str


CLOSE_CODES: Final[dict[int, CloseCode]] = {
    1000: CloseCode(False, "Normal: the client asked for it."),
    1001: CloseCode(True, "The other end is going away."),
    1002: CloseCode(False, "A frame that is not WebSocket: something between the ends breaks the stream."),
    1003: CloseCode(False, "A text frame on a binary codec, or the reverse."),
    1007: CloseCode(False, "A text frame that is not UTF-8."),
    1009: CloseCode(False, "A frame over the size limit."),
    1011: CloseCode(True, "A bug in the server; reconnect with back-off."),
    1012: CloseCode(True, "The server restarts; reconnect with jitter."),
    1013: CloseCode(True, "Too many connections; try again later."),
    4400: CloseCode(
        False, "Frames that cannot be decoded, again and again: the client is not speaking this protocol."
    ),
    4401: CloseCode(False, "No valid credentials; get a token, then reconnect."),
    4403: CloseCode(False, "This origin may not connect."),
    4406: CloseCode(False, "None of the offered subprotocols is spoken here."),
    4408: CloseCode(True, "No hello in time."),
    4410: CloseCode(
        True, "The connection took nothing for too long; reconnect and resume from your cursors."
    ),
    4429: CloseCode(True, "Too many commands or connections; wait, then reconnect."),
}


class ProtocolError(Exception):
    """A command or frame that breaks the protocol; `code` is a key of ERRORS, the text is for people. `param`: the path of
    the field that is wrong, for doors that name it apart."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        ref: int | None = None,
        retry_after_ms: int | None = None,
        param: str | None = None,
    ) -> None:
        assert code in ERRORS, code
        super().__init__(message or ERRORS[code].advice)
        self.code = code
        self.ref = ref
        self.retry_after_ms = retry_after_ms
        self.param = param

    @property
    def retryable(self) -> bool:
        """Whether the same command may succeed later."""
        return ERRORS[self.code].retryable


class IllegalEvent(Exception):
    """An event that the lifecycle does not permit here: a bug in its writer, or a reader that lost its place."""
