"""What one client sends or one setting says must not become everybody's trouble, or anybody's secret."""

from __future__ import annotations

import asyncio
import json
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


STRANGERS_COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("subscribe", {"request_id": "{r}"}),
    ("subscribe", {"request_id": "{r}", "cursor": "0-0.00000000"}),
    ("unsubscribe", {"request_id": "{r}"}),
    ("cancel", {"request_id": "{r}"}),
    ("decide", {"request_id": "{r}", "wait_id": "w", "decision": True}),
    ("probe", {"request_ids": ["{r}"]}),
    ("read_events", {"request_id": "{r}"}),
    ("read_events", {"request_id": "{r}", "owner": "acme/ann"}),
    ("inspect", {"request_id": "{r}"}),
    ("inspect", {"request_id": "{r}", "owner": "acme/ann"}),
    ("inspect", {"request_id": "{r}", "owner": "acme/bob"}),
    ("cancel", {"request_id": "{r}", "owner": "acme/ann"}),
    ("list_requests", {"everyone": True}),
    ("list_requests", {"everyone": True, "chat_id": "{c}"}),
    ("list_requests", {"text": "{c}"}),
    ("list_requests", {"status": ["running", "completed"], "tools": True, "agent": "demo"}),
    ("list_requests", {"chat_id": "{c}"}),
    ("list_requests", {"active": True}),
    ("list_chats", {}),
    ("list_messages", {"chat_id": "{c}"}),
    ("update_chat", {"chat_id": "{c}", "title": "mine"}),
    ("delete_message", {"chat_id": "{c}", "message_id": "{m}"}),
    ("delete_chat", {"chat_id": "{c}"}),
    ("restore_chat", {"chat_id": "{c}"}),
    ("search", {"query": "{c}"}),
    ("submit", {"request": {"request_id": "new1", "chat_id": "{c}", "parent_id": "{m}"}}),
    ("submit", {"request": {"request_id": "new2", "chat_id": "{c}", "parent_id": "{r}", "text": "x"}}),
]


@pytest.mark.parametrize("sealed", [False, True])
async def test_what_is_not_yours_is_not_there(tmp_path: Path, sealed: bool) -> None:
    """Every command about another's request, chat or message is answered as for one that nobody has, to the letter, and
    changes nothing of it (I9)."""

    def about(fields: Any, names: dict[str, str]) -> Any:
        for mark, name in names.items():
            fields = json.loads(json.dumps(fields).replace(f"{{{mark}}}", name))
        return fields

    async with serving(Rig(tmp_path)) as rig, rig.connect() as hers, rig.connect(token="bob-token") as his:
        ann, bob = Client(hers), Client(his)
        request = {"request_id": "rrrr", "message_id": "mmmm", "chat_id": "cccc", "text": "about cccc"}
        assert (await ann.ask("submit", request=request))["type"] == "submitted"
        pen = await rig.pen("rrrr")
        await pen.say("said")
        if sealed:
            await pen.end()
        before = [
            (await ann.ask("list_messages", chat_id="cccc"))["messages"],
            (await ann.ask("read_events", request_id="rrrr"))["events"],
        ]
        for type_, fields in STRANGERS_COMMANDS:
            real = await bob.ask(type_, **about(fields, {"r": "rrrr", "c": "cccc", "m": "mmmm"}))
            absent = await bob.ask(type_, **about(fields, {"r": "xxxx", "c": "yyyy", "m": "zzzz"}))
            real.pop("ref"), absent.pop("ref")
            same = json.dumps(absent).replace("xxxx", "rrrr").replace("yyyy", "cccc").replace("zzzz", "mmmm")
            assert json.loads(same) == real, (type_, fields)
        after = [
            (await ann.ask("list_messages", chat_id="cccc"))["messages"],
            (await ann.ask("read_events", request_id="rrrr"))["events"],
        ]
        assert after == before
        assert not bob.pushes


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


async def test_a_bug_on_the_way_into_the_history_does_not_end_it(tmp_path: Path, monkeypatch: Any) -> None:
    """An error that nobody foresaw costs a wait, and the history goes on."""
    monkeypatch.setattr("holdfast_server.projector.RETRY_S_MAX", 0.01)
    rig = Rig(tmp_path)
    unprojected, calls = rig.store.unprojected, []

    async def failing(limit: int) -> Any:
        calls.append(limit)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        return await unprojected(limit)

    monkeypatch.setattr(rig.store, "unprojected", failing)
    async with serving(rig):
        await rig.journal.open(asked("r", owner=BOB, chat_id="theirs"))
        await rig.projector.catch_up(wait_s=5)
        assert (await rig.chats.list_chats(BOB))[0][0].chat_id == "theirs"
        assert len(calls) >= 2


async def test_a_bug_is_told_as_a_number(tmp_path: Path, monkeypatch: Any) -> None:
    """What nobody foresaw reaches a client as `internal` with an incident's number, and nothing of what it was."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:

        async def failing(*_: object) -> None:
            raise RuntimeError(f"{CANARY} in {__file__}")

        monkeypatch.setattr(rig.requests, "find", failing)
        client = Client(ws)
        reply = await client.ask("subscribe", request_id="r")
        assert (reply["code"], CANARY in str(reply), ".py" in str(reply)) == ("internal", False, False)
        assert (await client.ask("ping"))["type"] == "pong"


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
        spots = await journal.spots([key_of(ANN, f"r{number}") for number in range(3)])
        assert [spot.place for spot in spots.values()] == [0, 1, 2]
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
    from holdfast_server.submissions import check_submission

    check_submission(Submission(request_id="a", message_id="b", chat_id="c", text="x"))
    with pytest.raises(ProtocolError):
        check_submission(Submission(request_id="a", message_id="a", chat_id="c", text="x"))


async def test_one_sweep_that_fails_does_not_keep_the_others_from_it(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """While nothing can be erased from the history, journals are packed and purged all the same."""
    monkeypatch.setattr("holdfast_server.app.SWEEP_S", 0.01)
    node = Node(config(tmp_path, **{"store.compact_every_s": 0.001}))
    done: list[str] = []
    purged = asyncio.Event()

    async def failing() -> None:
        raise RuntimeError("the history takes nothing")

    async def purge(*_: object) -> int:
        done.append("purge")
        purged.set()
        return 0

    monkeypatch.setattr(node.requests, "erase_due", failing)
    monkeypatch.setattr(node.store, "purge", purge)
    sweeping = asyncio.create_task(node._sweep())
    try:
        async with asyncio.timeout(5):
            await purged.wait()
    finally:
        sweeping.cancel()
