"""The history's database: opened, brought up to date, read and written through here.

Writes of one node go one after another, each a transaction that takes the write lock at its beginning: on SQLite a
transaction that begins as a reader and then writes may be refused at once, however long it would wait. A write runs in
a task of its own and is waited for: whoever asked may be cancelled (a connection ended), the write and what follows
from its commit are done all the same (I5). Reads use a small pool of connections and never wait for a writer (WAL).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from holdfast_server.stores.base import StorageFull, Unavailable
from holdfast_server.tasks import Tasks

T = TypeVar("T")

READERS_MAX: Final = 4
"""Connections for reads, each with a thread: pages are short reads, and the disk serves few at once."""

READER_WAIT_S: Final = 10.0
"""How long a read waits for a connection before it says that the history is overloaded."""

BUSY_TIMEOUT_MS: Final = 2_000
"""How long SQLite waits for another process's write lock (a backup, an operator's shell)."""

WRITE_TRIES_MAX: Final = 3
"""A write that found the database locked, or lost a race to insert the same row, is tried again this often in all."""

RETRY_WAIT_S: Final = 0.05

_SYNCHRONOUS: Final = {"process": "NORMAL", "power": "FULL"}


class Unfit(Exception):
    """The database will never take these rows, however often it is asked: what was to be written is wrong. Whoever has
    others to serve goes on without it."""


class _Refused(NamedTuple):
    error: Exception


class Database:
    """One history database. `durability` as the store's: `power` also survives the loss of power at any commit."""

    def __init__(self, url: str | URL, durability: Literal["process", "power"] = "process") -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._durability = durability
        self._engine: AsyncEngine | None = None
        self._writing = asyncio.Lock()
        self._tasks = Tasks("history")

    async def start(self, prepare: Callable[[Connection], None]) -> None:
        """Make what is missing, bring it up to date, and call `prepare`, all in one transaction of a thread. Raises:
        Unavailable with a sentence for people."""
        try:
            await asyncio.to_thread(self._upgrade, prepare)
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable(f"the history at {self._shown()} cannot be opened: {_reason(error)}") from error
        self._engine = create_async_engine(
            self.url, pool_size=READERS_MAX, max_overflow=0, pool_timeout=READER_WAIT_S, hide_parameters=True
        )  # parameters are what people wrote: no error, and so no log, has them
        if self.sqlite:
            self._tune(self._engine.sync_engine)

    async def close(self) -> None:
        """Finish the write in hand and let go."""
        async with self._writing:
            pass
        await self._tasks.close()
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.dispose()

    def _shown(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def _upgrade(self, prepare: Callable[[Connection], None]) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        if self.sqlite and self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(self.url.set(drivername=self.url.get_backend_name()), hide_parameters=True)
        try:
            if self.sqlite:
                self._tune(engine)
            with engine.execution_options(history_writes=True).begin() as connection:
                config = Config()
                # The file is read with %-interpolation, a path is not.
                folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
                config.set_main_option("script_location", folder)
                config.set_main_option("path_separator", "os")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                prepare(connection)
        except CommandError as error:  # it stands at a revision that this release does not have
            raise Unavailable(
                f"the history at {self._shown()} was written by a newer release; run that one, or put back what was "
                f"saved before the upgrade ({error})"
            ) from error
        finally:
            engine.dispose()

    def _tune(self, engine: Engine) -> None:
        """What SQLite must be told per connection, and explicit transactions: the driver's own leave out DDL and reads."""
        synchronous = _SYNCHRONOUS[self._durability]

        def connected(dbapi_connection: Any, _: object) -> None:
            dbapi_connection.isolation_level = None
            cursor = dbapi_connection.cursor()
            for pragma in (
                f"busy_timeout = {BUSY_TIMEOUT_MS}",
                "journal_mode = WAL",
                f"synchronous = {synchronous}",
                "foreign_keys = ON",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        def begins(connection: Connection) -> None:
            writes = connection.get_execution_options().get("history_writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begins)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state. Raises: Unavailable."""
        if self._engine is None:
            raise Unavailable("the history is closed")
        try:
            async with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _translated(error) from error

    async def write(
        self, work: Callable[[AsyncConnection], Awaitable[T]], committed: Callable[[T], None] = lambda _: None
    ) -> T:
        """Do `work` in one transaction, then call `committed` with what it returned, before the next write begins. `work`
        may run more than once, so it changes nothing but the database. Raises: Unavailable, StorageFull, Unfit, what
        `work` raises."""
        task: asyncio.Task[T | _Refused] = self._tasks.start(self._write(work, committed), "write")
        outcome = await asyncio.shield(task)
        if isinstance(outcome, _Refused):
            raise outcome.error
        return outcome

    async def _write(
        self, work: Callable[[AsyncConnection], Awaitable[T]], committed: Callable[[T], None]
    ) -> T | _Refused:
        """The result or the error as a value: who asked may have gone, and then nobody is left to catch it."""
        try:
            async with self._writing:
                result = await self._committed(work)
                committed(result)
                return result
        except SQLAlchemyError as error:
            return _Refused(_translated(error))
        except Exception as error:  # noqa: BLE001 - raised again for whoever waits in `write`
            return _Refused(error)

    async def _committed(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        if self._engine is None:
            raise Unavailable("the history is closed")
        engine = self._engine.execution_options(history_writes=True)
        for left in reversed(range(WRITE_TRIES_MAX)):
            try:
                async with engine.begin() as connection:
                    return await work(connection)
            except (IntegrityError, OperationalError) as error:
                if not left or not _passing(error):
                    raise
                await asyncio.sleep(RETRY_WAIT_S)
        raise AssertionError("the last try returns or raises")


def _passing(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is done again."""
    return isinstance(error, IntegrityError) or "locked" in str(error.orig) or "busy" in str(error.orig)


def _translated(error: SQLAlchemyError) -> Unavailable | Unfit:
    if isinstance(error, IntegrityError | DataError | ProgrammingError | NotSupportedError):
        return Unfit(f"the history cannot hold this: {_reason(error)}")
    if "disk is full" in str(error):
        return StorageFull("the disk is full")
    return Unavailable(f"the history did not answer: {_reason(error)}")


def _reason(error: BaseException) -> str:
    return str(error.orig) if isinstance(error, DBAPIError) else str(error).splitlines()[0]
