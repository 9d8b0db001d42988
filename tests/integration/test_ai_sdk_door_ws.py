"""The AI SDK's WebSocket transport on a real port: streams side by side, returns, aborts, and what cannot be read."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from holdfast_server.doors.ai_sdk import over_socket
from tests.support.ai_sdk_rig import ANNS, AiRig, plugged, user, visiting
from tests.support.door import serving
from tests.support.journals import ANN

HELLO = [user("q1", "Hello?")]


@pytest.fixture
async def rig(tmp_path):
    """A node without agents, listening."""
    async with serving(AiRig(tmp_path)) as running:
        yield running


async def began(plug, name):
    """The id of the request that a stream tells."""
    while True:
        for frame in plug.frames:
            if frame["requestId"] == name and frame.get("chunk", {}).get("type") == "start":
                return frame["chunk"]["messageId"]
        await plug.next()


async def asked(rig, plug, name, chat_id, messages=HELLO, **more):
    """Asks; the pen that answers."""
    await plug.send("send", name, chat_id, messages=messages, **more)
    return await rig.pen(await began(plug, name))


async def status_of(rig, request_id):
    """What has become of a request."""
    return (await rig.requests.find(ANN, request_id)).status


async def close_code(plug):
    """How the server closes the socket."""
    try:
        while True:
            await plug.next()
    except EOFError as closed:
        return closed.args[0]


async def active(rig, chat_id):
    """The id of the request of a chat, once there is one."""
    async with asyncio.timeout(5):
        while True:
            rows, _ = await rig.requests.list_requests(ANN, False, chat_id, 1, None)
            if rows:
                return rows[0].request_id
            await asyncio.sleep(0.01)


async def ended(rig, request_id):
    """Waits for the outcome."""
    log = await rig.requests.find(ANN, request_id)
    async with asyncio.timeout(5):
        await log.wait_sealed()
    return log.status


async def test_a_question_is_answered(rig):
    """`start`, then chunks numbered from 0 on, then `end`; the message has the request's id."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        await pen.say("Hi", ", Ann.")
        await pen.end()
        await plug.until("s1", "end")
        assert plug.frames[0] == {"type": "start", "requestId": "s1"}
        assert plug.frames[1]["chunk"]["messageId"] == pen.request_id
        assert plug.text_of("s1") == "Hi, Ann."
        assert plug.frames[-2]["chunk"]["type"] == "finish"


async def test_many_chats_share_a_socket_and_none_holds_back_another(rig):
    """Two answers grow side by side, one ends, one is stopped, and one is refused: each is its own."""
    async with plugged(rig) as plug:
        one = await asked(rig, plug, "s1", "c1")
        two = await asked(rig, plug, "s2", "c2", [user("q2", "And you?")])
        await plug.send("send", "s3", "no id", messages=HELLO)
        error = await plug.until("s3", "error")
        assert "chat's id" in error["errorText"]
        for pen, name in ((one, "s1"), (two, "s2")):
            await pen.say(name)
            await plug.text(name, name)
        await plug.send("abort", "s2")
        assert await ended(rig, two.request_id) == "cancelled"
        await one.say("!")
        await one.end()
        await plug.until("s1", "end")
        assert plug.text_of("s1") == "s1!"


async def test_a_lost_socket_ends_nothing_and_a_return_tells_all(rig):
    """The run goes on; `resume` on a new socket gives the whole answer, under the same message id, from number 0 on."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        await pen.say("Hal")
        await plug.text("s1", "Hal")
    await pen.say("lo")
    async with plugged(rig) as plug:
        await plug.send("resume", "r1", "c1")
        assert await began(plug, "r1") == pen.request_id
        await plug.text("r1", "Hallo")
        await pen.say("!")
        await pen.end()
        await plug.until("r1", "end")
        assert plug.text_of("r1") == "Hallo!"


async def test_where_nothing_runs_there_is_nothing_active(rig):
    """Of a chat that is not there, or whose answer has ended; unless the page says that it has the question only."""
    async with plugged(rig) as plug:
        await plug.send("resume", "r1", "c1")
        await plug.until("r1", "no-active")
        pen = await asked(rig, plug, "s1", "c1")
        await pen.say("Hi.")
        await pen.end()
        await plug.until("s1", "end")
        await plug.send("resume", "r2", "c1")
        await plug.until("r2", "no-active")
        await plug.send("resume", "r3", "c1", body={"last": "q1"})
        await plug.until("r3", "end")
        assert plug.text_of("r3") == "Hi."
        await plug.send("resume", "r4", "c1", lastSequence=3)
        assert "lastSequence" in (await plug.until("r4", "error"))["errorText"]


@pytest.mark.parametrize(
    ("query", "configured", "left"),
    [
        ("", "cancel", "cancelled"),
        ("", "detach", "running"),
        ("?abort=detach", "cancel", "running"),
        ("?abort=cancel", "detach", "cancelled"),
    ],
)
async def test_what_abort_means_is_the_operators_choice_or_the_addresss(tmp_path, query, configured, left):
    """It ends the request, or only the reading; twice, late, or of a stream that never was, it does nothing."""
    rig = AiRig(tmp_path, desk={"ai_sdk_abort": configured})
    async with serving(rig), plugged(rig, query) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        await pen.say("Hi")
        await plug.text("s1", "Hi")
        await plug.send("abort", "nobody")
        await plug.send("abort", "s1")
        await plug.send("abort", "s1")
        if left == "cancelled":
            assert await ended(rig, pen.request_id) == left
        await plug.send("resume", "r1", "c1")
        await plug.until("r1", "no-active" if left == "cancelled" else "start")
        assert await status_of(rig, pen.request_id) == left
        await plug.send("abort", "r2")


async def test_stopped_and_gone_in_one_moment_it_is_stopped(rig):
    """An abort with the close of the socket behind it is carried out, also while the question is only being taken."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        await plug.send("abort", "s1")
    assert await ended(rig, pen.request_id) == "cancelled"
    async with plugged(rig) as plug:
        await plug.send("send", "s2", "c2", messages=[user("q2", "And?")])
        await plug.send("abort", "s2")
    assert await ended(rig, await active(rig, "c2")) == "cancelled"


async def test_coming_back_twice_is_no_wish_to_stop(rig):
    """A return aborts the one before it; a later abort of the last one stops the request."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
    async with plugged(rig) as plug:
        await plug.send("resume", "r1", "c1")
        await began(plug, "r1")
        await plug.send("abort", "r1")
        await plug.send("resume", "r2", "c1")
        await began(plug, "r2")
        await asyncio.sleep(2 * over_socket.RETURN_GRACE_S)
        await pen.say("Still here")
        await plug.text("r2", "Still here")
        await plug.send("abort", "r2")
        assert await ended(rig, pen.request_id) == "cancelled"


async def test_a_question_sent_again_on_another_socket_is_the_same_request(rig):
    """As over HTTP: what is asked twice runs once, and both are told it; a stream's name used twice is one stream."""
    async with plugged(rig) as one, plugged(rig) as two:
        pen = await asked(rig, one, "s1", "c1")
        await one.send("send", "s1", "c1", messages=HELLO)
        await two.send("send", "s9", "c1", messages=HELLO)
        assert await began(two, "s9") == pen.request_id
        await pen.say("Hi.")
        await pen.end()
        for plug, name in ((one, "s1"), (two, "s9")):
            await plug.until(name, "end")
            assert plug.text_of(name) == "Hi."


async def test_a_text_that_is_taken_back_is_reset(rig):
    """This transport is one of AI SDK 7, which knows `reset-step`."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        await pen.say("Wrong")
        await plug.text("s1", "Wrong")
        await pen.begin("none")
        await pen.say("Right")
        await pen.end()
        await plug.until("s1", "end")
        assert plug.text_of("s1") == "Right"
        await plug.until("s1", "reset-step")


async def test_what_cannot_be_read_is_told_where_it_can_be(rig):
    """A bad frame that names a stream is an error there; one that does not is passed over; too many end the socket."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        await plug.ws.send_str("{")
        await plug.ws.send_str("[" * 5000)
        await plug.ws.send_json({"type": "hello", "requestId": "x1"})
        assert "send, resume or abort" in (await plug.until("x1", "error"))["errorText"]
        await plug.ws.send_json({"type": "send", "requestId": "x2", "id": "c2"})
        assert "messages" in (await plug.until("x2", "error"))["errorText"]
        await plug.send("send", "x3", "c2", messages=HELLO, body={"options": 1})
        assert "options" in (await plug.until("x3", "error"))["errorText"]
        await plug.ws.send_json(
            {"type": "send", "requestId": "s1", "id": 5}
        )  # no harm to the stream of that name
        await pen.say("Fine")
        await plug.text("s1", "Fine")
        for _ in range(over_socket.UNREADABLE_MAX):
            await plug.ws.send_str("null")
        assert await close_code(plug) == 4400
    assert await status_of(rig, pen.request_id) == "running"


async def test_a_fault_of_ours_is_one_streams(rig, monkeypatch):
    """What nobody foresaw is an error of that stream, under a number; the others go on."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")

        def broken(*_):
            raise RuntimeError("a secret")

        with monkeypatch.context() as patched:
            patched.setattr("holdfast_server.doors.ai_sdk.telling.snapshot", broken)
            await plug.send("resume", "r1", "c1")
            error = await plug.until("r1", "error")
        assert "secret" not in error["errorText"]
        await pen.say("Fine")
        await plug.text("s1", "Fine")


async def test_a_binary_frame_or_one_that_is_too_large_ends_the_socket(rig):
    """1003 and 1009; nothing else happens."""
    for send, code in (("send_bytes", 1003), ("send_str", 1009)):
        async with plugged(rig) as plug:
            data = "x" * (2 * 1024 * 1024)
            await getattr(plug.ws, send)(b"{}" if code == 1003 else data)
            with pytest.raises(EOFError) as closed:
                await plug.next()
            assert closed.value.args == (code,)


async def test_streams_and_frames_are_bounded(tmp_path, monkeypatch):
    """Over the bound of streams, or of the rate, a frame is an error in its stream; who goes on is closed with 4429."""
    monkeypatch.setattr(over_socket, "STREAMS_MAX", 2)
    monkeypatch.setattr(over_socket, "RATE_REFUSALS_MAX", 10)
    limits = {"calls_burst": 5, "calls_per_s": 0.001}
    rig = AiRig(tmp_path, reception=limits)
    async with serving(rig), plugged(rig) as plug:
        await asked(rig, plug, "s1", "c1")
        await asked(rig, plug, "s2", "c2", [user("q2", "And?")])
        await plug.send("resume", "s3", "c1")
        assert "Too many streams" in (await plug.until("s3", "error"))["errorText"]
        await plug.send("abort", "s1")
        await plug.send("resume", "s4", "nobody")
        await plug.until("s4", "no-active")
        await plug.send("resume", "s5", "nobody")
        await plug.until("s5", "no-active")
        for number in range(12):
            await plug.send("resume", f"x{number}", "nobody")
        await plug.until("x0", "error")
        assert await close_code(plug) == 4429


async def test_who_does_not_read_is_let_go_of_and_holds_up_nobody(tmp_path):
    """A socket that takes nothing for too long is ended; memory does not grow with what it did not take, and others read on."""
    rig = AiRig(tmp_path, reception={"no_progress_s": 0.3})
    async with serving(rig), plugged(rig) as other, ClientSession() as session:
        ws = await session.ws_connect(f"{rig.base}/api/chat/ws", headers=ANNS)
        connection: Any = ws._response.connection
        connection.transport.pause_reading()
        await ws.send_json(
            {"type": "send", "requestId": "s1", "id": "c1", "messages": HELLO, "headers": {}, "body": {}}
        )
        pen = await rig.pen(await active(rig, "c1"))
        await other.send("resume", "r1", "c1")
        text = "x" * 16_000
        async with asyncio.timeout(20), asyncio.TaskGroup() as both:
            both.create_task(other.until("r1", "end"))
            for _ in range(600):
                await pen.say(text)
            while rig.reception._calls[ANN] > 2:  # the other socket and its stream  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
            await pen.end()
        assert len(other.text_of("r1")) == 600 * 16_000


async def test_who_may_connect(rig):
    """A token, or a ticket that lets in once; no foreign page, no plain request, nothing that is no meaning of abort."""
    async with ClientSession() as session:
        url = f"{rig.base}/api/chat/ws"
        for headers, query, status in (
            ({}, "", 401),
            ({}, "?ticket=none", 401),
            (ANNS | {"Origin": "http://evil.example"}, "", 403),
            (ANNS, "?abort=maybe", 400),
        ):
            with pytest.raises(WSServerHandshakeError) as refused:
                await session.ws_connect(url + query, headers=headers)
            assert refused.value.status == status
        async with session.get(url, headers=ANNS) as response:
            assert response.status == 426
        ticket = await rig.reception.tickets.issue(ANN, False, asyncio.get_running_loop().time())
        async with session.ws_connect(f"{url}?ticket={ticket}", protocols=("chat.v1",)) as ws:
            assert ws.protocol == "chat.v1"
            await ws.send_json({"type": "resume", "requestId": "r", "id": "c", "headers": {}, "body": {}})
            assert await ws.receive_json(timeout=5) == {"type": "no-active", "requestId": "r"}
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(f"{url}?ticket={ticket}")


async def test_a_server_that_closes_says_1012(rig):
    """The client takes that for a lost connection; what ran goes on elsewhere."""
    async with plugged(rig) as plug:
        pen = await asked(rig, plug, "s1", "c1")
        rig.reception.close()
        assert await close_code(plug) == 1012
    assert await status_of(rig, pen.request_id) == "running"


async def test_both_transports_tell_the_same(tmp_path):
    """One answer over HTTP and over the socket: the same chunks."""
    async with visiting(AiRig(tmp_path)) as guest, plugged(guest.rig) as plug:
        pen = await asked(guest.rig, plug, "s1", "c1")
        async with guest.open("GET", "/api/chat/c1/stream?ai=7") as response:
            await pen.say("Hi", " there")
            await pen.end()
            lines = [line for line in (await response.text()).split("\n\n") if line]
        await plug.until("s1", "end")
        assert plug.text_of("s1") == "Hi there"
        told = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
        assert [c["type"] for c in told if c["type"] != "text-delta"] == [
            frame["chunk"]["type"]
            for frame in plug.frames
            if frame["type"] == "chunk" and frame["chunk"]["type"] != "text-delta"
        ]
        assert told[-1] == plug.frames[-2]["chunk"]
