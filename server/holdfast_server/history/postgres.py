"""PostgreSQL under the history: how it is connected, what its errors mean, and how writers of several nodes take turns.

A write that reads before it writes takes its turn first: an advisory lock of its transaction, named for what it changes (an
owner's chats, say). So writers of one owner go one after another, on however many nodes, each sees all that the one before
committed, and nobody else waits. The lock goes with the transaction, whatever becomes of its node: a node that stands still
in the middle is disconnected after IDLE_S. (docs/decisions/0007-postgresql.md)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from holdfast_server.stores.base import Unavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

CONNECT_S: Final = 5.0
"""How long a connection may take to come about."""

CALL_S: Final = 20.0
"""How long a read or a write may take in all: then the server is as good as not there."""

IDLE_S: Final = 8.0
"""After this long the server ends a transaction whose node says nothing: others wait for its locks."""

LOCK_S: Final = 6.0
"""How long one try waits for a lock; two of them outlast IDLE_S, and both are within CALL_S."""

MIGRATION_S: Final = 600.0
"""How long a node that starts waits for another one that brings the history up to date; and how long a statement of that may
take: the index of a long history is made anew text by text, its largest statement is one table's new index."""

GOODBYE_S: Final = 2.0
"""How long closing waits for a server to say goodbye."""

MIGRATION_IDLE_S: Final = 60.0
"""As IDLE_S, for a node that starts: it loads programs, and makes words of long texts, between its statements."""

RECYCLE_S: Final = 900
"""A connection is made anew after this long, so that nodes come back to a server that has moved."""

MIGRATING: Final = "holdfast migrations"
_SCHEME: Final = re.compile(r"postgres(?:ql)?(?:\+asyncpg)?://")
_SECRET: Final = re.compile(r"(?<=://)([^/@]*):[^/]*@|\?.*", re.DOTALL)

_AGAIN: Final = frozenset({"40001", "40P01", "55P03", "23505", "0A000", "57P01", "57P02", "57P03"})
"""What may succeed when the same transaction is done again: a deadlock, a lock that was not free, a race to insert the same
row, a plan that a migration has changed, a server that goes down or is not up yet."""

_GONE: Final = frozenset({"25006", "57P01", "57P02", "57P03"})
"""What makes every connection useless: the server goes down, or is only a copy now."""

_UNFIT: Final = ("22", "23", "42", "54")
"""Classes of errors that lie in what was asked."""


def is_postgres(url: str) -> bool:
    """Whether that is the address of a PostgreSQL server."""
    return _SCHEME.match(url) is not None


class Server:
    """A PostgreSQL server, by its address in libpq's words (several hosts, `sslmode` and `target_session_attrs` too)."""

    def __init__(self, url: str) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self._dsn = _SCHEME.sub("postgresql://", url, count=1)
        self.shown = _SECRET.sub(lambda found: f"{found[1]}:***@" if found[1] is not None else "", self._dsn)

    def engine(self, size: int, wait_s: float, *, call_s: float, lock_s: float, idle_s: float) -> AsyncEngine:
        """An engine of at most `size` connections; a statement may take `call_s`, and wait `lock_s` for a lock; a
        transaction of which nothing is heard for `idle_s` is ended. A connection whose server has closed it is replaced."""

        async def connect(*_: Any, **__: Any) -> Any:
            import asyncpg  # type: ignore[import-untyped]

            connection = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_S,
                command_timeout=call_s,
                server_settings={
                    "application_name": "holdfast",
                    "statement_timeout": _ms(call_s),
                    "lock_timeout": _ms(lock_s),
                    "idle_in_transaction_session_timeout": _ms(idle_s),
                    "tcp_keepalives_idle": "10",
                    "tcp_keepalives_interval": "5",
                    "tcp_keepalives_count": "3",
                    "jit": "off",
                },
            )
            self._connections.add(connection)
            return connection

        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=connect, pool_size=size, max_overflow=0, pool_timeout=wait_s,
            pool_recycle=RECYCLE_S, hide_parameters=True,
        )  # fmt: skip
        event.listen(engine.sync_engine, "checkout", _look)
        event.listen(engine.sync_engine, "handle_error", _judge)
        return engine

    async def upgrade(self, work: Callable[[Connection], None]) -> None:
        """Do `work` in one transaction; of several nodes one after another. Raises: Unavailable, what `work` raises."""
        engine = self.engine(1, CONNECT_S, call_s=MIGRATION_S, lock_s=MIGRATION_S, idle_s=MIGRATION_IDLE_S)
        try:
            async with engine.begin() as connection:
                await _check(connection)
                await take_turn(connection, MIGRATING)
                await connection.run_sync(work)
        finally:
            await self.dispose(engine)

    async def dispose(self, engine: AsyncEngine) -> None:
        """Let go of all connections; of a server that says nothing, without its goodbye."""
        connections = list(self._connections)
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await asyncio.gather(*(one.close() for one in connections), return_exceptions=True)
        for connection in connections:
            connection.terminate()
        await engine.dispose()


async def take_turn(connection: AsyncConnection, turn: str) -> None:
    """Wait for this transaction's turn; the next one's is after its end."""
    number = int.from_bytes(sha256(turn.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)
    await connection.execute(_TURN, {"number": number})


async def try_turn(connection: AsyncConnection, turn: str) -> bool:
    """As take_turn, if nobody else has it; whether it is taken. Where there is one writer at a time, it is."""
    if connection.dialect.name != "postgresql":
        return True
    number = int.from_bytes(sha256(turn.encode()).digest()[:8], "big", signed=True)
    return bool((await connection.execute(_TRY, {"number": number})).scalar_one())


_TURN: Final = text("SELECT pg_advisory_xact_lock(CAST(:number AS BIGINT))")
_TRY: Final = text("SELECT pg_try_advisory_xact_lock(CAST(:number AS BIGINT))")


async def _check(connection: AsyncConnection) -> None:
    """Refuse settings with which text or what was acknowledged would be lost."""
    row = (
        await connection.execute(
            text(
                "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),"
                " current_setting('synchronous_commit')"
            )
        )
    ).one()
    if row[0] < 130000:
        raise Unavailable("the history needs PostgreSQL 13 or newer")
    if row[1] != "UTF8":
        raise Unavailable(f"the history's database is encoded as {row[1]}; make it with ENCODING 'UTF8'")
    if row[2] == "off":
        raise Unavailable(
            "the history's server has synchronous_commit = off, and would lose what was acknowledged; turn it on"
        )


def sqlstate_of(error: BaseException) -> str:
    """PostgreSQL's code of an error, or nothing."""
    orig = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(orig, "sqlstate", None) or "")


def is_again(error: DBAPIError, *, committing: bool) -> bool:
    """Whether the transaction that failed so did nothing, and may be done again. One whose commit was lost with its
    connection may have done all."""
    if error.connection_invalidated and committing:
        return False
    return error.connection_invalidated or sqlstate_of(error) in _AGAIN


def is_unfit(error: BaseException) -> bool:
    """Whether what was asked is wrong, and not the server."""
    if sqlstate_of(error):
        return sqlstate_of(error).startswith(_UNFIT)
    return "invalid input for query argument" in str(error)


def is_full(error: BaseException) -> bool:
    """Whether the server's disk is full."""
    return sqlstate_of(error) == "53100"


def is_from_driver(error: BaseException) -> bool:
    """Whether it is the driver's, or the network's: what connecting raises."""
    return isinstance(error, OSError | asyncio.TimeoutError) or type(error).__module__.startswith("asyncpg")


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))


def _look(dbapi_connection: Any, record: object, proxy: object) -> None:
    """A connection whose end has been noticed is not handed out: another one is made."""
    del record, proxy
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("the server has closed this connection")


def _judge(context: ExceptionContext) -> None:
    if sqlstate_of(context.original_exception) in _GONE:
        context.is_disconnect = True
