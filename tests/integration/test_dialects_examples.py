"""How people use the five older dialects, run as they write it, against a real server: curl, Python and JavaScript."""

import asyncio
import itertools
import json
import os
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from tests.support.dialect_examples import CURL, NODE, PYTHON
from tests.support.dialects_rig import (
    ANSWER,
    DialectsRig,
    begin,
    complete,
    events_of,
    visiting,
    work,
)
from tests.support.process import Process
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_text
from tests.support.web_package import NO_NODE, WEB, leave_out

TOKEN = "a-token-of-thirty-two-characters"
TOKENS = f'[identity]\nkind = "tokens"\n[[identity.tokens]]\ntoken = "{TOKEN}"\nuser = "ann"\n'
LIMITS = "[limits]\ncommands_per_s = 10000\ncommands_burst = 10000\n"
DIALECTS = "[doors]\ndialects = true\n" + LIMITS
# Half a second of the oddest text there is: long enough to be seen while it runs.
SCRIPT = Script(deltas=40, delta_chars=9, gap_ms=12, seed=7)
TEXT = expected_text(SCRIPT)
HELD = Script(deltas=40, delta_chars=9, hold=15, seed=5)
RUN_S = 60.0
ORDERS = {
    "async_chat": ["pending", "processing", "completed"],
    "workflow_jobs": ["connected", "processing", "completed"],
    "chat_tasks": ["PENDING", "STARTED", "SUCCESS"],
    "invoke": ["queued", "streaming", "completed"],
    "workflow_stream": ["started", "completed"],
}
# Browsers' EventSource and WebSocket have no place for a token.
TOKENLESS = {"event-source", "socket"}


@pytest.fixture
async def upstream():
    """A model that says what it is told to."""
    async with Upstream() as server:
        server.script(SCRIPT)
        yield server


async def output_of(example, server, folder, token="none", id_=""):
    """What the example prints, as it is."""
    argv = example.argv(f"http://127.0.0.1:{server.port}", id_=id_, agent="model", token=token)
    if example.language == "node":
        argv = ["sh", str(WEB / "node.sh"), *argv]
    output = folder / f"{example.dialect}-{example.name}-{example.language}.out"
    without = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    async with Process(argv, output=output, env=without) as process:
        ended = await process.wait(RUN_S)
    said = output.read_text("utf-8")
    if example.language == "node" and ended == NO_NODE and "web: needs Node" in said:
        leave_out("no recent Node with npm")
    assert ended == 0, (example.dialect, example.name, said[-2000:])
    return said


async def check_program(example, server, folder, token):
    """Run a client: it ends as its dialect has it, with the whole answer, and the statuses it saw were in order."""
    said = await output_of(example, server, folder, token)
    *updates, end = [json.loads(line) for line in said.split("\n") if line]
    name = (example.dialect, example.name)
    order = ORDERS[example.dialect]
    assert end["end"] == order[-1], (name, end)
    assert end["text"] == TEXT, name
    seen = [status for each in updates if (status := each["update"]["status"]) is not None]
    assert [status for status, _ in itertools.groupby(seen)] == [each for each in order if each in seen], name
    if updates:
        assert order[-1] in seen, name
        assert len(seen) > 1, name


def programs(examples, token):
    """Those that can run with or without a token."""
    return [each for each in examples if token == "none" or each.name not in TOKENLESS]


WAYS = pytest.mark.parametrize("token", ["none", TOKEN], ids=["without_identity", "with_tokens"])


def toml(upstream, token):
    """A server with the model, the dialects, and tokens if there is one."""
    extra = DIALECTS + (TOKENS if token != "none" else "")
    return openai_toml(upstream.base_url, extra=extra)


@WAYS
async def test_the_python_clients_work_as_written(tmp_path, upstream, token):
    """Each ends with the whole answer, however odd its characters are."""
    async with Server(tmp_path, toml=toml(upstream, token)) as server:
        runs = (check_program(each, server, tmp_path, token) for each in programs(PYTHON, token))
        await asyncio.gather(*runs)


@WAYS
async def test_the_javascript_clients_work_as_written(tmp_path, upstream, token):
    """Pollers, an EventSource, readers of fetch and a WebSocket: each ends with the whole answer."""
    async with Server(tmp_path, toml=toml(upstream, token)) as server:
        runs = (check_program(each, server, tmp_path, token) for each in programs(NODE, token))
        await asyncio.gather(*runs)


@WAYS
@pytest.mark.needs("curl")
async def test_the_calls_of_curl_work_as_written(tmp_path, upstream, token):
    """Each call replies as its dialect has it; those that ask after something are given what the one before began."""
    async with Server(tmp_path, toml=toml(upstream, token)) as server:
        begun: dict[str, Any] = {}
        replies: dict[tuple[str, str], Any] = {}
        for each in CURL:
            # What is deleted, and what is not to have ended yet, is asked after at once; jobs' streams run to their end.
            said = await output_of(each, server, tmp_path, token, begun.get(each.dialect, ""))
            reply = said if each.name == "stream" else json.loads(said)
            replies[each.dialect, each.name] = reply
            names = ("chat_id", "job_id", "task_id", "request_id")
            if isinstance(reply, dict) and (found := [reply[name] for name in names if reply.get(name)]):
                begun.setdefault(each.dialect, found[0])
    assert replies["async_chat", "start"]["status"] == "pending"
    assert replies["async_chat", "status"]["status"] in ("pending", "processing", "completed")
    assert replies["async_chat", "delete"]["status"] == "deleted"
    assert replies["workflow_jobs", "send-async"]["job_id"] == begun["workflow_jobs"]
    assert replies["workflow_jobs", "send"] == {
        "success": True, "response": TEXT, "actions": [], "sources": [],
    }  # fmt: skip
    job = frames(replies["workflow_jobs", "stream"])
    assert [job[0]["status"], job[-1]["status"], job[-1]["response"]] == ["connected", "completed", TEXT]
    assert replies["workflow_jobs", "status"]["data"]["response"] == TEXT
    assert replies["chat_tasks", "send-async"]["message"] == "Processing..."
    send = replies["chat_tasks", "send"]
    assert (send["session_id"], send["message"], send["task_id"]) == ("session_123", TEXT, None)
    assert replies["chat_tasks", "task"]["result"]["message"] == TEXT
    for name in ("invoke", "api-invoke"):
        assert set(replies["invoke", name]) == {"request_id", "status"}
    assert replies["invoke", "status"]["user_message"] == "What is a qubit?"
    chunks = frames(replies["workflow_stream", "stream"])
    assert "".join(chunk["data"] for chunk in chunks) == TEXT
    assert [chunks[0]["status"], chunks[-1]["status"]] == ["started", "completed"]


def frames(text):
    """The data of a stream's events."""
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]


async def test_clients_stop_at_an_answer_that_fails(tmp_path, upstream):
    """Whatever way a client reads, it ends by itself with the dialect's bad end and the reason."""
    upstream.script(Script(status=400, faulty_calls=None))
    clients = [each for each in (*PYTHON, *NODE) if each.name not in ("socket", "answer-at-once")]
    clients = [
        each for each in clients if (each.dialect, each.name) != ("invoke", "poll")
    ]  # they know no bad end
    async with Server(tmp_path, toml=toml(upstream, "none")) as server:
        said = await asyncio.gather(*(output_of(each, server, tmp_path) for each in clients))
    for each, text in zip(clients, said, strict=True):
        end = json.loads(text.split("\n")[-2])
        assert end["end"] in ("failed", "FAILURE", "error"), (each.dialect, each.name)
        assert end["error"], (each.dialect, each.name)


STAYS = """
source.onerror = () => { say({closed: source.readyState === 2}); if (source.readyState === 2) process.exit(0); };
setTimeout(() => process.exit(1), 30000);
"""


async def test_an_event_source_stays_away_after_a_timeout(tmp_path, upstream):
    """This dialect's clients do not close theirs at `timeout`: it comes back once, and is told to stay away."""
    upstream.script(Script(stall=3, faulty_calls=None))
    clocks = "[agents.model.clocks]\ntotal_s = 1.0\n"
    (source,) = [each for each in NODE if each.name == "event-source"]
    async with Server(tmp_path, toml=toml(upstream, "none") + clocks) as server:
        said = await output_of(source._replace(words=(source.words[0] + STAYS,)), server, tmp_path)
    lines = [json.loads(line) for line in said.split("\n") if line]
    assert [line["closed"] for line in lines if "closed" in line] == [False, True]
    seen = [line["update"]["status"] for line in lines if "update" in line]
    assert (seen[0], seen[-1], seen.count("connected")) == ("connected", "timeout", 1)


async def test_a_server_that_is_killed_goes_on_where_it_was(tmp_path, upstream):
    """SIGKILL in mid-answer: the streams break off, and poll, stream and socket come back under the same ids to the end."""
    upstream.script(HELD)
    async with Server(tmp_path, toml=toml(upstream, "none")) as server, ClientSession() as session:
        base = f"http://127.0.0.1:{server.port}"
        body = {"message": "Hello", "async": True}
        async with session.post(f"{base}/ai-demo/chat/send", json=body) as response:
            job = await response.json()
        name = job["job_id"].removeprefix("workflow_")
        status, socket = f"{base}/api/requests/{name}/status", f"{base}/requests/{name}/stream"

        async def shown():
            async with session.get(status) as response:
                assert response.status == 200
                return await response.json()

        async with asyncio.timeout(20):
            while not (await shown())["partial_content"]:  # noqa: ASYNC110 - as this dialect's clients do
                await asyncio.sleep(0.02)
        async with session.get(job["stream_url"]) as response, session.ws_connect(socket) as ws:
            stream = events_of(response)
            assert (await anext(stream))[1]["status"] == "connected"
            assert (await ws.receive_json(timeout=10))["status"] == "streaming"
            await server.kill()
            with pytest.raises(ClientError):
                await rest_of(stream)
        upstream.script(SCRIPT)
        await server.start()
        assert (await shown())["status"] in ("queued", "streaming", "completed")
        async with session.get(job["stream_url"]) as response, session.ws_connect(socket) as ws:
            told = await rest_of(events_of(response))
            last: Any = None
            async for message in ws:
                last = message.json()
        assert (told[-1][0], told[-1][1]["status"]) == ("end", "completed")
        assert told[-1][1]["response"] == last["content"] == (await shown())["final_response"]
        async with session.get(f"{base}/api/chat/async/{name}/status") as response:
            steps = [step["type"] for step in (await response.json())["progress"]]
        assert steps[-1] == "completed"
        assert {"restarted", "resumed"} & set(steps)


async def rest_of(stream):
    """What a stream says to its end."""
    async with asyncio.timeout(30):
        return [event async for event in stream]


async def test_without_the_setting_there_are_no_dialects(tmp_path):
    """As the server comes none of their addresses is there, for a program or a person."""
    async with Server(tmp_path) as server, ClientSession() as session:
        base = f"http://127.0.0.1:{server.port}"
        for path in ("/chat", "/chat/", "/ai-demo/chat/send", "/api/chat/async", "/invoke_endpoint",
                     "/api/invoke_endpoint", "/api/workflows/execute/stream"):  # fmt: skip
            async with session.post(base + path, json={"message": "Hi"}) as response:
                assert response.status == 404, path
        for path in ("/chat/task/x", "/requests/x/stream", "/api/requests/x/status"):
            async with session.get(base + path, headers={"Accept": "text/html"}) as response:
                assert response.status == 404, path
                assert response.content_type != "text/html"


async def test_a_dialect_that_lets_its_callers_choose_may_answer_at_once_by_default(tmp_path):
    """`doors.dialects_async` says what a call to /chat/ gets that does not say it; one that says it gets what it says."""
    rig = DialectsRig(tmp_path, desk={"dialects_async": True})
    async with visiting(rig) as ann:
        for query, key in (("", "t1"), ("?async_mode=true", "t2")):
            reply = await ann.call("POST", f"/chat/{query}", {"message": "Hi"}, {"Idempotency-Key": key})
            assert (reply.body["task_id"], reply.body["message"]) == (key, "Processing...")
            await rig.bare_pen(key)
        call = ann.call("POST", "/chat/?async_mode=false", {"message": "Hi"}, {"Idempotency-Key": "t3"})
        waiting = asyncio.create_task(call)
        pen = await rig.bare_pen("t3")
        assert not waiting.done()
        await begin(pen)
        await work(pen)
        await complete(pen)
        assert (await waiting).body["message"] == ANSWER
