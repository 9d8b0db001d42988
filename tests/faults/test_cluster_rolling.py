"""Every node is redeployed, one after the other and twice around, under a steady load: nobody loses anything by it.

Clients come through one door that leads to any node. Whatever was asked ends as it would have ended anyway: nothing is lost,
fails or is counted as a crash, and what a node still ran within its grace, or could hand over in the middle, is not begun anew.
"""

import asyncio
import random
import time
from contextlib import AsyncExitStack

import pytest

from holdfast_client import connect
from holdfast_client.errors import CommandRefused, ConnectionLost, NoReply
from holdfast_server.stores.base import Owner, key_of
from tests.support.cluster import Cluster
from tests.support.script import Script, expected_text, scripted
from tests.support.takeover import Books, Front, Reader, token_of, toml_of
from tests.support.takeover_agents import counted
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

SEED = 20261121
WAIT_S = 100.0
ROUNDS = 2
USERS = ("ada", "ben", "cleo", "dora")
EVERY_S = 0.4  # between two requests: some forty while all nodes go and come back
GRACE_S = 1.5  # of a node that is told to end
WORDS = 120
LONG = {
    "words": WORDS,
    "gap_s": 0.03,
}  # longer than the grace: it is handed over, and goes on where it stands
AGAIN_S = 0.2


def script_of(number: int) -> Script:
    """An answer well within the grace; each call of it says another text, so that one begun anew is seen."""
    return Script(seed=number, reseed=True, deltas=20, gap_ms=15)


class Load:
    """Requests at a steady pace, each followed to its end; what was seen of them."""

    def __init__(self, clients, dice):
        self._clients = clients
        self._dice = dice
        self.readers = {}
        self.gaps = []
        self._group = []
        self._stop = asyncio.Event()

    async def run(self):
        """Ask until told to stop, then wait for every end."""
        number = 0
        while not self._stop.is_set():
            self._group.append(asyncio.create_task(self._one(number)))
            number += 1
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._stop.wait()
            except TimeoutError:
                continue
        await asyncio.gather(*self._group)

    def stop(self):
        """Ask no more."""
        self._stop.set()

    async def _one(self, number):
        user = USERS[number % len(USERS)]
        client = self._dice.choice(self._clients[user])
        long = number % 3 == 2
        what = (
            {"text": "Count.", "agent": "counter", "options": LONG}
            if long
            else {"text": scripted("Well?", script_of(number))}
        )
        request_id = f"r{number}"
        answer = None
        while answer is None:
            try:
                answer = await client.submit(request_id=request_id, **what)
            except (NoReply, ConnectionLost):
                continue
            except CommandRefused as refused:
                # A node that ends takes nothing more and says so: it is asked again, elsewhere.
                if refused.code not in ("overloaded", "unavailable", "draining"):
                    raise
                await asyncio.sleep(AGAIN_S)
        reader = Reader(answer)
        self.readers[number] = reader
        await self._watch(answer)
        await reader.until_end()

    async def _watch(self, answer):
        """The longest time without news while it ran."""
        longest, last, level = 0.0, None, answer.level
        while not answer.ended:
            level = await answer.changed(level)
            now = time.monotonic()
            if last is not None:
                longest = max(longest, now - last)
            last = now if answer.status == "running" else None
        self.gaps.append(longest)


async def test_rolling_restart_loses_nothing(tmp_path, postgres_server, capsys):
    """Three nodes, each told to end and started again in turn, twice around: no request is lost or fails or has a strike, the
    upstream is called once for each, and those that were handed over go on with what stands."""
    dice = random.Random(SEED)
    async with asyncio.timeout(WAIT_S), AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        cluster = await stack.enter_async_context(
            Cluster(
                tmp_path,
                toml=toml_of(upstream.base_url, USERS),
                postgres=postgres_server,
                lease_s=10.0,  # nobody dies here
                env={"HOLDFAST_SERVER__DRAIN_S": str(GRACE_S)},
            )
        )
        front = await stack.enter_async_context(Front(cluster.nodes))
        clients = {
            user: [
                await stack.enter_async_context(connect(front.url, token=token_of(user), patience_s=WAIT_S))
                for _ in range(2)
            ]
            for user in USERS
        }
        load = Load(clients, dice)
        loading = asyncio.create_task(load.run())
        ends = []
        try:
            for _ in range(ROUNDS):
                for node in cluster.nodes:
                    began = time.monotonic()
                    assert await node.stop() == 0
                    ends.append(time.monotonic() - began)
                    await node.start()
            load.stop()
            await loading
        finally:
            loading.cancel()
        books = Books(cluster.redis)
        short = {number: reader for number, reader in load.readers.items() if number % 3 != 2}
        begun_anew = 0
        for number, reader in load.readers.items():
            case = f"r{number}: {[(start.reason, start.attempt) for start in reader.starts]}"
            assert reader.answer.status == "completed", (case, reader.answer.fold.outcome)
            assert reader.is_whole(), case
            assert {start.attempt for start in reader.starts} == {1}, case
            assert all(start.reason in ("first", "handed_over") for start in reader.starts), case
            standing = await books.standing(key_of(Owner("", USERS[number % len(USERS)]), f"r{number}"))
            assert standing is not None
            assert standing.deaths == 0, case
            if number in short:
                calls = len(upstream.log.of(f"r{number}"))
                begun_anew += calls - 1
                assert reader.text == expected_text(script_of(number), calls), case
                assert calls == 1, (case, [call.outcome for call in upstream.log.of(f"r{number}")])
            else:
                assert reader.text == counted(WORDS), case
                assert reader.taken_back == 0, case
        handed = [
            number for number, reader in load.readers.items()
            if any(start.reason == "handed_over" for start in reader.starts)
        ]  # fmt: skip
        with capsys.disabled():
            gaps = sorted(load.gaps)
            print(  # noqa: T201 - the figures
                f"\nrolling restart, {len(ends)} restarts: {len(load.readers)} requests, all completed; "
                f"{len(handed)} handed over, {begun_anew} begun anew; a node ended after {max(ends):.1f} s at most; "
                f"readers saw nothing for {gaps[len(gaps) // 2]:.2f} s (median of the longest), {gaps[-1]:.2f} s at most"
            )
        assert len(load.readers) >= 30
        assert handed, "no restart has bitten"
        while await books.left(Owner("", user) for user in USERS):  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.1)
