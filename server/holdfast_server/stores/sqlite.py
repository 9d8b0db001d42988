"""The embedded default: journals in one SQLite file of the data folder.

One thread writes, in transactions that take the write lock at once (a deferred one can fail for good in the middle); two
threads read packed journals, each with short reads on a connection that cannot write, because a reader that idles in a
transaction keeps the write-ahead log from being folded back. The commit of a full disk fails, and is rolled back; a
commit that only makes room may use the ballast (folder.py).

What a crash may take: with `process`, nothing that was acknowledged when our processes are killed, and the last moments
when the machine loses power; with `power`, opens, inputs and seals are synced before they are acknowledged, and so is
all that came before them. The file heals to a prefix by itself. Integrity of the whole file is not checked at each
start, because that reads all of it; each segment has a CRC that is checked when it is replayed, each packed answer two
SHA-256 that are checked when it is read.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

from . import sqlite_rows as rows
from .base import Account, Key, Owner, StorageFull, Summary, Unavailable
from .disk import Batch, Found, Restored
from .embedded import EmbeddedStore
from .folder import Ballast, FolderLock

T = TypeVar("T")

BUSY_S: Final = 5.0
"""How long a commit waits for another program (a backup) that has locked the file."""

READERS: Final = 2
"""Threads that read: one for a long answer that is unpacked, one for all that is short."""

LOCK_WAIT_S: Final = 30.0
"""How long a start waits for the process before it: a container that is being replaced."""

WAL_BYTES_MAX: Final = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a burst."""


class SqliteDisk:
    """A Disk in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        durability: Literal["process", "power"] = "process",
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> None:
        self._path = folder / "journals.db"
        self._power = durability == "power"
        self._lock_wait_s = lock_wait_s
        self._lock = FolderLock(folder)
        self._ballast = Ballast(folder)
        self._writer = ThreadPoolExecutor(1, "journals-write")
        self._readers = ThreadPoolExecutor(READERS, "journals-read")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._connection: sqlite3.Connection | None = None
        self._synchronous = ""
        self.segment_bytes = 0
        self.first_seq = 1

    async def start(self) -> Restored:
        await self._lock.take(self._lock_wait_s)
        try:
            restored: Restored = await self._on(self._writer, self._start)
        except BaseException:
            self._shut()
            raise
        return restored

    def _start(self) -> Restored:
        connection = self._connection = self._connect(f"file:{quote(str(self._path.absolute()))}")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}").fetchone()
        connection.execute("PRAGMA secure_delete = FAST").fetchone()
        self._sync("NORMAL")
        rows.prepare(connection)
        restored, self.segment_bytes, self.first_seq = rows.restore(connection)
        self._ballast.restore()
        return restored

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._opened.append(connection)
        return connection

    def _sync(self, level: str) -> None:
        if level != self._synchronous:
            assert self._connection is not None
            self._connection.execute(f"PRAGMA synchronous = {level}")
            self._synchronous = level

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._shut)

    def _shut(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in reversed(self._opened):  # the writer's last: it folds the write-ahead log back
            connection.close()
        self._opened.clear()
        self._connection = None
        self._lock.release()

    # -- writing ---------------------------------------------------------------------------------------------

    async def commit(self, batch: Batch) -> None:
        await self._on(self._writer, partial(self._commit, batch))

    def _commit(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except sqlite3.OperationalError as error:
            if not (_full(error) and batch.frees and self._ballast.release()):
                raise
            self._write(batch)
        self._ballast.restore()

    def _write(self, batch: Batch) -> None:
        connection = self._connection
        if connection is None:
            raise Unavailable("The store is closed.")
        if self._power:
            self._sync("FULL" if batch.strict else "NORMAL")
        try:
            connection.execute("BEGIN IMMEDIATE")
            grown = rows.write(connection, batch)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.segment_bytes += grown
        self.first_seq = max(self.first_seq, batch.drop_below)

    # -- reading ---------------------------------------------------------------------------------------------

    async def offload(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _read(self, work: Callable[..., T], *values: Any) -> T:
        return await self._on(self._readers, lambda: work(self._reader(), *values))

    def _reader(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect(f"file:{quote(str(self._path.absolute()))}?mode=ro")
            self._local.connection = connection
        return connection

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        """Run it there. Raises: Unavailable, StorageFull in place of SQLite's errors."""
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except sqlite3.Error as error:
            if _full(error):
                raise StorageFull(
                    "The disk is full; make room, or let old answers be purged sooner."
                ) from error
            raise Unavailable(f"The database {self._path.name} did not take it: {error}.") from error
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("The store is closed.") from error
            raise

    async def find(self, key: Key) -> Found | None:
        return await self._read(rows.find, key)

    async def head(self, key: Key) -> Summary | None:
        return await self._read(rows.head, key)

    async def accounts(self, key: Key) -> list[Account] | None:
        return await self._read(rows.accounts, key)

    async def page(
        self, owner: Owner | None, chat_id: str | None, below: int | None, limit: int
    ) -> list[tuple[int, Summary]]:
        return await self._read(rows.page, owner, chat_id, below, limit)

    async def unprojected(self, limit: int) -> list[Key]:
        return await self._read(rows.unprojected, limit)

    async def purgeable(self, older_than_ms: int, over_bytes: int, limit: int) -> list[Key]:
        return await self._read(rows.purgeable, older_than_ms, over_bytes, limit)

    async def packed_bytes(self) -> int:
        return await self._read(rows.packed_bytes)


def _full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


class SqliteStore(EmbeddedStore):
    """Keeps journals in a folder; one process at a time."""

    def __init__(
        self,
        folder: str | Path,
        *,
        durability: Literal["process", "power"] = "process",
        lock_wait_s: float = LOCK_WAIT_S,
        **options: Any,
    ) -> None:
        disk = SqliteDisk(Path(folder), durability=durability, lock_wait_s=lock_wait_s)
        super().__init__(disk, durability=durability, **options)
