"""Several nodes on one PostgreSQL: they start at once, write at once, sweep at once, and each change is made once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.replies import ReaderRow
from holdfast_server.batches import Batch, BatchItem
from holdfast_server.chats import Chats
from holdfast_server.history.tables import metadata
from holdfast_server.history.visible import UnknownChat, UnknownMessage
from holdfast_server.stores.base import Unavailable, key_of
from holdfast_server.webhook_terms import Hook
from tests.support.journals import ANN, BOB, Clock, accepted_of, answered, asked
from tests.support.postgres_rig import PostgresServer

pytestmark = pytest.mark.needs("postgres")

ROUNDS = 50


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def nodes(postgres_url: str, clock: Clock) -> AsyncIterator[tuple[Chats, Chats]]:
    nodes = Chats(postgres_url, now_ms=clock, undo_s=0), Chats(postgres_url, now_ms=clock, undo_s=0)
    for node in nodes:
        await node.start()
    yield nodes
    for node in nodes:
        await node.close()


async def test_two_starting_at_once_make_one_history(postgres_server: PostgresServer) -> None:
    """Nodes that find an empty database at the same time all start, and it has the tables that the code knows, once."""
    url = await postgres_server.database(empty=True)
    nodes = [Chats(url, now_ms=lambda: 1_000) for _ in range(4)]
    await asyncio.gather(*(node.start() for node in nodes))
    await asyncio.gather(
        *(node.project_sealed(answered(asked(f"r{at}", chat_id=f"c{at}"))) for at, node in enumerate(nodes))
    )
    assert len((await nodes[0].search(ANN, "yes"))[0]) == 4

    def compared(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"include_object": _ours})
        return compare_metadata(context, metadata), context.get_current_revision()

    async with nodes[0]._database.read() as connection:
        assert await connection.run_sync(compared) == ([], "0004")
    keys = await postgres_server.do(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND collation_name"
        " IS DISTINCT FROM 'C' AND (column_name LIKE '%\\_id' OR column_name IN ('tenant', 'user', 'host'))"
        " AND column_name NOT IN ('doc_id', 'delivery_id', 'last_request_id')",
        url,
    )
    assert keys == []
    for node in nodes:
        await node.close()
    await postgres_server.do("UPDATE alembic_version SET version_num = '9999'", url)
    with pytest.raises(Unavailable, match="newer release"):
        await nodes[0].start()
    await postgres_server.drop(url)


def _ours(_: object, name: str | None, *__: object) -> bool:
    return not str(name).startswith("search_")


async def test_two_writing_into_one_chat(nodes: tuple[Chats, Chats]) -> None:
    """Questions, answers, titles and deletions of two nodes in one chat: nothing is lost or doubled, and versions only rise."""
    told: list[int] = []
    for node in nodes:
        node.observe(lambda _, row: told.append(row.version))
    for number in range(ROUNDS):
        both = asked(f"r{number}", f"question {number}", at=1_000 + number)
        own = [asked(f"{name}{number}", f"{name} {number}", at=1_000 + number) for name in "ab"]
        await asyncio.gather(
            *(node.project_opened(both) for node in nodes),
            *(node.project_sealed(answered(both)) for node in nodes),
            *(node.project_sealed(answered(record)) for node, record in zip(nodes, own, strict=True)),
            nodes[number % 2].update_chat(ANN, "chat", seen=True) if number else asyncio.sleep(0),
        )
    rows, mark = [], None
    while True:
        page, mark = await nodes[0].list_messages(ANN, "chat", 200, mark)
        rows += page
        if mark is None:
            break
    assert len(rows) == len({row.message_id for row in rows}) == ROUNDS * 6
    assert all(row.text for row in rows)
    chat = await nodes[1].get_chat(ANN, "chat")
    assert chat.version == max(told)
    assert len(told) == len(set(told))  # no version was given to two states
    assert chat.title in ("question 0", "a 0", "b 0")


async def test_an_order_of_changes_whoever_makes_them(nodes: tuple[Chats, Chats]) -> None:
    """Deleting and restoring, erasing and projecting against each other ends in one of the states that an order gives."""
    for number in range(ROUNDS):
        chat_id = f"c{number}"
        log = answered(asked(f"r{number}", chat_id=chat_id, at=1_000 + number))
        await nodes[0].project_opened(log)
        await asyncio.gather(
            nodes[0].delete_chat(ANN, chat_id),
            nodes[1].project_sealed(log),
            nodes[0].create_chat(BOB, chat_id),
            nodes[1].create_chat(BOB, chat_id),
        )
        due = await asyncio.gather(nodes[0].erase_due(), nodes[1].erase_due(), nodes[1].project_sealed(log))
        assert (ANN, [f"r{number}"]) in [*due[0], *due[1]]
        await asyncio.gather(*(node.erased(ANN, [f"r{number}"]) for node in nodes))
        with pytest.raises(UnknownChat):
            await nodes[0].get_chat(ANN, chat_id)
        assert not await nodes[1].has_message(ANN, f"r{number}")
        assert (await nodes[0].get_chat(BOB, chat_id)).chat_id == chat_id
    assert (await nodes[0].search(ANN, "yes"))[0] == []


async def test_two_deleting_one_message(nodes: tuple[Chats, Chats]) -> None:
    """One of two who delete the same message is told that it is gone; what is under it goes once."""
    await nodes[0].project_sealed(answered(asked("r0", at=1)))
    for number in range(1, 20):
        record = asked(f"r{number}", parent_id="r0", at=1 + number)
        await nodes[0].project_sealed(answered(record))
        told = await asyncio.gather(
            *(node.delete_message(ANN, "chat", f"q-r{number}") for node in nodes), return_exceptions=True
        )
        assert sorted(map(str, told)) == sorted([str([f"r{number}"]), str(UnknownMessage(f"q-r{number}"))])


async def test_a_request_is_accepted_once_by_two_nodes(nodes: tuple[Chats, Chats]) -> None:
    """Of many that hand the same request to two nodes at once, one is told that it is new."""
    for number in range(20):
        record = asked(f"r{number}")
        told = await asyncio.gather(
            *(node.acceptances.accept(record, accepted_of(record)) for node in nodes * 4)
        )
        assert sorted(map(bool, told)) == [False] * 7 + [True]
    assert len(await nodes[0].acceptances.open_before(2**60, 100)) == 20


async def test_who_meets_the_same_request_coming_and_going_is_not_refused(
    nodes: tuple[Chats, Chats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks of one node another takes the row back, and a third accepts the same again: no conflict."""
    mine, its = (node.acceptances for node in nodes)
    record = asked("r1")
    mark = await its.accept(record, accepted_of(record))
    meanwhile = [its.take_back(record.key, mark), its.accept(record, accepted_of(record))]
    through = mine._database.write

    class Slow:
        """A connection between whose statements others have time."""

        def __init__(self, connection: AsyncConnection) -> None:
            self.dialect = connection.dialect
            self._connection = connection

        async def execute(self, *args: Any) -> Any:
            done = await self._connection.execute(*args)
            if meanwhile:
                await meanwhile.pop(0)
            return done

    async def write(work: Any, **terms: Any) -> Any:
        return await through(lambda connection: work(Slow(connection)), **terms)

    monkeypatch.setattr(mine._database, "write", write)
    assert await mine.accept(record, accepted_of(record)) == 0
    assert meanwhile == []


async def test_rows_that_two_nodes_add_to(nodes: tuple[Chats, Chats]) -> None:
    """Spans of readers add up, a batch is one list with what both noted, and a webhook's try is one node's."""
    key = key_of(ANN, "r")
    batch = Batch(
        owner=ANN, batch_id="b", created_at=1, items=[BatchItem(request_id=f"r{n}") for n in range(20)]
    )
    hook = Hook(
        key=key, url="https://a/x", host="a:443", delivery_id="msg_1", state="due", created_at=1, updated_at=1,
        next_at=5,
    )  # fmt: skip
    assert [None, batch] == sorted(
        await asyncio.gather(*(node.batch_rows.add(batch) for node in nodes)), key=lambda one: one is not None
    )
    await asyncio.gather(*(node.webhook_rows.put(hook) for node in nodes))
    for number in range(20):
        node, other = nodes[number % 2], nodes[(number + 1) % 2]
        await asyncio.gather(
            node.reader_rows.add({key: [_span(number)], key_of(BOB, "r"): [_span(number)]}, ()),
            other.reader_rows.add({key_of(BOB, "r"): [_span(100 + number)], key: [_span(100 + number)]}, ()),
            node.batch_rows.note(ANN, "b", {f"r{number}": ("code", node.__class__.__name__)}),
            other.batch_rows.cancel(ANN, "b", number),
        )
    for owner in (ANN, BOB):
        assert len(await nodes[0].reader_rows.of(key_of(owner, "r"))) == 40
    known = await nodes[1].batch_rows.of(ANN, "b")
    assert known is not None
    assert (known.cancelled_at, [item.code for item in known.items]) == (0, ["code"] * 20)
    for at in range(10):
        current = replace(hook, next_at=5 + at)
        taken = await asyncio.gather(*(node.webhook_rows.take(current, 6 + at) for node in nodes * 3))
        assert sorted(taken) == [False] * 5 + [True]


def _span(since: int) -> ReaderRow:
    return ReaderRow(
        connection=f"c{since}", door="websocket", client="", since=since, until=since + 1, start=0, end=9
    )
