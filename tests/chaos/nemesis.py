"""Who breaks things, by the seed: clients' connections all the time, nodes and stores one at a time.

One at a time, because a takeover can only be measured where it is known what it took over from. Each kind of fault is dealt
from a deck, so that all of them come, in whatever order; only what hit something counts.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tests.support.proxy import FaultProxy

from .history import History
from .nodes import Node

if TYPE_CHECKING:
    from .stores import Stores

CLIENT_FAULTS = ("cut_rst", "cut_fin", "cut_after", "stall", "slow", "half_open")
NODE_FAULTS = ("kill", "terminate", "stop_short")
CLUSTER_FAULTS = ("stop", "redis_cut", "redis_stall", "redis_half_open")
STORE_FAULTS = ("redis_kill", "redis_stop", "postgres_stop", "postgres_restart")

CLIENT_PAUSE_S = (0.1, 0.9)
NODE_PAUSE_S = (0.3, 2.0)
SLOW_BYTES_PER_S = 6_000.0
KEEP_S = 0.3  # between two looks whether a node has died of its work
HOLE_S = 0.4  # how long new connections fall into the black hole; those inside stay there
CUT_AFTER_BYTES = 6_000  # within the first answers of a connection


class Deck:
    """Kinds in random order, all of them before any comes again."""

    def __init__(self, kinds: Iterable[str], dice: random.Random) -> None:
        self._kinds = list(kinds)
        self._dice = dice
        self._left: list[str] = []

    def deal(self) -> str:
        """The next."""
        if not self._left:
            self._left = self._dice.sample(self._kinds, len(self._kinds))
        return self._left.pop()


class Nemesis:
    """See the module's text. `over` is set when the time is up and every kind has bitten."""

    def __init__(
        self, nodes: Sequence[Node], stores: Stores | None, history: History, seed: int,
        *, lease_s: float, only: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._nodes = nodes
        self._stores = stores
        self._history = history
        self._lease_s = lease_s
        self._dice = random.Random(f"{seed}:nemesis")
        self._client_dice = random.Random(f"{seed}:lines")
        self._bitten: set[str] = set()
        every = [*NODE_FAULTS, *(CLUSTER_FAULTS + STORE_FAULTS if stores is not None else ())]
        self.big = [kind for kind in every if not only or kind in only]
        self._verbs: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "terminate": self._terminate,
            "stop_short": lambda: self._stop("stop_short", self._dice.uniform(0.2, self._lease_s * 0.5)),
            "stop": lambda: self._stop("stop", self._lease_s + self._dice.uniform(1.5, 3.0)),
            "redis_cut": lambda: self._link("redis_cut", self._dice.uniform(0.1, 1.0)),
            "redis_stall": lambda: self._link("redis_stall", self._lease_s + self._dice.uniform(1.5, 3.0)),
            "redis_half_open": lambda: self._link(
                "redis_half_open", self._lease_s + self._dice.uniform(1.5, 3.0)
            ),
        }
        if stores is not None:
            self._verbs |= {
                "redis_kill": lambda: self._store("redis_kill", stores.redis_kill),
                "redis_stop": lambda: self._store("redis_stop", stores.redis_stop),
                "postgres_stop": lambda: self._store("postgres_stop", stores.postgres_stop),
                "postgres_restart": lambda: self._store("postgres_restart", stores.postgres_restart),
            }

    @property
    def enabled(self) -> list[str]:
        """The kinds that a run must have seen."""
        return [*CLIENT_FAULTS, *self.big]

    @property
    def missing(self) -> list[str]:
        """Those that have not bitten yet."""
        return [kind for kind in self.enabled if kind not in self._bitten]

    def _note(self, kind: str, bit: int, **more: object) -> None:
        if bit > 0:
            self._bitten.add(kind)
        self._history.add("fault", kind=kind, bit=bit, **more)

    # -- the clients' lines ----------------------------------------------------------------------------------

    async def lines(self) -> None:
        """Break connections of clients until cancelled; then every proxy is whole again."""
        dice, deck = self._client_dice, Deck(CLIENT_FAULTS, self._client_dice)
        try:
            while True:
                await asyncio.sleep(dice.uniform(*CLIENT_PAUSE_S))
                node = dice.choice(self._nodes)
                await self._line(node.name, node.proxy, deck.deal())
        finally:
            for node in self._nodes:
                node.proxy.heal()

    async def _line(self, name: str, proxy: FaultProxy, kind: str) -> None:
        dice = self._client_dice
        bit = proxy.counts.open
        match kind:
            case "cut_rst" | "cut_fin":
                bit = await proxy.cut("rst" if kind == "cut_rst" else "fin")
            case "cut_after":
                before, bit = proxy.counts.cut, 1
                for _ in range(3):
                    direction = "down" if dice.random() < 0.7 else "up"
                    n_bytes = (
                        dice.randint(0, CUT_AFTER_BYTES) if direction == "down" else dice.randint(0, 900)
                    )
                    proxy.cut_after(n_bytes, direction, dice.choice(["rst", "fin", "half_open"]))  # type: ignore[arg-type]
                await asyncio.sleep(1.0)
                bit = int(proxy.counts.cut > before or proxy.counts.accepted > 0)
            case "stall":
                proxy.stall()
                await asyncio.sleep(dice.uniform(0.2, 2.0))
            case "slow":
                proxy.slow(SLOW_BYTES_PER_S)
                proxy.rechunk(100)
                await asyncio.sleep(dice.uniform(0.5, 2.0))
            case "half_open":
                proxy.half_open()
                await asyncio.sleep(HOLE_S)
        if kind in ("stall", "slow", "half_open"):
            proxy.heal()
        self._note(kind, bit, node=name)

    # -- nodes and stores ------------------------------------------------------------------------------------

    async def breaks(self, until_s: float, at_most_s: float) -> None:
        """Break nodes and stores until the time is up and each kind has bitten, or `at_most_s` is reached."""
        deck = Deck(self.big, self._dice)
        while True:
            now_s = self._history.now_s
            if now_s >= at_most_s or (
                now_s >= until_s and not any(kind in self.big for kind in self.missing)
            ):
                return
            await asyncio.sleep(self._dice.uniform(*NODE_PAUSE_S))
            await self._verbs[deck.deal()]()

    async def _kill(self) -> None:
        node = self._dice.choice(self._nodes)
        async with node.hands:
            if node.running:
                self._note("kill", 1, node=node.name)
                await node.kill()
                if self._stores is not None:  # long enough for others to take over, or not
                    await asyncio.sleep(self._dice.uniform(0.0, self._lease_s + 2.0))
            await self._back(node)

    async def _terminate(self) -> None:
        """A redeploy of every node, one after the other."""
        for node in self._nodes:
            async with node.hands:
                if node.running:
                    self._note("terminate", 1, node=node.name)
                    await node.terminate()
                await self._back(node)

    async def _back(self, node: Node) -> None:
        await node.start()
        self._history.add("back", node=node.name)

    async def _stop(self, kind: str, wait_s: float) -> None:
        node = self._dice.choice(self._nodes)
        async with node.hands:
            if not node.running:
                await self._back(node)
                return
            self._note(kind, 1, node=node.name, lasted_s=round(wait_s, 2))
            node.process.stop()
            try:
                await asyncio.sleep(wait_s)
            finally:
                node.process.cont()
        self._history.add("back", node=node.name)

    async def _link(self, kind: str, wait_s: float) -> None:
        node = self._dice.choice(self._nodes)
        link = node.link
        if link is None or not node.running:
            return
        self._note(kind, link.counts.open, node=node.name, lasted_s=round(wait_s, 2))
        match kind:
            case "redis_cut":
                await link.cut("rst")
                return
            case "redis_stall":
                link.stall()
            case _:
                link.half_open()
        try:
            await asyncio.sleep(wait_s)
        finally:
            link.heal()
        self._history.add("back", node=node.name)

    async def _store(self, kind: str, verb: Callable[[float], Awaitable[None]]) -> None:
        wait_s = self._dice.uniform(0.3, 3.0)
        self._note(kind, 1, lasted_s=round(wait_s, 2))
        await verb(wait_s)
        self._history.add("back", store=kind)

    async def keep(self) -> None:
        """Start again, as whoever runs servers does, what has ended though no fault of ours took it; until cancelled."""
        while True:
            await asyncio.sleep(KEEP_S)
            for node in self._nodes:
                if not node.running and not node.hands.locked():
                    async with node.hands:
                        self._note("died", 1, node=node.name, code=node.process.returncode)
                        await self._back(node)
