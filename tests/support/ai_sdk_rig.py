"""The AI SDK's door on a real port, over a memory store; answers are written by pens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, WSMsgType

from holdfast_server.doors.ai_sdk.door import AiSdkDoor
from tests.support.door import serving
from tests.support.http_door import Also, Caller, HttpRig

WAIT_S = 10.0
ANNS = {"Authorization": "Bearer ann-token"}


class AiRig(HttpRig):
    """A node without agents, with this door too."""

    def __init__(self, folder: Any, **more: Any) -> None:
        super().__init__(folder, **more)
        self.door = Also(self.door, AiSdkDoor(self.desk))  # type: ignore[assignment]


class Guest(Caller):
    """One user's way to the door."""

    def ask(self, chat_id: str, messages: list[dict[str, Any]], query: str = "?ai=7", **more: Any) -> Any:
        """POST /api/chat; the response is read by the test."""
        body = {"id": chat_id, "messages": messages, "trigger": "submit-message", **more}
        return self.open("POST", f"/api/chat{query}", data=json.dumps(body))

    async def asked(self, chat_id: str, messages: list[dict[str, Any]], **more: Any) -> str:
        """Asks and hangs up once it is durable; the request's id."""
        async with self.ask(chat_id, messages, **more) as response:
            assert response.status == 200, await response.text()
            request_id: str = response.headers["x-request-id"]
            return request_id

    async def refused(self, chat_id: str, messages: list[dict[str, Any]], **more: Any) -> tuple[int, Any]:
        """Asks in vain: the status and the error."""
        async with self.ask(chat_id, messages, **more) as response:
            return response.status, (await response.json())["error"]


@asynccontextmanager
async def visiting(rig: AiRig) -> AsyncIterator[Guest]:
    """The rig, listening, and ann's way to it."""
    async with serving(rig), ClientSession() as session:
        yield Guest(rig, session)


def user(id_: str, text: str) -> dict[str, Any]:
    """A person's message."""
    return {"id": id_, "role": "user", "parts": [{"type": "text", "text": text}]}


def assistant(id_: str, text: str, *more: dict[str, Any]) -> dict[str, Any]:
    """An answer."""
    parts = [{"type": "step-start"}, {"type": "text", "text": text, "state": "done"}, *more]
    return {"id": id_, "role": "assistant", "metadata": {}, "parts": parts}


async def chunks_of(response: ClientResponse) -> AsyncIterator[Any]:
    """The chunks of a stream, and None for `[DONE]`."""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield None if data == "[DONE]" else json.loads(data)


async def whole(response: ClientResponse) -> list[Any]:
    """All chunks of a stream that ends as it should."""
    async with asyncio.timeout(WAIT_S):
        chunks = [chunk async for chunk in chunks_of(response)]
    assert chunks[-1] is None
    return chunks[:-1]


def text_of(chunks: list[Any]) -> str:
    """The text that stands after these chunks."""
    text = ""
    for chunk in chunks:
        if chunk["type"] == "reset-step":
            text = ""
        elif chunk["type"] == "text-delta":
            text += chunk["delta"]
    return text


class Plug:
    """One socket of the AI SDK's transport, read strictly: numbers without a gap, nothing after an end."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.ws = ws
        self.frames: list[dict[str, Any]] = []

    async def send(self, kind: str, name: str, chat_id: str | None = None, **more: Any) -> None:
        """A frame of the client's."""
        frame: dict[str, Any] = {"type": kind, "requestId": name}
        if chat_id is not None:
            frame |= {"id": chat_id, "headers": {}, "body": {}}
        if kind == "send":
            frame |= {"trigger": "submit-message"}
        await self.ws.send_json(frame | more)

    async def next(self) -> dict[str, Any]:
        """The next frame. Raises: EOFError when the socket is closed."""
        async with asyncio.timeout(WAIT_S):
            message = await self.ws.receive()
        if message.type is not WSMsgType.TEXT:
            raise EOFError(self.ws.close_code)
        frame: dict[str, Any] = json.loads(message.data)
        before = [each for each in self.frames if each["requestId"] == frame["requestId"]]
        assert not any(each["type"] in ("end", "error", "no-active") for each in before)
        if frame["type"] == "chunk":
            assert frame["sequence"] == sum(each["type"] == "chunk" for each in before)
        self.frames.append(frame)
        return frame

    async def until(self, name: str, *kinds: str) -> dict[str, Any]:
        """Reads until there is a frame, or a chunk, of these kinds in a stream; the frame."""
        while True:
            for frame in self.frames:
                if frame["requestId"] == name and (frame.get("chunk") or frame)["type"] in kinds:
                    return frame
            await self.next()

    async def text(self, name: str, text: str) -> None:
        """Reads until a stream shows this text."""
        while self.text_of(name) != text:
            await self.next()

    def text_of(self, name: str) -> str:
        """What a stream shows."""
        return text_of([f["chunk"] for f in self.frames if f["requestId"] == name and f["type"] == "chunk"])


@asynccontextmanager
async def plugged(rig: HttpRig, query: str = "", token: str | None = "ann-token") -> AsyncIterator[Plug]:
    """A socket."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        ClientSession() as session,
        session.ws_connect(f"{rig.base}/api/chat/ws{query}", headers=headers) as ws,
    ):
        yield Plug(ws)
