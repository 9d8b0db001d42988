"""PostgreSQL is away from a cluster: nothing new is accepted, what runs goes on and ends, and the history catches up."""

import asyncio
import time
from functools import partial

import pytest

from tests.support.postgres_rig import PostgresServer
from tests.support.talks import asked_once, text_meant
from tests.support.trouble import WAIT_S, figures, trouble, until

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

REFUSED_S = {"killed": 8.0, "paused": 30.0}  # a server that says nothing is waited for, for twenty seconds
KNOWN_S = 8.0


async def chats_of(scene, talk):
    """Its chat as every node shows it: the texts, newest first."""
    return [
        [
            row.text
            for row in (
                await (await scene.desk(node, talk.key.user)).client.messages(f"chat-{talk.key.user}")
            ).messages
        ]
        for node in (0, 1)
    ]


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_away_and_back(tmp_path, redis_server, capsys, fault):
    """Killed and started again, or frozen: both ways what is new is refused in time, what runs ends while it is away, and
    every chat is whole afterwards, by itself."""
    with PostgresServer() as postgres:
        async with (
            asyncio.timeout(3 * WAIT_S),
            trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres) as scene,
        ):
            talks = [
                talk
                for number in range(4)
                for talk in await scene.ask(1, through=(number % 2,), chat_id=f"chat-user-{number + 1}")
            ]
            await scene.shown(talks)
            if fault == "killed":
                postgres.kill()
            else:
                postgres.stop()
            try:
                asked = [scene.refused(node, {"unavailable"}, REFUSED_S[fault]) for node in (0, 1)]
                refusals = asyncio.gather(*asked)
                await scene.troubled("history")
                await scene.refused(0, {"unavailable"}, KNOWN_S)  # from then on nobody waits in vain
                await scene.check(talks)
                refused = await refusals
            finally:
                if fault == "killed":
                    postgres.start_now()
                else:
                    postgres.cont()
            back = time.monotonic()
            await scene.calm()
            for talk in talks:
                whole = [text_meant(talk), "Go on."]

                async def caught_up(talk=talk, whole=whole):
                    return await chats_of(scene, talk) == [whole, whole]

                async with asyncio.timeout(WAIT_S):
                    while not await caught_up():  # noqa: ASYNC110 - processes tell nobody
                        await asyncio.sleep(0.1)
            took_s = time.monotonic() - back
            for request_id in refused:
                assert (await scene.post(0, request_id))[0] in {200, 202}
                await until(partial(asked_once, scene, request_id))
            for node in scene.cluster.nodes:
                said = node.process.output.read_text()
                assert said.count('"postgresql is not available"') in {1, 2, 3}  # once for each reason
                assert said.count('"postgresql is back"') == 1
            figures(
                capsys,
                f"PostgreSQL {fault}: not ready for {scene.unready_s(0):.1f} s; refused within {scene.refused_s} s; "
                f"the history whole after {took_s:.1f} s",
            )
