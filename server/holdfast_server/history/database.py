"""The history's database: opened, brought up to date, read and written through here.

On SQLite the writes go one after another, each a transaction that takes the write lock at its beginning: a transaction
that begins as a reader and then writes may be refused at once, however long it would wait. On PostgreSQL only those go one
after another that name the same turn, on this node and on all others (postgres.py). A write runs in a task of its own and
is waited for: whoever asked may be cancelled (a connection ended), the write and what follows from its commit are done all
the same (I5). Reads see one state and never wait for a writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
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

from holdfast_server.stores.base import Owner, StorageFull, Unavailable
from holdfast_server.tasks import Tasks

from . import postgres
from .turns import Turns

T = TypeVar("T")

READERS_MAX: Final = 4
"""Connections for reads, on SQLite each with a thread: pages are short reads, and the disk serves few at once."""

WRITERS_MAX: Final = 4
"""Writes at once of one node on PostgreSQL, each with a connection; ten nodes stay below its usual hundred."""

READER_WAIT_S: Final = 10.0
"""How long a read waits for a connection before it says that the history is overloaded."""

BUSY_TIMEOUT_MS: Final = 2_000
"""How long SQLite waits for another process's write lock (a backup, an operator's shell)."""

WRITE_TRIES_MAX: Final = 3
"""A write that found the database locked, or lost a race to insert the same row, is tried again this often in all."""

RETRY_WAIT_S: Final = 0.05

CLOSE_S: Final = 30.0
"""How long closing waits for writes in hand, which have bounds of their own."""

_ONE_STATE: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_SINGLY: Final = {"isolation_level": "AUTOCOMMIT"}

_SYNCHRONOUS: Final = {"process": "NORMAL", "power": "FULL"}


class Unfit(Exception):
    """The database will never take these rows, however often it is asked: what was to be written is wrong. Whoever has
    others to serve goes on without it."""


class _Refused(NamedTuple):
    error: Exception


def turn_of(owner: Owner) -> str:
    """The turn of a write that reads and then changes what is this owner's."""
    return f"holdfast owner {owner.tenant}/{owner.user}"


class Database:
    """One history database, by SQLAlchemy's URL for SQLite or libpq's for PostgreSQL. `durability` as the store's, for
    SQLite: `power` also survives the loss of power at any commit. Raises: ValueError for what is no URL."""

    def __init__(self, url: str, durability: Literal["process", "power"] = "process") -> None:
        self._server = postgres.Server(url) if postgres.is_postgres(url) else None
        self._url = make_url(url if self._server is None else "postgresql+asyncpg://")
        self.backend = self._url.get_backend_name()
        self._durability = durability
        self._engine: AsyncEngine | None = None
        self._turns = Turns(1 if self._server is None else WRITERS_MAX)
        self._writes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks = Tasks("history")

    async def start(self, prepare: Callable[[Connection], None]) -> None:
        """Make what is missing, bring it up to date, and call `prepare`, all in one transaction; of nodes that start at
        once, one after another. Raises: Unavailable with a sentence for people."""
        try:
            if self._server is not None:
                await self._server.upgrade(lambda connection: self._upgrade(connection, prepare))
            else:
                await asyncio.to_thread(self._upgrade_file, prepare)
        except Unavailable:
            raise
        except Exception as error:
            if isinstance(error, SQLAlchemyError) or postgres.is_from_driver(error):
                raise Unavailable(
                    f"the history at {self._shown()} cannot be opened: {_reason(error)}"
                ) from error
            raise
        if self._server is not None:
            self._engine = self._server.engine(
                READERS_MAX + WRITERS_MAX,
                READER_WAIT_S,
                call_s=postgres.CALL_S,
                lock_s=postgres.LOCK_S,
                idle_s=postgres.IDLE_S,
            )
            return
        self._engine = create_async_engine(
            self._url, pool_size=READERS_MAX, max_overflow=0, pool_timeout=READER_WAIT_S, hide_parameters=True
        )  # parameters are what people wrote: no error, and so no log, has them
        self._tune(self._engine.sync_engine)

    async def close(self) -> None:
        """Finish the writes in hand and let go."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._idle.wait()
        await self._tasks.close()
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await (engine.dispose() if self._server is None else self._server.dispose(engine))

    def _shown(self) -> str:
        return self._url.render_as_string(hide_password=True) if self._server is None else self._server.shown

    def _upgrade_file(self, prepare: Callable[[Connection], None]) -> None:
        if self._url.database and self._url.database != ":memory:":
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(self._url.set(drivername=self.backend), hide_parameters=True)
        try:
            self._tune(engine)
            with engine.execution_options(history_writes=True).begin() as connection:
                self._upgrade(connection, prepare)
        finally:
            engine.dispose()

    def _upgrade(self, connection: Connection, prepare: Callable[[Connection], None]) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        # The file is read with %-interpolation, a path is not.
        folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
        config.set_main_option("script_location", folder)
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:  # it stands at a revision that this release does not have
            raise Unavailable(
                f"the history at {self._shown()} was written by a newer release; run that one, or put back what was "
                f"saved before the upgrade ({error})"
            ) from error
        prepare(connection)

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
    async def read(self, *, singly: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state; `singly`: each statement may see its own, and then a server need not be told
        of a transaction's beginning and end. Raises: Unavailable."""
        if self._engine is None:
            raise Unavailable("the history is closed")
        engine = self._engine
        if self._server is not None:
            engine = engine.execution_options(**(_SINGLY if singly else _ONE_STATE))
        try:
            async with self._deadline(), engine.connect() as connection:
                yield connection
        except Exception as error:
            fault = self._translated(error)
            if fault is error:
                raise
            raise fault from error

    async def write(
        self,
        work: Callable[[AsyncConnection], Awaitable[T]],
        committed: Callable[[T], None] = lambda _: None,
        *,
        turn: str | None = None,
        singly: bool = False,
    ) -> T:
        """Do `work` in one transaction (`singly`: each of its statements may be one, of which none or the first few may be
        done), then call `committed` with what it returned, before the next write of the same
        turn begins. Without a turn `work` decides nothing by what it reads: others write at the same time. It may run more
        than once, so it changes nothing but the database. Raises: Unavailable, StorageFull, Unfit, what `work` raises."""
        self._writes += 1
        self._idle.clear()
        task: asyncio.Task[T | _Refused] = self._tasks.start(
            self._write(work, committed, turn, singly), "write"
        )
        outcome = await asyncio.shield(task)
        if isinstance(outcome, _Refused):
            raise outcome.error
        return outcome

    async def _write(
        self,
        work: Callable[[AsyncConnection], Awaitable[T]],
        committed: Callable[[T], None],
        turn: str | None,
        singly: bool,
    ) -> T | _Refused:
        """The result or the error as a value: who asked may have gone, and then nobody is left to catch it."""
        try:
            async with self._deadline(), self._turns.of(turn):
                result = await self._committed(work, turn, singly)
                committed(result)
                return result
        except Exception as error:  # noqa: BLE001 - raised again for whoever waits in `write`
            return _Refused(self._translated(error))
        finally:
            self._writes -= 1
            if not self._writes:
                self._idle.set()

    async def _committed(
        self, work: Callable[[AsyncConnection], Awaitable[T]], turn: str | None, singly: bool
    ) -> T:
        if self._engine is None:
            raise Unavailable("the history is closed")
        engine = self._engine.execution_options(history_writes=True)
        if singly and self._server is not None:
            engine = engine.execution_options(**_SINGLY)
        for left in reversed(range(WRITE_TRIES_MAX)):
            committing = singly  # then each statement commits
            try:
                async with engine.begin() as connection:
                    if turn is not None and self._server is not None:
                        await postgres.take_turn(connection, turn)
                    result = await work(connection)
                    committing = True
                return result
            except DBAPIError as error:
                late = _is_cancelled()  # it is the deadline's word that the end of a transaction has hidden
                if late or not left or not self._passing(error, committing=committing):
                    raise
                await asyncio.sleep(RETRY_WAIT_S)
        raise AssertionError("the last try returns or raises")

    def _deadline(self) -> AbstractAsyncContextManager[object]:
        """A file answers, or says that it does not; a server may be silent."""
        return asyncio.timeout(postgres.CALL_S) if self._server is not None else nullcontext()

    def _passing(self, error: DBAPIError, *, committing: bool) -> bool:
        """Whether the same transaction may succeed when it is done again."""
        if self._server is not None:
            return postgres.is_again(error, committing=committing)
        if not isinstance(error, IntegrityError | OperationalError):
            return False
        return isinstance(error, IntegrityError) or "locked" in str(error.orig) or "busy" in str(error.orig)

    def _translated(self, error: Exception) -> Exception:
        """The error as the history's callers know it; one that is not the database's stays as it is."""
        ours = isinstance(error, SQLAlchemyError) or (
            self._server is not None and postgres.is_from_driver(error)
        )
        if not ours:
            return error
        if isinstance(error, TimeoutError):
            return Unavailable("the history did not answer in time")
        unfit = isinstance(error, IntegrityError | DataError | ProgrammingError | NotSupportedError)
        if postgres.is_unfit(error) if self._server is not None else unfit:
            return Unfit(f"the history cannot hold this: {_reason(error)}")
        if "disk is full" in str(error) or postgres.is_full(error):
            return StorageFull("the disk is full")
        return Unavailable(f"the history did not answer: {_reason(error)}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reason(error: BaseException) -> str:
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return text.splitlines()[0] if text else type(error).__name__
