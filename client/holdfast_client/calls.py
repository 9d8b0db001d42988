"""Commands and their replies: each call returns when its reply comes, over whichever connection that is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final, TypeVar

from holdfast_protocol import replies as rep

from .backoff import Backoff
from .connection import Connection
from .errors import ClientError, CommandRefused, ConnectionLost, NoReply
from .session import PASSING, Session

REPLY_DEADLINE_S: Final = 60.0
"""How long a connected server may think about a command before the caller is told; time without a connection is not
counted, that has `patience_s`."""

RETRIES_MAX: Final = 6
"""How often a command is repeated that was refused for a passing reason; with back-off, about ten seconds."""

R = TypeVar("R", bound=rep.Reply)


class Calls:
    """The commands of one client that wait for a reply."""

    def __init__(self, session: Session, connection: Connection) -> None:
        self._session = session
        self._connection = connection
        self._replies: dict[int, asyncio.Future[rep.Reply]] = {}

    async def call(self, kind: type[R], command: type[Any], **fields: Any) -> R:
        """Send a command and return its reply, which must be of that kind.

        Raises: CommandRefused, OutboxFull, NoReply, ConnectionLost.
        """
        reply = await self.asked(lambda: self._session.call(command, **fields))
        if not isinstance(reply, kind):
            raise ClientError(f"The server answered {command.__name__} with {type(reply).__name__}.")
        return reply

    async def asked(self, issue: Callable[[], int]) -> rep.Reply:
        """The reply to what `issue` sends, repeated while it is refused for a passing reason."""
        backoff = Backoff(random.random)
        while True:
            reply = await self._reply_to(issue())
            if not isinstance(reply, rep.Error):
                return reply
            if reply.code not in PASSING or backoff.failures >= RETRIES_MAX:
                raise refusal(reply)
            await asyncio.sleep(backoff.next_wait((reply.retry_after_ms or 0) / 1000))

    async def _reply_to(self, ref: int) -> rep.Reply:
        if self._connection.failure is not None:
            self._session.forget(ref)
            raise self._connection.failure
        future: asyncio.Future[rep.Reply] = asyncio.get_running_loop().create_future()
        self._replies[ref] = future
        self._connection.wake()
        try:
            while not (await asyncio.wait([future], timeout=REPLY_DEADLINE_S))[0]:
                if self._session.ready:
                    raise NoReply(f"The server did not answer within {REPLY_DEADLINE_S:.0f} s.")
            return future.result()
        finally:
            self._replies.pop(ref, None)
            self._session.forget(ref)

    def replied(self, ref: int, reply: rep.Reply) -> None:
        """Hand a reply to whoever waits for it."""
        future = self._replies.get(ref)
        if future is not None and not future.done():
            future.set_result(reply)

    def give_up(self) -> None:
        """There will be no more replies."""
        for future in self._replies.values():
            if not future.done():
                future.set_exception(self._connection.failure or ConnectionLost("The client was closed."))


def refusal(error: rep.Error) -> CommandRefused:
    """An error reply as an exception."""
    return CommandRefused(
        error.code, error.message, retryable=error.retryable, retry_after_ms=error.retry_after_ms
    )
