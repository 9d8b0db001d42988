"""Readers of one answer, one for each door, whose lines break at random: each comes back as its door has it, and says in the
end what it has."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgpack  # type: ignore[import-untyped]
import openai
from aiohttp import ClientResponse, ClientSession

from tests.support.http_door import NDJSON, SSE, Reading, frames_of, lines_of

TRIES_MAX = 400
"""Lines of one reader: what needs more than this goes round in circles."""

PAUSE_S = 0.05


class Broken(Exception):
    """The line broke where the dice said so."""


class Restart(Exception):
    """The door said that what was shown does not stand: read again from the beginning."""


@dataclass
class Reader:
    """One door's reader. `text` is what it has; `lines` how often it connected, `frames` how much came, `again` how often
    it was told to begin anew."""

    door: str
    dice: random.Random
    text: str = ""
    lines: int = 0
    frames: int = 0
    again: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    extra: dict[str, Any] = field(default_factory=dict)

    def maybe_break(self) -> None:
        """Something came; perhaps nothing more does. Raises: Broken."""
        self.frames += 1
        self.started.set()
        if self.dice.random() < 0.12:
            raise Broken

    async def to_the_end(self, line: Callable[[Reader], Awaitable[bool]]) -> Reader:
        """Connect as often as it takes; `line` is true at the end of the answer."""
        while self.lines < TRIES_MAX:
            self.lines += 1
            try:
                if await line(self):
                    return self
            except Broken:
                continue
            except Restart:
                self.again += 1
            except (
                aiohttp.ClientError,
                ConnectionError,
                TimeoutError,
                openai.APIConnectionError,
                openai.InternalServerError,
            ):
                await asyncio.sleep(PAUSE_S)  # the server restarts
        raise AssertionError(f"{self.door}: no end after {self.lines} lines")


class Doors:
    """The ways to one request of one server."""

    def __init__(self, http: ClientSession, base: str, request_id: str, chat_id: str) -> None:
        self._http = http
        self._base = base
        self._request_id = request_id
        self._chat_id = chat_id

    def all(self) -> dict[str, Callable[[Reader], Awaitable[bool]]]:
        """Each door's line."""
        return {
            "websocket-json": self.websocket("json"),
            "websocket-msgpack": self.websocket("msgpack"),
            "sse": self.sse,
            "ndjson": self.ndjson,
            "long-poll": self.long_poll,
            "poll": self.poll,
            "responses-sse": self.responses_sse,
            "responses-socket": self.responses_socket,
            "responses-poll": self.responses_poll,
            "completions": self.completions,
            "ai-sdk-sse": self.ai_sdk_sse,
            "ai-sdk-socket": self.ai_sdk_socket,
        }

    # -- ours ------------------------------------------------------------------------------------------------

    @staticmethod
    def _reading(reader: Reader) -> Reading:
        return reader.extra.setdefault("reading", Reading())  # type: ignore[no-any-return]

    @staticmethod
    def _ended(reader: Reader, reading: Reading) -> bool:
        if not reading.sealed:
            return False
        reader.text = reading.transcript.text
        return True

    def websocket(self, codec: str) -> Callable[[Reader], Awaitable[bool]]:
        """Our own protocol."""
        packed = codec == "msgpack"

        async def line(reader: Reader) -> bool:
            reading = self._reading(reader)
            names = [f"holdfast.v1.{codec}"]
            async with self._http.ws_connect(f"{self._base}/ws", protocols=names, max_msg_size=0) as ws:
                for command in (
                    {"type": "hello", "ref": 0},
                    {"type": "subscribe", "ref": 1, "request_id": self._request_id, "cursor": reading.cursor},
                ):
                    plain = {name: value for name, value in command.items() if value is not None}
                    await (ws.send_bytes(msgpack.packb(plain)) if packed else ws.send_str(json.dumps(plain)))
                async for message in ws:
                    push = msgpack.unpackb(message.data) if packed else json.loads(message.data)
                    reading.push(push)
                    if self._ended(reader, reading):
                        return True
                    if push["type"] == "page":
                        reader.maybe_break()
            await asyncio.sleep(PAUSE_S)
            return False

        return line

    async def sse(self, reader: Reader) -> bool:
        """Events with ids."""
        reading = self._reading(reader)
        headers = {"Accept": SSE, **({"Last-Event-ID": reading.cursor} if reading.cursor else {})}
        async with self._get(f"/v1/requests/{self._request_id}/events", headers) as response:
            if (
                response.status == 204
            ):  # the line broke between the last event and the word that it was the last
                reader.text = reading.transcript.text
                return True
            async for frame in frames_of(response):
                reading.sse(frame)
                if self._ended(reader, reading):
                    return True
                reader.maybe_break()
        return False

    async def ndjson(self, reader: Reader) -> bool:
        """Lines."""
        reading = self._reading(reader)
        query = f"?cursor={reading.cursor}" if reading.cursor else ""
        async with self._get(
            f"/v1/requests/{self._request_id}/events{query}", {"Accept": NDJSON}
        ) as response:
            async for frame in lines_of(response):
                reading.ndjson(frame)
                if self._ended(reader, reading):
                    return True
                reader.maybe_break()
        return False

    async def long_poll(self, reader: Reader) -> bool:
        """Pages, waited for."""
        reading = self._reading(reader)
        query = "?wait=1" + (f"&cursor={reading.cursor}" if reading.cursor else "")
        path = f"/v1/requests/{self._request_id}/events{query}"
        async with self._get(path, {"Accept": "application/json"}) as response:
            page = await response.json()
        reader.frames += 1
        reader.started.set()
        if reader.dice.random() < 0.2:
            return False  # the answer was lost on the way: asked again from the same cursor
        reading.page(page)
        return self._ended(reader, reading)

    async def poll(self, reader: Reader) -> bool:
        """The status, again and again; what it shows only grows while an attempt lasts."""
        async with self._get(f"/v1/requests/{self._request_id}", {}) as response:
            status = await response.json()
        reader.frames += 1
        reader.started.set()
        if status["attempt"] == reader.extra.get("attempt"):
            assert status["text"].startswith(reader.text)
        reader.extra["attempt"], reader.text = status["attempt"], status["text"]
        if status["status"] == "completed":
            assert status["result"]["text"] == status["text"]
            return True
        await asyncio.sleep(PAUSE_S)
        return False

    # -- OpenAI's --------------------------------------------------------------------------------------------

    def _sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self._base}/v1", api_key="any", max_retries=0)

    def _take_event(self, reader: Reader, event: dict[str, Any]) -> bool:
        """An event of a Response: its number is the next one, and the texts of its items grow."""
        reader.extra["number"] = reader.extra.get("number", -1) + 1
        assert event["sequence_number"] == reader.extra["number"], reader.door
        items = reader.extra.setdefault("items", {})
        if event["type"] == "response.output_text.delta":
            items[event["item_id"]] = items.get(event["item_id"], "") + event["delta"]
        if event["type"] in ("response.completed", "response.failed", "response.incomplete"):
            standing = [item for item in event["response"]["output"] if item["type"] == "message"]
            reader.text = "".join(items.get(item["id"], "") for item in standing)
            told = "".join(part["text"] for item in standing for part in item["content"])
            assert told == reader.text, reader.door
            return True
        return False

    async def responses_sse(self, reader: Reader) -> bool:
        """The SDK's stream, from the number behind the last."""
        async with self._sdk() as sdk:
            place = {"starting_after": reader.extra["number"]} if "number" in reader.extra else {}
            stream: Any = await sdk.responses.retrieve(
                f"resp_{self._request_id}", stream=True, extra_query={"include": "holdfast.events"}, **place
            )
            async for event in stream:
                if self._take_event(reader, event.to_dict()):
                    return True
                if reader.dice.random() < 0.12:
                    await stream.close()
                reader.maybe_break()
        return False

    async def responses_socket(self, reader: Reader) -> bool:
        """The socket mode, with our way back."""
        async with self._http.ws_connect(f"{self._base}/v1/responses") as ws:
            frame: dict[str, Any] = {
                "type": "response.subscribe",
                "response_id": f"resp_{self._request_id}",
                "include": ["holdfast.events"],
            }
            if "number" in reader.extra:
                frame["starting_after"] = reader.extra["number"]
            await ws.send_str(json.dumps(frame))
            async for message in ws:
                event = json.loads(message.data)
                assert event["type"] != "error", event
                if self._take_event(reader, event):
                    return True
                reader.maybe_break()
        await asyncio.sleep(PAUSE_S)
        return False

    async def responses_poll(self, reader: Reader) -> bool:
        """The object, again and again."""
        async with self._sdk() as sdk:
            response = await sdk.responses.retrieve(f"resp_{self._request_id}")
        reader.frames += 1
        reader.started.set()
        reader.text = response.output_text
        await asyncio.sleep(PAUSE_S)
        return response.status == "completed"

    async def completions(self, reader: Reader) -> bool:
        """Chunks, from the beginning each time: this protocol has no way back."""
        text = ""
        path = f"/v1/chat/completions/chatcmpl-{self._request_id}?stream=true"
        async with self._get(path, {"Accept": SSE}) as response:
            async for data in data_of(response):
                if data == "[DONE]":
                    reader.text = text
                    return True
                chunk = json.loads(data)
                if "error" in chunk:
                    assert chunk["error"]["code"] == "attempt_superseded"
                    await asyncio.sleep(PAUSE_S)
                    raise Restart
                for choice in chunk["choices"]:
                    text += choice["delta"].get("content") or ""
                reader.frames += 1
                reader.started.set()
                if reader.dice.random() < 0.02:
                    raise Broken
        return False

    # -- the AI SDK's ----------------------------------------------------------------------------------------

    def _chunks(self, reader: Reader, chunk: dict[str, Any]) -> bool:
        texts = reader.extra["texts"]
        match chunk["type"]:
            case "text-start":
                texts[chunk["id"]] = ""
            case "text-delta":
                texts[chunk["id"]] += chunk["delta"]
            case "reset-step":
                texts.clear()
            case "error":
                raise Restart
            case "finish":
                reader.text = "".join(texts.values())
                return True
        return False

    async def ai_sdk_sse(self, reader: Reader) -> bool:
        """What stands, from the beginning each time; 204 when there is nothing (any more)."""
        reader.extra["texts"] = {}
        async with self._get(f"/api/chat/{self._chat_id}/stream", {}) as response:
            if response.status == 204:
                return await self._ai_sdk_messages(reader)
            async for data in data_of(response):
                if data == "[DONE]":
                    break
                if self._chunks(reader, json.loads(data)):
                    return True
                reader.frames += 1
                reader.started.set()
                if reader.dice.random() < 0.02:
                    raise Broken
        return False

    async def ai_sdk_socket(self, reader: Reader) -> bool:
        """The same over the WebSocket, numbered from 0 each time."""
        reader.extra["texts"] = {}
        async with self._http.ws_connect(f"{self._base}/api/chat/ws") as ws:
            name = f"r{reader.lines}"
            await ws.send_str(
                json.dumps(
                    {"type": "resume", "requestId": name, "id": self._chat_id, "headers": {}, "body": {}}
                )
            )
            wanted = 0
            async for message in ws:
                frame = json.loads(message.data)
                assert frame["requestId"] == name
                if frame["type"] == "no-active":
                    return await self._ai_sdk_messages(reader)
                if frame["type"] == "error":
                    raise Restart
                if frame["type"] != "chunk":
                    continue
                assert frame["sequence"] == wanted
                wanted += 1
                if self._chunks(reader, frame["chunk"]):
                    return True
                reader.frames += 1
                reader.started.set()
                if reader.dice.random() < 0.02:
                    raise Broken
        await asyncio.sleep(PAUSE_S)
        return False

    async def _ai_sdk_messages(self, reader: Reader) -> bool:
        """Nothing runs: the answer has ended, and is a message like the others."""
        async with self._get(f"/api/chat/{self._chat_id}/messages", {}) as response:
            messages = await response.json()
        answer = messages[-1]
        if answer["role"] != "assistant":
            await asyncio.sleep(PAUSE_S)
            return False
        reader.text = "".join(part["text"] for part in answer["parts"] if part["type"] == "text")
        return True

    def _get(self, path: str, headers: dict[str, str]) -> Any:
        return self._http.get(self._base + path, headers=headers, raise_for_status=True)


async def data_of(response: ClientResponse) -> AsyncIterator[str]:
    """The data lines of a stream without names and ids."""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
