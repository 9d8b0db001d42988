"""Webhooks without a database and without sockets: rows in memory, receivers that answer from a list, on the simulated loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from msgspec.structs import replace

from holdfast_server.stores.base import Key, Unavailable, key_of
from holdfast_server.webhook_terms import ENDED, Answer, Hook, WebhookSettings
from holdfast_server.webhooks import Webhooks

from .journals import ANN
from .pens import Desk, Pen
from .simloop import SimLoop

SECRET: Final = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

URL = "https://hooks.example/in"
SETTINGS = WebhookSettings(secrets=[SECRET], base_url="https://chat.example/")


class KeptHooks:
    """Rows in memory; calls named in `refuse` are refused. What is due is handed over `late_s` after it was read."""

    def __init__(self) -> None:
        self.hooks: dict[Key, Hook] = {}
        self.refuse: set[str] = set()
        self.late_s = 0.0
        self.calls = 0

    def _called(self, name: str) -> None:
        self.calls += 1
        if name in self.refuse:
            raise Unavailable("the history does not answer")

    async def put(self, hook: Hook) -> None:
        self._called("put")
        self.hooks[hook.key] = hook

    async def of(self, key: Key) -> Hook | None:
        self._called("of")
        return self.hooks.get(key)

    async def armed(self, after: Key | None, limit: int) -> list[tuple[Key, int]]:
        self._called("armed")
        armed = sorted((key, hook.created_at) for key, hook in self.hooks.items() if hook.state == "armed")
        return [pair for pair in armed if after is None or pair[0] > after][:limit]

    async def make_due(self, keys: Collection[Key], at: int) -> None:
        self._called("make_due")
        for key in keys:
            if key in self.hooks and self.hooks[key].state == "armed":
                self.hooks[key] = replace(self.hooks[key], state="due", next_at=at, updated_at=at, tried=0)

    async def due(self, now: int, limit: int, without_hosts: Collection[str]) -> list[Hook]:
        self._called("due")
        due = [
            hook
            for hook in self.hooks.values()
            if hook.state == "due" and hook.next_at <= now and hook.host not in without_hosts
        ]
        await asyncio.sleep(self.late_s)
        return sorted(due, key=lambda hook: (hook.next_at, hook.key))[:limit]

    async def next_at(self, after: int) -> int | None:
        self._called("next_at")
        times = [hook.next_at for hook in self.hooks.values() if hook.state == "due" and hook.next_at > after]
        return min(times, default=None)

    async def settle(self, hook: Hook) -> None:
        self._called("settle")
        known = self.hooks.get(hook.key)
        if known is not None and known.state == "due" and known.delivery_id == hook.delivery_id:
            self.hooks[hook.key] = hook

    async def again(self, key: Key, at: int) -> bool:
        self._called("again")
        known = self.hooks.get(key)
        if known is None or known.state == "armed":
            return False
        self.hooks[key] = replace(known, state="due", next_at=at, updated_at=at, tried=0)
        return True

    async def remove(self, keys: Collection[Key]) -> None:
        self._called("remove")
        for key in keys:
            self.hooks.pop(key, None)

    async def remove_unopened(self, keys: Collection[Key], before: int) -> None:
        self._called("remove_unopened")
        for key in keys:
            if key in self.hooks and self.hooks[key].state == "armed" and self.hooks[key].created_at < before:
                del self.hooks[key]

    async def remove_ended(self, before: int) -> None:
        self._called("remove_ended")
        self.hooks = {
            key: hook
            for key, hook in self.hooks.items()
            if hook.state not in ENDED or hook.updated_at >= before
        }


class Receivers:
    """Answers from a list, then 204; what was posted, with when."""

    def __init__(self, sim: SimLoop) -> None:
        self.sim = sim
        self.answers: list[Answer | Exception] = []
        self.dead: set[str] = set()
        self.takes_s = 0.0
        self.posts: list[tuple[float, str, dict[str, object], Mapping[str, str]]] = []
        self.now = 0
        self.most: dict[str, int] = {}

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.posts.append((self.sim.time(), url, json.loads(body), headers))
        host = url.split("/")[2]
        if host in self.dead:
            self.now += 1
            self.most[host] = max(self.most.get(host, 0), self.now)
            try:
                await asyncio.sleep(1_000_000)
            finally:
                self.now -= 1
        await asyncio.sleep(self.takes_s)
        answer = self.answers.pop(0) if self.answers else Answer(204)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def ids(self) -> list[object]:
        return [post[2]["data"]["request_id"] for post in self.posts]  # type: ignore[index]


class Told:
    """The journal as webhooks use it; what it tells its observers may be lost."""

    def __init__(self, desk: Desk) -> None:
        self.observe = desk.observe
        self.head = desk.journal.head


class Office:
    """A desk with webhooks; `restart` is another process over the same rows and journals."""

    def __init__(self, sim: SimLoop, settings: WebhookSettings) -> None:
        self.sim = sim
        self.settings = settings
        self.desk = Desk(sim.now_ms)
        self.rows = KeptHooks()
        self.receivers = Receivers(sim)
        self._ids = 0
        self.hooks = self._make()

    def _make(self) -> Webhooks:
        async def find(owner: object, request_id: str) -> object:
            return await self.desk.store.log(key_of(owner, request_id))  # type: ignore[arg-type]

        def new_id() -> str:
            self._ids += 1
            return f"{self._ids}"

        return Webhooks(
            self.rows, Told(self.desk), find, self.receivers, self.settings, now_ms=self.sim.now_ms, new_id=new_id,  # type: ignore[arg-type]
            dice=lambda: 0.0,
        )  # fmt: skip

    async def restart(self) -> None:
        await self.hooks.close()
        self.hooks = self._make()
        self.hooks.start()

    async def asked(self, request_id: str, url: str = URL) -> Pen:
        await self.hooks.arm(key_of(ANN, request_id), url)
        return await self.desk.run(request_id)

    async def told(self, request_id: str, url: str = URL) -> None:
        pen = await self.asked(request_id, url)
        await pen.say("Grüße")
        await pen.end()
        await self.sim.idle()


def staged(
    scene: Callable[[Office], Awaitable[None]],
    settings: WebhookSettings = SETTINGS,
    virtual_s: float = 400_000,
) -> None:
    sim = SimLoop(0, virtual_s_max=virtual_s)

    async def main() -> None:
        office = Office(sim, settings)
        office.hooks.start()
        await scene(office)
        await office.hooks.close()
        await office.desk.store.close()

    sim.run(main())


async def state_of(office: Office, request_id: str = "r") -> tuple[str, int] | None:
    hook = await office.hooks.find(key_of(ANN, request_id))
    return None if hook is None else (hook.state, len(hook.tries))
