"""The feed's rows."""

from __future__ import annotations

from holdfast_client.feed import ROWS_MAX, FeedRows
from holdfast_protocol.pushes import Feed, FeedChat, FeedRequest
from holdfast_protocol.replies import ChatRow, RequestRow


def chat(number: int, version: int, title: str = "") -> FeedChat:
    return FeedChat(chat=ChatRow(chat_id=f"c{number}", version=version, title=title))


def test_the_higher_version_holds_whatever_the_order():
    """Repeats and overtaken rows are not news and change nothing."""
    rows = FeedRows()
    new = rows.take(Feed(next="1-0.aaaaaaaa", events=[chat(1, 2, "two"), chat(1, 1, "one")]))
    assert [row.title for row in new] == ["two"]
    assert rows.take(Feed(next="2-0.aaaaaaaa", events=[chat(1, 2, "again")])) == []
    assert rows.chats["c1"].title == "two"
    assert rows.cursor == "2-0.aaaaaaaa"


def test_chats_and_requests_are_apart():
    """A request's row does not hide a chat's of the same id."""
    rows = FeedRows()
    request = FeedRequest(request=RequestRow(request_id="c1", version=1, status="queued", agent="demo"))
    rows.take(Feed(next="1-0.aaaaaaaa", events=[chat(1, 9), request]))
    assert (len(rows.chats), len(rows.requests)) == (1, 1)


def test_rows_are_bounded():
    """The rows that changed longest ago go first (I8)."""
    rows = FeedRows()
    for number in range(ROWS_MAX + 5):
        rows.take(Feed(next="1-0.aaaaaaaa", events=[chat(number, 1)]))
        rows.take(Feed(next="1-0.aaaaaaaa", events=[chat(0, number + 2)]))
    assert len(rows.chats) == ROWS_MAX
    assert "c0" in rows.chats
    assert "c1" not in rows.chats
