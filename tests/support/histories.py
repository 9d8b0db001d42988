"""Where tests keep their histories: in SQLite files, or each in a database of its own on the PostgreSQL that a run names.

    history = Chats(histories.at(tmp_path / "history.db"), now_ms=clock)
    sqlite3.connect(histories.file(tmp_path / "history.db"))        # skipped on PostgreSQL

The same tests run over both: tests/integration/test_postgres_history.py starts a run of them with HOLDFAST_TEST_POSTGRES set to
the address of a database with the history's tables, of which each history is a copy.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "HOLDFAST_TEST_POSTGRES"
ANSWER_S = 30.0
# All rows of all tables but those that say how the tables are.
EMPTY = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    AND tablename NOT IN ('alembic_version', 'search_state', 'messages') LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP; END $$
"""
_numbers = itertools.count(1)
_empty: list[str] = []  # databases that nobody uses now


class Histories:
    """The histories of one test, or of several. `close` when they are closed."""

    def __init__(self) -> None:
        self._template = os.environ.get(VARIABLE)
        self._made: dict[Path, str] = {}

    def at(self, path: Path) -> str:
        """The address of the history that is kept there: the same path is the same history."""
        if self._template is None:
            return f"sqlite+aiosqlite:///{path}"
        if path not in self._made:
            self._made[path] = _empty.pop() if _empty else self._make(self._template)
        return self._made[path]

    def _make(self, template: str) -> str:
        base, name = template.rsplit("/", 1)
        made = f"h{next(_numbers)}_{os.getpid()}"
        _apart(_do(f"{base}/postgres", f"CREATE DATABASE {made} TEMPLATE {name}"))
        return f"{base}/{made}"

    def file(self, path: Path) -> Path:
        """The file of that history, for who looks into it behind its back."""
        if self._template is not None:
            pytest.skip("looks into SQLite's file")
        return path

    def close(self) -> None:
        """Empty what is on the server, for the next one: making a database takes longer than most tests."""
        for url in self._made.values():
            _apart(_do(url, EMPTY))
        _empty.extend(self._made.values())
        self._made.clear()


async def _do(url: str, sql: str) -> None:
    import asyncpg  # type: ignore[import-untyped]

    connection = await asyncpg.connect(url, timeout=ANSWER_S)
    try:
        await connection.execute(sql, timeout=ANSWER_S)
    finally:
        await connection.close(timeout=ANSWER_S)


def _apart(work: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own: who asks may be on one, or on none."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
