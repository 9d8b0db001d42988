"""Readers without the library: server-sent events and long polls over HTTP, which come back with the cursor they had, to
another node each time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from .history import History
from .nodes import KEEP_ALIVE_S, Node, token_of

AGAIN_S = 0.15
POLL_WAIT_S = 1.0
SILENCE_S = KEEP_ALIVE_S * 2.5  # a stream says at least that it lives; longer silence is a dead line
LOST = (ClientError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, json.JSONDecodeError)
"""What a line that broke looks like; JSONDecodeError: a body that was cut."""


class RawReader:
    """One reader of one request, `about` (user, request). `run` ends when it was told the end."""

    def __init__(
        self, name: str, about: tuple[str, str], nodes: Sequence[Node], history: History, http: ClientSession,
        *, dice: random.Random, slow: bool = False,
    ) -> None:  # fmt: skip
        user, request = about
        self._about = {"reader": name, "user": user, "request": request}
        self._url = f"/v1/requests/{request}/events"
        self._headers = {"Authorization": f"Bearer {token_of(user)}"}
        self._nodes = nodes
        self._history = history
        self._http = http
        self._dice = dice
        self._slow = slow
        self._cursor: str | None = None
        self.opened = 0

    async def run(self, door: Literal["sse", "poll"]) -> None:
        """Read to the end, over as many connections as it takes."""
        one = self._stream if door == "sse" else self._poll
        began = True
        while True:
            node = self._dice.choice(self._nodes)
            try:
                if await one(node, began):
                    return
                began = door == "sse"
                continue
            except LOST:
                began = True
            await asyncio.sleep(AGAIN_S)

    def _open(self, node: Node, door: str) -> None:
        self.opened += 1
        self._history.add("open", **self._about, node=node.name, door=door, cursor=self._cursor)

    async def _refused(self, response: ClientResponse, since_s: float) -> None:
        """Note why there is nothing to read."""
        try:
            said: Any = await response.json()
            code = said["error"]["code"]
        except (*LOST, KeyError, TypeError):
            code = "no_status"
        self._history.add("refused", **self._about, code=code, since=since_s)
        await asyncio.sleep(AGAIN_S)

    # -- server-sent events ----------------------------------------------------------------------------------

    async def _stream(self, node: Node, _: bool) -> bool:
        headers = {**self._headers, "Accept": "text/event-stream"}
        if self._cursor is not None:
            headers["Last-Event-ID"] = self._cursor
        since_s = self._history.now_s
        timeout = ClientTimeout(total=None, sock_connect=3.0, sock_read=SILENCE_S)
        async with self._http.get(node.url + self._url, headers=headers, timeout=timeout) as response:
            if response.status == 204:  # it came back with the place behind the end
                self._history.add("told_end", **self._about)
                return True
            if response.status != 200:
                await self._refused(response, since_s)
                return False
            self._open(node, "sse")
            async for kind, data, place in _frames(response):
                if self._slow and self._dice.random() < 0.05:
                    await asyncio.sleep(0.3)
                if self._take(kind, json.loads(data), place):
                    return True
        return False

    def _take(self, kind: str, data: Any, place: str | None) -> bool:
        if kind == "snapshot":
            self._history.add("snapshot", **self._about, reason=data["reason"])
        elif kind == "caught_up":
            self._cursor = data["cursor"]
            self._history.add("caught_up", **self._about, **data)
            return bool(data["sealed"])
        elif kind == "gone":
            self._history.add("lost", **self._about, reason="gone")
            return True
        else:
            self._history.add("page", **self._about, start=None, next=place, events=[data])
            self._cursor = place or self._cursor
        return False

    # -- long polls ------------------------------------------------------------------------------------------

    async def _poll(self, node: Node, began: bool) -> bool:
        query: dict[str, str | int | float] = {
            "wait": POLL_WAIT_S,
            "limit": self._dice.choice([1, 7, 10_000]),
        }
        if self._cursor is not None:
            query["cursor"] = self._cursor
        headers = {**self._headers, "Accept": "application/json"}
        since_s = self._history.now_s
        timeout = ClientTimeout(total=POLL_WAIT_S + 4.0, sock_connect=3.0)
        async with self._http.get(
            node.url + self._url, headers=headers, params=query, timeout=timeout
        ) as response:
            if response.status != 200:
                await self._refused(response, since_s)
                return False
            page: Any = await response.json()
        if began or page["reset"]:
            self._open(node, "poll")
        if page["reset"]:
            self._history.add("snapshot", **self._about, reason=page["reset"])
        self._cursor = page["cursor"]
        self._history.add("page", **self._about, start=None, next=page["cursor"], events=page["events"])
        if page["caught_up"]:
            self._history.add("caught_up", **self._about, **page["caught_up"])
        if page["sealed"] and not page["caught_up"]:
            self._history.add("lost", **self._about, reason="sealed without a digest")
        return bool(page["sealed"])


async def _frames(response: ClientResponse) -> AsyncIterator[tuple[str, str, str | None]]:
    """The frames of a stream that came whole: kind, data, place."""
    kind, data, place = "", "", None
    buffer = b""
    async for piece in response.content.iter_any():
        *lines, buffer = (buffer + piece).split(b"\n")
        for raw in lines:
            line = raw.decode()
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value
            elif name == "id":
                place = value
            elif not line and kind:
                yield kind, data, place
                kind, data, place = "", "", None
