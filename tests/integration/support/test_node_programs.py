"""The programs of tests/support/js against small servers that speak as OpenAI's and the AI SDK's servers do: each does what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.node_program import NodeProgram, run_program
from tests.support.web_package import Failed

pytestmark = pytest.mark.slow

WORDS = ("Held ", "fast, ", "word ", "for ", "word.")
TEXT = "".join(WORDS)
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "demo", "output": [], "tools": []}
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": TEXT, "annotations": []}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}
WHOLE = {**RESPONSE, "status": "completed", "output": [ITEM]}
STARTED = {**ITEM, "status": "in_progress", "content": []}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}},
    {"type": "response.output_item.added", "output_index": 0, "item": STARTED},
    {"type": "response.content_part.added", **PLACE, "part": {**PART, "text": ""}},
    *({"type": "response.output_text.delta", **PLACE, "delta": word, "logprobs": []} for word in WORDS),
    {"type": "response.output_text.done", **PLACE, "text": TEXT, "logprobs": []},
    {"type": "response.content_part.done", **PLACE, "part": PART},
    {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
    {"type": "response.completed", "response": WHOLE},
]
# What is answered at once: by method and path below /v1/.
COMPLETION = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "demo"}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
LISTED = {"object": "list", "first_id": "u-1", "last_id": "u-1", "has_more": False}
AT_ONCE: dict[str, dict[str, Any]] = {
    "GET models": {
        "object": "list",
        "data": [{"id": "demo", "object": "model", "created": 1, "owned_by": "us"}],
    },
    "POST chat/completions": {**COMPLETION, "choices": [CHOICE]},
    "POST responses/resp_1/cancel": {**RESPONSE, "status": "cancelled"},
    "DELETE responses/resp_1": {"id": "resp_1", "object": "response", "deleted": True},
    "GET responses/resp_1/input_items": {
        **LISTED,
        "data": [{"id": "u-1", "type": "message", "role": "user"}],
    },
}
CHUNKS: list[dict[str, Any]] = [
    {"type": "start", "messageId": "m-1"},
    {"type": "start-step"},
    {"type": "text-start", "id": "t"},
    *({"type": "text-delta", "id": "t", "delta": word} for word in WORDS),
    {"type": "text-end", "id": "t"},
    {"type": "finish-step"},
    {"type": "finish"},
]
SOCKET = "ws"


class Doors:
    """The server: it answers everybody with the same, over whichever door; what waits for `release` has three pieces."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.release = asyncio.Event()
        self.hold = False

    async def _stream(self, request: web.Request, frames: list[bytes], **headers: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await response.prepare(request)
        for number, frame in enumerate(frames):
            if self.hold and number == 3:
                await self.release.wait()
            await response.write(frame)
        return response

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(f"create {sorted(body)}")
        if body["input"] == "wrong":
            error = {"message": "Not that.", "type": "invalid_request_error", "param": "input", "code": "no"}
            return web.json_response({"error": error}, status=400)
        return await self._events(request, -1) if body.get("stream") else web.json_response(WHOLE)

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"retrieve {request.query_string}")
        if "stream" not in request.query:
            return web.json_response(WHOLE)
        return await self._events(request, int(request.query.get("starting_after", -1)))

    async def _events(self, request: web.Request, after: int) -> web.StreamResponse:
        events = [{**event, "sequence_number": number} for number, event in enumerate(EVENTS)][after + 1 :]
        return await self._stream(
            request, [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
        )

    async def at_once(self, request: web.Request) -> web.Response:
        return web.json_response(AT_ONCE[f"{request.method} {request.path.removeprefix('/v1/')}"])

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.method)
        frames = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in CHUNKS]
        marks = {"x-vercel-ai-ui-message-stream": "v1"}
        return await self._stream(request, [b": ping\n\n", *frames, b"data: [DONE]\n\n"], **marks)

    async def stop(self, request: web.Request) -> web.Response:
        self.asked.append(f"stop {request.match_info['id']}")
        return web.Response(status=204)

    async def nothing(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            asked = json.loads(message.data)
            self.asked.append(asked["type"])
            about = {"requestId": asked["requestId"]}
            if asked["type"] == "resume":
                await response.send_json({"type": "start", **about})
            if asked["type"] != "abort":
                for number, chunk in enumerate(CHUNKS[:4] if self.hold else CHUNKS):
                    await response.send_json({"type": "chunk", **about, "sequence": number, "chunk": chunk})
            if not self.hold:
                await response.send_json({"type": "end", **about})
        return response


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    """That server on a free port."""
    async with serving() as served:
        yield served


@asynccontextmanager
async def serving() -> AsyncIterator[Doors]:
    served = Doors()
    app = web.Application()
    app.router.add_post("/v1/responses", served.create)
    app.router.add_get("/v1/responses/{id}", served.retrieve)
    app.router.add_route("*", "/v1/{path:.+}", served.at_once)
    app.router.add_post("/api/chat", served.chat)
    app.router.add_get("/api/chat/quiet/stream", served.nothing)
    app.router.add_get("/api/chat/{id}/stream", served.chat)
    app.router.add_post("/api/chat/{id}/stop", served.stop)
    app.router.add_get("/ai", served.socket)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        served.release.set()
        await runner.cleanup()


def of(lines: list[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    """The lines of a type."""
    return [line for line in lines if line["type"] == type_]


async def test_openai_breaks_off_and_goes_on(doors: Doors, tmp_path: Path) -> None:
    """A response that is broken off after n events goes on after the n-th: no event twice, none left out."""
    cuts = [1, 3, len(EVENTS)]
    task = {
        "base_url": f"{doors.url}/v1", "do": "create_cut_resume", "input": "Hello", "cut_after": cuts,
    }  # fmt: skip
    lines = await run_program(tmp_path, "openai_responses.mjs", task)
    for leg, cut in enumerate(of(lines, "cut")):
        numbers = [
            line["event"]["sequence_number"] for line in lines if line.get("leg") == leg and "event" in line
        ]
        assert cut["starting_after"] == cuts[leg] - 1
        assert numbers[: cuts[leg]] == list(range(cuts[leg]))
        assert numbers[cuts[leg] :] == list(range(cuts[leg], len(EVENTS)))
    assert doors.asked[:2] == [
        "create ['background', 'input', 'model', 'stream']", "retrieve stream=true&starting_after=0",
    ]  # fmt: skip
    assert lines[-1] == {"type": "end"}


@pytest.mark.parametrize(
    ("do", "type_", "found"),
    [
        ("create", "response", lambda said: said["response"]["output_text"] == TEXT),
        ("helper", "response", lambda said: said["response"]["output_text"] == TEXT),
        ("retrieve", "response", lambda said: said["response"]["status"] == "completed"),
        ("cancel", "response", lambda said: said["response"]["status"] == "cancelled"),
        ("delete", "deleted", lambda said: True),
        ("input_items", "items", lambda said: [item["id"] for item in said["items"]] == ["u-1"]),
        ("models", "models", lambda said: [model["id"] for model in said["models"]] == ["demo"]),
        ("completion", "completion", lambda said: said["completion"]["choices"] == [CHOICE]),
    ],
)
async def test_openai_does_the_rest(
    doors: Doors, tmp_path: Path, do: str, type_: str, found: Callable[[dict[str, Any]], bool]
) -> None:
    """Each of the other calls says what came back."""
    task = {"base_url": f"{doors.url}/v1", "do": do, "input": "Hello", "response_id": "resp_1"}
    lines = await run_program(tmp_path, "openai_responses.mjs", task)
    assert of(lines, "error") == []
    (said,) = of(lines, type_)
    assert found(said), said


async def test_openai_says_what_was_refused(doors: Doors, tmp_path: Path) -> None:
    """An error of the door's is the package's own error, with its status, its code and its parameter."""
    task = {"base_url": f"{doors.url}/v1", "do": "create", "input": "wrong"}
    lines = await run_program(tmp_path, "openai_responses.mjs", task)
    (said,) = of(lines, "error")
    told = said["error"]
    assert (told["status"], told["code"], told["param"]) == (400, "no", "input")
    assert "Not that." in told["message"]


async def test_a_running_program_can_be_waited_for(doors: Doors, tmp_path: Path) -> None:
    """A line is seen while the program runs; what never ends is stopped with the block."""
    doors.hold = True
    task = {"base_url": f"{doors.url}/v1", "do": "resume", "response_id": "resp_1"}
    async with NodeProgram(tmp_path, "openai_responses.mjs", task) as program:
        assert (await program.said("event"))["event"]["type"] == "response.created"
        doors.release.set()
        assert len(of(await program.end(), "event")) == len(EVENTS)
    with pytest.raises(Failed, match=r"ended with 1[\s\S]*there is no nonsense to do"):
        await run_program(tmp_path, "openai_responses.mjs", {"base_url": doors.url, "do": "nonsense"})


@pytest.mark.parametrize(("sdk", "way"), [("ai5", "api"), ("ai6", "api"), ("ai", "api"), ("ai", SOCKET)])
async def test_a_chat_is_cut_and_resumed(doors: Doors, tmp_path: Path, sdk: str, way: str) -> None:
    """In each major version a chat loses its connection after n chunks, and a new page resumes it to the same message."""
    cuts = [1, 5]
    task = {
        "sdk": sdk,
        **where(doors, way),
        "chat_id": "c",
        "do": "cut_resume",
        "text": "Hi",
        "cut_after": cuts,
    }
    lines = await run_program(tmp_path, "ai_chat.mjs", task)
    states = of(lines, "state")
    assert [(state["leg"], state["status"]) for state in states] == [(0, "error"), (1, "ready")] * len(cuts)
    assert [cut["chunks"] for cut in of(lines, "cut")] == cuts
    assert [text_of(state) for state in states[::2]] == ["", "".join(WORDS[: cuts[1] - 3])]
    assert [text_of(state) for state in states[1::2]] == [TEXT] * len(cuts)
    assert states[1]["messages"][-1]["id"] == "m-1"
    assert doors.asked == (["send", "resume"] if way == SOCKET else ["POST", "GET"]) * len(cuts)


@pytest.mark.parametrize(("sdk", "way"), [("ai5", "api"), ("ai6", "api"), ("ai", "api"), ("ai", SOCKET)])
async def test_a_chat_is_stopped(doors: Doors, tmp_path: Path, sdk: str, way: str) -> None:
    """stop() leaves what was there, and reaches the server: as `abort`, or at the address that the guide names."""
    doors.hold = True
    task = {"sdk": sdk, **where(doors, way), "chat_id": "c", "do": "stop", "text": "Hi", "cut_after": 2}
    lines = await run_program(tmp_path, "ai_chat.mjs", task)
    assert of(lines, "state")[-1]["status"] == "ready"
    assert doors.asked[-1] == ("abort" if way == SOCKET else "stop c")


@pytest.mark.parametrize("sdk", ["ai5", "ai6", "ai"])
async def test_nothing_to_resume(doors: Doors, tmp_path: Path, sdk: str) -> None:
    """Where nothing runs the chat stays as it was loaded."""
    told = [{"id": "u-1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
    task = {"sdk": sdk, **where(doors, "api"), "chat_id": "quiet", "do": "resume", "messages": told}
    lines = await run_program(tmp_path, "ai_chat.mjs", task)
    (state,) = of(lines, "state")
    assert (state["status"], state["messages"], state["error"]) == ("ready", told, None)


def where(doors: Doors, way: str) -> dict[str, str]:
    """Where the chat is, for a task."""
    return (
        {"ws_url": f"{doors.url}/ai".replace("http", "ws")}
        if way == SOCKET
        else {"api": f"{doors.url}/api/chat"}
    )


def text_of(state: dict[str, Any]) -> str:
    """What the last message says, if it is an answer."""
    last = state["messages"][-1]
    return "".join(part.get("text", "") for part in last["parts"]) if last["role"] == "assistant" else ""
