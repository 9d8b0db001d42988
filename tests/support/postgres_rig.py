"""A real PostgreSQL on a free port of the loopback address: started, killed, stopped, and certainly gone at the end.

    server = PostgresServer(tmp_path / "postgres")
    server.start_now()
    url = await server.database()         # a new one that nobody else has, with the history's tables in it
    server.kill()                         # SIGKILL, to it and to all its children
    server.start_now()                    # the same port, the same data
    server.close()

It refuses to run as root: there it runs as `nobody`, in a folder of its own. It asks for a password, as servers do, and does not
wait for the disk, which no test outlives. It belongs to no event loop, so one may serve all tests of a run (`postgres_server`,
see postgres_fixtures.py). Mark the test `@pytest.mark.needs("postgres")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.process import ProcessFailed
from tests.support.programs import absence, find, surroundings
from tests.support.serving import free_port

START_S = 30.0  # it answers within 200 ms; a busy machine gets far more
EXIT_S = 10.0  # after SIGKILL it is gone at once, its children as soon as they look
LOOK_S = 0.02  # between two looks whether it is there, or gone
STARTS = 3  # how often another port is tried where somebody else took the free one
TAIL_CHARS = 4000
USER, PASSWORD = "holdfast", "let me in: 100%"  # with what an address must quote
QUOTED = "let%20me%20in%3A%20100%25"

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum_naptime": "10min",
    "max_wal_size": "256MB",
    "log_min_messages": "warning",
    "restart_after_crash": "off",
    "jit": "off",
}


class PostgresServer:
    """One server. A context manager: entered it answers on `port`, left it is gone with its folder."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        """`settings` are lines of postgresql.conf, name to value, and go over what the rig sets."""
        self.port = 0
        self._settings = {**SETTINGS, **(settings or {})}
        self._user = _unprivileged()
        # Not in pytest's folder, which is root's alone.
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-postgres-"))
        self._data = self._folder / "data"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._template = ""

    def __enter__(self) -> Self:
        self.start_now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, as the configuration wants it."""
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        """Whether the process is there, be it stopped."""
        return self._process is not None and self._process.poll() is None

    # -- life ------------------------------------------------------------------------------------------------

    def start_now(self) -> None:
        """Start it, on the port and the data that it had before; return when it takes connections. Raises: ProcessFailed."""
        if not self._data.exists():
            self._make()
        for attempt in range(STARTS):
            fixed = self.port != 0
            if not fixed:
                self.port = free_port()
            log = (self._folder / "server.log").open("ab")
            with log:
                self._process = subprocess.Popen(
                    [*self._as_user(), _program("postgres"), "-D", str(self._data), "-p", str(self.port)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, env=_env(),
                    start_new_session=True,
                )  # fmt: skip
            if self._listens():
                return
            if fixed or attempt + 1 == STARTS:
                raise ProcessFailed(f"PostgreSQL does not listen\n{self.said()}")
            self.port = 0

    def kill(self) -> None:
        """SIGKILL, to it and its children: as if the machine had gone. Nothing of it runs when this returns."""
        children = self._children()
        self._signal(signal.SIGKILL, children)
        if self._process is not None:
            self._process.wait(EXIT_S)
        _until(
            lambda: not any(_runs(child) for child in children),
            "its children are still there",
        )

    def stop(self) -> None:
        """SIGSTOP, to it and its children: connections stay open and say nothing."""
        self._signal(signal.SIGSTOP, self._children())

    def cont(self) -> None:
        """SIGCONT after `stop`."""
        self._signal(signal.SIGCONT, self._children())

    def close(self) -> None:
        """End it, whatever it is at, and remove its folder."""
        if self.running:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def said(self) -> str:
        """The end of its log."""
        log = self._folder / "server.log"
        return log.read_text("utf-8", "replace")[-TAIL_CHARS:] if log.exists() else ""

    @contextlib.asynccontextmanager
    async def secure(self, cert_file: str, key_file: str) -> AsyncIterator[None]:
        """For as long: show this certificate to whoever wants TLS. Raises: TimeoutError if it does not take it."""
        self._keep("server.crt", cert_file)
        self._keep("server.key", key_file)
        await self._with_tls("on")
        try:
            yield
        finally:
            await self._with_tls("off")

    def _keep(self, name: str, file: str) -> None:
        path = self._data / name
        shutil.copyfile(file, path)
        path.chmod(0o600)
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    async def _with_tls(self, state: str) -> None:
        await self.do(f"ALTER SYSTEM SET ssl = {state}")
        await self.do("SELECT pg_reload_conf()")
        async with asyncio.timeout(START_S):
            while (await self.do("SHOW ssl"))[0][0] != state:  # noqa: ASYNC110 - a process tells nobody
                await asyncio.sleep(LOOK_S)

    # -- databases -------------------------------------------------------------------------------------------

    async def database(self, *, empty: bool = False) -> str:
        """The address of a new database; the history's tables are in it, unless it is to be empty. Making it takes 50 ms."""
        if not empty and not self._template:
            self._template = await self._make_template()
        name = f"t{next(self._numbers)}_{os.getpid()}"
        await self.do(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else self._template}")
        return self.url(name)

    async def do(self, sql: str, url: str | None = None) -> list[Any]:
        """Run SQL; what it answers."""
        import asyncpg  # type: ignore[import-untyped]

        connection = await asyncpg.connect(url or self.url(), timeout=START_S)
        try:
            rows: list[Any] = await connection.fetch(sql)
            return rows
        finally:
            await connection.close(timeout=EXIT_S)

    async def drop(self, url: str) -> None:
        """Remove a database, with whoever is connected to it."""
        await self.do(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")

    async def dump(self, url: str) -> str:
        """A copy of the database as it is now, as the address of another one. Nobody may be connected to it."""
        name = f"d{next(self._numbers)}_{os.getpid()}"
        await self.do(f"CREATE DATABASE {name} TEMPLATE {url.rsplit('/', 1)[1]}")
        return self.url(name)

    async def _make_template(self) -> str:
        from holdfast_server.chats import Chats

        name = f"template_{os.getpid()}"
        await self.do(f"CREATE DATABASE {name} TEMPLATE template0")
        chats = Chats(self.url(name), now_ms=lambda: 0)
        await chats.start()
        await chats.close()
        return name

    # -- the process -----------------------------------------------------------------------------------------

    def _make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (self._folder, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        done = subprocess.run(
            [
                *self._as_user(), _program("initdb"), "-D", str(self._data), "-U", USER, "-A", "scram-sha-256",
                "--pwfile", str(secret), "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self._folder, env=_env(), check=False,
        )  # fmt: skip
        if done.returncode:
            raise ProcessFailed(f"initdb failed\n{done.stdout}{done.stderr}")
        lines = "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(lines)

    def _as_user(self) -> list[str]:
        """What to put before a command so that it runs as nobody of weight, and dies with this test run."""
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            return []
        who = self._user
        user = [] if who is None else [f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
        return [setpriv, *user, "--pdeathsig", "KILL", "--"]

    def _listens(self) -> bool:
        """Wait until it answers a query for a login. A port alone may be somebody else's, and it listens before it is ready."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.running:
            if b"ready" in _status(self._data):
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", self.port), timeout=1),
                ):
                    return True
            time.sleep(LOOK_S)
        return False

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        try:
            return [
                int(child)
                for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
                .read_text()
                .split()
            ]
        except OSError:
            return []

    def _signal(self, number: int, children: list[int]) -> None:
        assert self._process is not None
        for pid in [self._process.pid, *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _status(data: Path) -> bytes:
    """What the server wrote of itself: its last line is `ready` once it takes connections."""
    try:
        return (data / "postmaster.pid").read_bytes().splitlines()[-1]
    except (OSError, IndexError):
        return b""


def _unprivileged() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _program(name: str) -> str:
    place = find(name)
    if place is None:
        raise ProcessFailed(absence(name))
    # Its own libraries and data are found from where it really is.
    return str(Path(place).resolve())


def _env() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        **surroundings(_program("postgres")),
    }


def _runs(pid: int) -> bool:
    """Whether it is there, and not only its end, which whoever has inherited it has not looked at."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(there: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + EXIT_S
    while not there():
        if time.monotonic() > end:
            raise ProcessFailed(what)
        time.sleep(LOOK_S)
