"""Chats, messages, search, agents and the feed over HTTP: the same rows as over the WebSocket."""

import asyncio

import pytest

from holdfast_protocol.replies import AgentRow
from tests.support.http_door import SSE, HttpRig, frames_of, http_serving

ENOUGH_S = 10.0


@pytest.fixture
async def ann(tmp_path):
    """A server, and ann's way to it."""
    agents = [AgentRow(name="demo", description="Says something.", default=True)]
    async with http_serving(HttpRig(tmp_path, desk={"agents": agents})) as caller:
        yield caller


async def answered(ann, request_id, chat_id, text="Hello?", answer="Hello you"):
    """A question in a chat, and its answer."""
    await ann.submit(request_id, text, chat_id=chat_id)
    pen = await ann.rig.pen(request_id)
    await pen.say(answer)
    await pen.end()


async def pages(ann, path, name):
    """Every row of a list, by its links."""
    rows = []
    while path:
        page = await ann.call("GET", path)
        assert page.status == 200, page.body
        rows += page.body[name]
        link = page.headers.get("Link")
        assert (link is None) == (page.body["next"] is None)
        path = link and link.partition(">")[0].removeprefix("<")
    return rows


async def test_agents(ann):
    """Which there are, and which is the default."""
    reply = await ann.call("GET", "/v1/agents")
    assert reply.body == {"agents": [{"name": "demo", "description": "Says something.", "default": True}]}


async def test_a_chats_life(ann):
    """Made (once, however often it is asked for), changed, listed, archived, deleted, restored."""
    made = await ann.call("POST", "/v1/chats", {"chat_id": "c1", "title": "  The  sky "})
    assert (made.status, made.body["title"], made.headers["Location"]) == (201, "The sky", "/v1/chats/c1")
    again = await ann.call("POST", "/v1/chats", {"chat_id": "c1", "title": "Another"})
    assert (again.status, again.body) == (200, made.body)
    keyed = [await ann.call("POST", "/v1/chats", {}, {"Idempotency-Key": "k1"}) for _ in range(2)]
    assert [(one.status, one.body["chat_id"]) for one in keyed] == [(201, "k1"), (200, "k1")]
    minted = [(await ann.call("POST", "/v1/chats", {})).body["chat_id"] for _ in range(2)]
    assert len(set(minted)) == 2
    changed = await ann.call(
        "PATCH", "/v1/chats/c1", {"title": "Blue", "agent": "demo", "archived": True, "seen": True}
    )
    assert [changed.body[name] for name in ("title", "agent", "archived")] == ["Blue", "demo", True]
    assert changed.body["seen_at"] >= made.body["seen_at"]
    assert changed.body["version"] > made.body["version"]
    assert (await ann.call("GET", "/v1/chats/c1")).body == changed.body
    assert [one["chat_id"] for one in (await ann.call("GET", "/v1/chats?archived=true")).body["chats"]] == [
        "c1"
    ]
    assert len(await pages(ann, "/v1/chats?limit=2", "chats")) == 3
    assert (await ann.call("DELETE", "/v1/chats/c1")).status == 204
    assert (await ann.call("GET", "/v1/chats/c1")).code == "unknown_chat"
    gone = await ann.call("POST", "/v1/requests", {"text": "Hi", "chat_id": "c1"})
    assert (gone.status, gone.code, gone.body["error"]["param"]) == (404, "unknown_chat", "chat_id")
    restored = await ann.call("POST", "/v1/chats/c1/restore")
    assert (restored.status, restored.body["title"]) == (200, "Blue")
    assert (await ann.call("GET", "/v1/chats/c1")).status == 200


async def test_messages_and_what_runs(ann):
    """Newest first, in pages; what runs is beside them; a message goes with everything under it."""
    for number in range(3):
        await answered(ann, f"r{number}", "c1", f"Question {number}?", f"Answer {number}")
    await ann.submit("r3", "Still there?", chat_id="c1")
    rows = await pages(ann, "/v1/chats/c1/messages?limit=2", "messages")
    assert [row["text"] for row in rows if row["role"] == "user"] == [
        "Still there?",
        *(f"Question {n}?" for n in (2, 1, 0)),
    ]
    assert [row["text"] for row in rows if row.get("status") == "completed"] == [
        f"Answer {n}" for n in (2, 1, 0)
    ]
    page = (await ann.call("GET", "/v1/chats/c1/messages")).body
    assert [one["request_id"] for one in page["requests"]] == ["r3"]
    assert (await ann.call("DELETE", "/v1/chats/c1/messages/r1")).status == 204
    left = (await ann.call("GET", "/v1/chats/c1/messages")).body
    assert [row["text"] for row in left["messages"]] == ["Question 1?", "Answer 0", "Question 0?"]
    assert left["requests"] == []
    assert (await ann.call("GET", "/v1/requests/r3")).status == 404
    assert (await ann.call("DELETE", "/v1/chats/c1/messages/r1")).code == "unknown_message"


async def test_search(ann):
    """Titles and messages, with what was found marked."""
    await answered(ann, "r1", "c1", "Why is the heaven blue?", "Because of Rayleigh.")
    await ann.call("GET", "/v1/chats/c1/messages")
    hits = (await ann.call("GET", "/v1/search?q=rayl")).body["hits"]
    assert [(one["chat_id"], one["message_id"]) for one in hits] == [("c1", "r1")]
    assert "\x02Rayleigh\x03" in hits[0]["snippet"]
    assert len(await pages(ann, "/v1/search?q=heaven&limit=1", "hits")) == 2
    assert (await ann.user("bob-token").call("GET", "/v1/search?q=heaven")).body["hits"] == []


async def test_what_is_anothers_is_not_there(ann):
    """Every call on ann's chat is answered to bob as for one that is not there."""
    await answered(ann, "r1", "c1")
    bob = ann.user("bob-token")
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"title": "Mine"}), ("DELETE", "", None), ("POST", "/restore", None),
        ("GET", "/messages", None), ("DELETE", "/messages/r1", None),
    ):  # fmt: skip
        reply = await bob.call(method, f"/v1/chats/c1{path}", body)
        assert (reply.status, reply.code) == (404, "unknown_chat"), (method, path)
    assert (await bob.call("GET", "/v1/chats")).body["chats"] == []
    assert len((await ann.call("GET", "/v1/chats/c1/messages")).body["messages"]) == 2


@pytest.mark.parametrize(
    ("call", "body", "refusal"),
    [
        ("POST /v1/chats", {"chat_id": "a b"}, (400, "invalid", "chat_id")),
        ("POST /v1/chats", {"name": "x"}, (400, "unknown_parameter", "name")),
        ("PATCH /v1/chats/c1", {"archived": 1}, (400, "invalid", "archived")),
        ("PATCH /v1/chats/c1", {"title": "x" * 10_000}, (400, "invalid", "title")),
        ("GET /v1/chats/none", None, (404, "unknown_chat", None)),
        ("GET /v1/chats/a%20b", None, (404, "unknown_chat", None)),
        ("DELETE /v1/chats/c1/messages/a%2Fb", None, (404, "unknown_message", None)),
        ("GET /v1/chats?before=x", None, (400, "invalid", "before")),
        ("GET /v1/chats?limit=0", None, (400, "invalid", "limit")),
        ("GET /v1/chats?archive=true", None, (400, "unknown_parameter", "archive")),
        ("GET /v1/search", None, (400, "missing_parameter", "q")),
        ("GET /v1/search?q=", None, (400, "invalid", "q")),
        ("GET /v1/search?q=x&before=x", None, (400, "invalid", "before")),
        ("GET /v1/feed?cursor=x", None, (400, "invalid", "cursor")),
        ("POST /v1/agents", None, (405, "method_not_allowed", None)),
    ],
)
async def test_bad_calls(ann, call, body, refusal):
    """Each is refused, and what is wrong is named."""
    await ann.call("POST", "/v1/chats", {"chat_id": "c1"})
    reply = await ann.call(*call.split(), body)
    assert (reply.status, reply.code, reply.body["error"]["param"]) == refusal


async def test_the_feed_over_sse(ann):
    """The present first, then every change, and after a cut what was missed; nothing of bob's."""
    await answered(ann, "r1", "c1")
    await ann.call("GET", "/v1/chats/c1/messages")
    async with asyncio.timeout(ENOUGH_S), ann.open("GET", "/v1/feed", {"Accept": SSE}) as response:
        frames = frames_of(response)
        first = await anext(frames)
        assert (first.kind, first.data["reset"], first.id) == ("feed", "start", first.data["cursor"])
        assert [one["chat"]["chat_id"] for one in first.data["events"]] == ["c1"]
        await ann.user("bob-token").call("POST", "/v1/chats", {"chat_id": "bobs"})
        await ann.call("PATCH", "/v1/chats/c1", {"title": "One"})
        second = await anext(frames)
        assert second.data["reset"] is None
        assert [one["chat"]["title"] for one in second.data["events"]] == ["One"]
    await ann.call("PATCH", "/v1/chats/c1", {"title": "Two"})
    await ann.submit("r2")
    headers = {"Accept": SSE, "Last-Event-ID": second.id}
    async with asyncio.timeout(ENOUGH_S), ann.open("GET", "/v1/feed", headers) as response:
        third = await anext(frames_of(response))
    assert third.data["reset"] is None
    assert [one["type"] for one in third.data["events"]] == ["chat", "request"]
    assert third.data["events"][1]["request"]["request_id"] == "r2"


async def test_the_feed_by_polling(ann):
    """A page at once where there is one, else when something comes, else an empty one after the wait; a cursor of another
    life of the server begins anew."""
    first = (await ann.call("GET", "/v1/feed")).body
    assert (first["reset"], first["events"]) == ("start", [])
    empty = (await ann.call("GET", f"/v1/feed?cursor={first['cursor']}&wait=0.01")).body
    assert (empty["reset"], empty["events"], empty["cursor"]) == (None, [], first["cursor"])
    waiting = asyncio.create_task(ann.call("GET", f"/v1/feed?cursor={first['cursor']}&wait=60"))
    await ann.call("POST", "/v1/chats", {"chat_id": "c1"})
    async with asyncio.timeout(ENOUGH_S):
        page = (await waiting).body
    assert [one["chat"]["chat_id"] for one in page["events"]] == ["c1"]
    other = (await ann.call("GET", "/v1/feed?cursor=0-0.00000000")).body
    assert other["reset"] == "unknown_epoch"
    assert [one["chat"]["chat_id"] for one in other["events"]] == ["c1"]


async def test_a_feed_ends_with_the_server(ann):
    """Who follows is let go when the server closes, and its hold on the feed with it."""
    async with asyncio.timeout(ENOUGH_S), ann.open("GET", "/v1/feed", {"Accept": SSE}) as response:
        frames = frames_of(response)
        await anext(frames)
        ann.rig.reception.close()
        assert [frame async for frame in frames] == []
    assert not ann.rig.feed._watched
    assert not ann.rig.feed._waiters


async def test_the_feed_has_its_format_in_the_address(ann):
    """`format` chooses as Accept does, and wins over it."""
    async with (
        asyncio.timeout(ENOUGH_S),
        ann.open("GET", "/v1/feed?format=sse", {"Accept": "application/json"}) as response,
    ):
        assert response.content_type == SSE
    assert (await ann.call("GET", "/v1/feed?format=json", headers={"Accept": SSE})).body["type"] == "feed"
    assert (await ann.call("GET", "/v1/feed?format=ndjson")).body["error"]["param"] == "format"
