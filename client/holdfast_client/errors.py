"""What can go wrong for a program that uses the client; each error carries the facts, not only a sentence.

ClientError
├── CommandRefused            the server refused a command; the connection lives
├── NoReply                   the server did not answer a command in time
├── OutboxFull                too much is waiting to be sent
├── AnswerLost                an answer can no longer be followed (deleted, or it cannot be verified)
├── AnswerFailed              raised by `check()` only: the request ended otherwise than completed
└── ConnectionLost            there is no connection, and there will be none
    └── ConnectionRefused     because the server said so (close code or HTTP status)
        └── NotAuthenticated  because the credentials are missing or not valid
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast_protocol.transcript import Transcript


class ClientError(Exception):
    """Base of everything the client raises of its own."""


class CommandRefused(ClientError):
    """The server refused a command. `code` is a key of holdfast_protocol.errors.ERRORS (or newer than this release)."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class NoReply(ClientError):
    """A command was not answered in time; whether it took effect is not known."""


class OutboxFull(ClientError):
    """Too many commands wait for a reply; wait for some to return before sending more."""


class AnswerLost(ClientError):
    """The answer cannot be followed any further. `reason`: gone (deleted), unverifiable, or an error's code."""

    def __init__(self, request_id: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.reason = reason


class AnswerFailed(ClientError):
    """The request ended otherwise than completed. `transcript` holds what was shown, and the outcome."""

    def __init__(self, transcript: Transcript) -> None:
        outcome = transcript.outcome
        super().__init__((outcome.message or outcome.code) if outcome else transcript.status)
        self.transcript = transcript
        self.status = transcript.status
        self.code = outcome.code if outcome else ""
        self.retryable = outcome.retryable if outcome else False


class ConnectionLost(ClientError):
    """There is no connection and the client has stopped trying; running answers go on without it."""


class ConnectionRefused(ConnectionLost):
    """The server does not want this connection. `code` is a WebSocket close code or an HTTP status."""

    def __init__(self, message: str, *, code: int, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms


class NotAuthenticated(ConnectionRefused):
    """The credentials are missing or not valid; get a token, then connect again."""


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group, however deep: what a group of tasks that end together has to say to people."""
    first = errors.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
