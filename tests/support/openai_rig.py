"""The door for OpenAI's API on a real port, over a memory store: unmodified SDKs in front, pens instead of agents behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from openai import AsyncOpenAI

from holdfast_protocol import events as ev
from holdfast_protocol.replies import AgentRow
from holdfast_server.agents.base import Profile
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.openai import OpenAIDoor
from holdfast_server.doors.reception import Reception, ReceptionSettings
from holdfast_server.identity import TokenIdentity
from holdfast_server.ids import new_id
from holdfast_server.stores.log import Log
from tests.support.door import TOKENS, Rig, serving
from tests.support.journals import ANN
from tests.support.pens import Pen

NARROW = Profile(name="narrow", options=frozenset({"temperature"}))


class OpenAIRig(Rig):
    """A node without agents, with this door beside the WebSocket. Agents are called `demo`, which takes any option, and
    `narrow`, which takes one."""

    def __init__(self, folder: Path, *, wait_max_s: float = 20.0, keep_alive_s: float = 15.0) -> None:
        super().__init__(folder)
        self.requests.profiles = {"demo": Profile(name="demo"), "narrow": NARROW}
        self.reception = Reception(
            TokenIdentity(TOKENS.items()),
            readers=self.readers,
            settings=ReceptionSettings(calls_per_s=1000.0, calls_burst=10_000, keep_alive_s=keep_alive_s),
        )
        self.desk = HttpDesk(
            reception=self.reception,
            requests=self.requests,
            agents=[AgentRow(name="demo", default=True), AgentRow(name="narrow", model="m-1")],
            profiles=self.requests.profiles,
            default_agent="demo",
            now_ms=self.now_ms,
            new_id=new_id,
            wait_max_s=wait_max_s,
        )
        socket_door, openai = self.door, OpenAIDoor(self.desk)
        add_socket_routes = socket_door.add_routes

        def add_routes(app: web.Application) -> None:
            add_socket_routes(app)
            self.reception.guard(app)
            openai.add_routes(app)

        socket_door.add_routes = add_routes  # type: ignore[method-assign]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def client(self, token: str = "ann-token") -> Any:
        """The SDK, as anybody would make it; without its retries, so that a test sees each answer. It is typed loosely: plain
        values are sent, as scripts do, and what comes is looked at without asking first which of sixty events it is."""
        return AsyncOpenAI(base_url=self.base_url, api_key=token, max_retries=0, timeout=20)

    async def newest(self) -> Log:
        """The journal of ann's request that was opened last."""
        rows, _ = await self.requests.list_requests(ANN, False, None, 1, None)
        return await self.requests.find(ANN, rows[0].request_id)

    async def opened(self, count: int) -> Log:
        """The journal of ann's newest request, once she has asked so many."""
        while True:
            rows, _ = await self.requests.list_requests(ANN, False, None, 200, None)
            if len(rows) >= count:
                return await self.requests.find(ANN, rows[0].request_id)
            await asyncio.sleep(0.005)

    async def emptied(self) -> None:
        """Return when ann has no request any more: what is not stored is erased after its last byte."""
        async with asyncio.timeout(5):
            while True:
                rows, _ = await self.requests.list_requests(ANN, False, None, 1, None)
                if not rows:
                    return
                await asyncio.sleep(0.005)

    async def pen_of(self, name: str) -> Pen:
        """The pen of a response or completion, with its attempt begun."""
        return await self.pen(name.removeprefix("resp_").removeprefix("chatcmpl-"))

    async def answer(self, name: str, *texts: str) -> None:
        """Answer it with these deltas, to its end."""
        pen = await self.pen_of(name)
        await pen.say(*texts)
        await self.use(pen)
        await pen.end()

    async def call_tools(self, name: str, *calls: tuple[str, str, str]) -> None:
        """Answer it with calls (id, name, arguments) for the client."""
        pen = await self.pen_of(name)
        now = self.now_ms()
        await pen.put(ev.PartDone(at=now, part=0))
        for part, (call_id, tool, arguments) in enumerate(calls, 1):
            await pen.put(
                ev.ToolCall(at=now, part=part, call_id=call_id, name=tool, where="client"),
                ev.Delta(at=now, part=part, text=arguments),
                ev.PartDone(at=now, part=part),
            )
        await pen.put(ev.Completed(at=now, code="tool_calls"))

    async def use(self, pen: Pen) -> None:
        """Note three tokens in, five out."""
        await pen.put(ev.Usage(at=self.now_ms(), input_tokens=3, output_tokens=5))


@asynccontextmanager
async def openai_rig(folder: Path, **settings: Any) -> AsyncIterator[OpenAIRig]:
    """The rig, listening; it closes as a node does."""
    rig = OpenAIRig(folder, **settings)
    async with serving(rig, start=False):
        try:
            yield rig
        finally:
            rig.reception.close()
