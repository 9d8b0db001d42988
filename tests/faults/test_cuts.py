"""The network ends at every place, in both directions and in every way: the real client has exactly the upstream's text,
and the upstream was asked exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from holdfast_client import connect
from tests.support.impatience import make_impatient
from tests.support.proxy import CutAfter, Direction, Ending, FaultProxy
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SCRIPT = Script(seed=5, deltas=24, delta_chars=10, gap_ms=6, reasoning_deltas=2)
LIMITS = "[limits]\nuser_connections_max = 1000\nanonymous_connections_max = 1000\n"
BOUND_S = 120
AT_ONCE = 12
CUTS = 36  # places per way and direction, evenly over the connection's bytes


async def ask(port: int, request_id: str) -> str:
    """One answer through the proxy, as any program asks."""
    async with connect(f"ws://127.0.0.1:{port}/ws", patience_s=BOUND_S) as client:
        answer = await client.submit(scripted("Say it.", SCRIPT), request_id=request_id)
        transcript = await answer.result()
        assert transcript.status == "completed", transcript.outcome
        return transcript.text


async def in_turn(work: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """All of it, AT_ONCE at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(do: Callable[[], Awaitable[None]]) -> None:
        async with places:
            await do()

    async with asyncio.timeout(BOUND_S), asyncio.TaskGroup() as group:
        for do in work:
            group.create_task(one(do))


async def lengths(server: Server) -> tuple[int, int, int]:
    """Bytes of one whole answer upwards and downwards, and how many of the latter come before the first reply."""
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        async with connect(f"ws://127.0.0.1:{proxy.port}/ws"):
            greeting = proxy.counts.down_bytes
        await ask(proxy.port, "measured")
        return proxy.counts.up_bytes // 2, proxy.counts.down_bytes - greeting, greeting


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("by", ["rst", "fin"])
async def test_a_cut_at_every_place(tmp_path, direction: Direction, by: Ending):
    """A connection that is cut after any number of bytes, before the submit is sent, before its reply is there or in the
    middle of a frame, costs a new connection and nothing else."""
    async with (
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url, extra=LIMITS)) as server,
    ):
        up, down, greeting = await lengths(server)
        size = down if direction == "down" else up
        bitten: list[int] = []

        async def one(place: int) -> None:
            async with FaultProxy("127.0.0.1", server.port) as proxy:
                # A first connection that fails is told to the program at once, so the one that is cut is the second.
                first = CutAfter(greeting + 1, "down", "fin")
                proxy.plan = {1: first, 2: CutAfter(place, direction, by)}.get
                request_id = f"{by}-{direction}-{place}"
                assert await ask(proxy.port, request_id) == expected_text(SCRIPT), place
                assert len(upstream.log.of(request_id)) == 1, place
                bitten.append(proxy.counts.cut)

        step = max(1, size // CUTS)
        await in_turn([partial(one, place) for place in range(0, size, step)])
        # Under load pages merge, so that an answer is fewer bytes, down to a few frames: later places are beyond its end.
        assert sum(count >= 2 for count in bitten) >= len(bitten) / 6, "most cuts did not bite"


async def test_the_reply_to_a_submit_is_cut(tmp_path):
    """The request arrives, its reply never does: it is sent again, found, and the model is asked once."""
    async with (
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url, extra=LIMITS)) as server,
    ):
        _, _, greeting = await lengths(server)

        async def one(number: int) -> None:
            async with FaultProxy("127.0.0.1", server.port) as proxy:
                # A byte of the reply, never all of it; what is sent again on the next two connections is cut as well.
                proxy.plan = lambda n: CutAfter(greeting + number, "down", "rst") if n <= 3 else None
                assert await ask(proxy.port, f"reply-{number}") == expected_text(SCRIPT)
                assert proxy.counts.cut == 3
                assert len(upstream.log.of(f"reply-{number}")) == 1

        await in_turn([partial(one, number) for number in range(0, 24, 2)])


async def test_a_connection_that_falls_silent(tmp_path, monkeypatch):
    """A half-open connection, on which no byte and no end comes any more, is noticed by the client's own deadline."""
    make_impatient(monkeypatch)
    async with (
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url, extra=LIMITS)) as server,
    ):
        up, down, greeting = await lengths(server)

        async def one(place: int, direction: Direction) -> None:
            async with FaultProxy("127.0.0.1", server.port) as proxy:
                first = CutAfter(greeting + 1, "down", "fin")
                silent = CutAfter(place, direction, "half_open")
                proxy.plan = {1: first, 2: silent}.get
                request_id = f"silent-{direction}-{place}"
                assert await ask(proxy.port, request_id) == expected_text(SCRIPT), place
                assert len(upstream.log.of(request_id)) == 1, place

        work = [partial(one, place, "down") for place in range(0, down, max(1, down // 10))]
        work += [partial(one, place, "up") for place in range(0, up, max(1, up // 8))]
        await in_turn(work)
