"""The streams of the five older dialects on a real port: events and sockets, cut, come back to, begun anew, at a pace."""

import asyncio
import contextlib
import itertools
import json

import pytest
from aiohttp import ClientError, ClientSession, WSMsgType

from holdfast_protocol import events as ev
from holdfast_server.stores.base import key_of
from tests.support.dialect_story import ENDS, ERRORS
from tests.support.dialects_rig import (
    ANSWER,
    WAIT_S,
    DialectsRig,
    begin,
    complete,
    events_of,
    snapshots_of,
    visiting,
    whole,
    work,
)
from tests.support.http_door import come_true
from tests.support.journals import ANN

ODD = "a\u2028b\u2029c\u0085d\u00c5\u2026\U0001f642\n\ndata: e"
"""What readers take for line ends, and what is taken for something else where bytes are not read as UTF-8."""


@pytest.fixture
async def ann(tmp_path):
    """Ann's way to a door with little patience."""
    async with visiting(DialectsRig(tmp_path, reception={"keep_alive_s": 0.05})) as caller:
        yield caller


async def job(ann, name):
    """A job under this name; the address of its stream."""
    body = {"message": "Hello?", "async": True}
    reply = await ann.call("POST", "/ai-demo/chat/send", body, {"Idempotency-Key": name})
    assert reply.body["job_id"] == f"workflow_{name}"
    return reply.body["stream_url"]


async def ticket(ann):
    """A way in without a token."""
    return (await ann.call("POST", "/v1/tickets")).body["ticket"]


def execute(ann, name, **more):
    """POST /api/workflows/execute/stream under this name; the response is read by the test."""
    body = {"deployment_name": "demo", "query": "Hello?", **more}
    return ann.open("POST", "/api/workflows/execute/stream", {"Idempotency-Key": name}, data=json.dumps(body))


def text_of(chunks):
    """What a reader of chunks shows at the end."""
    text = ""
    for _, chunk in chunks:
        text = chunk["data"] if chunk["status"] == "started" else text + chunk["data"]
    return text


def socket(ann, name, path="/requests/{}/stream", token="ann-token", query=""):
    """A session and the connecting to a request's socket."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    session = ClientSession()
    return session, session.ws_connect(ann.rig.base + path.format(name) + query, headers=headers)


class Socket:
    """A request's socket, for `async with`."""

    def __init__(self, *asked, **more):
        self._session, self._connecting = socket(*asked, **more)

    async def __aenter__(self):
        self.ws = await self._connecting
        return self.ws

    async def __aexit__(self, *_):
        await self.ws.close()
        await self._session.close()


async def invoked(ann, name):
    """An invocation under this name."""
    body = {"messages": [{"role": "user", "content": "Hello?"}]}
    reply = await ann.call("POST", "/invoke_endpoint", body, {"Idempotency-Key": name})
    assert reply.body == {"request_id": name, "status": "processing"}


# -- jobs ----------------------------------------------------------------------------------------------------


async def test_a_jobs_stream_tells_each_step_and_then_the_answer(ann):
    """connected, each step with its percent, the beginning of the text, and the end with everything; only that has an id."""
    url = await job(ann, "j1")
    pen = await ann.rig.bare_pen("j1")
    async with ann.open("GET", url) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["X-Accel-Buffering"] == "no"
        stream = events_of(response)
        first = [await anext(stream), await anext(stream)]
        await begin(pen)
        await work(pen)
        await complete(pen)
        async with asyncio.timeout(WAIT_S):
            rest = [event async for event in stream]
    told = [data for _, data in (*first, *rest)]
    assert [(frame["status"], frame["progress"], frame["message"]) for frame in told] == [
        ("connected", 0, "Stream connected"),
        ("processing", 0, "Chat session created"),
        ("processing", 0, "Calling LLM for response generation"),
        ("processing", 25, "Processing step 2 of 4..."),
        ("processing", 25, "Executing tool: workflow_tool (create)"),
        ("processing", 25, "Tool finished: workflow_tool"),
        ("processing", 25, "Writing the response..."),
        ("completed", 100, "Response is complete"),
    ]
    assert all(frame["updated_at"].endswith("Z") for frame in told)
    assert [name for name, _ in (*first, *rest)] == [None] * 7 + ["end"]
    assert (told[-1]["response"], told[-1]["actions"]) == (ANSWER, [{"label": "Send"}])
    assert told[-1]["sources"] == [{"id": "s1", "url": "https://example.org/a", "title": "A"}]


async def test_a_job_can_be_come_back_to_and_left_for_good(ann):
    """A cut stream costs nothing, one after the end has the end at once, and who has that is told by 204 to stay away."""
    url = await job(ann, "j1")
    pen = await ann.rig.pen("j1")
    async with ann.open("GET", url) as response:
        await anext(events_of(response))
    await pen.say("Hel")
    async with ann.open("GET", url, {"Last-Event-ID": "end"}) as response:  # not yet
        stream = events_of(response)
        assert [(await anext(stream))[1]["status"] for _ in range(2)] == ["connected", "processing"]
        await pen.say("lo")
        await pen.end()
        async with asyncio.timeout(WAIT_S):
            assert [data["response"] async for _, data in stream] == ["Hello"]
    async with ann.open("GET", url) as response:
        told = await whole(response)
    assert [(name, data["status"]) for name, data in told] == [(None, "connected"), ("end", "completed")]
    reply = await ann.call("GET", url, None, {"Last-Event-ID": "end"})
    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize("ending", ENDS)
async def test_a_jobs_stream_ends_with_how_it_ended(ann, ending):
    """A job that ran out of time is `timeout`, every other bad end `failed`; why is in `error`, what was shown stays."""
    url = await job(ann, "j1")
    pen = await ann.rig.pen("j1")
    await pen.say("Hel")
    async with ann.open("GET", url) as response:
        stream = events_of(response)
        await anext(stream)
        await pen.put(ENDS[ending])
        async with asyncio.timeout(WAIT_S):
            name, last = [event async for event in stream][-1]
    assert name == "end"
    assert last["status"] == ("timeout" if ending == "timed_out" else "failed")
    assert (last["error"], last["response"]) == (ERRORS[ending], "Hel")


async def test_a_silent_stream_is_kept_alive_and_a_ticket_lets_in_once(ann):
    """Browsers cannot send a token: a ticket does; between two events there are comments of one line."""
    url = await job(ann, "j1")
    bare = ann.user(None)
    assert (await bare.call("GET", url)).code == "unauthenticated"
    way = f"{url}?ticket={await ticket(ann)}"
    async with bare.open("GET", way) as response:
        assert response.status == 200
        raw = b""
        async with asyncio.timeout(WAIT_S):
            while raw.count(b": alive\n") < 2:
                raw += await response.content.readany()
        assert b": alive\n\n" not in raw
    assert (await bare.call("GET", way)).code == "unauthenticated"


async def test_a_stream_whose_request_is_deleted_ends(ann):
    """It does not look as if it had been completed; who comes back is told 404."""
    url = await job(ann, "j1")
    async with ann.open("GET", url) as response:
        stream = events_of(response)
        assert [(await anext(stream))[1]["status"] for _ in range(2)] == ["connected", "processing"]
        await ann.call("DELETE", "/v1/requests/j1")
        told = []
        with contextlib.suppress(ClientError):  # broken off, unless its end came through before it was erased
            told = [data["status"] async for _, data in stream]
    assert told in ([], ["failed"])
    assert (await ann.call("GET", url)).status == 404


# -- workflows -----------------------------------------------------------------------------------------------


async def test_a_workflow_streams_its_answer(ann):
    """started, each piece of text, completed; every chunk has all the documented fields, and none is torn by odd characters."""
    async with execute(ann, "w1") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        pen = await ann.rig.pen("w1")
        await pen.say("Hi ", ODD)
        await pen.end()
        raw = (await response.read()).decode()
    lines = [line for line in raw.splitlines() if line.startswith("data: ")]  # as simple readers split it
    chunks = [json.loads(line[6:]) for line in lines]
    assert [(c["type"], c["status"], c["data"]) for c in chunks] == [
        ("status", "started", ""),
        ("content", None, "Hi "),
        ("content", None, ODD),
        ("status", "completed", ""),
    ]
    for chunk in chunks:
        assert (chunk["error"], chunk["deployment_name"], chunk["workflow_id"]) == (None, "demo", "w1")
        assert chunk["timestamp"].endswith("Z")
        assert set(chunk) == {
            "type", "data", "status", "error", "deployment_name", "workflow_id", "timestamp",
        }  # fmt: skip


async def test_a_workflow_begun_again_says_what_stands(ann):
    """After a restart of the answer `started` comes once more with the text that stands; so does the whole to a return."""
    async with execute(ann, "w1") as response:
        pen = await ann.rig.pen("w1")
        await pen.say("wrong")
        stream = events_of(response)
        told = [await anext(stream), await anext(stream)]
        assert told[-1][1]["data"] == "wrong"
        await pen.begin(keep="none")
        await pen.say("right")
        await pen.end()
        async with asyncio.timeout(WAIT_S):
            told += [event async for event in stream]
    assert text_of(told) == "right"
    async with execute(ann, "w1") as response:  # the same key: the same request
        again = await whole(response)
    assert again == told
    assert (await ann.call("GET", "/api/requests/w1/status")).body["content"] == "right"


@pytest.mark.parametrize("ending", ENDS)
async def test_a_workflow_that_goes_wrong_says_why(ann, ending):
    """Whatever the bad end is, the last chunk is an error with its reason."""
    async with execute(ann, "w1") as response:
        pen = await ann.rig.pen("w1")
        await pen.put(ENDS[ending])
        told = [chunk for _, chunk in await whole(response)]
    assert (told[-1]["type"], told[-1]["status"], told[-1]["error"]) == ("status", "error", ERRORS[ending])


async def test_hanging_up_ends_nothing(ann):
    """The workflow goes on without its reader, and its answer can be polled."""
    async with execute(ann, "w1") as response:
        pen = await ann.rig.pen("w1")
        await anext(events_of(response))
    await pen.say("Hi.")
    await pen.end()
    assert (await ann.call("GET", "/chat/task/w1")).body["result"]["message"] == "Hi."


# -- the socket ----------------------------------------------------------------------------------------------


async def test_a_socket_shows_the_latest_at_a_pace_and_the_end(ann):
    """Hundreds of events make a handful of snapshots, each as the status has it; the last has the whole, then it closes."""
    await invoked(ann, "r1")
    async with Socket(ann, "r1") as ws:
        queued = await ws.receive_json(timeout=WAIT_S)
        pen = await ann.rig.pen("r1")
        await pen.say(*("word " for _ in range(300)))
        await pen.end()
        said = await snapshots_of(ws)
        assert ws.close_code == 1000
    assert (queued["status"], queued["partial_content"]) == ("queued", None)
    assert len(said) < 20
    shown = [snapshot["partial_content"] or "" for snapshot in said]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(shown))
    assert said[-1] == (await ann.call("GET", "/api/requests/r1/status")).body
    assert (said[-1]["status"], said[-1]["final_response"]) == ("completed", "word " * 300)


async def test_a_socket_says_nothing_while_nothing_changes(ann):
    """Events that a snapshot does not show make none, and two in a row are never the same."""
    await invoked(ann, "r1")
    async with Socket(ann, "r1") as ws:
        pen = await ann.rig.pen("r1")
        await pen.say("Hi.")
        for number in range(5):
            await pen.put(
                ev.Usage(at=ann.rig.now_ms(), input_tokens=1, output_tokens=number),
            )
            await asyncio.sleep(0.1)
        await pen.end()
        said = await snapshots_of(ws)
    assert all(one != other for one, other in itertools.pairwise(said))
    assert said[-1]["content"] == "Hi."


async def test_a_socket_of_an_ended_request_has_its_end_at_once(ann):
    """Under both addresses, with a ticket in the place of a token, and whichever way it ended."""
    await invoked(ann, "r1")
    pen = await ann.rig.pen("r1")
    await pen.say("Hi")
    assert (await ann.call("POST", "/v1/requests/r1/cancel")).status == 200
    for path in ("/requests/{}/stream", "/api/requests/{}/stream"):
        async with Socket(ann, "r1", path, token=None, query=f"?ticket={await ticket(ann)}") as ws:
            (said,) = await snapshots_of(ws)
            assert ws.close_code == 1000
        assert (said["status"], said["error"]) == ("cancelled", "Stopped.")
        assert (said["partial_content"], said["content"]) == ("Hi", None)


async def test_leaving_a_socket_ends_nothing_and_deleting_ends_it(ann):
    """Whoever hangs up can come back to what was written meanwhile; once it is deleted the socket says so by its code."""
    await invoked(ann, "r1")
    pen = await ann.rig.pen("r1")
    async with Socket(ann, "r1") as ws:
        await ws.receive_json(timeout=WAIT_S)
    await pen.say("Hi")
    async with Socket(ann, "r1") as ws:
        assert (await ws.receive_json(timeout=WAIT_S))["partial_content"] == "Hi"
        assert (await ann.call("DELETE", "/api/chat/async/r1")).status == 200
        await snapshots_of(ws)
        assert ws.close_code in (1000, 4404)  # the cancelled end may be seen before the deletion


async def test_what_is_said_to_a_socket_is_not_listened_to(ann):
    """A few words pass; a flood, and a frame that is far too long, close it and touch nothing."""
    await invoked(ann, "r1")
    for words, code in ((["x"] * 101, 1008), (["x" * 10_000], 1009)):
        async with Socket(ann, "r1") as ws:
            await ws.send_str("hello?")
            assert (await ws.receive_json(timeout=WAIT_S))["status"] == "queued"
            for word in words:
                await ws.send_str(word)
            await snapshots_of(ws)
            assert ws.close_code == code
    assert (await ann.call("GET", "/api/requests/r1/status")).body["status"] == "queued"


async def test_a_call_that_is_no_handshake_is_told_so(ann):
    """GET without an upgrade is 426 in the one shape, and names the protocol."""
    await invoked(ann, "r1")
    reply = await ann.call("GET", "/requests/r1/stream")
    assert (reply.status, reply.code, reply.headers["Upgrade"]) == (426, "invalid", "websocket")


async def test_a_reader_that_takes_nothing_is_let_go(tmp_path):
    """Whoever opens the socket of a long answer and reads none of it is cut off in time, and only that."""
    async with visiting(DialectsRig(tmp_path, reception={"no_progress_s": 0.02})) as ann:
        await invoked(ann, "r1")
        pen = await ann.rig.pen("r1")
        await pen.say(*("x" * 60_000 for _ in range(25)))
        _, writer = await asyncio.open_connection("127.0.0.1", ann.rig.port, limit=1024)
        writer.write(
            b"GET /requests/r1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann-token\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await come_true(lambda: bool(ann.rig.reception._calls))
        await come_true(lambda: not ann.rig.reception._calls)
        writer.close()
        await pen.end()
        assert (await ann.call("GET", "/chat/task/r1")).body["status"] == "SUCCESS"


# -- the server's end ----------------------------------------------------------------------------------------


async def test_streams_of_a_server_that_closes_break_off(ann):
    """No stream looks as if its answer had ended, the socket says 1012, and a caller who waits gets a job."""
    url = await job(ann, "j1")
    await invoked(ann, "r1")
    asking = asyncio.create_task(ann.call("POST", "/chat/", {"message": "Hi"}, {"Idempotency-Key": "c1"}))
    await come_true(lambda: ann.rig.journal.live(key_of(ANN, "c1")) is not None)
    async with ann.open("GET", url) as jobs, execute(ann, "w1") as workflow, Socket(ann, "r1") as ws:
        await anext(events_of(jobs))
        await ws.receive_json(timeout=WAIT_S)
        ann.rig.reception.close()
        for response in (jobs, workflow):
            with pytest.raises(ClientError):
                async with asyncio.timeout(WAIT_S):
                    await response.read()
        assert (await ws.receive(timeout=WAIT_S)).type is WSMsgType.CLOSE
        assert ws.close_code == 1012
        assert (await asking).body["task_id"] == "c1"
