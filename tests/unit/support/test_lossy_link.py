"""The link delivers in order what it delivers, loses a suffix when cut, and never holds more than its bound."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from tests.support.lossy_link import End, Frame, LinkClosed, LinkDown, LossyLink
from tests.support.simloop import Deadlock, SimLoop

SEEDS = range(40)


def simulate(
    scenario: Callable[[SimLoop, LossyLink], Awaitable[None]], seed: int, bytes_max: int = 1000
) -> int:
    sim = SimLoop(seed)

    async def main() -> None:
        await scenario(sim, LossyLink(seed, bytes_max=bytes_max))

    sim.run(main())
    return sim.trace


async def drain(end: End) -> tuple[list[Frame], Exception]:
    frames: list[Frame] = []
    try:
        while True:
            frames.append(await end.receive())
    except (LinkDown, LinkClosed) as error:
        return frames, error


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_arrive_in_order_both_ways(seed: int):
    """Everything sent before an orderly close arrives, in order and late, and then the close with its code."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        sent = [f"frame {n}" for n in range(50)]

        async def send(end: End) -> None:
            for frame in sent:
                await end.send(frame)

        start_s = sim.time()
        async with asyncio.TaskGroup() as group:
            group.create_task(send(link.client))
            group.create_task(send(link.server))
            for end in (link.client, link.server):
                group.create_task(take(end, sent))
        assert sim.time() > start_s
        await link.client.send(b"last")
        link.client.close(4001, "enough")
        frames, error = await drain(link.server)
        assert frames == [b"last"]
        assert isinstance(error, LinkClosed)
        assert (error.code, error.reason) == (4001, "enough")
        for end in (link.client, link.server):
            with pytest.raises(LinkClosed):
                await end.send("more")

    async def take(end: End, expected: list[str]) -> None:
        assert [await end.receive() for _ in expected] == expected

    simulate(scenario, seed)


def test_a_cut_leaves_a_prefix():
    """After a cut both ends are told, and what arrived is a prefix of what was sent: over the seeds, of any length.

    Mutant seen red: `lose` that lets the last frames arrive in place of the first.
    """
    lengths = set()

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        for n in range(6):
            await link.server.send(str(n))
        await asyncio.sleep(0.02)
        link.cut()
        frames, error = await drain(link.client)
        assert frames == ["0", "1", "2", "3", "4", "5"][: len(frames)]
        assert isinstance(error, LinkDown)
        with pytest.raises(LinkDown):
            link.server.offer("late")
        lengths.add(len(frames))

    for seed in range(100):
        simulate(scenario, seed)
    assert lengths == set(range(7))


@pytest.mark.parametrize("boundary", range(8))
def test_cut_after_any_frame(boundary: int):
    """A planned cut delivers exactly the frames before its boundary."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        link.cut_after(boundary, "client")
        with pytest.raises(LinkDown):
            await send_for_ever(link.server)
        frames, _ = await drain(link.client)
        assert frames == [str(n) for n in range(boundary)]
        assert link.delivered("client") == boundary

    async def send_for_ever(end: End) -> None:
        for n in itertools.count():
            await end.send(str(n))
            await asyncio.sleep(0.01)

    simulate(scenario, boundary)


def test_stall_holds_and_heal_delivers():
    """Nothing arrives at a stalled end and nobody is told; after `heal` all of it arrives, in order."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        link.stall("client")
        for n in range(5):
            await link.server.send(str(n))
            await link.client.send(str(n))
        await asyncio.sleep(60)
        assert (link.delivered("client"), link.delivered("server")) == (0, 5)
        link.heal()
        assert [await link.client.receive() for _ in range(5)] == list("01234")

    simulate(scenario, 0)


def test_a_reader_that_stops_stops_its_writer():
    """Bytes under way never pass the bound: the writer waits for a paused reader, and goes on when it reads.

    Mutant seen red: bytes freed on arrival.
    """

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        link.client.pause_reading()
        sent = 0

        async def pump() -> None:
            nonlocal sent
            for _ in range(100):
                await link.server.send(b"x" * 30)
                assert link.server.bytes_pending <= 100
                sent += 1

        task = asyncio.create_task(pump())
        reader = asyncio.create_task(link.client.receive())
        await asyncio.sleep(60)
        assert (sent, link.server.bytes_pending, reader.done()) == (3, 90, False)
        assert not link.server.offer(b"x" * 30)
        link.client.resume_reading()
        await reader
        for _ in range(99):
            await link.client.receive()
        await task
        assert link.server.bytes_pending == 0

    simulate(scenario, 0, bytes_max=100)


def test_a_frame_larger_than_the_bound_passes_alone():
    """A frame above the bound waits until nothing else is under way, and then passes."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        await link.server.send("small")
        assert not link.server.offer("x" * 5000)
        assert await link.client.receive() == "small"
        assert link.server.offer("x" * 5000)
        assert await link.client.receive() == "x" * 5000

    simulate(scenario, 0)


def test_a_waiting_writer_hears_of_the_cut():
    """A writer that waits for room is told when the link is cut, not left waiting."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        await link.server.send(b"x" * 900)
        async with asyncio.TaskGroup() as group:
            group.create_task(expect_down(link.server))
            await sim.idle()
            link.client.abort()

    async def expect_down(end: End) -> None:
        with pytest.raises(LinkDown):
            await end.send(b"x" * 900)

    simulate(scenario, 0)


def test_an_unseen_cut_is_silence():
    """An end that does not see the cut hears nothing and fills its buffer, until it gives up by itself."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        link.cut(unseen_by="server")
        with pytest.raises(LinkDown):
            await link.client.receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.server.receive(), 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send_for_ever(link.server), 30)
        assert link.server.bytes_pending == 1000
        link.heal()
        await asyncio.sleep(1)
        assert link.delivered("client") == 0
        link.server.abort()
        with pytest.raises(LinkDown):
            await link.server.receive()

    async def send_for_ever(end: End) -> None:
        while True:
            await end.send(b"x" * 100)

    simulate(scenario, 0)


def test_what_a_killed_process_sent_still_arrives():
    """Frames on the wire outlive the process that sent them; its silence is not an end of the link."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        process = sim.process("server")
        await process.start(link.server.send("last words"))
        process.kill()
        assert await link.client.receive() == "last words"
        link.cut()
        with pytest.raises(LinkDown):
            await link.client.receive()

    simulate(scenario, 0)


def test_nobody_sends_is_a_deadlock():
    """Two ends that both wait to receive are found out at once."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        await asyncio.gather(link.client.receive(), link.server.receive())

    with pytest.raises(Deadlock, match=r"End\.receive"):
        simulate(scenario, 0)


def test_the_same_seed_gives_the_same_link():
    """Delays and losses repeat by seed."""

    async def scenario(sim: SimLoop, link: LossyLink) -> None:
        for n in range(5):
            await link.server.send(str(n))
        await link.client.receive()
        link.cut()
        await drain(link.client)

    assert simulate(scenario, 1) == simulate(scenario, 1)
    assert len({simulate(scenario, seed) for seed in SEEDS}) == len(SEEDS)
