"""A real runner behind every door: what its runs do in their lives (park, be handed over, grow too long) on lines that stay open."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from holdfast_server.agents import Profile, Wait
from holdfast_server.runner import Runner
from tests.support.door_table import CHAT, HALF, KEEP_ALIVE_S, WAIT_S, Line, Reader, table
from tests.support.http_door import SSE, come_true

MESSAGE = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}
CALLS = {
    "native": ("/v1/requests", {"text": "Hello?"}),
    "responses": ("/v1/responses", {"model": "demo", "input": "Hello?", "stream": True}),
    "completions": (
        "/v1/chat/completions",
        {"model": "demo", "messages": [{"role": "user", "content": "Hello?"}], "stream": True},
    ),
    "ai-sdk": ("/api/chat?ai=7", {"id": CHAT, "messages": [MESSAGE], "trigger": "submit-message"}),
    "workflow_stream": ("/api/workflows/execute/stream", {"deployment_name": "demo", "query": "Hello?"}),
}
"""Calls that ask, and stream the answer."""

ANSWERS = {
    "native": lambda frame: frame["text"] if frame.get("type") == "delta" else "",
    "responses": lambda frame: frame["delta"] if frame["type"] == "response.output_text.delta" else "",
    "completions": lambda frame: "".join(
        choice["delta"].get("content") or "" for choice in frame.get("choices", ())
    ),
    "ai-sdk": lambda frame: frame["delta"] if frame["type"] == "text-delta" else "",
    "workflow_stream": lambda frame: frame["data"] if frame["type"] == "content" else "",
}
"""What a frame adds to the text."""


class Demo:
    """Says a half and asks a person; and then the rest. Asked for something quick, it is."""

    def __init__(self, **profile):
        self.profile = Profile(name="demo", **profile)

    async def run(self, context):
        if context.messages[-1].text == "quick":
            yield "quick"
        elif context.inputs:
            yield " and more"
        else:
            yield HALF
            yield Wait("w1", "approval", {"pay": 5})

    async def close(self):
        """Nothing to let go of."""


class Slow(Demo):
    """Says a half and then nothing, until it is taken up again."""

    async def run(self, context):
        yield HALF if not context.transcript.text else " and more"
        if context.reason == "first":
            await asyncio.Event().wait()


class Long(Demo):
    """Says more than is allowed."""

    async def run(self, context):
        yield HALF
        yield " is longer than ten bytes."


@pytest.fixture
async def rig(tmp_path):
    """All doors."""
    async with table(tmp_path) as rig:
        yield rig


async def running(rig, stack, agent, **more):
    """A runner with one slot for this agent."""
    runner = Runner(
        rig.store, {"demo": agent}, rig.requests.history, **{"slots": 1, "now_ms": rig.now_ms, **more}
    )
    stack.push_async_callback(runner.close)
    await runner.start()
    return runner


async def asked(rig, stack, *names):
    """A line for each call, which is read to its end."""
    lines = {}
    for name in names or CALLS:
        path, body = CALLS[name]
        headers = {"Idempotency-Key": name, "Accept": SSE}
        response = await stack.enter_async_context(rig.ann.open("POST", path, headers, json=body))
        line = lines[name] = Line(rig, Reader(follow))
        line.code = response
        line.task = asyncio.create_task(follow(line))
    return lines


async def follow(line):
    async for _, data in line.sse(line.code):
        line.put(data)


def text(name, line):
    """What the line says."""
    return "".join(ANSWERS[name](frame) for frame in line.frames if frame != "[DONE]")


async def shown(lines, what):
    """Return when every line shows this."""
    await come_true(lambda: all(text(name, line) == what for name, line in lines.items()))


async def ended(lines):
    """Return when every line has ended. Raises: what it broke off with."""
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*(line.task for line in lines.values()))


async def test_who_waits_for_a_person_holds_no_slot_and_its_lines_live(rig):
    """Five requests are parked behind one slot, which answers another meanwhile; their lines are kept alive, and go on to the end when
    they are decided over HTTP."""
    async with AsyncExitStack() as stack:
        runner = await running(rig, stack, Demo())
        lines = await asked(rig, stack)
        await shown(lines, HALF)
        await come_true(lambda: runner.running == 0)
        reply = await rig.ann.call("POST", "/v1/requests", {"text": "quick"}, {"Prefer": "wait=5"})
        assert reply.body["result"]["text"] == "quick"
        before = {name: line.alive for name, line in lines.items()}
        await come_true(lambda: all(line.alive > before[name] + 1 for name, line in lines.items()))
        assert not any(line.task.done() for line in lines.values())
        for name in lines:
            waiting = (await rig.ann.call("GET", f"/v1/requests/{name}")).body["waiting"]
            body = {"wait_id": waiting["wait_id"], "digest": waiting["digest"], "decision": True}
            path = f"/v1/requests/{name}/decide"
            assert (await rig.ann.call("POST", path, {**body, "digest": "x"})).code == "not_waiting"
            assert (await rig.ann.call("POST", path, body)).body == {"accepted": True}
        await ended(lines)
        await shown(lines, f"{HALF} and more")


async def test_a_wait_that_nobody_answers_expires_on_every_line(rig):
    """Time decides, the agent goes on, and each line has its end; who decides then is too late."""

    class Impatient(Demo):
        async def run(self, context):
            yield " and more" if context.inputs or context.reason == "resumed" else HALF
            if context.reason == "first":
                yield Wait("w1", "approval", {"pay": 5}, expires_in_s=4 * KEEP_ALIVE_S)

    async with AsyncExitStack() as stack:
        await running(rig, stack, Impatient())
        lines = await asked(rig, stack)
        await ended(lines)
        await shown(lines, f"{HALF} and more")
        body = {"wait_id": "w1", "digest": "", "decision": True}
        late = await rig.ann.call("POST", "/v1/requests/native/decide", body)
        assert (late.status, late.code) == (409, "ended")


async def test_a_drain_is_seen_by_nobody(rig):
    """A runner that ends hands over to the next; lines that stay open go on with the text, and show one attempt."""
    async with AsyncExitStack() as stack:
        first = await running(rig, stack, Slow(recovery="continue"), slots=8)
        lines = await asked(rig, stack)
        await shown(lines, HALF)
        await first.drain(0)
        await running(rig, stack, Slow(recovery="continue"))
        await ended(lines)
        await shown(lines, f"{HALF} and more")
        assert not any(line.says('"attempt": 2') for line in lines.values())
        started = [frame for frame in lines["native"].frames if frame.get("type") == "started"]
        assert [(event.get("reason", "first"), event["attempt"]) for event in started] == [
            ("first", 1),
            ("handed_over", 1),
        ]


async def test_an_answer_that_grows_too_long_fails_on_every_line(rig):
    """What fitted is shown, and each door says why there is no more."""
    async with AsyncExitStack() as stack:
        await running(rig, stack, Long(), answer_bytes_max=10)
        lines = await asked(rig, stack)
        await ended(lines)
        await shown(lines, HALF)
        for line in lines.values():
            assert "longer than 10 bytes; what was shown stands" in json.dumps(line.frames[-2:])
        assert lines["completions"].frames[-1]["error"]["code"] == "too_long"
