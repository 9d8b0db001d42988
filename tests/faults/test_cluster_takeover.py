"""A worker is killed, frozen or cut off from Redis while it runs answers in every state: other nodes go on with them in time.

Three nodes, a short lease. One of them runs an answer of each kind when it is taken away. Of each it is known
when Redis gave it to its next holder, by Redis's own clock, what every reader saw, what the upstream was asked, and what the
one that was away tried to write when it came back.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from msgspec import structs

from holdfast_client import connect
from holdfast_client.ids import new_id
from holdfast_server.stores.base import Owner, key_of
from tests.support.cluster import LEASE_S, Cluster
from tests.support.proxy import CutAfter
from tests.support.script import Script, expected_text, scripted
from tests.support.takeover import Books, Front, Reader, now_ms, token_of, toml_of
from tests.support.takeover_agents import CALLS, counted
from tests.support.upstream import Upstream

pytestmark = [
    pytest.mark.needs("redis-server", "postgres"),
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

WAIT_S = 40.0
WITHIN_MS = 1000 * (LEASE_S + 1.0)  # what is promised, from the fault to the next holder's claim
NOISE_MS = 4_000.0  # what a machine that many tests share may add: three servers and their clients on two cores; the figure is printed
LINGER_S = 30.0  # longer than any of it takes: who is found lingering was taken away there
LOOK_S = 0.02
FENCED = "fenced: another term owns the request; nothing is written"  # in the log of who was replaced

HELD = Script(hold=0, reseed=True, seed=1)
SLOW_STREAM = Script(deltas=100, gap_ms=100, reseed=True, seed=2, split_utf8=True)
STREAM = structs.replace(SLOW_STREAM, gap_ms=5)  # once it has happened
WORDS = 100
COUNT = {"words": WORDS, "first_gap_s": 0.1, "gap_s": 0.005}
END = {"words": 10, "linger_s": LINGER_S}


class Case(NamedTuple):
    """An answer in the state in which its node is taken away: how it is asked for, and what becomes of it."""

    agent: str
    status: str
    reasons: list[str]
    text: str
    taken_back: bool = False
    asked: str = "Go on."
    options: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never written
    calls: int = 0  # of the upstream
    shown: int = 0  # characters, before it happens


CASES = {
    "silent": Case(
        "model", "completed", ["first", "recovered"], expected_text(HELD, 2), asked=scripted("Well?", HELD), calls=2
    ),
    "streaming": Case(
        "model", "completed", ["first", "recovered"], expected_text(STREAM, 2), True, calls=2, shown=60
    ),
    "counting": Case("counter", "completed", ["first", "recovered"], counted(WORDS), options=COUNT, shown=20),
    "careful": Case("careful", "interrupted", ["first"], "", options=COUNT, shown=20),
    "ending": Case(
        "starter", "completed", ["first", "recovered"], counted(10), True, options=END, shown=len(counted(10))
    ),
    "said": Case("counter", "completed", ["first", "recovered"], counted(10), options=END, shown=len(counted(10))),
    "tool": Case("tooler", "completed", ["first", "recovered"], "It may fly.", options={"linger_s": LINGER_S}),
    "wait": Case("waiter", "completed", ["first", "resumed"], "May I? I may.", shown=len("May I? ")),
}  # fmt: skip
USERS = [*CASES, "bystander"]


class Scene:
    """The cluster, the upstream, and what Redis says."""

    def __init__(self, cluster, upstream, calls):
        self.cluster, self.upstream, self.calls = cluster, upstream, calls
        self.books = Books(cluster.redis)
        self.victim = cluster.nodes[1]
        self.rounds = 0

    async def is_held_by_victim(self, key):
        """Wait until it runs (or waits) somewhere; whether it is the victim."""
        async with asyncio.timeout(WAIT_S):
            while (at := await self.books.standing(key)) is None or not at.node:  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(LOOK_S)
        return (await self.books.names()).get(at.node) == self.victim.name

    async def until_free(self):
        """Wait until nothing is held any more, by anybody; what is, if that does not come."""
        left = {}
        try:
            async with asyncio.timeout(10 * LEASE_S):
                while left := await self.books.left(Owner("", user) for user in USERS):  # noqa: ASYNC110 - processes tell nobody
                    await asyncio.sleep(5 * LOOK_S)
        except TimeoutError:
            pytest.fail(f"still taken: {left}")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory, redis_process, postgres_process):
    """Three nodes, each behind a proxy of its own before Redis; of each user one answer may run."""
    async with redis_process.client() as client:
        await client.execute_command("FLUSHALL")
    folder = tmp_path_factory.mktemp("takeover")
    calls = folder / "calls.txt"
    calls.touch()
    async with Upstream() as upstream:
        rig = Cluster(
            folder,
            toml=toml_of(upstream.base_url, USERS, limits="user_running_max = 1", model="running_max = 4"),
            redis=redis_process,
            postgres=postgres_process,
            proxied=True,
            lease_s=LEASE_S,
            env={CALLS: str(calls)},
        )
        async with rig:
            yield Scene(rig, upstream, calls)


class Told(NamedTuple):
    """One case, under way."""

    case: Case
    key: object
    readers: list[Reader]


async def placed(scene, stack, front, user):
    """The case of this name, on the node that will be taken away, in its state, and read through all nodes."""
    case = CASES[user]
    there, here, other = [
        await stack.enter_async_context(connect(url, token=token_of(user)))
        for url in (front.url, scene.cluster.nodes[0].url, scene.cluster.nodes[2].url)
    ]
    while True:
        request_id = f"{user}-{scene.rounds}-{new_id()}"
        key = key_of(Owner("", user), request_id)
        if user == "streaming":
            scene.upstream.script(SLOW_STREAM, request_id)
        # Asked through the node itself it is mostly that node that is the first to claim it.
        asking = await stack.enter_async_context(connect(scene.victim.url, token=token_of(user)))
        await asking.submit(
            case.asked, request_id=request_id, agent=case.agent, options=case.options, follow=False
        )
        if await scene.is_held_by_victim(key):
            break
        await asking.cancel(request_id)
        await asking.close()
    await asking.close()
    stack.push_async_callback(given_up, other, request_id)
    readers = [Reader(client.attach(request_id)) for client in (there, here, other)]
    for reader in readers:
        stack.push_async_callback(reader.close)
    return Told(case, key, readers)


async def given_up(client, request_id):
    """Where a test fails half way, the next one finds its users' slots free."""
    async with asyncio.timeout(WAIT_S):
        await client.cancel(request_id)


async def in_state(scene, told):
    """Wait until it is where it is to be found."""
    async with asyncio.timeout(WAIT_S):
        for reader in told.readers:
            while len(reader.text) < told.case.shown or not reader.starts:  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(LOOK_S)
        if told.case.agent == "model" and not told.case.shown:
            await scene.upstream.log.until(
                lambda calls: any(call.key == told.key.request_id and call.stalled for call in calls)
            )
        while told.case.agent == "tooler" and told.key.request_id not in scene.calls.read_text():  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(LOOK_S)
        while told.case.agent == "waiter" and told.readers[1].answer.status != "waiting":  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(LOOK_S)


async def taken_over(scene, happen, heal, capsys, name):
    """The whole story, with a fault of this kind."""
    scene.rounds += 1
    books, victim = scene.books, scene.victim
    log_before = len(victim.process.output.read_text())
    healed: list[bool] = []

    async def heal_once():
        if not healed:
            healed.append(True)
            await heal()

    async with asyncio.timeout(2 * WAIT_S), AsyncExitStack() as stack:
        front = await stack.enter_async_context(Front([victim, *scene.cluster.nodes]))
        cast = {}

        async def cast_one(user):
            cast[user] = await placed(scene, stack, front, user)

        await asyncio.gather(*(cast_one(user) for user in CASES))
        await asyncio.gather(*(in_state(scene, told) for told in cast.values()))
        scene.upstream.script(STREAM, cast["streaming"].key.request_id)
        fault_ms = now_ms()
        stack.push_async_callback(heal_once)  # whatever fails: the next test needs the node
        await happen()
        await front.leave(victim)
        running = {user: told.key for user, told in cast.items() if user != "wait"}
        claimed = await books.claimed_ms(list(running.values()), 2)
        spans = {user: at - fault_ms for user, at in zip(running, claimed, strict=True)}
        waits = cast["wait"].readers[2].answer
        await waits.decide("go", True, digest=waits.parts[-1].fields["digest"])
        healing = asyncio.create_task(heal_once())
        # Who was replaced while it said nothing stops all the same, before its successor has ended.
        silent = cast["silent"].key.request_id
        await scene.upstream.log.until(
            lambda calls: [call.ended is None for call in calls if call.key == silent] == [False, True]
        )
        scene.upstream.release(silent)
        for user, told in cast.items():
            await check(scene, user, told)
        await healing
        with capsys.disabled():
            spread = ", ".join(f"{user} {span:.0f}" for user, span in spans.items())
            print(f"\n{name}: claimed by others after (ms): {spread}")  # noqa: T201 - the figures
        assert max(spans.values()) <= WITHIN_MS + NOISE_MS, spans
        await scene.until_free()
        async with AsyncExitStack() as others:
            again = [
                await others.enter_async_context(connect(victim.url, token=token_of(user))) for user in cast
            ]
            asked = [await client.submit("Again.", agent="counter", options={"words": 3}) for client in again]
            assert [(await answer.result()).text for answer in asked] == [counted(3)] * len(CASES)
            for client, told in zip(again, cast.values(), strict=True):
                replayed = await client.attach(told.key.request_id).result()
                assert (replayed.status, replayed.text) == (told.case.status, told.readers[0].text), told.key
        for told in cast.values():
            assert (await books.standing(told.key)).status == told.case.status
    said = victim.process.output.read_text()[log_before:]
    assert "Traceback" not in said
    return said


async def check(scene, user, told):
    """Every reader saw one unbroken answer, and nothing of the first holder comes after its successor's start."""
    case, key = told.case, told.key
    for place, reader in enumerate(told.readers):
        where = f"{user} through node {place}"
        await reader.until_end()
        assert reader.answer.status == case.status, (where, reader.answer.fold.outcome)
        assert [start.reason for start in reader.starts] == case.reasons, where
        if case.status == "completed":
            assert reader.text == case.text, where
        else:
            assert reader.text, where
            assert counted(WORDS).startswith(reader.text), where
        assert reader.is_whole(), where
        assert bool(reader.taken_back) == case.taken_back, where
        assert reader.text == told.readers[0].text, where
    assert len(scene.upstream.log.of(key.request_id)) == case.calls, user
    if case.agent == "tooler":
        assert scene.calls.read_text().split().count(key.request_id) == 1
    terms = await scene.books.terms(key)
    assert len(terms) == 3, (user, "two holders")
    offset, began = 0, {}
    for event in told.readers[0].events:
        if event in told.readers[0].starts:
            began[event.term] = offset
        offset += event.span
    assert all(terms[term] <= at for term, at in began.items()), (user, terms, began)
    entries = await scene.books.entries(key)
    assert entries == sorted(entries), user
    assert all(end <= terms[2] for term, end in entries if term == 1), (user, entries, terms)


def at_once(act):
    """What is waited for, of an act that needs no waiting."""

    async def done():
        act()

    return done


async def test_killed(scene, capsys):
    """SIGKILL: its requests are taken over within the lease and a second."""
    await taken_over(scene, scene.victim.kill, scene.victim.start, capsys, "killed")


async def test_frozen_and_resumed(scene, capsys):
    """SIGSTOP beyond the lease: the same; resumed, it finds itself fenced and writes nothing."""
    victim = scene.victim
    said = await taken_over(scene, at_once(victim.freeze), at_once(victim.thaw), capsys, "frozen")
    assert FENCED in said


async def test_cut_from_redis(scene, capsys):
    """Its connections to Redis are reset, and new ones too: the same; with Redis back it finds itself fenced."""
    proxy = scene.cluster.link_proxy(1)

    async def cut():
        proxy.plan = lambda number: CutAfter(0, "up", "rst")
        assert await proxy.cut("rst") > 0

    said = await taken_over(scene, cut, at_once(proxy.heal), capsys, "reset")
    assert FENCED in said


async def test_half_open_to_redis(scene, capsys):
    """Its connections to Redis say nothing any more, and neither do new ones: the same."""
    proxy = scene.cluster.link_proxy(1)
    said = await taken_over(scene, at_once(proxy.half_open), at_once(proxy.heal), capsys, "half open")
    assert FENCED in said


async def test_stalled_to_redis(scene, capsys):
    """What it writes to Redis arrives only when others have long taken over: it is refused there."""
    proxy = scene.cluster.link_proxy(1)
    said = await taken_over(scene, at_once(proxy.stall), at_once(proxy.heal), capsys, "stalled")
    assert FENCED in said
