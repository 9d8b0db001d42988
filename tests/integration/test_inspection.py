"""Looking into requests over a real WebSocket: who followed what, everybody's requests, and who may ask for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession

from holdfast_protocol import events as ev
from holdfast_server.app import Node
from holdfast_server.config import load
from holdfast_server.stores.base import key_of
from tests.support.command_line import holdfast
from tests.support.door import Client, Rig, serving
from tests.support.journals import ANN

ANNS = {"request_id": "r", "chat_id": "c", "text": "A secret question, Größe?"}


async def until_ended(client: Client, request_id: str) -> None:
    await client.until("caught_up", request_id=request_id, sealed=True)


# -- readers -----------------------------------------------------------------------------------------------------


async def test_who_followed_a_request_from_when_to_where(tmp_path: Path) -> None:
    """A span per subscription: who is named as it called itself in hello, from its cursor on, to where it left."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as first, rig.connect() as second:
        ann, phone = Client(first), Client(second)
        await ann.ask("hello", client="page/1")
        await ann.ask("submit", request=ANNS)
        pen = await rig.pen("r")
        await pen.say("one")
        await phone.ask("subscribe", request_id="r")
        await phone.until("caught_up")
        await phone.ask("unsubscribe", request_id="r")
        seen = await ann.ask("inspect", request_id="r")
        rows = {row.get("client", ""): row for row in seen["readers"]}
        assert (rows[""]["start"], rows[""]["end"], "until" in rows[""]) == (0, 4, True)
        assert (rows["page/1"]["start"], "until" in rows["page/1"]) == (0, False)
        assert rows[""]["connection"] != rows["page/1"]["connection"]
        assert "127.0.0.1" not in json.dumps(seen)
        await pen.end()
        await until_ended(ann, "r")
        after = await ann.ask("inspect", request_id="r")
        rows = {row.get("client", ""): row for row in after["readers"]}
        assert (rows["page/1"]["end"], rows["page/1"]["door"]) == (6, "websocket")
        assert rows["page/1"]["until"] >= rows["page/1"]["since"]


async def test_a_row_tells_times_tokens_tools_and_terms(tmp_path: Path) -> None:
    """From the log as it stands, while it runs and after it ended."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        ann = Client(ws)
        await ann.ask("submit", request=ANNS, follow=False)
        queued = await ann.ask("inspect", request_id="r")
        assert (queued["request"]["place"], "terms" in queued, "started_at" in queued["request"]) == (
            0,
            False,
            False,
        )
        pen = await rig.pen("r")
        tool = ev.ToolCall(at=rig.now_ms(), part=1, call_id="x", name="clock")
        await pen.put(tool, ev.Usage(at=rig.now_ms(), input_tokens=5, output_tokens=7))
        running = (await ann.ask("inspect", request_id="r"))["request"]
        assert (running["tools"], running["usage"]["output_tokens"]) == (1, 7)
        await pen.begin()
        await pen.end()
        seen = await ann.ask("inspect", request_id="r")
        row = seen["request"]
        assert row["created_at"] <= row["started_at"] <= row["ended_at"] == row["outcome"]["at"]
        assert [(term["attempt"], term["start"], term["reason"]) for term in seen["terms"]] == [
            (1, 1, "first"),
            (2, 5, "retry"),
        ]
        listed = (await ann.ask("list_requests"))["requests"]
        assert listed == [row]
        assert "owner" not in row


@asynccontextmanager
async def node_at(folder: Path) -> AsyncIterator[Node]:
    """A whole server over this folder, with tokens; it stops as on SIGTERM."""
    tokens = [
        {"token": "ann-token", "user": "ann", "tenant": "acme"},
        {"token": "ops-token", "user": "ops", "operator": True},
    ]
    (folder / "holdfast.toml").write_text("")
    overrides = {
        "store.folder": str(folder / "data"), "identity.kind": "tokens", "identity.tokens": tokens,
        "server.port": 0, "server.close_spread_s": 0.0, "server.drain_s": 1.0, "store.undo_s": 0.0,
    }  # fmt: skip
    node = Node(load(folder / "holdfast.toml", overrides, environ={}))
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def told(node: Node, token: str, *commands: dict[str, Any]) -> list[dict[str, Any]]:
    """Send commands over one connection; their replies, after each submit's or subscription's end."""
    async with (
        ClientSession() as session,
        session.ws_connect(
            f"ws://127.0.0.1:{node.port}/ws", headers={"Authorization": f"Bearer {token}"}
        ) as ws,
    ):
        replies = []
        for ref, given in enumerate(commands):
            await ws.send_json({"ref": ref, **given})
            follows = given["type"] in ("submit", "subscribe")
            while True:
                message = await ws.receive_json(timeout=20)
                if message.get("ref") == ref:
                    replies.append(message)
                    if not follows or message["type"] == "error":
                        break
                elif message["type"] == "caught_up" and message.get("sealed"):
                    break
        return replies


async def test_readers_survive_a_restart_and_go_with_their_chat(tmp_path: Path) -> None:
    """Spans are there after the server stopped and started; once the chat is erased, they are nowhere."""
    inspect = {"type": "inspect", "request_id": "r"}
    submit = {"type": "submit", "request": {**ANNS, "options": {"pace": 0}}}
    async with node_at(tmp_path) as node:
        hello = {"type": "hello", "client": "page/1"}
        *_, before = await told(node, "ann-token", hello, submit, inspect)
        assert before["request"]["status"] == "completed"
    async with node_at(tmp_path) as node:
        (after,) = await told(node, "ann-token", inspect)
        assert after["readers"] == before["readers"]
        assert after["readers"][0]["client"] == "page/1"
        (term,) = after["terms"]  # what it used up is noted right after the end
        assert term["usage"]["output_tokens"] == after["request"]["usage"]["output_tokens"] > 0
        assert term.items() >= before["terms"][0].items()
        await told(node, "ann-token", {"type": "delete_chat", "chat_id": "c"})
        async with asyncio.timeout(10):
            while True:
                await node.requests.erase_due()
                if not await node.chats.erase_due():
                    break
        assert await node.chats.reader_rows.page(None, 10) == []
        assert await node.readers.of(key_of(ANN, "r")) == []
        (gone,) = await told(node, "ann-token", inspect)
        assert gone["code"] == "unknown_request"


async def test_a_purged_request_loses_its_readers(tmp_path: Path) -> None:
    """When the journal is purged, a sweep forgets who followed it; the request itself is still told from the history."""
    async with node_at(tmp_path) as node:
        submit = {"type": "submit", "request": {**ANNS, "options": {"pace": 0}}}
        await told(node, "ann-token", submit)
        await node.readers.flush()
        await node.projector.catch_up()
        assert await node.chats.reader_rows.page(None, 10) == [key_of(ANN, "r")]
        await node.readers.sweep(node.journal.head)
        assert await node.chats.reader_rows.page(None, 10) == [key_of(ANN, "r")]
        async with asyncio.timeout(10):
            while not await node.store.purge(2**50, 0):
                await node.projector.catch_up()
        await node.readers.sweep(node.journal.head)
        assert await node.chats.reader_rows.page(None, 10) == []
        (seen,) = await told(node, "ann-token", {"type": "inspect", "request_id": "r"})
        assert (seen["request"]["status"], "readers" in seen) == ("completed", False)


# -- operators ---------------------------------------------------------------------------------------------------


async def test_an_operator_sees_everybodys_and_may_stop_them(tmp_path: Path) -> None:
    """Lists with owners, events, inspection and cancelling by owner's name; logged as who and which, never what."""
    async with serving(Rig(tmp_path)) as rig:
        async with rig.connect() as hers, rig.connect(token="bob-token") as his:
            ann, bob = Client(hers), Client(his)
            await ann.ask("submit", request=ANNS, follow=False)
            await bob.ask("submit", request={"request_id": "r", "text": "Bob's"}, follow=False)
            assert "operator" not in await ann.ask("hello")
        async with rig.connect(token=None) as theirs:
            ops = Client(theirs)
            assert (await ops.ask("hello", token="ops-token"))["operator"] is True
            listed = (await ops.ask("list_requests", everyone=True))["requests"]
            assert [(row["request_id"], row["owner"]) for row in listed] == [
                ("r", "acme/bob"),
                ("r", "acme/ann"),
            ]
            assert (
                "requests" not in await ops.ask("list_requests")
                or not (await ops.ask("list_requests"))["requests"]
            )
            with structlog.testing.capture_logs() as logs:
                log = await ops.ask("read_events", request_id="r", owner="acme/ann")
                seen = await ops.ask("inspect", request_id="r", owner="acme/ann")
                stopped = await ops.ask("cancel", request_id="r", owner="acme/ann")
                missing = await ops.ask("inspect", request_id="r", owner="acme/nobody")
            assert log["events"][0]["type"] == "accepted"
            assert (seen["request"]["owner"], seen["request"]["title"]) == ("acme/ann", ANNS["text"])
            assert (stopped["won"], stopped["status"]) == (True, "cancelled")
            assert missing["code"] == "unknown_request"
            assert [(entry["operator"], entry["owner"], entry["request_id"]) for entry in logs] == [
                ("ops", "acme/ann", "r")
            ] * 3
            assert "secret" not in json.dumps(logs)
            for type_, fields in (("decide", {"wait_id": "w"}), ("subscribe", {}), ("inspect", {})):
                assert (await ops.ask(type_, request_id="r", **fields))["code"] == "unknown_request"
        async with rig.connect() as hers:
            (row,) = (await Client(hers).ask("list_requests"))["requests"]
            assert row["outcome"]["code"] == "operator"
            assert "owner" not in row


async def test_others_are_told_nothing(tmp_path: Path) -> None:
    """Without an operator's token everybody's list is refused, and naming an owner, oneself too, is as naming nobody."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        ann = Client(ws)
        await ann.ask("submit", request=ANNS, follow=False)
        refused = await ann.ask("list_requests", everyone=True)
        assert (refused["code"], "retryable" in refused) == ("not_permitted", False)
        for type_ in ("read_events", "inspect", "cancel"):
            for owner in ("acme/ann", "acme/bob", "nobody", "/", "a/b/c\x00"):
                reply = await ann.ask(type_, request_id="r", owner=owner)
                assert reply["code"] == "unknown_request", (type_, owner)
            assert (await ann.ask(type_, request_id="r", owner=""))["code"] == "invalid"
        (row,) = (await ann.ask("list_requests"))["requests"]
        assert row["status"] == "queued"


async def test_without_identity_the_one_user_is_the_operator(tmp_path: Path) -> None:
    """Everything is theirs already."""
    async with serving(Rig(tmp_path, tokens=False)) as rig, rig.connect(token=None) as ws:
        local = Client(ws)
        assert (await local.ask("hello"))["operator"] is True
        await local.ask("submit", request=ANNS, follow=False)
        (row,) = (await local.ask("list_requests", everyone=True))["requests"]
        assert row["owner"] == "local"
        assert (await local.ask("inspect", request_id="r", owner="local"))["type"] == "inspected"


async def test_lists_can_be_filtered(tmp_path: Path) -> None:
    """By status, agent, title and tools; rows come in order, and a wrong status is an error that names it."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        ann = Client(ws)
        for number in range(4):
            request = {"request_id": f"r{number}", "text": f"Frage {number}: Größe"}
            await ann.ask("submit", request=request, follow=False)
        pen = await rig.pen("r0")
        await pen.put(ev.ToolCall(at=1, part=1, call_id="x", name="clock"))
        await ann.ask("cancel", request_id="r1")

        async def found(**fields: Any) -> list[str]:
            reply = await ann.ask("list_requests", **fields)
            assert "next" not in reply
            return [row["request_id"] for row in reply["requests"]]

        assert await found(status=["running", "cancelled"]) == ["r1", "r0"]
        assert await found(status=["queued"]) == ["r3", "r2"]
        assert await found(text="GRÖSSE", status=["queued"], agent="demo") == ["r3", "r2"]
        assert await found(text="frage 2") == ["r2"]
        assert await found(tools=True) == ["r0"]
        assert (await ann.ask("list_requests", agent="other")).get("requests", []) == []
        assert (await ann.ask("list_requests", status=["lost"]))["code"] == "invalid"
        page = await ann.ask("list_requests", status=["queued"], limit=1)
        rest = await ann.ask("list_requests", status=["queued"], limit=1, before=page["next"])
        assert [row["request_id"] for row in page["requests"] + rest["requests"]] == ["r3", "r2"]


async def test_everybodys_requests_of_a_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its owner a chat is looked for among so many rows at a time: the store is never asked to read all."""
    monkeypatch.setattr("holdfast_server.filters.SCANNED_ROWS_MAX", 2)
    monkeypatch.setattr("holdfast_server.filters.SCANNED_AT_ONCE", 2)
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws, rig.connect(token="ops-token") as theirs:
        ann, ops = Client(ws), Client(theirs)
        for number in range(4):
            request = {
                "request_id": f"r{number}",
                "chat_id": "one" if number in (0, 3) else "other",
                "text": "?",
            }
            await ann.ask("submit", request=request, follow=False)
        found, mark, pages = [], None, 0
        while pages == 0 or mark is not None:
            reply = await ops.ask("list_requests", everyone=True, chat_id="one", before=mark)
            found += [row["request_id"] for row in reply.get("requests", [])]
            mark, pages = reply.get("next"), pages + 1
        assert (found, pages) == (["r3", "r0"], 2)


async def test_new_commands_are_within_the_rate(tmp_path: Path) -> None:
    """Looking costs as much of the rate as anything else."""
    async with serving(Rig(tmp_path, commands_per_s=0.001, commands_burst=2)) as rig, rig.connect() as ws:
        ann = Client(ws)
        replies = [
            await ann.ask(type_, **fields)
            for type_, fields in (
                ("inspect", {"request_id": "r"}),
                ("list_requests", {"text": "x"}),
                ("inspect", {"request_id": "r"}),
                ("list_requests", {"tools": True}),
            )
        ]
        assert [reply.get("code") for reply in replies] == [
            "unknown_request", None, "rate_limited", "rate_limited",
        ]  # fmt: skip


# -- the command line --------------------------------------------------------------------------------------------


async def test_the_command_line_looks_too(tmp_path: Path) -> None:
    """`ls --all` and `inspect` show an operator everybody's, as people read it and as JSON; others are refused."""
    async with serving(Rig(tmp_path)) as rig:
        async with rig.connect() as ws:
            ann = Client(ws)
            await ann.ask("hello", client="page/1")
            await ann.ask("submit", request={**ANNS, "text": "Hm \x1b[31m?"})
            pen = await rig.pen("r")
            await pen.put(ev.Usage(at=rig.now_ms(), input_tokens=5, output_tokens=7))
            await pen.end()
            await until_ended(ann, "r")
        hers = ("--url", rig.url, "--token", "ann-token")
        ops = ("--url", rig.url, "--token", "ops-token")
        ended = await holdfast(*ops, "ls", "--all")
        assert (ended.code, ended.out.split("\t")[:3]) == (0, ["r", "acme/ann", "completed"])
        assert "\x1b" not in ended.out
        ended = await holdfast(*ops, "ls", "--all", "--json")
        assert (ended.code, json.loads(ended.out)["owner"]) == (0, "acme/ann")
        ended = await holdfast(*hers, "ls", "--all")
        assert ended.code != 0
        assert "operators" in ended.err
        ended = await holdfast(*hers, "inspect", "r")
        assert ended.code == 0
        assert "\x1b" not in ended.out
        lines = dict(line.split("\t", 1) for line in ended.out.splitlines())
        assert (lines["status"], lines["tokens"]) == ("completed (stop)", "5 in, 7 out")
        assert any("page/1\twebsocket" in line for line in ended.out.splitlines())
        ended = await holdfast(*ops, "inspect", "r", "--owner", "acme/ann", "--json")
        assert (ended.code, json.loads(ended.out)["request"]["owner"]) == (0, "acme/ann")
        assert (await holdfast(*ops, "inspect", "r")).code != 0
