"""The native HTTP API, refusals: one shape, a status, a stable code and the name of what is wrong, whoever asks for what."""

import io

import pytest
from aiohttp import ClientSession

from holdfast_server.agents.base import Profile
from tests.support.http_door import SSE, HttpRig, Reply, http_serving


@pytest.fixture
async def ann(tmp_path):
    """A server, and ann's way to it. Its agent `strict` has one option, `tone`."""
    rig = HttpRig(tmp_path)
    rig.requests.profiles["strict"] = Profile(name="strict", options=frozenset({"tone"}))  # type: ignore[index]
    async with http_serving(rig) as caller:
        yield caller


async def test_users_are_apart(ann):
    """Somebody else's request is as one that is not there, for every call; the same id is free for each user."""
    await ann.submit("r1")
    bob = ann.user("bob-token")
    decision = {"wait_id": "w", "decision": True}
    calls = (
        ("GET", "", None), ("DELETE", "", None), ("GET", "/events", None), ("GET", "/events?format=sse", None),
        ("POST", "/cancel", None), ("POST", "/decide", decision), ("GET", "/inspect", None), ("GET", "/log", None),
    )  # fmt: skip
    for method, path, body in calls:
        theirs = await bob.call(method, f"/v1/requests/r1{path}", body)
        nobodys = await bob.call(method, f"/v1/requests/none{path}", body)
        assert theirs.status == nobodys.status == 404
        assert theirs.body == nobodys.body
    assert (await bob.submit("r1", "Mine"))["created"]
    assert (await ann.user(None).call("GET", "/v1/requests/r1")).status == 401


DEEP = b'{"text":"x","options":' + b'{"a":' * 40 + b"1" + b"}" * 41
BAD_BODIES = [
    (b"", 400, "malformed", None),
    (b"{", 400, "malformed", None),
    (b"\xff", 400, "malformed", None),
    (b"[]", 400, "invalid", None),
    (b"{}", 400, "invalid", None),
    (b'{"text":5}', 400, "invalid", "text"),
    (b'{"text":"x","txt":1}', 400, "unknown_parameter", "txt"),
    (b'{"text":"x","deadlines":{"total":1}}', 400, "unknown_parameter", "deadlines.total"),
    (b'{"messages":[{"text":"x"}]}', 400, "missing_parameter", "messages[0].role"),
    (b'{"request_id":"a b","text":"x"}', 400, "invalid", "request_id"),
    (b'{"text":"x","parent_id":"p"}', 400, "invalid", "parent_id"),
    (b'{"text":"x","agent":"nobody"}', 404, "unknown_agent", "agent"),
    (b'{"text":"x","agent":"strict","options":{"tone":1,"zz":1}}', 400, "invalid", "options.zz"),
    (b'{"text":""}', 400, "invalid", "text"),
    (b'{"messages":[{"role":"tool","text":"y"}]}', 400, "invalid", "messages[0].call_id"),
    (b'{"chat_id":"c","text":"x","messages":[{"role":"user"}]}', 400, "invalid", "messages[0].role"),
    (b'{"text":"x","webhook":{"url":"https://example.org/"}}', 400, "webhooks_not_configured", "webhook"),
    (b'{"text":"x","webhook":{}}', 400, "missing_parameter", "webhook.url"),
    (b'{"text":"' + b"x" * 600_000 + b'"}', 413, "too_large", "text"),
    (b'{"text":"' + b"x" * 1_100_000 + b'"}', 413, "too_large", None),
    (DEEP, 400, "too_deep", None),
]


@pytest.mark.parametrize(("body", "status", "code", "param"), BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_bad_bodies(ann, body, status, code, param):
    """What is wrong in a body is told in one shape, with the right status, a stable code, and the field's path."""
    async with ann.open("POST", "/v1/requests", data=io.BytesIO(body)) as response:
        plain = await response.json()
        assert response.headers["x-should-retry"] == "false"
    error = plain["error"]
    assert (response.status, error["code"], error["param"]) == (status, code, param), error
    assert (await ann.call("GET", "/v1/requests")).body["requests"] == []


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/v1/requests?activ=true", (400, "unknown_parameter", "activ")),
        ("GET", "/v1/requests?active=perhaps", (400, "invalid", "active")),
        ("GET", "/v1/requests?limit=0", (400, "invalid", "limit")),
        ("GET", "/v1/requests?limit=1&limit=2", (400, "invalid", "limit")),
        ("GET", "/v1/requests?before=", (400, "invalid", "before")),
        ("GET", "/v1/requests?before=zzz&active=true", (400, "invalid", "before")),
        ("GET", "/v1/requests?status=gone", (400, "invalid", "status[0]")),
        ("GET", f"/v1/requests?text={'x' * 3000}", (400, "invalid", "text")),
        ("GET", "/v1/requests/r1/events?cursor=nonsense", (400, "invalid", "cursor")),
        ("GET", "/v1/requests/r1/events?format=xml", (400, "invalid", "format")),
        ("GET", "/v1/requests/r1/events?wait=nan", (400, "invalid", "wait")),
        ("GET", "/v1/requests/r1/log?start=-1", (400, "invalid", "start")),
        ("GET", "/v1/requests/r1?wait=-1", (400, "invalid", "wait")),
        ("GET", "/v1/requests/none", (404, "unknown_request", None)),
        ("GET", "/v1/requests/%00%ff", (404, "unknown_request", None)),
        ("GET", "/v1/nothing", (404, "not_found", None)),
        ("PUT", "/v1/requests/r1", (405, "method_not_allowed", None)),
    ],
)
async def test_bad_addresses(ann, method, path, error):
    """A misspelt or wrong parameter is refused and named; what is not there is told in the same shape."""
    await ann.submit("r1")
    reply = await ann.call(method, path)
    assert (reply.status, reply.code, reply.body["error"]["param"]) == error, reply.body


async def test_a_bad_last_event_id_is_named(ann):
    """A Last-Event-ID that is no cursor of ours is refused, not taken for the beginning."""
    await ann.submit("r1")
    reply = await ann.call("GET", "/v1/requests/r1/events", headers={"Accept": SSE, "Last-Event-ID": "17"})
    assert (reply.status, reply.body["error"]["param"]) == (400, "Last-Event-ID")


@pytest.mark.parametrize("key", ["", " ", '""'])
async def test_an_empty_key_is_refused(ann, key):
    """An Idempotency-Key that says nothing is not taken for none."""
    reply = await ann.call("POST", "/v1/requests", {"text": "Hi"}, {"Idempotency-Key": key})
    assert (reply.status, reply.body["error"]["param"]) == (400, "Idempotency-Key")


async def lined(ann, method, path, headers, data=None):
    """A call with these headers and no others, in which names may stand twice."""
    async with (
        ClientSession() as http,
        http.request(method, ann.rig.base + path, headers=headers, data=data) as got,
    ):
        return await Reply.of(got)


async def test_a_key_that_is_sent_twice_is_refused(ann):
    """Of two Idempotency-Keys none is taken; Prefer may be repeated, as its standard has it."""
    for keys in (("k1", "k2"), ("k1", "k1")):
        twice = [("Idempotency-Key", key) for key in keys]
        headers = [("Authorization", "Bearer ann-token"), *twice]
        reply = await lined(ann, "POST", "/v1/requests", headers, b'{"text":"x"}')
        assert (reply.status, reply.code) == (400, "invalid")
        assert reply.body["error"]["param"] == "Idempotency-Key"
    assert (await ann.call("GET", "/v1/requests")).body["requests"] == []
    headers = [("Authorization", "Bearer ann-token"), ("Prefer", "a=b"), ("Prefer", "respond-async")]
    reply = await lined(ann, "POST", "/v1/requests", headers, b'{"text":"x"}')
    assert (reply.status, reply.headers["Preference-Applied"]) == (202, "respond-async")


@pytest.mark.parametrize("path", ["/v1/requests/r1/events", "/v1/feed", "/v1/batches/b1/results"])
async def test_a_last_event_id_that_is_sent_twice_is_refused(ann, path):
    """Where a reader goes on must be one place."""
    await ann.submit("r1")
    batch = {"batch_id": "b1", "requests": [{"text": "x"}]}
    assert (await ann.call("POST", "/v1/batches", batch)).status == 202
    headers = [("Authorization", "Bearer ann-token"), ("Last-Event-ID", "1"), ("Last-Event-ID", "2")]
    reply = await lined(ann, "GET", path, headers)
    assert (reply.status, reply.code, reply.body["error"]["param"]) == (400, "invalid", "Last-Event-ID")
    assert "more than once" in reply.body["error"]["message"]


BODILESS = [
    ("POST", "/v1/requests/r1/cancel", 200), ("POST", "/v1/tickets", 201), ("POST", "/v1/chats/c1/restore", 200),
    ("POST", "/v1/batches/b1/cancel", 200), ("POST", "/v1/requests/r1/webhooks/redeliver", 404),
    ("DELETE", "/v1/batches/b1", 204), ("DELETE", "/v1/chats/c1", 204), ("DELETE", "/v1/requests/r1", 204),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), BODILESS)
async def test_a_body_that_nobody_reads_is_refused(ann, method, path, status):
    """A call that needs nothing takes nothing: what says something is refused, and nothing was done; `{}` says nothing."""
    await ann.submit("r1", chat_id="c1")
    batch = {"batch_id": "b1", "requests": [{"text": "x"}]}
    assert (await ann.call("POST", "/v1/batches", batch)).status == 202
    before = await ann.call("GET", "/v1/requests/r1")
    for body, code, param in (
        (b"garbage", "malformed", None), (b"[]", "invalid", None), (b'{"a":1}', "unknown_parameter", "a"),
    ):  # fmt: skip
        async with ann.open(method, path, data=body) as response:
            reply = await Reply.of(response)
        assert (reply.status, reply.code, reply.body["error"]["param"]) == (400, code, param)
    assert (await ann.call("GET", "/v1/requests/r1")).body == before.body
    assert (await ann.call(method, path, {})).status == status


async def test_head_of_what_neither_streams_nor_waits(ann):
    """HEAD has the headers of GET where GET answers at once, for its user alone; elsewhere it is 405."""
    await ann.submit("r1", chat_id="c1")
    assert (
        await ann.call("GET", "/v1/chats/c1/messages")
    ).status == 200  # which waits until the history has it
    for path in (
        "/v1/requests", "/v1/requests/r1", "/v1/requests/r1/log", "/v1/requests/r1/inspect", "/v1/chats", "/v1/chats/c1",
        "/v1/chats/c1/messages", "/v1/search?q=x", "/v1/agents", "/v1/batches", "/v1/requests/r1/webhooks", "/openapi.json",
    ):  # fmt: skip
        got, head = await ann.call("GET", path), await ann.call("HEAD", path)
        assert (head.status, head.body) == (200, b""), path
        assert {**head.headers, "Date": ""} == {**got.headers, "Date": ""}, path
    for path in ("/v1/requests/r1/events", "/v1/feed", "/v1/batches/b1/results", "/v1/tickets"):
        assert (await ann.call("HEAD", path)).status == 405, path
    assert (await ann.user("bob-token").call("HEAD", "/v1/requests/r1")).status == 404
    assert (await ann.user(None).call("HEAD", "/v1/requests/r1")).status == 401
    tag = (await ann.call("HEAD", "/v1/requests/r1")).headers["ETag"]
    assert (await ann.call("HEAD", "/v1/requests/r1", headers={"If-None-Match": tag})).status == 304
    assert (await ann.call("HEAD", "/v1/requests/r1?wait=5")).status == 400
    preferred = await ann.call("HEAD", "/v1/requests/r1", headers={"Prefer": "wait=3600"})
    assert preferred.status == 200
    assert "Preference-Applied" not in preferred.headers


async def test_the_rate_is_bounded(tmp_path):
    """Who asks too often is told when to come back, in the shape of every refusal."""
    async with http_serving(HttpRig(tmp_path, reception={"calls_burst": 2, "calls_per_s": 0.01})) as ann:
        replies = [await ann.call("GET", "/v1/requests") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].code == "rate_limited"
        assert int(replies[2].headers["Retry-After"]) > 1
        assert replies[2].headers["x-should-retry"] == "true"
