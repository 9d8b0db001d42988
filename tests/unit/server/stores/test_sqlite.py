"""The SQLite disk: what it refuses, what it survives, what a commit costs."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import structlog

from holdfast_server.stores import folder as folders
from holdfast_server.stores.base import Damaged, StorageFull, Unavailable
from holdfast_server.stores.sqlite import SqliteDisk, SqliteStore
from tests.support.journals import Clock
from tests.support.scribe import Scribe, key, text_of


class Desk:
    """A started store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.folder = folder
        self.store = SqliteStore(folder, now_ms=self.clock, lock_wait_s=0, memory_bytes_max=0)
        self.scribe = Scribe(self.store, self.clock)

    @property
    def disk(self) -> SqliteDisk:
        disk = self.store._disk
        assert isinstance(disk, SqliteDisk)
        return disk

    @property
    def connection(self) -> sqlite3.Connection:
        connection = self.disk._connection
        assert connection is not None
        return connection

    def change(self, statement: str, *values: object) -> None:
        """Change the file behind the store's back."""
        with contextlib.closing(
            sqlite3.connect(self.folder / "journals.db", isolation_level=None)
        ) as connection:
            connection.execute(statement, values)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.store.start()
    yield desk
    await desk.store.close()


async def test_a_commit_costs_the_same_for_one_and_for_many(desk: Desk) -> None:
    """The number of statements does not depend on how many journals have something to write."""
    counts: list[int] = []
    held = [await desk.scribe.running(f"r{number}") for number in range(30)]
    for group in (held[:1], held):
        statements: list[str] = []
        desk.connection.set_trace_callback(statements.append)
        for one in group:
            one.say("x")
        await asyncio.gather(*(one.writer.flush() for one in group))
        desk.connection.set_trace_callback(None)
        counts.append(len(statements))
    assert counts == [3, 3]


async def test_a_second_process_is_told_who_has_the_folder(desk: Desk) -> None:
    """One process at a time; the refusal names the holder."""
    import os

    other = SqliteStore(desk.folder, lock_wait_s=0)
    with pytest.raises(Unavailable, match=str(os.getpid())):
        await other.start()
    await other.close()


async def test_a_folder_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    """A schema that is not known is not written to."""
    desk = Desk(tmp_path)
    await desk.store.start()
    await desk.store.close()
    desk.change("PRAGMA user_version = 99")
    with pytest.raises(Unavailable, match="later release"):
        await Desk(tmp_path).store.start()
    desk.change("PRAGMA user_version = 1")
    again = Desk(tmp_path)
    await again.store.start()
    await again.store.close()


async def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """What is wrong with the folder is said in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="Cannot use the folder"):
        await SqliteStore(tmp_path / "file" / "data", lock_wait_s=0).start()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "journals.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        await SqliteStore(tmp_path / "data", lock_wait_s=0).start()


async def test_a_damaged_answer_is_never_shown(desk: Desk) -> None:
    """A flipped bit is found when the answer is read, and the others are not harmed."""
    await desk.scribe.ended("bad", "the truth", chat_id="c")
    await desk.scribe.ended("good", "the truth", chat_id="c")
    await desk.store.compact()
    row = desk.connection.execute("SELECT data FROM packed WHERE request_id = 'bad'").fetchone()
    data = bytearray(row[0])
    data[len(data) // 2] ^= 1
    desk.change("UPDATE packed SET data = ? WHERE request_id = 'bad'", bytes(data))
    with pytest.raises(Damaged):
        await desk.store.log(key("bad"))
    assert text_of(await desk.store.log(key("good"))) == "the truth"
    assert [log.key.request_id for log in await desk.store.unprojected(5)] == ["good"]
    assert await desk.scribe.ids() == ["good", "bad"]


async def test_a_text_that_is_not_the_one_that_was_packed_is_found(desk: Desk) -> None:
    """The SHA-256 of the text is checked apart from that of the blob."""
    await desk.scribe.ended("bad", "the truth")
    await desk.store.compact()
    desk.change("UPDATE packed SET text_sha = ?", b"0" * 32)
    with pytest.raises(Damaged, match="text"):
        await desk.store.log(key("bad"))


async def test_a_damaged_segment_stops_the_start(tmp_path: Path) -> None:
    """Live journals that cannot be read whole are not served in part."""
    desk = Desk(tmp_path)
    await desk.store.start()
    held = await desk.scribe.running()
    held.say("text")
    await held.writer.flush()
    await desk.store.close()
    desk.change("UPDATE segment SET data = zeroblob(length(data)) WHERE seq = 2")
    with pytest.raises(Unavailable, match="segment 2 is damaged"):
        await Desk(tmp_path).store.start()


async def test_a_full_disk_refuses_and_heals(desk: Desk) -> None:
    """No room: opens are refused, running answers wait in their pens, what is there can be read and purged; with room
    again everything goes on, and nothing is missing."""
    old = await desk.scribe.ended("old", "x" * 200_000)
    await desk.store.compact()
    held = await desk.scribe.running("r1")
    pages = desk.connection.execute("PRAGMA page_count").fetchone()[0]
    desk.connection.execute(f"PRAGMA max_page_count = {pages}")
    held.say("y" * 60_000)
    with pytest.raises(StorageFull):
        await desk.scribe.open("new", text="z" * 400_000)
    assert desk.store.trouble is not None
    assert text_of(await desk.store.log(old.key)) == "x" * 200_000
    assert held.writer.congested or text_of(held.log)
    desk.connection.execute("PRAGMA max_page_count = 1000000")
    await held.complete()
    assert text_of(held.log) == "y" * 60_000
    assert desk.store.trouble is None


async def test_the_ballast_makes_room_for_cleaning_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a commit that frees may use the reserve; it is put back when there is room."""
    await desk.scribe.ended("old", "x" * 100_000)
    ballast = desk.folder / "ballast"
    assert ballast.stat().st_size == folders.BALLAST_BYTES
    write = desk.disk._write

    def full_while_ballast_is_there(batch: object) -> None:
        if ballast.exists():
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        write(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.disk, "_write", full_while_ballast_is_there)
    with pytest.raises(StorageFull):
        await desk.scribe.open("new")
    assert ballast.exists()
    await desk.store.erase([key("old")])
    assert not ballast.exists()
    monkeypatch.undo()
    monkeypatch.setattr(folders, "BALLAST_RETRY_S", 0.0)
    desk.disk._ballast._next_try = 0.0
    await desk.scribe.open("new")
    assert ballast.stat().st_size == folders.BALLAST_BYTES


async def test_what_a_crash_cut_off_is_one_line_at_the_start(desk: Desk) -> None:
    """How many, and nothing of what they say; what was handed over, waits or has ended is none of it."""
    for name in ("one", "two"):
        await desk.scribe.running(name)
    await desk.scribe.ended("ended")
    handed = await desk.scribe.running("handed")
    await desk.store.release(handed.claim)
    await desk.scribe.open("queued")
    await desk.store.close()
    again = Desk(desk.folder)
    with structlog.testing.capture_logs() as lines:
        await again.store.start()
    event = "answers that the last end of the server cut off are taken up again"
    assert lines == [{"event": event, "answers": 2, "log_level": "info"}]
    await again.store.close()
    desk.disk._opened.clear()


async def test_erased_text_leaves_the_file(desk: Desk) -> None:
    """After the next compaction nothing on the disk holds it, though a long-lived journal shared its segments."""
    held = await desk.scribe.running("long")
    await desk.scribe.ended("gone", "MARKERMARKER")
    held.say("stays")
    await held.writer.flush()
    await desk.store.erase([key("gone")])
    await desk.store.compact()
    desk.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert b"MARKERMARKER" not in (desk.folder / "journals.db").read_bytes()
    held.say(" and goes on")
    await held.complete()
    await desk.store.close()
    again = Desk(desk.folder)
    await again.store.start()
    assert text_of(await again.store.log(key("long"))) == "stays and goes on"
    await again.store.close()
    desk.disk._opened.clear()


async def test_segments_go_when_nobody_needs_them(desk: Desk) -> None:
    """What is packed is written once; a journal in memory holds its own segments and later ones."""
    for number in range(20):
        await desk.scribe.ended(f"r{number}", "text")
    await desk.store.compact()
    assert desk.connection.execute("SELECT count(*) FROM segment").fetchone()[0] <= 2
    held = await desk.scribe.running("r")
    await desk.scribe.ended("s")
    await desk.store.compact()
    held.say("x")
    await held.writer.flush()
    rows = desk.connection.execute("SELECT count(*) FROM segment").fetchone()[0]
    assert rows > 3
    assert (
        desk.disk.segment_bytes
        == desk.connection.execute("SELECT sum(length(data)) FROM segment").fetchone()[0]
    )


async def test_memory_holds_packed_journals_only_within_its_bound(desk: Desk) -> None:
    """With no bytes to keep them in, they leave memory when nobody holds them, and are read again."""
    await desk.scribe.ended("r1", "text")
    await desk.store.compact()
    async with asyncio.timeout(5):
        while desk.store.live(key("r1")) is not None:  # noqa: ASYNC110 - the thread that packed it tells nobody when it lets go
            await asyncio.sleep(0.001)
    log = await desk.store.log(key("r1"))
    assert await desk.store.log(key("r1")) is log
    assert desk.store._packed.warm_bytes == 0


async def test_a_busy_file_is_waited_for(desk: Desk) -> None:
    """Another program's lock delays a commit, and does not fail it."""
    other = sqlite3.connect(desk.folder / "journals.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opened = asyncio.ensure_future(desk.scribe.open())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not opened.done()
    other.execute("ROLLBACK")
    other.close()
    await asyncio.wait_for(opened, 10)


async def test_rows_of_the_first_release_are_read(desk: Desk) -> None:
    """A row without what was added since is read with what it has; the journal itself still tells the rest."""
    await desk.scribe.ended("r1", "text")
    await desk.store.compact()
    (data,) = desk.connection.execute("SELECT summary FROM packed").fetchone()
    plain = msgspec.msgpack.decode(data)
    for name in ("number", "started_at", "usage", "tools"):
        del plain[name]
    desk.change("UPDATE packed SET summary = ?", msgspec.msgpack.encode(plain))
    (row,), _ = await desk.store.summaries(None, active=False, chat_id=None, limit=9, before=None)
    assert (row.key, row.status, row.started_at, row.usage, row.tools) == (
        key("r1"),
        "completed",
        None,
        None,
        0,
    )
    assert row.number == 1
    assert (await desk.store.log(key("r1"))).summary().started_at == 4
