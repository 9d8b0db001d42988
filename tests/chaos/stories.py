"""What happens around one request: it is submitted until somebody says yes, read along, stopped, or decided upon."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from aiohttp import ClientSession, ClientTimeout

from holdfast_client import Answer, Client, ClientError, CommandRefused
from holdfast_protocol.commands import InputMessage, Submission
from tests.support.script import scripted

from .agents_under_fire import DEADLY, WAIT_ID
from .devices import Device, follow
from .history import History
from .nodes import Node, token_of
from .plan import Item
from .raw_readers import LOST, RawReader

AGAIN_S = (0.1, 0.6)  # between two tries; different for each, so that they do not come in step
CALL_S = 4.0  # a call without reply after so long may have happened: it is asked again elsewhere
LOOK_S = 0.4  # between two looks whether it waits for somebody
HAS_PRIORITY = "priority" in Submission.__struct_fields__


class Story:
    """One item of the plan. `run` ends when all its readers have read to the end."""

    def __init__(
        self, item: Item, devices: Sequence[Device], nodes: Sequence[Node], history: History, http: ClientSession,
        *, seed: int,
    ) -> None:  # fmt: skip
        self.item = item
        self.key = {"user": item.user, "request": item.request}
        self._device = devices[item.device]
        self._other = devices[(item.device + 1) % len(devices)]
        self._nodes = nodes
        self._history = history
        self._http = http
        self._dice = random.Random(f"{seed}:story:{item.number}")
        self._headers = {"Authorization": f"Bearer {token_of(item.user)}"}
        self._accepted = asyncio.Event()

    async def run(self) -> None:
        """From the submit to the last reader's end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._by_socket() if self.item.door == "ws" else self._by_http())
            if self.item.twice:
                group.create_task(self._by_http())
            for way in self.item.readers:
                group.create_task(self._read(way))
            if self.item.cancel_after_s is not None:
                group.create_task(self._cancel(self.item.cancel_after_s))
            if self.item.kind == "waiter":
                group.create_task(self._decide())

    @property
    def _text(self) -> str:
        if self.item.kind == "deadly":
            return DEADLY
        return scripted("Say it.", self.item.script) if self.item.script is not None else "Go on."

    @property
    def _node(self) -> Node:
        return self._dice.choice(self._nodes)

    async def _pause(self) -> None:
        await asyncio.sleep(self._dice.uniform(*AGAIN_S))

    def _asked(self, node: str, door: str) -> int:
        item = self.item
        script = msgspec.to_builtins(item.script) if item.script is not None else None
        return self._history.invoke(
            "submit", **self.key, node=node, door=door, agent=item.kind, script=script, chat=item.chat
        )

    def _submission(self) -> Submission:
        """What is asked, the same through every door."""
        item, text = self.item, self._text
        message = InputMessage(role="user", text=text)
        more: dict[str, Any] = {"priority": item.priority} if HAS_PRIORITY else {}
        return Submission(
            request_id=item.request, chat_id=item.chat, agent=item.kind,
            text=text if item.chat is not None else None, messages=[] if item.chat is not None else [message], **more,
        )  # fmt: skip

    # -- submitting ------------------------------------------------------------------------------------------

    async def _by_socket(self) -> None:
        """Through the client library, and followed from the start."""
        history = self._history
        submission = self._submission()
        while True:
            client, name = await self._device.client()
            number = self._asked(name, "ws")
            try:
                answer = (await client.submit_many([submission]))[0]
                if isinstance(answer, CommandRefused):
                    raise answer
            except KeyError as error:  # the library was answered about a request that it had not asked for
                history.reply("submit", number, "ok", named=str(error), created=True, status="")
                return
            except CommandRefused as error:
                history.reply("submit", number, "fail", code=error.code, message=error.message)
            except ClientError as error:
                history.reply("submit", number, "info", why=type(error).__name__)
            else:
                told = answer.submitted
                assert told is not None, "submit returns with its reply"
                history.reply(
                    "submit", number, "ok", named=told.request_id, created=told.created, status=told.status
                )
                self._accepted.set()
                await self._follow(self._device, answer, client, name)
                return
            await self._pause()

    async def _by_http(self) -> None:
        """One call after the other, each to another node, until one is answered."""
        item, history = self.item, self._history
        body = msgspec.to_builtins(self._submission())
        del body["request_id"]
        headers = {"Prefer": "respond-async", "Idempotency-Key": item.request}
        while True:
            node = self._node
            number = self._asked(node.name, "http")
            status, said = await self._call(node, "/v1/requests", body, headers)
            if status in (200, 202):
                named, created = said["request_id"], said["created"]
                history.reply("submit", number, "ok", named=named, created=created, status=said["status"])
                self._accepted.set()
                return
            self._refused("submit", number, status, said)
            await self._pause()

    # -- reading ---------------------------------------------------------------------------------------------

    async def _follow(self, device: Device, answer: Answer | None, client: Client, name: str) -> None:
        """Follow to the end, with however many programs that takes."""
        while not await follow(device, answer, client, name, self.item.request):
            answer = None
            client, name = await device.client()

    async def _read(self, way: Literal["ws", "sse", "poll"]) -> None:
        await self._accepted.wait()
        if way == "ws":
            client, name = await self._other.client()
            await self._follow(self._other, None, client, name)
            return
        reader = RawReader(
            f"{way}-{self.item.number}", (self.item.user, self.item.request), self._nodes, self._history, self._http,
            dice=self._dice, slow=self.item.slow,
        )  # fmt: skip
        await reader.run(way)

    # -- acting ----------------------------------------------------------------------------------------------

    async def _cancel(self, after_s: float) -> None:
        await self._accepted.wait()
        await asyncio.sleep(after_s)
        while True:
            node = self._node
            number = self._history.invoke("cancel", **self.key, node=node.name)
            status, said = await self._call(node, f"/v1/requests/{self.item.request}/cancel", {}, {})
            if status == 200:
                self._history.reply("cancel", number, "ok", won=said["won"], status=said["status"])
                return
            self._refused("cancel", number, status, said)
            await self._pause()

    async def _decide(self) -> None:
        """Say yes as soon as it asks; again, elsewhere, where nobody said that the answer was taken."""
        await self._accepted.wait()
        path = f"/v1/requests/{self.item.request}"
        while True:
            node = self._node
            status, said = await self._call(node, path, None, {})
            if status == 200 and said.get("ended_at") is not None:
                return
            waiting = said.get("waiting") if status == 200 else None
            if not waiting:
                await asyncio.sleep(LOOK_S)
                continue
            number = self._history.invoke("decide", **self.key, node=node.name, wait=WAIT_ID)
            body = {"wait_id": waiting["wait_id"], "digest": waiting["digest"], "decision": True}
            status, said = await self._call(node, f"{path}/decide", body, {})
            if status in (200, 202, 204):
                self._history.reply("decide", number, "ok")
            else:
                self._refused("decide", number, status, said)
            await self._pause()

    async def _call(self, node: Node, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        """One call; (0, why) where no whole reply came. A body of None is a GET."""
        timeout = ClientTimeout(total=CALL_S)
        try:
            async with self._http.request(
                "GET" if body is None else "POST", node.url + path, json=body,
                headers={**self._headers, **headers}, timeout=timeout,
            ) as response:  # fmt: skip
                raw = await response.read()
                return response.status, msgspec.json.decode(raw) if raw else {}
        except (*LOST, msgspec.DecodeError) as error:
            return 0, type(error).__name__

    def _refused(self, what: str, number: int, status: int, said: Any) -> None:
        if status == 0 or not isinstance(said, dict) or "error" not in said:
            self._history.reply(what, number, "info", why=str(said)[:200])
            return
        error = said["error"]
        self._history.reply(
            what, number, "fail", code=error.get("code") or "no_status", message=error["message"]
        )
