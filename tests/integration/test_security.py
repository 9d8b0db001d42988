"""What one client sends or one setting says must not become everybody's trouble, or anybody's secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from holdfast_protocol.commands import InputMessage, Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_server.admission import Admission, Bounds
from holdfast_server.app import Node
from holdfast_server.config import Config, ConfigError, load
from holdfast_server.history.database import Unfit
from holdfast_server.journal import Journal
from holdfast_server.stores.base import key_of
from holdfast_server.stores.sqlite import SqliteStore
from tests.support.door import Client, Rig, serving
from tests.support.journals import ANN, BOB, asked

CANARY = "canary-7f3a91c2"


async def test_ids_of_question_and_answer_differ(tmp_path: Path) -> None:
    """The id of a question that is also the request's, and a request's id that is a message's, are refused."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        client = Client(ws)
        request: dict[str, Any] = {"request_id": "same", "message_id": "same", "chat_id": "c", "text": "Hm?"}
        assert (await client.ask("submit", request=request))["code"] == "invalid"
        first = {"request_id": "r1", "message_id": "m1", "chat_id": "c", "text": "Hm?"}
        assert (await client.ask("submit", request=first))["type"] == "submitted"
        again = {"request_id": "m1", "chat_id": "c", "parent_id": "m1"}
        assert (await client.ask("submit", request=again))["code"] == "request_conflict"


async def test_a_request_that_the_history_cannot_hold_stops_nobody_else(tmp_path: Path) -> None:
    """A journal whose rows the history refuses is left out of it; everybody else's chats go on, at once."""
    async with serving(Rig(tmp_path)) as rig:
        record = asked("same", owner=BOB, message_id="same", chat_id="theirs")
        await rig.journal.open(record)
        with pytest.raises(Unfit):
            await rig.chats.project_opened(record)
        async with rig.connect() as ws:
            client = Client(ws)
            for number in range(2):
                request = {"request_id": f"r{number}", "chat_id": "ours", "text": "Hello?"}
                assert (await client.ask("submit", request=request))["type"] == "submitted"
            rows = (await client.ask("list_messages", chat_id="ours"))["messages"]
            assert {row["message_id"] for row in rows} >= {"r0", "r1"}
        await rig.journal.cancel(record.key)
        await rig.projector.catch_up()


async def test_no_error_of_the_history_has_what_people_wrote(tmp_path: Path) -> None:
    """An error of the database goes up, and into the log, without the statement's values."""
    async with serving(Rig(tmp_path)) as rig:
        database = rig.chats._database

        async def twice(connection: Any) -> None:
            for _ in range(2):
                statement = text(
                    "INSERT INTO chats (tenant, user, chat_id, title) VALUES ('', '', '', :said)"
                )
                await connection.execute(statement, {"said": CANARY})

        with pytest.raises(Unfit) as caught:
            await database.write(twice)
        error: BaseException | None = caught.value
        while error is not None:
            assert CANARY not in str(error)
            error = error.__cause__ or error.__context__
        async with database.read() as connection:
            with pytest.raises(Exception, match="no such table") as failed:
                await connection.execute(text("SELECT :said FROM nowhere"), {"said": CANARY})
            assert CANARY not in str(failed.value)


async def test_what_a_restart_finds_open_counts(tmp_path: Path) -> None:
    """Bounds hold across a restart: what was open before counts from the first moment, in number and in bytes, and the
    question weighs as much as the answer."""
    texts = [InputMessage(role="user", text="é" * 500), InputMessage(role="user", text="x" * 24)]
    store = SqliteStore(tmp_path)
    await store.start()
    journal = Journal(store, now_ms=lambda: 1_000)
    earlier = Admission(journal, Bounds())
    for number in range(3):
        record = msgspec.structs.replace(asked(f"r{number}", chat_id=None, text=None), messages=texts)
        await journal.open(record)
    assert earlier.live_bytes >= 3 * 1024
    await store.close()

    store = SqliteStore(tmp_path)
    await store.start()
    try:
        journal = Journal(store, now_ms=lambda: 2_000)
        admission = Admission(journal, Bounds(user_open_max=3))
        await admission.start()
        assert (admission.open_count, admission.live_bytes) == (3, earlier.live_bytes)
        assert [log.key.request_id for log in admission.queued()] == ["r0", "r1", "r2"]
        with pytest.raises(ProtocolError, match="Too many requests"), admission.place(ANN):
            pass
        with admission.place(BOB):
            pass
        for number in range(3):
            await journal.cancel(key_of(ANN, f"r{number}"))
        assert (admission.open_count, admission.live_bytes) == (0, 0)
    finally:
        await store.close()


def config(tmp_path: Path, **sections: Any) -> Config:
    """A configuration with the demo agent."""
    (tmp_path / "holdfast.toml").write_text("")
    overrides = {"store.folder": str(tmp_path / "data"), **sections}
    return load(tmp_path / "holdfast.toml", overrides, environ={})


async def test_an_empty_token_is_no_token(tmp_path: Path) -> None:
    """A token that came out empty (a variable that was not set) is refused at start: it would let in whoever gives none."""
    tokens = [{"token": "good-token", "user": "ann"}, {"token": "", "user": "admin"}]
    with pytest.raises(ConfigError, match=r"identity\.tokens"):
        Node(config(tmp_path, **{"identity.kind": "tokens", "identity.tokens": tokens}))


async def test_the_answer_bound_of_the_configuration_holds(tmp_path: Path) -> None:
    """`limits.answer_bytes_max` reaches the runner."""
    node = Node(config(tmp_path, **{"limits.answer_bytes_max": 12_345}))
    assert node.runner._terms.answer_bytes_max == 12_345


def test_submissions_are_checked_alike() -> None:
    """The refusal is about the pair of ids, not about either."""
    from holdfast_server.requests import check_submission

    check_submission(Submission(request_id="a", message_id="b", chat_id="c", text="x"))
    with pytest.raises(ProtocolError):
        check_submission(Submission(request_id="a", message_id="a", chat_id="c", text="x"))
