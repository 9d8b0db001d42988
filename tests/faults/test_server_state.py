"""What a server finds again after it was killed: a parked request, its history, its deadlines' rows."""

import asyncio
import signal
import sqlite3

import pytest

from holdfast_client import connect
from holdfast_protocol.transcript import WaitPart
from tests.support.serving import Server

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 60


async def test_a_request_that_waits_for_a_person_survives_a_kill(tmp_path):
    """Parked, killed, started, approved: it goes on where it stood, as the same attempt, with the decision taken."""
    async with Server(tmp_path) as server, asyncio.timeout(BOUND_S), connect(server.url) as client:
        answer = await client.submit("Please approve this.", chat_id="c1", options={"pace": 0})
        level = 0
        while answer.status != "waiting":
            level = await answer.changed(level)
        await server.kill()
        await server.start()
        (row,) = (await client.requests(active=True)).requests
        assert row.status == "waiting"
        (wait,) = (part for part in answer.transcript.parts if isinstance(part, WaitPart))
        await client.decide(answer.request_id, wait.wait_id, True, digest=wait.digest)
        transcript = await answer.result()
        assert (transcript.status, transcript.attempt) == ("completed", 1)
        (wait,) = (part for part in transcript.parts if isinstance(part, WaitPart))
        assert (wait.state, wait.decision) == ("decided", True)


async def test_a_lost_history_is_made_again_from_the_journals(tmp_path):
    """The file is deleted: chats, questions and answers are there again after the next start (I11)."""
    async with Server(tmp_path) as server, asyncio.timeout(BOUND_S):
        async with connect(server.url) as client:
            for number in range(3):
                answer = await client.submit(
                    "Say it.", chat_id=f"c{number}", options={"words": 20, "pace": 0}
                )
                await answer.result()
            before = {row.chat_id: row.title for row in (await client.chats()).chats}
            texts = {row.message_id: row.text for row in (await client.messages("c1")).messages}
        await server.kill()
        for file in (server.folder / "data").glob("history.db*"):
            file.unlink()
        await server.start()
        async with connect(server.url) as client:
            assert {row.chat_id: row.title for row in (await client.chats()).chats} == before
            assert {row.message_id: row.text for row in (await client.messages("c1")).messages} == texts


async def test_the_sweep_packs_and_purges_and_answers_stay(tmp_path):
    """By the node's own clock: journals are written smaller, then go by size; the answer comes from the history."""
    toml = "[store]\ncompact_every_s = 0.1\nkeep_bytes = 1\n"
    async with Server(tmp_path, toml=toml) as server, asyncio.timeout(BOUND_S):
        async with connect(server.url) as client:
            answer = await client.submit("Say it.", chat_id="c1", options={"words": 50, "pace": 0})
            text = (await answer.result()).text
        database = sqlite3.connect(f"file:{server.folder}/data/journals.db?mode=ro", uri=True)
        try:
            while True:
                tables = [
                    name
                    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                ]
                rows = sum(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables)
                if rows == 0 or await purged(server.url, answer.request_id):
                    break
                await asyncio.sleep(0.5)
        finally:
            database.close()
        async with connect(server.url) as client:
            again = client.attach(answer.request_id)
            assert (await again.result()).text == text


async def purged(url: str, request_id: str) -> bool:
    """Whether the request is answered from the history: its log is the short one."""
    async with connect(url) as client:
        return len((await client.read_events(request_id)).events) < 10


async def test_a_second_signal_ends_a_drain_at_once_and_the_next_start_goes_on(tmp_path):
    """Who is in a hurry loses nothing either."""
    toml = "[server]\ndrain_s = 60\n"
    async with Server(tmp_path, toml=toml) as server, asyncio.timeout(BOUND_S), connect(server.url) as client:
        answer = await client.submit("Say it.", options={"words": 100, "pace": 60})
        async for _ in answer:
            break
        server.process.send(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.process.wait(), 0.5)
        server.process.send(signal.SIGTERM)
        assert await server.process.wait() == 1
        await server.start()
        assert (await answer.result()).status == "completed"
