"""From an earlier release's history to this one's, with what people have in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from holdfast_protocol.events import Completed, Failed
from holdfast_protocol.transcript import TextPart, Transcript, TranscriptPart
from holdfast_server import history
from holdfast_server.chats import Chats
from holdfast_server.stores.base import key_of
from tests.support.journals import ANN, answered, asked

CHAT = """INSERT INTO chats (tenant, user, chat_id, title, title_given, created_at, updated_at, seen_at, archived,
 deleted_at, erased, version) VALUES ('acme', 'ann', ?, ?, 0, 10, 90, 50, 0, ?, 0, 90)"""
MESSAGE = """INSERT INTO messages (tenant, user, message_id, chat_id, parent_id, role, text, transcript, status,
 created_at, place, size, request_id, sha256) VALUES ('acme', 'ann', ?, ?, NULL, 'assistant', 'said', ?, ?, ?, ?, 4,
 ?, ?)"""


def at_revision(path: Path, revision: str) -> None:
    """A history as the release left it that ended with this revision."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(history.__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def answer(
    connection: sqlite3.Connection, chat_id: str, message_id: str, at: int, blob: bytes | None
) -> None:
    status = None if blob is None else "completed"
    digest = sha256(b"said").digest()
    connection.execute(MESSAGE, (message_id, chat_id, blob, status, at, at * 2 + 1, message_id, digest))


def blob_of(at: int) -> bytes:
    parts: list[TranscriptPart] = [TextPart(at=at, text="said")]
    return msgspec.msgpack.encode(
        Transcript(offset=5, status="completed", parts=parts, outcome=Completed(at=at, code="stop"))
    )


async def test_a_history_of_the_first_release_opens_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Chats and messages are as they were; a chat tells which answer ended last, as far as its messages do."""
    path = tmp_path / "history.db"
    at_revision(path, "0001")
    with closing(sqlite3.connect(path)) as file, file:
        for chat_id, deleted_at in (("talk", None), ("asked", None), ("damaged", None), ("deleted", 80)):
            file.execute(CHAT, (chat_id, f"About {chat_id}", deleted_at))
        answer(file, "talk", "a1", 20, blob_of(30))
        answer(file, "talk", "a2", 40, blob_of(60))
        answer(file, "talk", "a3", 70, None)
        answer(file, "asked", "b1", 20, None)
        answer(file, "damaged", "c1", 20, b"\xff\x00")
        answer(file, "deleted", "d1", 20, blob_of(30))
    chats = Chats(f"sqlite+aiosqlite:///{path}", now_ms=lambda: 1_000_000)
    await chats.start()
    try:
        rows = {row.chat_id: row for row in (await chats.list_chats(ANN))[0]}
        assert {name: (row.last_request_id, row.last_status, row.last_ended_at) for name, row in rows.items()} == {
            "talk": ("a2", "completed", 60), "asked": (None, None, 0), "damaged": (None, None, 0),
        }  # fmt: skip
        assert [(row.title, row.updated_at, row.seen_at, row.version) for row in rows.values()] == [
            (f"About {name}", 90, 50, 90) for name in rows
        ]
        messages, _ = await chats.list_messages(ANN, "talk")
        assert [(row.message_id, row.text, row.status, row.damaged) for row in messages] == [
            ("a3", "said", None, False), ("a2", "said", "completed", False), ("a1", "said", "completed", False),
        ]  # fmt: skip
        await chats.project_sealed(answered(asked("new", chat_id="asked", at=100), "yes"))
        assert (await chats.get_chat(ANN, "asked")).last_request_id == "new"
        assert await chats.reader_rows.of(key_of(ANN, "a1")) == []
    finally:
        await chats.close()


@pytest.mark.parametrize("kind", [Completed, Failed])
def test_what_the_revision_reads_is_where_outcomes_are(kind: type[Completed | Failed]) -> None:
    """The revision names nothing of the living code; the place of an outcome's time in a stored transcript is this."""
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(Transcript(outcome=kind(at=7, code="x"))))
    assert plain["outcome"]["at"] == 7
