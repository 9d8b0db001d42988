"""Chats that one node changes are told to the others' feeds; when that cannot be, the latest rows wait."""

import asyncio

from holdfast_protocol.replies import ChatRow
from holdfast_server import chat_news
from holdfast_server.chat_news import ChatNews
from holdfast_server.peers import Peers
from holdfast_server.stores.base import Owner
from holdfast_server.tasks import Tasks
from tests.support.journals import ANN
from tests.support.shared_double import Common


class Side:
    """A node that tells, or is told."""

    def __init__(self, common, name):
        self.shared = common.node(name)
        self.rows: list[tuple[Owner, ChatRow]] = []
        self.lost = 0
        self.news = ChatNews(
            Peers(self.shared), changed=lambda owner, row: self.rows.append((owner, row)), lost=self._lose
        )

    def _lose(self):
        self.lost += 1


def row(chat_id, version):
    """A chat."""
    return ChatRow(chat_id=chat_id, version=version, title=f"Chat {chat_id}")


async def turns(count=20):
    """Let everybody have some turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_rows_reach_the_others_in_their_latest_state(monkeypatch):
    """Those that could not be told wait; of each chat only the latest row is told then, and none is told to its own node."""
    monkeypatch.setattr(chat_news, "RETRY_S", 0.0)
    common, tasks = Common(), Tasks("test")
    a, b = Side(common, "a"), Side(common, "b")
    a.shared.away = True
    a.news.start(tasks)
    a.news.tell(ANN, row("x", 1))
    await turns()
    a.news.tell(ANN, row("x", 2))
    a.news.tell(ANN, row("y", 1))
    a.shared.away = False
    await turns()
    assert sorted((owner, one.chat_id, one.version) for owner, one in b.rows) == [
        (ANN, "x", 2),
        (ANN, "y", 1),
    ]
    assert a.rows == []
    await tasks.close()


async def test_too_many_become_a_word_to_begin_anew(monkeypatch):
    """The others' feeds are told that they miss something, and what comes after it is told as always."""
    monkeypatch.setattr(chat_news, "RETRY_S", 0.0)
    monkeypatch.setattr(chat_news, "WAITING_MAX", 2)
    common, tasks = Common(), Tasks("test")
    a, b = Side(common, "a"), Side(common, "b")
    a.shared.away = True
    a.news.start(tasks)
    for number in range(3):
        a.news.tell(ANN, row(f"c{number}", 1))
    a.shared.away = False
    await turns()
    assert (b.lost, [one.chat_id for _, one in b.rows]) == (1, ["c2"])
    await tasks.close()


async def test_what_cannot_be_read_is_as_good_as_lost():
    """Another release may tell otherwise."""
    common = Common()
    a, b = Side(common, "a"), Side(common, "b")
    await Peers(a.shared).publish(chat_news.TOPIC, b"nonsense")
    assert (b.lost, b.rows) == (1, [])
