"""What nodes tell each other gets lost: the connection of messages is killed, or cut off because too much waits on it."""

import asyncio

import pytest

from tests.support.script import Script
from tests.support.trouble import WAIT_S, figures, trouble

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

LARGE = Script(deltas=40, delta_chars=18_000, gap_ms=100, reseed=True)
"""Each message has more in it than Redis sends without a buffer, and less than it may have in it."""

KILLS_MIN = 10
STRICT = "pubsub 4096 0 0"


def cut_off(redis):
    """How many subscribers were cut off for what waited on their connections, by the end of its log."""
    return redis.tail().count("output buffer limits")


async def test_killed_again_and_again(tmp_path, redis_server, postgres_server, capsys):
    """The connections of messages are killed all the time: readers at the other node are late by a moment, and miss nothing."""
    kills = 0
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene,
    ):
        talks = await scene.ask(6)
        await scene.shown(talks)
        while not all(reader.answer.ended for talk in talks for reader in talk.readers):
            kills += await redis_server.do("CLIENT", "KILL", "TYPE", "pubsub")
            if kills >= KILLS_MIN:
                scene.upstream.release()
            await asyncio.sleep(0.15)
        await scene.check(talks)
        await scene.calm()
        assert kills >= KILLS_MIN
        assert all(gauge.now[0] == 200 for gauge in scene.gauges)
        figures(capsys, f"messages: {kills} connections killed while {len(talks)} answers ran")


async def test_too_much_waits(tmp_path, redis_server, postgres_server, capsys):
    """Redis cuts off whoever is told more than it takes at once: what was in those messages is read from the journal."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene,
    ):
        await redis_server.do("CONFIG", "SET", "client-output-buffer-limit", STRICT)
        try:
            talks = await scene.ask(4, script=LARGE)
            small = await scene.ask(2)
            await scene.check([*talks, *small])
            cuts = cut_off(redis_server)
        finally:
            await redis_server.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64mb 16mb 60")
        assert cuts >= 5
        await scene.calm()
        figures(capsys, f"messages: cut off {cuts} times for what waited")
