"""A real redis-server on a free port of the loopback address: started, killed, stopped, emptied, and certainly gone at the end.

    async with RedisServer(tmp_path / "redis") as redis:
        ...                                   # redis.url
        await redis.kill()                    # SIGKILL; what it had acknowledged is on disk, all but a second's worth
        await redis.start()                   # the same port, the same data
        await redis.do("CLIENT", "KILL", "TYPE", "pubsub")

It keeps an append-only file and evicts nothing, as a server for Holdfast must; `options` are lines of its configuration and
come last. It belongs to no event loop, so that one may serve all tests of a run (`redis_server`, see redis_fixtures.py).
Mark the test `@pytest.mark.needs("redis-server")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tests.support.process import ProcessFailed
from tests.support.programs import absence, find, surroundings
from tests.support.serving import free_port

if TYPE_CHECKING:
    from redis.asyncio import Redis

START_S = 20.0  # it listens within 100 ms; a busy machine gets far more
EXIT_S = 10.0  # after SIGKILL, SIGTERM or SIGSTOP it is gone, or stands, at once
LOOK_S = 0.01  # between two looks whether it is there, or gone
REPLY_S = 10.0  # for a test's own command
STARTS = 3  # how often another port is tried where somebody else took the free one
TAIL_CHARS = 4000

OPTIONS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "client-output-buffer-limit": "pubsub 64mb 16mb 60",
    "save": '""',
    "repl-diskless-sync-delay": "0",
}


class RedisServer:
    """One redis-server. An async context manager: entered it answers on `port`, left it is gone."""

    def __init__(
        self, folder: Path, options: Mapping[str, str] | None = None, *, sentinel: bool = False
    ) -> None:
        """`options` are lines of redis.conf, name to the rest of the line, and go over what the rig sets."""
        self.folder = folder
        self.port = 0
        self.options = {**({} if sentinel else OPTIONS), **(options or {})}
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Its address, as the configuration wants it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the process is there, be it stopped."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it, on the port and the data that it had before; return when it takes connections. It may still be loading.

        Raises: ProcessFailed.
        """
        for _ in self._starting():
            await asyncio.sleep(LOOK_S)

    def start_now(self) -> None:
        """The same without an event loop."""
        for _ in self._starting():
            time.sleep(LOOK_S)

    async def loaded(self) -> None:
        """Return when it answers, its data read. Raises: ProcessFailed."""
        from redis.exceptions import RedisError

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(RedisError, OSError):
                await self.do("PING")
                return
            await asyncio.sleep(LOOK_S)
        raise ProcessFailed(f"redis-server does not answer\n{self.tail()}")

    async def kill(self) -> None:
        """SIGKILL; nothing of it runs any more when this returns."""
        self.send(signal.SIGKILL)
        await self._gone()

    async def terminate(self) -> None:
        """SIGTERM: it writes what it has to disk and ends."""
        self.send(signal.SIGTERM)
        await self._gone()

    def stop(self) -> None:
        """SIGSTOP: it stands still, its sockets stay open and take what is sent."""
        self.send(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing where the process has ended."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def wipe(self) -> None:
        """Its data is gone; only while it does not run."""
        self._must_be_down()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def close(self) -> None:
        """End it for good."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait(EXIT_S)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """A connection of the test's own, which tries nothing twice."""
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        client = Redis(
            host="127.0.0.1", port=self.port, protocol=2, socket_timeout=REPLY_S, retry=Retry(NoBackoff(), 0)
        )
        try:
            yield client
        finally:
            await client.aclose()

    async def do(self, *command: Any) -> Any:
        """One command on a connection of its own. Raises: what the redis package raises."""
        async with self.client() as client:
            return await client.execute_command(*command)

    def tail(self) -> str:
        """The end of what it wrote so far."""
        path = self.folder / "output.log"
        return path.read_text("utf-8", "replace")[-TAIL_CHARS:] if path.exists() else ""

    async def _gone(self) -> None:
        deadline = time.monotonic() + EXIT_S
        while self.running:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"redis-server does not end\n{self.tail()}")
            await asyncio.sleep(LOOK_S)

    def _starting(self) -> Iterator[None]:
        """Yields between two looks; over when it takes connections."""
        self._must_be_down()
        given = self.port != 0
        for attempt in range(STARTS):
            self.port = self.port or free_port()
            self._launch()
            deadline = time.monotonic() + START_S
            while self.running and time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                    return
                yield
            if self.running or given or attempt + 1 == STARTS:
                break
            # Between `free_port` and redis-server somebody else may have taken it.
            self.port = 0
        said = self.tail()
        self.close()
        raise ProcessFailed(f"redis-server does not listen\n{said}")

    def _must_be_down(self) -> None:
        assert not self.running, "it still runs, on its port and with its data in memory"

    def _launch(self) -> None:
        program = find("redis-server")
        if program is None:
            raise ProcessFailed(absence("redis-server"))
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        written = self.folder / "redis.conf"
        # A sentinel keeps what it knows in its configuration: only the first start writes it.
        if not (self._sentinel and written.exists()):
            lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {data}", "daemonize no"]
            lines += [f"{name} {value}" for name, value in self.options.items()]
            written.write_text("\n".join(lines) + "\n")
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*guard, program, str(written), *(["--sentinel"] if self._sentinel else [])],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **surroundings(program)},
                start_new_session=True,  # a ^C at the test run is not a signal to it
            )
