"""The main promise, on real processes: the server is killed in mid-answer, and nothing that was acknowledged is lost.

A real server process with a real SQLite file, a real upstream over HTTP reached through the real SDK, and the real
client. Three oracles: what the clients hold, what the log holds (read by a fresh client), what the upstream was asked.
"""

import asyncio
import random

import pytest

from holdfast_client import connect
from holdfast_client.errors import NoReply
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SEEDS = [1, 2]
KILLS = 4
REQUESTS = 6
BOUND_S = 90


def script_of(seed: int, number: int) -> Script:
    """One request's answer; every call of it says another text, so that mixed attempts are seen."""
    dice = random.Random(f"{seed}:{number}")
    return Script(
        seed=number + 1, reseed=True, deltas=dice.randint(60, 220), gap_ms=dice.choice([2, 5, 9]),
        reasoning_deltas=dice.choice([0, 5]), split_utf8=dice.random() < 0.3,
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
async def test_sigkill_loses_nothing_acknowledged(tmp_path, seed):
    """Killed at random moments and started again, the server brings every acknowledged request to an outcome, and every
    client to exactly the text of the upstream's last call."""
    dice = random.Random(seed)
    scripts = [script_of(seed, number) for number in range(REQUESTS)]
    async with Upstream() as upstream, Server(tmp_path, toml=openai_toml(upstream.base_url)) as server:
        async with asyncio.timeout(BOUND_S), connect(server.url, patience_s=BOUND_S) as client:
            killing = asyncio.create_task(kill_and_start(server, dice, upstream))
            answers = {}

            async def ask(number: int) -> None:
                await asyncio.sleep(dice.uniform(0, 1.5))
                request_id = f"r{seed}-{number}"
                while True:
                    try:
                        answer = await client.submit(
                            scripted("Say it.", scripts[number]), request_id=request_id
                        )
                        break
                    except NoReply:
                        continue
                answers[request_id] = (number, await answer.result())

            await asyncio.gather(*(ask(number) for number in range(REQUESTS)))
            await killing
        async with asyncio.timeout(BOUND_S), connect(server.url, codec="msgpack") as fresh:
            for request_id, (number, transcript) in answers.items():
                assert transcript.status == "completed", (request_id, transcript.outcome)
                calls = upstream.log.of(request_id)
                assert transcript.text == expected_text(scripts[number], call=len(calls)), request_id
                attached = await fresh.attach(request_id).result()
                assert attached.text == transcript.text
                assert attached.attempt == transcript.attempt
                assert len(calls) <= transcript.attempt
        assert len(answers) == REQUESTS
        assert server.starts == KILLS + 1
        assert any(transcript.attempt > 1 for _, transcript in answers.values()), "no kill has bitten"


async def kill_and_start(server: Server, dice: random.Random, upstream: Upstream) -> None:
    """The first kill waits for an answer that is being streamed, however slow the machine is; the others come as they come."""
    await upstream.log.until(
        lambda calls: any(call.deltas > 2 and call.ended is None for call in calls), BOUND_S
    )
    for turn in range(KILLS):
        if turn:
            await asyncio.sleep(dice.uniform(0.1, 1.2))
        await server.kill()
        await server.start()
