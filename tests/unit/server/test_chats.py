"""The history: what was said, chats and their changes, damage, and who is told; on a real SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Cancelled
from holdfast_protocol.replies import ChatRow
from holdfast_server.chats import Chats
from holdfast_server.history.visible import UnknownMessage
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


# -- what was said -----------------------------------------------------------------------------------------------


async def test_a_question_is_there_before_its_answer(chats: Chats) -> None:
    """An accepted request makes its chat, its question and the place of its answer; the answer fills in when it ended."""
    record = asked("r1", "# What **is** `this`?\nAnd why?")
    await chats.project_opened(record)
    chat = await chats.get_chat(ANN, "chat")
    assert (chat.title, chat.agent, chat.created_at, chat.seen_at) == ("What is this?", "demo", 1_000, 1_000)
    (answer, question), _ = await chats.list_messages(ANN, "chat")
    assert (question.message_id, question.role, question.text) == ("q-r1", "user", record.text)
    assert (answer.message_id, answer.parent_id, answer.status, answer.transcript) == (
        "r1",
        "q-r1",
        None,
        None,
    )

    assert await chats.project_sealed(answered(record, "Be|cause.", took_ms=700))
    answer = await chats.message(ANN, "chat", "r1")
    assert (answer.text, answer.status, answer.damaged) == ("Because.", "completed", False)
    assert answer.transcript is not None
    assert answer.transcript == answered(record, "Be|cause.", took_ms=700).fold().transcript()
    assert (await chats.get_chat(ANN, "chat")).updated_at == 1_700


async def test_projecting_again_changes_nothing(chats: Chats) -> None:
    """Whatever is projected twice, or the answer without the question before it, gives the same rows and one version."""
    log = answered(asked("r1"))
    assert await chats.project_sealed(log)
    rows, chat = await chats.list_messages(ANN, "chat"), await chats.get_chat(ANN, "chat")
    await chats.project_opened(log)
    assert await chats.project_sealed(log)
    assert (await chats.list_messages(ANN, "chat"), await chats.get_chat(ANN, "chat")) == (rows, chat)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
async def test_a_rebuilt_history_is_the_same(
    chats: Chats, histories: Histories, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """I11: the rows depend on the journals, not on when or in which order they were projected."""
    logs = [
        answered(asked("r1", "first", at=1_000), "one"),
        answered(asked("r2", "second", parent_id="r1", at=2_000), "two"),
        answered(asked("r3", None, message_id="q-r2", parent_id="r1", at=3_000), "two again"),
        answered(asked("r4", "second, edited", parent_id="r1", at=3_000), "three"),
    ]
    for log in logs:
        await chats.project_opened(log)
        await chats.project_sealed(log)
    other = Chats(histories.at(tmp_path / "again.db"), now_ms=Clock())
    await other.start()
    for index in order:
        await other.project_sealed(logs[index])
    for history in (chats, other):
        assert (await history.get_chat(ANN, "chat")).title == "first"
    assert await other.list_messages(ANN, "chat") == await chats.list_messages(ANN, "chat")
    assert await other.search(ANN, "two") == await chats.search(ANN, "two")
    one, two = await chats.get_chat(ANN, "chat"), await other.get_chat(ANN, "chat")
    assert (one.created_at, one.updated_at, one.seen_at) == (two.created_at, two.updated_at, two.seen_at)
    assert (one.last_request_id, one.last_ended_at) == (two.last_request_id, two.last_ended_at)
    await other.close()


async def test_the_tree(chats: Chats) -> None:
    """Regenerating makes a sibling of the answer, editing one of the question; a branch is one way to the root."""
    await chats.project_sealed(answered(asked("r1", at=1_000)))
    await chats.project_sealed(answered(asked("r2", "more", parent_id="r1", at=2_000)))
    await chats.project_sealed(answered(asked("r3", None, message_id="q-r2", parent_id="r1", at=3_000)))
    await chats.project_opened(asked("r4", "other", parent_id="r1", at=4_000))
    assert await ids(chats) == ["r4", "q-r4", "r3", "r2", "q-r2", "r1", "q-r1"]
    assert await chats.newest_leaf(ANN, "chat") == "r4"

    async def branch(message_id: str, limit: int = 99) -> list[str]:
        return [row.message_id for row in await chats.branch(ANN, "chat", message_id, limit)]

    assert await branch("r3") == ["q-r1", "r1", "q-r2", "r3"]
    assert await branch("q-r4") == ["q-r1", "r1", "q-r4"]
    assert await branch("r3", 2) == ["q-r2", "r3"]
    with pytest.raises(UnknownMessage):
        await branch("nowhere")


async def test_a_ring_of_parents_ends(chats: Chats) -> None:
    """Parents that form a ring, which no door lets in, neither hang a branch nor a deletion."""
    await chats.project_opened(asked("r1", parent_id="r2", at=1_000))
    await chats.project_opened(asked("r2", parent_id="r1", at=2_000))
    assert len(await chats.branch(ANN, "chat", "r1", 10)) == 4
    assert sorted(await chats.delete_message(ANN, "chat", "r1")) == ["r1", "r2"]


async def test_an_id_that_is_taken_keeps_its_message(chats: Chats) -> None:
    """A request whose ids are other messages' changes none of them, and does not hold up the projection."""
    await chats.project_sealed(answered(asked("r1", "mine")))
    await chats.project_opened(asked("q-r1", "an id of a question", chat_id="chat", at=2_000))
    assert await chats.project_sealed(
        answered(asked("r2", "thief", message_id="r1", chat_id="other", at=3_000))
    )
    assert (await chats.message(ANN, "chat", "q-r1")).text == "mine"
    assert (await chats.message(ANN, "chat", "r1")).text == "Yes."
    assert await chats.has_message(ANN, "q-r1")
    assert not await chats.has_message(BOB, "q-r1")


# -- chats -------------------------------------------------------------------------------------------------------


async def test_creating_again_is_harmless(chats: Chats, clock: Clock) -> None:
    """The second creation returns the chat as the first made it, and is no change."""
    first = await chats.create_chat(ANN, "chat", "Mine", "demo")
    clock.now += 1
    assert await chats.create_chat(ANN, "chat", "Other") == first


async def test_a_given_title_stays(chats: Chats) -> None:
    """A first message names a chat only if nobody has; an empty title asks for that again."""
    await chats.create_chat(ANN, "chat", "  My\n title ")
    await chats.project_opened(asked("r1", "first"))
    assert (await chats.get_chat(ANN, "chat")).title == "My title"
    await chats.create_chat(ANN, "two")
    await chats.project_opened(asked("r2", "named by this", chat_id="two"))
    await chats.project_opened(asked("r3", "not by this", chat_id="two", at=2_000))
    assert (await chats.get_chat(ANN, "two")).title == "named by this"
    assert (await chats.update_chat(ANN, "two", title="x" * 500)).title == "x" * 200


async def test_updates(chats: Chats, clock: Clock) -> None:
    """What is given changes, what is not stays, and the place in the list too."""
    await chats.project_opened(asked("r1"))
    before = await chats.get_chat(ANN, "chat")
    after = await chats.update_chat(ANN, "chat", agent="other", archived=True, seen=True)
    assert after.version > before.version
    assert (after.title, after.agent, after.archived) == (before.title, "other", True)
    assert (after.updated_at, after.seen_at) == (before.updated_at, clock.now)
    assert (await chats.list_chats(ANN))[0] == []
    assert (await chats.list_chats(ANN, archived=True))[0] == [after]
    assert await chats.agent_of(ANN, "chat") == "other"


async def test_what_ended_last_is_in_the_chats_row(chats: Chats, clock: Clock) -> None:
    """The latest end, whatever it was and in which order it was projected; not what only began. The list's order rises
    with what is asked and answered, and with nothing else."""
    await chats.project_sealed(answered(asked("r1", at=1_000), took_ms=5_000))
    await chats.project_sealed(answered(asked("r2", at=2_000, parent_id="r1"), took_ms=100))
    await chats.project_opened(asked("r3", at=3_000, parent_id="r1"))
    chat = await chats.get_chat(ANN, "chat")
    assert (chat.last_request_id, chat.last_status, chat.last_ended_at) == ("r1", "completed", 6_000)
    failed = opened(asked("r4", at=6_500, parent_id="r1"))
    failed.extend([Cancelled(at=7_000, code="user")])
    await chats.project_sealed(failed)
    before = await chats.get_chat(ANN, "chat")
    assert (before.last_request_id, before.last_status, before.last_ended_at) == ("r4", "cancelled", 7_000)
    assert before.updated_at == 7_000
    assert before.last_ended_at > before.seen_at
    clock.now += 5
    after = before
    for change in ({"title": "new"}, {"archived": True}, {"archived": False}, {"agent": "x"}, {"seen": True}):
        after = await chats.update_chat(ANN, "chat", **change)
        assert after.updated_at == before.updated_at, change
    assert after.seen_at >= after.last_ended_at
    assert after.last_request_id == "r4"


async def test_an_answer_that_was_deleted_is_not_what_ended_last(chats: Chats) -> None:
    """Its chat's row then names none; deleting another leaves it alone."""
    for number, parent_id in ((1, None), (2, "r1"), (3, "r1")):
        await chats.project_sealed(answered(asked(f"r{number}", at=number * 1_000, parent_id=parent_id)))
    await chats.delete_message(ANN, "chat", "q-r2")
    assert (await chats.get_chat(ANN, "chat")).last_request_id == "r3"
    await chats.delete_message(ANN, "chat", "q-r3")
    chat = await chats.get_chat(ANN, "chat")
    assert (chat.last_request_id, chat.last_status, chat.last_ended_at) == (None, None, 0)


async def test_versions_rise_though_the_clock_does_not(chats: Chats, clock: Clock) -> None:
    """Every change has a higher version than the one before, also when the clock was set back."""
    versions = [(await chats.create_chat(ANN, "chat")).version]
    for step in (0, 5, -10_000, 0):
        clock.now += step
        versions.append((await chats.update_chat(ANN, "chat", seen=True)).version)
    assert versions == sorted(set(versions))


async def test_paging_is_stable_under_change(chats: Chats) -> None:
    """Chats that change, come or go while somebody turns pages neither repeat nor hide the others."""
    for number in range(9):
        await chats.project_opened(asked(f"r{number}", chat_id=f"c{number}", at=1_000 + number // 2))
    first, mark = await chats.list_chats(ANN, limit=3)
    assert [row.chat_id for row in first] == ["c8", "c7", "c6"]
    await chats.project_opened(asked("new", chat_id="new", at=9_000))
    await chats.project_opened(asked("moved", chat_id="c8", at=9_001))
    await chats.delete_chat(ANN, "c6")
    seen: list[str] = []
    while mark is not None:
        rows, mark = await chats.list_chats(ANN, limit=2, before=mark)
        seen += [row.chat_id for row in rows]
    assert seen == ["c5", "c4", "c3", "c2", "c1", "c0"]


async def test_pages_of_messages(chats: Chats) -> None:
    """Pages go from the newest to the oldest and end; large messages make a page shorter, never empty."""
    for number in range(5):
        await chats.project_opened(asked(f"r{number}", "x" * 200_000, at=number))
    seen, mark = [], None
    for _ in range(20):
        rows, mark = await chats.list_messages(ANN, "chat", 4, mark)
        assert 1 <= len(rows) <= 4
        assert sum(len(row.text) for row in rows) <= 256 * 1024
        seen += [row.message_id for row in rows]
        if mark is None:
            break
    assert seen == [name for number in range(4, -1, -1) for name in (f"r{number}", f"q-r{number}")]


@pytest.mark.parametrize("mark", ["", "x", "é", "AAAA", "=" * 200, "k6FyAQI", "\ud800", "lKFow8D_"])
async def test_a_mark_that_is_none(chats: Chats, mark: str) -> None:
    """What is not a mark is refused with a sentence, whatever it is."""
    await chats.create_chat(ANN, "chat")
    for call in (
        chats.list_chats(ANN, before=mark),
        chats.list_messages(ANN, "chat", before=mark),
        chats.search(ANN, "x", before=mark),
    ):
        with pytest.raises(ProtocolError, match="mark"):
            await call


# -- truth -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [("text = 'No.'", "Yes."), ("transcript = x'00ff'", "Yes."), ("sha256 = zeroblob(32)", "Yes.")],
)
async def test_damage_shows(
    chats: Chats, histories: Histories, tmp_path: Path, change: str, text: str
) -> None:
    """An answer that is not as it was written says so, and shows the copy that is whole."""
    log = answered(asked("r1"))
    await chats.project_sealed(log)
    connection = sqlite3.connect(histories.file(tmp_path / "history.db"))
    connection.execute(f"UPDATE messages SET {change} WHERE message_id = 'r1'")
    connection.commit()
    connection.close()
    row = await chats.message(ANN, "chat", "r1")
    assert (row.damaged, row.text) == (True, text)
    assert not await chats.project_sealed(log)  # not to be marked: the journal is the good copy
    shown = await chats.purged_log(ANN, "r1")
    assert shown.outcome is not None
    assert (shown.status, shown.outcome.code) == ("failed", "damaged")


async def test_a_purged_request_still_answers(chats: Chats) -> None:
    """The log made from the history folds to what the journal did, knows its body, and takes no cursor of the other."""
    log = answered(asked("r1"), "a|b|c|d")
    await chats.project_sealed(log)
    again = await chats.purged_log(ANN, "r1")
    assert again.sealed
    assert (again.record.body_hash, again.record.message_id) == (log.record.body_hash, "q-r1")
    assert again.fold().digest() == log.fold().digest()
    assert again.fold().transcript().parts == log.fold().transcript().parts
    assert again.fold().offset == again.tail
    assert again.check(log.cursor()) == "unknown_epoch"
    assert again.check((await chats.purged_log(ANN, "r1")).cursor()) is None
    assert await chats.purged_status(ANN, "r1") == (log.status, "chat")
    for call in (chats.purged_log, chats.purged_status):
        with pytest.raises(UnknownRequest):
            await call(ANN, "q-r1")


# -- observers ---------------------------------------------------------------------------------------------------


async def test_every_change_is_told_after_its_commit(
    chats: Chats, histories: Histories, tmp_path: Path
) -> None:
    """The observer hears of each change once it is durable, in order, with the row as it then is."""
    told: list[ChatRow] = []
    file = histories.file(tmp_path / "history.db")

    def changed(owner: Owner, row: ChatRow) -> None:
        assert owner == ANN
        connection = sqlite3.connect(file)
        found = connection.execute("SELECT version FROM chats").fetchone()
        connection.close()
        assert found == (row.version,)
        told.append(row)

    chats.observe(changed)
    log = answered(asked("r1"))
    await chats.project_opened(log)
    await chats.project_sealed(log)
    await chats.update_chat(ANN, "chat", title="T")
    await chats.delete_message(ANN, "chat", "r1")
    await chats.delete_chat(ANN, "chat")
    await chats.restore_chat(ANN, "chat")
    assert [row.deleted for row in told] == [False, False, False, False, True, False]
    assert [row.version for row in told] == sorted({row.version for row in told})


async def test_who_asked_may_go(chats: Chats) -> None:
    """I5: a change whose caller is cancelled is made whole all the same, and told."""
    told: list[ChatRow] = []
    chats.observe(lambda _, row: told.append(row))
    caller = asyncio.create_task(chats.create_chat(ANN, "chat", "Kept"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await chats.create_chat(ANN, "after")
    assert [row.chat_id for row in told] == ["chat", "after"]
    assert (await chats.get_chat(ANN, "chat")).title == "Kept"
