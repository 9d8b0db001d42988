"""The shell around a Session: one WebSocket at a time, kept alive, replaced when it is lost.

Whether to try again is read from one table (holdfast_protocol.errors.CLOSE_CODES); what it does not list is a lost
network and is tried again. One task owns the connection; of each socket there is one reader and one writer, both inside
that task's group, so that nothing outlives it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from holdfast_protocol.errors import CLOSE_CODES

from .backoff import Backoff
from .errors import ConnectionLost, ConnectionRefused, NotAuthenticated, first_of
from .happenings import Complained, Happening, PutOff, Welcomed
from .session import Session

OPEN_DEADLINE_S: Final = 10.0
"""From the first packet to the welcome; longer than a slow phone network needs."""

CLOSE_DEADLINE_S: Final = 2.0
"""How long to wait for the other end to say goodbye too."""

FRAME_BYTES_MAX: Final = 2 * 1024 * 1024
"""One frame: a page holds 256 KiB of text, which JSON may write six times as long, and rows of lists."""

PATIENCE_S: Final = 300.0
"""How long to go on without a connection before those who wait are told; a rolling restart takes less."""

ASKED_WAIT_MAX_S: Final = 120.0
"""How long a server's wish to be left alone is followed."""


class _Again(Exception):
    """This connection ended in a way that asks for another."""

    def __init__(self, why: str, *, at_least_s: float = 0.0) -> None:
        super().__init__(why)
        self.at_least_s = at_least_s


class Connection:
    """Keeps a Session connected. `happened` is called with what each frame brought, `state_changed` when the connection
    comes or goes (with the reason it went)."""

    def __init__(
        self,
        url: str,
        session: Session,
        *,
        token: str | None = None,
        happened: Callable[[list[Happening]], None],
        state_changed: Callable[[str | None], None],
        patience_s: float = PATIENCE_S,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.url = url
        self.failure: ConnectionLost | None = None
        self.reconnects = 0
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._has_token = bool(token)
        self._happened = happened
        self._state_changed = state_changed
        self._patience_s = patience_s
        self._backoff = Backoff(dice)
        self._outgoing = asyncio.Event()
        self._first: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._welcomed_at: float | None = None
        self._closing = False

    async def open(self) -> None:
        """Connect for the first time, once; from then on reconnecting is this object's work. Raises: ConnectionLost,
        ConnectionRefused, NotAuthenticated."""
        loop = asyncio.get_running_loop()
        self._first = loop.create_future()
        self._task = loop.create_task(self._run(), name="holdfast-client")
        await self._first

    def wake(self) -> None:
        """There is something to send."""
        self._outgoing.set()

    async def close(self) -> None:
        """Say goodbye and end. What has not been answered stays in the session; running answers go on (I5)."""
        self._closing = True
        task = self._task
        self._task = None
        if self.failure is None:
            self.failure = ConnectionLost("The client was closed.")
        if task is None:
            return
        if self._socket is not None:
            await self._socket.close(1000)
        task.cancel()
        await asyncio.wait([task])

    def abort(self) -> None:
        """Cut the socket without a word, as a lost network does; the connection will come back by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _run(self) -> None:
        lost_at = time.monotonic()
        while True:
            try:
                await self._connect_and_serve()
            except ConnectionLost as fatal:
                self._fail(self._in_place(fatal))
                return
            except _Again as error:
                if self._closing:
                    return  # a group whose children fail while it is cancelled raises their error, not the cancellation
                now = time.monotonic()
                if self._welcomed_at is not None:
                    self._backoff.lasted(now - self._welcomed_at)
                    lost_at = now
                if self._first is not None and not self._first.done():
                    self._fail(ConnectionLost(f"No connection to {self.url}: {error}."))
                    return
                if now - lost_at > self._patience_s:
                    self._fail(
                        ConnectionLost(f"No connection to {self.url} for {self._patience_s:.0f} s: {error}.")
                    )
                    return
                self._state_changed(str(error))
                self.reconnects += 1
                await asyncio.sleep(self._backoff.next_wait(error.at_least_s))

    @property
    def _been_there(self) -> bool:
        """Whether a connection stood before: then what answers strangely now is on the way, or about to go."""
        return self._first is None or self._first.done()

    def _fail(self, failure: ConnectionLost) -> None:
        if self.failure is None:
            self.failure = failure
        if self._first is not None and not self._first.done():
            self._first.set_exception(failure)
        if not self._closing:
            self._state_changed(str(failure))

    async def _connect_and_serve(self) -> None:
        self._welcomed_at = None
        try:
            socket = await open_websocket(
                self.url,
                subprotocols=[Subprotocol(self._session.codec.name)],
                additional_headers=self._headers,
                user_agent_header=None,
                compression=None,
                open_timeout=OPEN_DEADLINE_S,
                close_timeout=CLOSE_DEADLINE_S,
                ping_interval=None,  # _read keeps its own deadline, from the heartbeat that the server names
                max_size=FRAME_BYTES_MAX,
            )
        except InvalidStatus as error:
            raise _refused_by_status(error) from None
        except InvalidURI as error:
            raise ConnectionRefused(f"{self.url} is not a WebSocket address.", code=0) from error
        except InvalidHandshake as error:
            if self._been_there or isinstance(error.__cause__, EOFError | OSError):
                raise _Again("the handshake was cut") from None
            raise ConnectionRefused(
                f"What answers at {self.url} is not a Holdfast server: {error}.", code=0
            ) from None
        except (OSError, EOFError, TimeoutError) as error:
            raise _Again(_reason(error)) from None
        self._socket = socket
        try:
            if socket.subprotocol != self._session.codec.name:
                raise ConnectionRefused(f"The server at {self.url} does not speak this protocol.", code=4406)
            await self._serve(socket)
        finally:
            self._socket = None
            self._session.disconnected()
            if socket.close_code is None:
                socket.transport.abort()
            await socket.wait_closed()

    async def _serve(self, socket: ClientConnection) -> None:
        self._session.connected()
        self._outgoing.set()
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(socket), name="holdfast-client:write")
                await self._read(socket)
                writer.cancel()
        except BaseExceptionGroup as errors:
            # The two see the same end of the socket; the first to say why is enough.
            raise first_of(errors) from None

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._outgoing.wait()
                self._outgoing.clear()
                for frame in self._session.frames_to_send():
                    await socket.send(frame, text=not self._session.codec.binary)
        except ConnectionClosed:
            return  # the reader sees the same end, with its code

    async def _read(self, socket: ClientConnection) -> None:
        deadline_s = OPEN_DEADLINE_S
        pong: Any = None
        try:
            while True:
                try:
                    async with asyncio.timeout(deadline_s):
                        data = await socket.recv(decode=False)
                except TimeoutError:
                    if self._welcomed_at is None:
                        raise _Again("the server did not say hello in time") from None
                    if pong is not None and not pong.done():
                        raise _Again(f"nothing heard for {2 * deadline_s:.0f} s") from None
                    async with asyncio.timeout(deadline_s):
                        pong = await socket.ping()
                    continue
                pong = None
                happenings = self._session.receive(data)
                for happening in happenings:
                    if isinstance(happening, Welcomed):
                        deadline_s = max(1.0, happening.welcome.heartbeat_s)
                        self._welcome()
                    elif isinstance(happening, Complained) and happening.error.code == "unauthenticated":
                        raise NotAuthenticated(happening.error.message, code=4401)
                    elif isinstance(happening, PutOff):
                        wait_s = (happening.error.retry_after_ms or 0) / 1000
                        raise _Again("the server cannot read now", at_least_s=min(wait_s, ASKED_WAIT_MAX_S))
                self._outgoing.set()
                self._happened(happenings)
        except ConnectionClosed as error:
            raise _closed(error) from None
        except TimeoutError:
            raise _Again("the network takes nothing") from None

    def _in_place(self, fatal: ConnectionLost) -> ConnectionLost:
        """The same for one who gave no token: what the server says of the protocol does not help there."""
        if isinstance(fatal, NotAuthenticated) and not self._has_token:
            return NotAuthenticated("This server wants a token.", code=fatal.code)
        return fatal

    def _welcome(self) -> None:
        self._welcomed_at = time.monotonic()
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        self._state_changed(None)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return f"no answer within {OPEN_DEADLINE_S:.0f} s"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")


def _closed(error: ConnectionClosed) -> Exception:
    """What a close code means for the client. No code is a lost network."""
    received = error.rcvd
    if received is None:
        return _Again("the connection was lost")
    code, reason = received.code, received.reason
    entry = CLOSE_CODES.get(code)
    if entry is None or entry.reconnect:
        return _Again(f"the server closed the connection ({code}{': ' + reason if reason else ''})")
    message = reason or entry.meaning
    if code == 4401:
        return NotAuthenticated(message, code=code)
    return ConnectionRefused(message, code=code)


def _refused_by_status(error: InvalidStatus) -> Exception:
    """What an HTTP status in place of a WebSocket means."""
    response = error.response
    status = response.status_code
    if status == 401:
        return NotAuthenticated("The server wants a valid token.", code=status)
    if status == 403:
        return ConnectionRefused("The server does not let this connection in (403).", code=status)
    if status in (408, 429) or status >= 500:
        wait = response.headers.get("Retry-After", "")
        wait_s = float(wait) if wait.isdecimal() else 0.0
        return _Again(f"the server is not ready (HTTP {status})", at_least_s=min(wait_s, ASKED_WAIT_MAX_S))
    return ConnectionRefused(f"There is no Holdfast WebSocket at that address (HTTP {status}).", code=status)
