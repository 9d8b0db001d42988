"""PostgreSQL in trouble: killed, paused, cut off, put back to an older state; and nodes that stand still in a write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.events import Started
from holdfast_server.chats import Chats
from holdfast_server.history import postgres
from holdfast_server.history.database import turn_of
from holdfast_server.projector import Projector
from holdfast_server.stores.base import Owner, Unavailable
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.tasks import Tasks
from tests.support.certificates import Papers
from tests.support.journals import ANN, BOB, accepted_of, answered, asked, output_of
from tests.support.postgres_rig import PostgresServer

pytestmark = pytest.mark.needs("postgres")

WRITERS = 6


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a server waits for a second or two."""
    for name, value in {"CALL_S": 1.6, "CONNECT_S": 1.6, "LOCK_S": 0.5, "IDLE_S": 1.0}.items():
        monkeypatch.setattr(postgres, name, value)


@pytest.fixture
async def chats(postgres_url: str) -> AsyncIterator[Chats]:
    chats = await started(postgres_url)
    yield chats
    await chats.close()


async def started(url: str) -> Chats:
    chats = Chats(url, now_ms=lambda: 1_000_000)
    await chats.start()
    return chats


async def until_answers(chats: Chats) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await chats.list_chats(ANN)
                return
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_killed_in_the_middle_of_writes(postgres_server: PostgresServer, chats: Chats) -> None:
    """Whatever was acknowledged is there after SIGKILL, every call in between says Unavailable, and the same history goes on
    by itself once the server is back."""
    acknowledged: list[tuple[Owner, str]] = []
    refused: list[Unavailable] = []
    enough = asyncio.Event()

    async def writes(owner: Owner) -> None:
        for number in range(1_000):
            record = asked(f"r{number}", owner=owner, at=1_000 + number)
            try:
                assert await chats.project_sealed(answered(record))
            except Unavailable as error:
                refused.append(error)
                return
            acknowledged.append((owner, f"r{number}"))
            if len(acknowledged) == 40:
                enough.set()

    writers = [asyncio.create_task(writes(Owner("", f"u{number}"))) for number in range(WRITERS)]
    await enough.wait()
    postgres_server.kill()
    await asyncio.gather(*writers)
    assert len(refused) == WRITERS
    with pytest.raises(Unavailable):
        await chats.list_chats(ANN)
    postgres_server.start_now()
    await until_answers(chats)
    for owner, request_id in acknowledged:
        message = await chats.message(owner, "chat", request_id)
        assert (message.text, message.damaged) == ("Yes.", False)
    assert await chats.project_sealed(answered(asked("after", at=9_000)))


async def test_paused(short: None, postgres_server: PostgresServer, postgres_url: str) -> None:
    """A server that takes connections and says nothing is Unavailable in time, for reads and writes; then all goes on."""
    chats = await started(postgres_url)
    await chats.project_sealed(answered(asked("r1")))
    postgres_server.stop()
    calls = [chats.list_chats(ANN), chats.create_chat(ANN, "other"), chats.search(ANN, "yes")]
    async with asyncio.timeout(15):
        told = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 3
    postgres_server.cont()
    await until_answers(chats)
    assert (await chats.create_chat(ANN, "third")).chat_id == "third"
    assert [hit.message_id for hit in (await chats.search(ANN, "yes"))[0]] == ["r1"]
    postgres_server.stop()
    async with asyncio.timeout(15):
        await chats.close()  # nor does a server that says nothing keep a node from ending


async def test_closed_connections_are_replaced(postgres_server: PostgresServer, chats: Chats) -> None:
    """Connections that were closed while nobody used them cost no call: new ones are made."""
    await asyncio.gather(*(chats.create_chat(Owner("", f"u{number}"), "chat") for number in range(WRITERS)))
    await postgres_server.do(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'holdfast'"
    )
    assert await chats.list_chats(ANN) == ([], None)
    assert (await chats.create_chat(ANN, "chat")).chat_id == "chat"


async def test_a_node_that_stands_still_lets_go(short: None, postgres_url: str) -> None:
    """What a node holds that stops in the middle of a write is free again in time; others of its owner wait for it, others'
    owners do not, and nothing of the broken write is seen."""
    chats, still = await started(postgres_url), await started(postgres_url)
    stands, goes_on = asyncio.Event(), asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            text("INSERT INTO erasures VALUES ('acme', 'ann', 'half', 0) ON CONFLICT DO NOTHING")
        )
        stands.set()
        await goes_on.wait()

    stuck = asyncio.create_task(still._database.write(work, turn=turn_of(ANN)))
    await stands.wait()
    await chats.create_chat(BOB, "his")
    async with asyncio.timeout(10):
        while True:
            try:
                await chats.create_chat(ANN, "hers")
                break
            except Unavailable:
                continue
    with pytest.raises(Unavailable):
        await stuck
    assert await chats.erase_due() == []
    await chats.close()
    await still.close()


async def test_an_older_state_put_back_is_made_good(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """I11: over a backup from before, the journals that the store still holds bring back all that was said."""
    store, chats, older = MemoryStore(), await started(postgres_url), ""
    await store.start()
    for number in range(4):
        if number == 2:
            await chats.close()
            older = await postgres_server.dump(postgres_url)
            chats = await started(postgres_url)
        record = asked(f"r{number}", f"question {number}", at=1_000 + number)
        await store.open(record, accepted_of(record))
        claim = await store.claim()
        assert claim is not None
        writer = store.writer(claim)
        for event in [
            Started(at=2_000, attempt=1, term=claim.term, nonce=claim.nonce),
            *output_of(f"answer {number}", 2_000),
        ]:
            writer.put(event)
        await writer.flush()
        assert await chats.project_sealed(claim.log)
        await store.projected([record.key])
    whole = await chats.list_messages(ANN, "chat"), await chats.search(ANN, "answer")
    restored = await started(older)
    assert len((await restored.list_messages(ANN, "chat"))[0]) == 4
    assert await Projector(store, restored, Tasks("test")).rebuild() == 4
    assert (await restored.list_messages(ANN, "chat"), await restored.search(ANN, "answer")) == whole
    for history in (chats, restored):
        await history.close()
    await store.close()


async def test_over_tls(postgres_server: PostgresServer, postgres_url: str, tmp_path: Path) -> None:
    """The words of libpq: the history is written over TLS that is verified; a server with somebody else's certificate is refused
    in one sentence."""
    papers, strangers = Papers(tmp_path / "papers"), Papers(tmp_path / "strangers")
    url = f"{postgres_url}?sslmode=verify-full&sslrootcert="
    async with postgres_server.secure(*papers.issued("127.0.0.1")):
        chats = await started(url + quote(papers.ca_file))
        try:
            assert await chats.list_chats(ANN)
            ways = await postgres_server.do(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'holdfast'"
            )
        finally:
            await chats.close()
        assert ways
        assert all(row["ssl"] for row in ways)
        with pytest.raises(Unavailable, match="certificate"):
            await started(url + quote(strangers.ca_file))


async def test_nobody_there_is_one_sentence(postgres_server: PostgresServer, postgres_url: str) -> None:
    """A start without the server, with a wrong password or without the database says so, and never the password."""
    wrong = postgres_url.replace("let%20me", "leave%20me")
    nowhere = postgres_url.rsplit("/", 1)[0] + "/nowhere"
    for url, says in ((wrong, "authentication failed"), (nowhere, "does not exist")):
        with pytest.raises(Unavailable, match=says) as told:
            await started(url)
        assert "me%20in" not in str(told.value)
        assert "***" in str(told.value)
    postgres_server.kill()
    with pytest.raises(Unavailable, match="cannot be opened"):
        await started(postgres_url)


async def test_what_would_lose_data_is_refused(postgres_server: PostgresServer, postgres_url: str) -> None:
    """A server that acknowledges before it has written, or a database that cannot hold every language, is refused."""
    name = postgres_url.rsplit("/", 1)[1]
    await postgres_server.do(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(Unavailable, match="synchronous_commit"):
        await started(postgres_url)
    await postgres_server.do("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1'")
    with pytest.raises(Unavailable, match="UTF8"):
        await started(postgres_server.url("narrow"))
