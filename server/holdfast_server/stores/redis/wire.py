"""One connection to one Redis: commands go out as they come, replies come back in that order, nothing waits for its turn.

Many callers share it, so that what they send in one turn of the loop travels together. Nobody's cancellation touches it: a
reply that nobody waits for any more is read and dropped. It lives once: when the server is silent too long, or the
connection ends, everything that was sent and not answered fails with Unavailable, and its outcome is unknown.

The redis package connects, authenticates and reads replies. Its pools and its retries are not used: a command is packed
once and costs a fifth of what it costs there, and whether to send it again only the caller can know.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import hiredis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from holdfast_server.stores.base import Unavailable
from holdfast_server.tasks import Tasks

from .address import NO_PASSWORD, Address, Place, Tls, shown
from .refusals import meaning, text_of

CONNECT_S = 2.0  # to connect and to log in
COMMAND_S = 2.0  # without any reply while one is due: the server hangs, or the network between
AGE_S = 10.0  # for one command, even while replies to others come
STALL_S = 0.25  # a timer that is so late says that this process stood still: replies may wait unread
PENDING_BYTES_MAX = (
    64 * 1024 * 1024
)  # sent and not answered; the commit loop holds less than half of it back by itself


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to enter a server."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    name: str = ""

    @classmethod
    def of(cls, address: Address, name: str) -> Login:
        """That of the servers which keep data."""
        return cls(
            user=address.user,
            password=address.password,
            tls=address.tls,
            name=name,
        )

    @classmethod
    def of_sentinels(cls, address: Address, name: str) -> Login:
        """That of the sentinels."""
        return cls(
            user=address.sentinel_user,
            password=address.sentinel_password,
            tls=address.tls,
            name=name,
        )


HINTS = {
    False: "If that port is one with TLS, the address begins with rediss.",
    True: "Is that a port with TLS, and does Redis trust this node's certificate (cert_file, key_file)?",
}
HUNG_UP = (
    "reset by peer",
    "Connection lost",
    "closed by server",
)  # as the redis package and the system say it


class Plain(Connection):
    """A connection that can be dropped with what it did not send yet: a server that hangs must not get it later."""

    def drop(self) -> None:
        """Close it at once."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._close()  # type: ignore[no-untyped-call]


class Secure(SSLConnection, Plain):
    """The same over TLS."""


def packed(*command: bytes | str | int) -> bytes:
    """A command as it goes over the wire."""
    made: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub names tuples of one
    return made


async def connection_to(place: Place, login: Login) -> Plain:
    """A connection that is logged in. Raises: Unavailable with a sentence."""
    host, port = place
    security: dict[str, Any] = {}
    if (tls := login.tls) is not None:
        files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
        security = {**files, "ssl_password": NO_PASSWORD}
    connection = (Secure if login.tls else Plain)(
        host=host,
        port=port,
        username=login.user,
        password=login.password or "" if login.user else login.password,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_S,
        retry=Retry(NoBackoff(), 0),
        **security,
    )
    try:
        async with asyncio.timeout(CONNECT_S):
            await connection.connect()  # type: ignore[no-untyped-call]
            if login.name:
                await connection.send_packed_command(
                    packed("CLIENT", "SETNAME", login.name), check_health=False
                )
                await _named(connection)
    except TimeoutError:
        connection.drop()
        hint = f" {HINTS[True]}" if login.tls else ""
        raise Unavailable(f"Redis at {shown(place)} does not answer.{hint}") from None
    except (RedisError, OSError) as error:
        connection.drop()
        raise unreachable(place, error, HINTS[login.tls is not None]) from None
    except BaseException:
        connection.drop()
        raise
    return connection


async def _named(connection: Plain) -> None:
    """The name is for people who list the clients; whether it may be given does not matter."""
    try:
        await connection.read_response(disable_decoding=True, disconnect_on_error=False)
    except RedisError as error:
        if not is_reply(error):
            raise


def is_reply(error: RedisError) -> bool:
    """Whether a server said this; else the connection failed."""
    return isinstance(error, ResponseError) or error.status_code is not None


def unreachable(place: Place, error: Exception, hint: str = "") -> Unavailable:
    """The sentence for a connection that cannot be made; with the hint where the server hung up without a word."""
    if isinstance(error, RedisError) and is_reply(error):
        return Unavailable(str(meaning(text_of(error))))
    why = str(error).strip() or type(error).__name__
    hung_up = any(words in why for words in HUNG_UP)
    return Unavailable(
        f"Redis at {shown(place)} cannot be reached: {why}{f' {hint}' if hint and hung_up else ''}"
    )


class _Batch:
    """Commands that were sent together, and their replies so far."""

    __slots__ = ("bytes", "count", "done", "replies", "sent")

    def __init__(self, count: int, size: int, now: float, done: asyncio.Future[list[Any]]) -> None:
        self.count = count
        self.bytes = size
        self.sent = now
        self.done = done
        self.replies: list[Any] = []

    def settle(self) -> None:
        if not self.done.done():
            self.done.set_result(self.replies)


class Wire:
    """One connection, from `open` to its loss."""

    def __init__(self, place: Place, connection: Plain, tasks: Tasks) -> None:
        self.place = place
        self.lost = asyncio.Event()
        self.reason = ""
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._batches: deque[_Batch] = deque()
        self._unsent: list[bytes] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._reader = tasks.start(self._read(), f"read {shown(place)}")
        self._writer = tasks.start(self._write(), f"write {shown(place)}")

    @classmethod
    async def open(cls, place: Place, login: Login, tasks: Tasks) -> Wire:
        """Connect and log in. Raises: Unavailable with a sentence."""
        return cls(place, await connection_to(place, login), tasks)

    async def send(self, commands: Sequence[bytes]) -> list[Any]:
        """The replies of packed commands, in order; in place of a reply may stand a RedisError that the server said, or
        Unavailable where none came. Raises: Unavailable if nothing was sent."""
        if self.lost.is_set():
            raise Unavailable(self.reason)
        size = sum(map(len, commands))
        if self._bytes + size > PENDING_BYTES_MAX:
            raise Unavailable(f"Too much is under way to Redis at {shown(self.place)}.")
        batch = _Batch(len(commands), size, self._loop.time(), self._loop.create_future())
        if not commands:
            return []
        self._bytes += size
        self._batches.append(batch)
        self._unsent.extend(commands)
        self._wake.set()
        if self._timer is None:
            self._timer = self._loop.call_later(COMMAND_S, self._look, self._loop.time() + COMMAND_S)
        return await batch.done

    async def ask(self, *command: bytes | str | int) -> Any:
        """The reply to one command. Raises: as `meaning` says, Unavailable."""
        (reply,) = await self.send([packed(*command)])
        if isinstance(reply, RedisError):
            raise meaning(text_of(reply))
        if isinstance(reply, Unavailable):
            raise reply
        return reply

    def lose(self, reason: str) -> None:
        """Give the connection up: what is not answered fails with this sentence."""
        if self.lost.is_set():
            return
        self.reason = reason
        self.lost.set()
        if self._timer is not None:
            self._timer.cancel()
        self._reader.cancel()
        self._writer.cancel()
        self._connection.drop()
        for batch in self._batches:
            batch.replies.extend(Unavailable(reason) for _ in range(batch.count - len(batch.replies)))
            batch.settle()
        self._batches.clear()
        self._unsent.clear()

    def _look(self, due: float) -> None:
        """Whether a reply is overdue."""
        self._timer = None
        if not self._batches:
            return
        now = self._loop.time()
        sent = self._batches[0].sent
        overdue = min(max(sent, self._heard) + COMMAND_S, sent + AGE_S)
        if now < overdue:
            wait_s = overdue - now
        elif now - due > STALL_S:
            wait_s = STALL_S
        else:
            self.lose(f"Redis at {shown(self.place)} does not answer.")
            return
        self._timer = self._loop.call_later(wait_s, self._look, now + wait_s)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            ready, self._unsent = self._unsent, []
            try:
                await self._connection.send_packed_command(ready, check_health=False)
            except (RedisError, OSError) as error:
                self.lose(f"The connection to Redis at {shown(self.place)} broke: {error}")

    async def _read(self) -> None:
        read = self._connection.read_response
        batches = self._batches
        while True:
            reply: Any
            try:
                reply = await read(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
            except RedisError as error:
                if not is_reply(error):
                    self.lose(f"The connection to Redis at {shown(self.place)} broke: {error}")
                    return
                reply = error
            self._heard = self._loop.time()
            if not batches:
                self.lose(f"Redis at {shown(self.place)} said something that nobody asked for.")
                return
            batch = batches[0]
            batch.replies.append(reply)
            if len(batch.replies) == batch.count:
                batches.popleft()
                self._bytes -= batch.bytes
                batch.settle()
