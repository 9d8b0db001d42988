"""What is deleted or another's is not there: for no read, no change and no projection; on a real SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast_protocol.replies import ChatRow
from holdfast_server.chats import Chats
from holdfast_server.history.visible import UnknownChat, UnknownMessage
from holdfast_server.stores.base import Owner, UnknownRequest
from tests.support.histories import Histories
from tests.support.journals import ANN, BOB, Clock, answered, asked, opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def chats(histories: Histories, tmp_path: Path, clock: Clock) -> AsyncIterator[Chats]:
    history = Chats(histories.at(tmp_path / "history.db"), now_ms=clock, undo_s=30)
    await history.start()
    yield history
    await history.close()


async def ids(chats: Chats, owner: Owner = ANN, chat_id: str = "chat") -> list[str]:
    rows, _ = await chats.list_messages(owner, chat_id, 200)
    return [row.message_id for row in rows]


# -- deletion ----------------------------------------------------------------------------------------------------


async def test_a_deleted_chat_is_gone_and_can_come_back(chats: Chats, clock: Clock) -> None:
    """Every read loses a deleted chat at once; restoring brings back all, also what ended in between."""
    log = answered(asked("r1", "find me"))
    await chats.project_opened(log)
    assert (await chats.delete_chat(ANN, "chat")).deleted
    told: list[ChatRow] = []
    chats.observe(lambda _, row: told.append(row))
    assert await chats.project_sealed(log)
    assert told == []
    assert await chats.is_deleted(ANN, "chat")
    assert (await chats.list_chats(ANN))[0] == []
    assert (await chats.search(ANN, "find"))[0] == []
    assert await chats.erase_due() == []
    with pytest.raises(UnknownRequest):
        await chats.purged_log(ANN, "r1")
    with pytest.raises(UnknownRequest):
        await chats.purged_status(ANN, "r1")
    clock.now += 29_999
    assert not (await chats.restore_chat(ANN, "chat")).deleted
    assert (await chats.message(ANN, "chat", "r1")).text == "Yes."


async def test_what_is_erased_stays_erased(chats: Chats, clock: Clock) -> None:
    """Past the undo a chat's rows go, its requests are named until their journals are gone, and no projection, late
    submit or retry brings the chat back (I11)."""
    await chats.project_sealed(answered(asked("r1", "secret")))
    late = answered(asked("r2", "secret", parent_id="r1", at=2_000))
    await chats.delete_chat(ANN, "chat")
    clock.now += 30_000
    with pytest.raises(UnknownChat):
        await chats.restore_chat(ANN, "chat")
    assert await chats.erase_due() == [(ANN, ["r1"])]
    assert await chats.project_sealed(late)  # it need not be tried again
    assert await chats.erase_due() == [(ANN, ["r1", "r2"])]
    await chats.erased(ANN, ["r1", "r2"])
    assert await chats.erase_due() == []
    assert not await chats.has_message(ANN, "r1")
    assert not await chats.has_message(ANN, "q-r2")
    with pytest.raises(UnknownChat):
        await chats.create_chat(ANN, "chat")
    with pytest.raises(UnknownChat):
        await chats.delete_chat(ANN, "chat")
    assert (await chats.search(ANN, "secret"))[0] == []


async def test_nothing_of_an_erased_chat_is_left_in_the_file(
    chats: Chats, clock: Clock, histories: Histories, tmp_path: Path
) -> None:
    """After an erasure no table holds a word of what was said."""
    await chats.project_sealed(answered(asked("r1", "xyzzy plugh"), "xyzzy too"))
    await chats.delete_chat(ANN, "chat")
    clock.now += 30_000
    await chats.erase_due()
    with sqlite3.connect(histories.file(tmp_path / "history.db")) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "xyzzy" not in dump
    assert 'INSERT INTO "search_docs"' not in dump


async def test_deleting_a_message_takes_what_is_under_it(chats: Chats) -> None:
    """A subtree goes, its siblings stay; the answers are named, and their journals do not bring them back."""
    logs = [
        answered(asked("r1", "root", at=1_000)),
        answered(asked("r2", "under", parent_id="r1", at=2_000)),
        opened(asked("r3", "deeper", parent_id="r2", at=3_000)),
        answered(asked("r4", "beside", parent_id="r1", at=4_000)),
    ]
    for log in logs:
        await chats.project_opened(log)
    assert sorted(await chats.delete_message(ANN, "chat", "q-r2")) == ["r2", "r3"]
    assert await chats.project_sealed(logs[1])
    assert await ids(chats) == ["r4", "q-r4", "r1", "q-r1"]
    assert (await chats.search(ANN, "under"))[0] == []
    assert [sorted(names) for _, names in await chats.erase_due()] == [["r2", "r3"]]
    with pytest.raises(UnknownMessage):
        await chats.delete_message(ANN, "chat", "q-r2")


# -- strangers ---------------------------------------------------------------------------------------------------


async def test_what_is_anothers_is_not_there(chats: Chats, clock: Clock) -> None:
    """I9: every method gives a stranger exactly what it gives for an id that nobody has, and changes nothing."""
    await chats.project_sealed(answered(asked("r1", "private")))
    await chats.create_chat(ANN, "gone", "private")
    await chats.delete_chat(ANN, "gone")

    async def outcome(owner: Owner, chat_id: str, message_id: str) -> list[object]:
        calls = [
            chats.get_chat(owner, chat_id),
            chats.agent_of(owner, chat_id),
            chats.is_deleted(owner, chat_id),
            chats.update_chat(owner, chat_id, title="stolen", seen=True),
            chats.delete_chat(owner, chat_id),
            chats.restore_chat(owner, chat_id),
            chats.list_messages(owner, chat_id),
            chats.branch(owner, chat_id, message_id),
            chats.newest_leaf(owner, chat_id),
            chats.message(owner, chat_id, message_id),
            chats.has_message(owner, message_id),
            chats.purged_log(owner, message_id),
            chats.purged_status(owner, message_id),
            chats.delete_message(owner, chat_id, message_id),
            chats.list_chats(owner),
            chats.search(owner, "private"),
        ]
        out: list[object] = []
        for call in calls:
            try:
                out.append(await call)
            except (UnknownChat, UnknownMessage, UnknownRequest) as error:
                out.append(type(error))
        return out

    whole = await chats.list_messages(ANN, "chat"), await chats.get_chat(ANN, "chat")
    for stranger in (BOB, Owner("other", "ann"), Owner("", "acmeann")):
        nothing = await outcome(stranger, "nowhere", "nothing")
        for chat_id, message_id in (("chat", "r1"), ("chat", "q-r1"), ("gone", "r1")):
            assert await outcome(stranger, chat_id, message_id) == nothing
    assert (await chats.list_messages(ANN, "chat"), await chats.get_chat(ANN, "chat")) == whole
    assert not (await chats.restore_chat(ANN, "gone")).deleted


async def test_the_same_ids_of_two_owners(chats: Chats, clock: Clock) -> None:
    """Two owners may use the same ids, and what one does to theirs leaves the other's."""
    for owner in (ANN, BOB):
        await chats.project_sealed(answered(asked("r1", f"of {owner.user}", owner=owner)))
    await chats.delete_chat(ANN, "chat")
    clock.now += 30_000
    assert await chats.erase_due() == [(ANN, ["r1"])]
    assert (await chats.message(BOB, "chat", "q-r1")).text == "of bob"
    assert [hit.chat_id for hit in (await chats.search(BOB, "bob"))[0]] == ["chat", "chat"]


async def test_a_message_of_another_chat_is_not_in_this_one(chats: Chats) -> None:
    """Child ids are bound to their chat: with the wrong one a message is unknown."""
    await chats.project_sealed(answered(asked("r1", chat_id="one")))
    await chats.create_chat(ANN, "two")
    for call in (
        chats.message(ANN, "two", "r1"),
        chats.branch(ANN, "two", "r1"),
        chats.delete_message(ANN, "two", "r1"),
    ):
        with pytest.raises(UnknownMessage):
            await call
    assert await ids(chats, chat_id="one") == ["r1", "q-r1"]
