"""A run: servers, stores, upstream, people and faults, from the first request to the last look; then the checker's word."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from tests.support.upstream import Upstream

from .check import judge
from .devices import Device, stop
from .evidence import sort
from .figures import figures
from .history import History, read
from .last_look import look
from .nemesis import Nemesis
from .nodes import Node, toml_of
from .plan import DEVICES, USERS, plan_of
from .stories import Story

WITHIN_S = 60.0
"""How soon after the faults every request must have its outcome, and every reader have read it: a lease, a solo lane, the
client's longest wait before it connects again (30 s), and a machine that is busy."""

OVERTIME = 1.5  # faults go on until each kind has bitten, up to so many times the time that was asked for, and then some
OVERTIME_S = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run. `nodes` 0: one server by itself, with its own files, in place of a cluster."""

    seconds: float
    seed: int
    folder: Path
    nodes: int = 3
    lease_s: float = 3.0
    planted: str = ""
    within_s: float = WITHIN_S
    only: tuple[str, ...] = ()  # of the faults of nodes and stores; all of them without any


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it."""

    violations: list[str]
    figures: dict[str, Any]
    history: Path


async def run(settings: Settings) -> Verdict:
    """Run, and judge. Raises: ProcessFailed when a server cannot be started at all."""
    random.seed(settings.seed)  # the clients' jitter
    settings.folder.mkdir(parents=True, exist_ok=True)
    path = settings.folder / "history.jsonl"
    with History(path) as history:
        more = await _Scene(settings, history).play()
    evidence = sort(read(path))
    violations = judge(evidence)
    return Verdict(violations, figures(evidence, violations, more), path)


class _Scene:
    """Everything that runs, and who does what when."""

    def __init__(self, settings: Settings, history: History) -> None:
        self._settings = settings
        self._history = history
        self._nodes: list[Node] = []
        self._upstream = Upstream()

    async def play(self) -> dict[str, Any]:
        settings, history = self._settings, self._history
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._upstream)
            stores = await self._stores(stack) if settings.nodes else None
            await self._start(stack, stores)
            connector = TCPConnector(force_close=True, limit=0)
            http = await stack.enter_async_context(ClientSession(connector=connector))
            nemesis = Nemesis(
                self._nodes, stores, history, settings.seed, lease_s=settings.lease_s, only=settings.only
            )
            plan = plan_of(settings.seed, settings.seconds, poison=bool(settings.nodes))
            history.add(
                "run", seed=settings.seed, seconds=settings.seconds, nodes=settings.nodes, wall=time.time() - history.now_s,
                lease_s=settings.lease_s, within_s=settings.within_s, planted=settings.planted,
                poison=[item.request for item in plan if item.kind == "deadly"],
                enabled=[*nemesis.enabled, "upstream_status", "upstream_cut", "upstream_eof"],
            )  # fmt: skip
            began_s = history.now_s
            devices = {
                user: [Device(user, number, self._nodes, history, settings.seed) for number in range(DEVICES)]
                for user in USERS
            }
            everyone = [device for own in devices.values() for device in own]
            living = [asyncio.create_task(device.run(), name=device.name) for device in everyone]
            stories = [
                asyncio.create_task(
                    self._tell(began_s, item.at_s, Story(item, devices[item.user], self._nodes, history, http, seed=settings.seed)),
                    name=item.request,
                )
                for item in plan
            ]  # fmt: skip
            try:
                await self._break(nemesis, began_s)
                for device in everyone:
                    device.calm()
                await self._settle(stories)
            finally:
                await stop([*stories, *living])
            await look(self._nodes, self._upstream, history, http, plan)
            history.add("over")
            history.flush()
            return {
                "reconnects": sum(device.reconnects for device in everyone),
                "moves": sum(device.moves for device in everyone),
                "reloads": sum(device.reloads for device in everyone),
                "starts": sum(node.starts for node in self._nodes),
            }

    async def _stores(self, stack: AsyncExitStack) -> Any:
        from .stores import Stores

        return await stack.enter_async_context(Stores(self._settings.folder))

    async def _start(self, stack: AsyncExitStack, stores: Any) -> None:
        settings = self._settings
        for number in range(max(1, settings.nodes)):
            link = await stack.enter_async_context(stores.link(number)) if stores is not None else None
            toml = toml_of(
                self._upstream.base_url,
                url=f"redis://127.0.0.1:{link.port}/0" if link is not None else "",
                history=stores.history if stores is not None else "",
                name=f"n{number}",
                lease_s=settings.lease_s,
            )
            node = Node(number, settings.folder / f"n{number}", toml, planted=settings.planted, link=link)
            self._nodes.append(await stack.enter_async_context(node))
        for node in self._nodes:
            await node.start()

    async def _tell(self, began_s: float, at_s: float, story: Story) -> None:
        await asyncio.sleep(max(0.0, began_s + at_s - self._history.now_s))
        await story.run()

    async def _break(self, nemesis: Nemesis, began_s: float) -> None:
        """All faults, until the time is up; then everything is whole and every node is there."""
        seconds = self._settings.seconds
        lines = asyncio.create_task(nemesis.lines(), name="lines")
        keeper = asyncio.create_task(nemesis.keep(), name="keeper")
        try:
            await nemesis.breaks(began_s + seconds, began_s + seconds * OVERTIME + OVERTIME_S)
            while any(kind not in nemesis.big for kind in nemesis.missing):
                if self._history.now_s > began_s + seconds * OVERTIME + OVERTIME_S:
                    break
                await asyncio.sleep(0.2)
        finally:
            await stop([lines])
            self._history.add("quiet")
            self._keeper = keeper  # what dies of its work is started again to the end

    async def _settle(self, stories: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the stories to end, not for ever. What is then still going on is for the checker to see."""
        try:
            if stories:
                await asyncio.wait(stories, timeout=self._settings.within_s)
        finally:
            await stop([self._keeper])
        for story in stories:
            if story.done() and not story.cancelled() and (error := story.exception()) is not None:
                self._history.add("broke", story=story.get_name(), error=repr(error)[:500])
                raise error
