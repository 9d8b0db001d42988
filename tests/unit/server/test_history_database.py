"""The history's file: how it comes about, that a second start changes nothing, and what reading a long chat costs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.chats import Chats
from holdfast_server.history import database as module
from holdfast_server.history.tables import metadata
from holdfast_server.stores.base import StorageFull, Unavailable
from tests.support.journals import ANN, answered, asked


def history_at(path: Path, **options: Any) -> Chats:
    return Chats(f"sqlite+aiosqlite:///{path}", now_ms=lambda: 1_000_000, **options)


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


# -- migrations --------------------------------------------------------------------------------------------------


async def test_from_empty_to_the_newest(tmp_path: Path) -> None:
    """The revisions make, in a folder that is not there yet, exactly the tables that the code knows."""
    path = tmp_path / "data 100%" / "history.db"
    chats = history_at(path)
    await chats.start()
    await chats.close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == "0004"
    engine.dispose()
    assert query(path, "PRAGMA journal_mode") == [("wal",)]


def ours(_: object, name: str | None, *__: object) -> bool:
    return not str(name).startswith("search_")


async def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """Starting again leaves every row and every table as it was."""
    path = tmp_path / "history.db"
    chats = history_at(path)
    await chats.start()
    await chats.project_sealed(answered(asked("r1", "question"), "answer"))
    before = await chats.list_messages(ANN, "chat"), await chats.search(ANN, "answer")
    await chats.close()
    schema = query(path, "SELECT * FROM sqlite_master ORDER BY name")
    again = history_at(path)
    await again.start()
    assert (await again.list_messages(ANN, "chat"), await again.search(ANN, "answer")) == before
    await again.close()
    assert query(path, "SELECT * FROM sqlite_master ORDER BY name") == schema


async def test_a_start_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """What fails in the middle of a start leaves an empty file, and the next start makes the history."""
    path = tmp_path / "history.db"
    database = module.Database(f"sqlite+aiosqlite:///{path}")

    def fails(_: object) -> None:
        raise OSError("no more")

    with pytest.raises(Unavailable, match="no more"):
        await database.start(fails)
    assert query(path, "SELECT * FROM sqlite_master") == []
    chats = history_at(path)
    await chats.start()
    await chats.close()


async def test_a_history_of_a_newer_release(tmp_path: Path) -> None:
    """Who goes back to an older release is told so in one sentence, and nothing is changed."""
    path = tmp_path / "history.db"
    chats = history_at(path)
    await chats.start()
    await chats.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match=r"history\.db was written by a newer release"):
        await history_at(path).start()
    assert query(path, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_a_file_that_is_no_history(tmp_path: Path) -> None:
    """What cannot be opened is one sentence that names the file."""
    path = tmp_path / "history.db"
    path.write_bytes(b"this is not a database, " * 100)
    with pytest.raises(
        Unavailable, match=r"the history at .*history\.db cannot be opened: file is not a database"
    ):
        await history_at(path).start()
    with pytest.raises(ValueError, match="sqlite"):
        Chats("mysql+aiomysql://localhost/x", now_ms=lambda: 0)


async def test_durability_is_asked_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`power` syncs every commit of the history, as the journal's mark that follows must not outlive it."""
    asked_for: list[str] = []
    monkeypatch.setattr(sqlite3, "connect", tracing(sqlite3.connect, asked_for.append))
    chats = history_at(tmp_path / "history.db", durability="power")
    await chats.start()
    await chats.list_chats(ANN)
    await chats.close()
    assert "PRAGMA synchronous = FULL" in asked_for
    assert not any("NORMAL" in statement for statement in asked_for)


def tracing(connect: Callable[..., sqlite3.Connection], trace: Callable[[str], None]) -> Any:
    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(trace)
        return connection

    return connected


async def test_locked_is_waited_for_then_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another process holds is waited for within bounds; then the call says that it may be repeated."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 1)
    monkeypatch.setattr(module, "RETRY_WAIT_S", 0)
    path = tmp_path / "history.db"
    chats = history_at(path)
    await chats.start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await chats.create_chat(ANN, "chat")
        assert await chats.list_chats(ANN) == ([], None)  # reads go on
        other.execute("ROLLBACK")
    assert (await chats.create_chat(ANN, "chat")).chat_id == "chat"
    await chats.close()
    with pytest.raises(Unavailable, match="closed"):
        await chats.list_chats(ANN)
    with pytest.raises(Unavailable, match="closed"):
        await chats.create_chat(ANN, "two")


async def test_a_write_is_not_overtaken(tmp_path: Path) -> None:
    """A change that reads and then writes has the lock from its first read on: nobody can write in between."""
    path = tmp_path / "history.db"
    database = module.Database(f"sqlite+aiosqlite:///{path}")
    await database.start(lambda connection: None)
    tries: list[str] = []

    async def work(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("SELECT count(*) FROM erasures")
        with closing(sqlite3.connect(path, timeout=0)) as other:
            try:
                other.execute("INSERT INTO erasures VALUES ('', 'other', ?, 0)", (str(len(tries)),))
                other.commit()
                tries.append("overtaken")
            except sqlite3.OperationalError as error:
                tries.append(str(error))
        await connection.exec_driver_sql("INSERT INTO erasures VALUES ('', 'own', 'r', 0)")

    await database.write(work)
    await database.close()
    assert tries == ["database is locked"]


async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """A full disk refuses the change whole, with its own error, and reads go on."""
    path = tmp_path / "history.db"
    chats = history_at(path)
    await chats.start()
    await chats.create_chat(ANN, "chat")
    database = chats._database
    async with database.read() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFull):
        await chats.project_opened(asked("r1", "x" * 400_000))
    assert (await chats.list_messages(ANN, "chat"))[0] == []
    await chats.close()


def test_only_the_history_loads_the_database_library() -> None:
    """Programs that only speak the protocol, the stores and the client never import SQLAlchemy."""
    code = (
        "import sys, holdfast, holdfast_protocol.codec, holdfast_server.stores.memory, holdfast_server.journal\n"
        "found = {'sqlalchemy', 'alembic', 'aiosqlite'} & set(sys.modules)\n"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_start_that_is_not_needed_is_not_paid_for() -> None:
    """Alembic is loaded when a history is opened, not when the program is."""
    code = "import sys, holdfast_server.chats, holdfast_server.projector; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- cost --------------------------------------------------------------------------------------------------------


class Meter:
    """Counts what SQLite does on every connection: statements, and its machine's instructions in hundreds."""

    def __init__(self) -> None:
        self.statements = 0
        self.steps = 0

    def connected(self, connect: Callable[..., sqlite3.Connection]) -> Any:
        def connected(*args: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*args, **options)
            connection.set_progress_handler(self._step, 100)
            connection.set_trace_callback(self._statement)
            return connection

        return connected

    def _step(self) -> int:
        self.steps += 1
        return 0

    def _statement(self, _: str) -> None:
        self.statements += 1

    async def of(self, call: Any) -> tuple[int, int]:
        self.statements = self.steps = 0
        await call
        return self.statements, self.steps


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    meter = Meter()
    monkeypatch.setattr(sqlite3, "connect", meter.connected(sqlite3.connect))
    return meter


async def long_chat(path: Path, messages: int) -> Chats:
    """A chat of one long branch: projected up to its beginning, the rest written as projection would."""
    chats = history_at(path)
    await chats.start()
    await chats.project_sealed(answered(asked("r0", "question 0", at=0)))
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(messages)")]
        rows = connection.execute("SELECT * FROM messages ORDER BY place").fetchall()
        question, answer = (dict(zip(columns, row, strict=True)) for row in rows)
        made = []
        for number in range(1, messages // 2):
            own = {"created_at": number, "message_id": f"q-r{number}", "parent_id": f"r{number - 1}"}
            made.append({**question, **own, "place": number * 2})
            own = {"created_at": number, "message_id": f"r{number}", "parent_id": f"q-r{number}"}
            made.append({**answer, **own, "place": number * 2 + 1, "request_id": f"r{number}"})
        holes = ", ".join(f":{column}" for column in columns)
        connection.executemany(f"INSERT INTO messages VALUES ({holes})", made)
        connection.commit()
    return chats


async def test_a_long_chat_costs_what_is_read(tmp_path: Path, meter: Meter) -> None:
    """Ten times the messages: the same work for a page, a question, an answer and the newest leaf; at most about ten
    times for a whole branch and its deletion; and never a statement per message."""
    costs: dict[str, list[tuple[int, int]]] = {}
    for size in (1_000, 10_000):
        chats = await long_chat(tmp_path / f"{size}.db", size)
        last = f"r{size // 2 - 1}"
        log = answered(asked("new", "next", parent_id=last, at=size))
        for name, call in (
            ("page", chats.list_messages(ANN, "chat", 50)),
            ("near branch", chats.branch(ANN, "chat", last, 100)),
            ("message", chats.message(ANN, "chat", last)),
            ("leaf", chats.newest_leaf(ANN, "chat")),
            ("question", chats.project_opened(log)),
            ("answer", chats.project_sealed(log)),
            ("branch", chats.branch(ANN, "chat", last)),
            ("deletion", chats.delete_message(ANN, "chat", "r0")),
        ):
            costs.setdefault(name, []).append(await meter.of(call))
        await chats.close()
    linear = {"branch", "deletion"}
    for name, (short, long) in costs.items():
        statements, steps = (b / max(a, 10) for a, b in zip(short, long, strict=True))
        assert steps <= (13 if name in linear else 1.5), costs
        assert statements <= (8 if name in linear else 1), costs
    assert costs["branch"][1][0] < 100, costs


async def test_a_late_page_costs_as_much_as_the_first(tmp_path: Path, meter: Meter) -> None:
    """A mark is a place in an index: turning to the end of a long chat is linear in what is shown."""
    chats = await long_chat(tmp_path / "history.db", 4_000)
    first, mark, costs = None, None, []
    while True:
        meter.steps = 0
        rows, mark = await chats.list_messages(ANN, "chat", 200, mark)
        costs.append(meter.steps)
        first = first or rows
        if mark is None:
            break
    await chats.close()
    assert len(costs) == 20
    assert max(costs) <= 1.5 * min(costs), costs
