"""A request that kills whichever process runs it, among neighbours that do nothing wrong: it alone is condemned."""

import asyncio

import pytest

from holdfast_client import connect
from holdfast_server.stores.base import Owner, key_of
from tests.support.cluster import LEASE_S, Cluster, Role
from tests.support.takeover import Books, Reader, token_of, toml_of
from tests.support.takeover_agents import DEADLY, counted

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

WAIT_S = 90.0
NEIGHBOURS = 20
USERS = ("ada", "ben", "cleo", "mallory")
WORDS = 50
COUNT = {"words": WORDS, "gap_s": 0.05}  # they run, and some of them die, beside it
LOOK_S = 0.05


async def watch(node, deaths):
    """Start it again whenever it has died, as systemd or a container runtime does."""
    while True:
        await node.process.level.until(lambda: node.process.returncode is not None, WAIT_S)
        deaths.append(node.name)
        await node.start()


async def test_only_the_guilty_one_is_condemned(tmp_path, postgres_server, capsys):
    """Two workers are killed again and again by one request out of twenty-one: it ends as failed with the code `poison`, the
    others complete, none is interrupted for having died too often, and no slot is lost."""
    roles: tuple[Role, ...] = ("gateway", "worker", "worker")
    limits = "slots = 32\nuser_running_max = 8"
    async with (
        asyncio.timeout(WAIT_S),
        Cluster(
            tmp_path,
            roles=roles,
            toml=toml_of("http://127.0.0.1:9/v1", USERS, limits=limits),
            postgres=postgres_server,
            lease_s=LEASE_S,
        ) as cluster,
    ):
        deaths: list[str] = []
        gateway, *workers = cluster.nodes
        watching = [asyncio.create_task(watch(node, deaths)) for node in workers]
        books = Books(cluster.redis)
        clients = {user: connect(gateway.url, token=token_of(user)) for user in USERS}
        try:
            await asyncio.gather(*(client.__aenter__() for client in clients.values()))
            neighbours = []
            for number in range(NEIGHBOURS):
                user = USERS[number % 3]
                agent = "starter" if number % 8 == 7 else "counter"
                answer = await clients[user].submit(
                    "Count.", request_id=f"r{number}", agent=agent, options=COUNT
                )
                neighbours.append((user, Reader(answer)))
            guilty = await clients["mallory"].submit(DEADLY, request_id="guilty", agent="deadly")
            began = asyncio.get_running_loop().time()
            transcript = await guilty.result()
            condemned_s = asyncio.get_running_loop().time() - began
            assert transcript.outcome is not None
            assert (transcript.status, transcript.outcome.code) == ("failed", "poison")
            killed = len(deaths)
            for user, reader in neighbours:
                await reader.until_end()
                assert reader.answer.status == "completed", (user, reader.answer.fold.outcome)
                assert reader.text == counted(WORDS)
                assert reader.is_whole()
            again = await clients["mallory"].submit("Live.", agent="deadly")
            assert (await again.result()).status == "completed"
            while await books.left(Owner("", user) for user in USERS):  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(LOOK_S)
            assert len(deaths) == killed, "it killed again after its end"
            most = 0
            for user, reader in neighbours:
                standing = await books.standing(key_of(Owner("", user), reader.answer.request_id))
                assert standing is not None
                most = max(most, standing.deaths)
            with capsys.disabled():
                print(  # noqa: T201 - the figures
                    f"\npoison: condemned after {condemned_s:.1f} s and {killed} dead processes; "
                    f"{NEIGHBOURS} neighbours completed, which died with them {most} times at most"
                )
            assert killed == 4, "twice among others and twice alone"
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(
                *watching, *(client.close() for client in clients.values()), return_exceptions=True
            )
