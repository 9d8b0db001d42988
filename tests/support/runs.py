"""A runner over a memory store on a simulated loop, with agents that do as their scripts say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

from holdfast_protocol import events as ev
from holdfast_protocol.commands import Deadlines, InputMessage
from holdfast_protocol.fold import fold
from holdfast_protocol.transcript import Transcript
from holdfast_server.agents import AgentFailure, Clocks, Context, Message, Output, Profile
from holdfast_server.runner import Runner
from holdfast_server.stores.base import Account, Key, Owner, Record, key_of
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryStore
from tests.support.simloop import SimLoop

OWNER = Owner("", "local")
T = TypeVar("T")
Play = Callable[[Context], AsyncIterator[Output]]


class Played:
    """An agent whose run number n (from 1) is play number n, the last one again and again. `contexts`: what it got."""

    def __init__(self, *plays: Play, **profile: Any) -> None:
        profile.setdefault("clocks", Clocks(first_output_s=60, stall_s=90, total_s=600))
        self.profile = Profile(name="played", **profile)
        self.contexts: list[Context] = []
        self._plays = plays

    def run(self, context: Context) -> AsyncIterator[Output]:
        self.contexts.append(context)
        return self._plays[min(len(self.contexts), len(self._plays)) - 1](context)

    async def close(self) -> None:
        pass


def says(*outputs: Output | Exception | float) -> Play:
    """Yields these, in order; a number waits so many seconds, an exception is raised."""

    async def play(context: Context) -> AsyncIterator[Output]:
        for output in outputs:
            if isinstance(output, int | float):
                await asyncio.sleep(output)
            elif isinstance(output, Exception):
                raise output
            else:
                yield output

    return play


async def history(record: Record) -> Sequence[Message]:
    """What a request without a chat asks."""
    return [Message(message.role, message.text) for message in record.messages]


class Bench:
    """A store, a runner and what tests ask of them. Use within `simulate`."""

    def __init__(self, sim: SimLoop, agent: Any, store: MemoryStore | None = None, **runner: Any) -> None:
        self.sim = sim
        self.agent = agent
        self.store = store if store is not None else MemoryStore(now_ms=sim.now_ms, nonce=lambda: "abcdef01")
        self._options: dict[str, Any] = {"slots": 4, "now_ms": sim.now_ms, "dice": lambda: 0.5} | runner
        self.runner = self.another_runner()
        self._opened = 0

    async def __aenter__(self) -> Self:
        await self.store.start()
        await self.runner.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.close()
        await self.store.close()

    def another_runner(self, agent: Any = None, **runner: Any) -> Runner:
        """As a restart makes one; the old one has to be gone."""
        if agent is not None:
            self.agent = agent
        self.runner = Runner(self.store, {"played": self.agent}, history, **(self._options | runner))
        return self.runner

    async def submit(
        self, text: str = "Well?", *, agent: str = "played", append_only: bool = False, after: str | None = None,
        deadlines: Deadlines | None = None, options: dict[str, Any] | None = None,
    ) -> Key:  # fmt: skip
        """Open a request."""
        self._opened += 1
        key = key_of(OWNER, f"r{self._opened}")
        record = Record(
            key=key, body_hash=b"", agent=agent, created_at=self.sim.now_ms(), append_only=append_only, after=after,
            messages=[InputMessage(role="user", text=text)], deadlines=deadlines or Deadlines(), options=options or {},
        )  # fmt: skip
        accepted = ev.Accepted(at=self.sim.now_ms(), nonce="00000000", agent=agent, append_only=append_only)
        await self.store.open(record, accepted)
        return key

    async def log(self, key: Key) -> Log:
        return await self.store.log(key)

    async def sealed(self, key: Key) -> Transcript:
        """The transcript once there is an outcome, and once its slot is free."""
        log = await self.store.log(key)
        await log.wait_sealed()
        while self.runner.running:  # noqa: ASYNC110 - the loop is simulated: a look costs no time
            await asyncio.sleep(0.01)
        return fold(log.events)

    async def ask(self, text: str = "Well?", **more: Any) -> Transcript:
        """Submit, and wait for the outcome."""
        return await self.sealed(await self.submit(text, **more))

    async def account(self, key: Key) -> Account:
        """The last term's."""
        return (await self.store.accounts(key))[-1]


def simulate(
    agent: Any, main: Callable[[Bench], Coroutine[Any, Any, T]], *, seed: int = 1, **runner: Any
) -> T:
    """Run `main` with a bench that is up, in virtual time; tasks that were left over fail the test."""
    sim = SimLoop(seed)

    async def whole() -> T:
        async with Bench(sim, agent, **runner) as bench:
            return await main(bench)

    result = sim.run(whole())
    assert not sim.leftover, sim.leftover
    return result


BUSY = AgentFailure("busy", "The model is busy.", retryable=True)
"""A failure that is tried again."""


def starts(log: Any) -> list[tuple[int, int, Any, str]]:
    """How each term of a log began."""
    return [
        (event.attempt, event.term, event.keep, event.reason)
        for event in log.events
        if isinstance(event, ev.Started)
    ]


async def cancel(bench: Bench, key: Key) -> None:
    """End it as a person does: by sealing."""
    await bench.store.seal(key, ev.Cancelled(at=bench.sim.now_ms(), code="user"))
