"""The native HTTP API, requests: asking in every way, status, list, ending, deciding, deleting, and how a no looks."""

import asyncio
import statistics
import time
from contextlib import asynccontextmanager

import pytest

from holdfast_protocol import events as ev
from tests.support.http_door import HttpRig, answer_events, answered, come_true, http_serving


@pytest.fixture
async def ann(tmp_path):
    """A server, and ann's way to it."""
    async with http_serving(HttpRig(tmp_path)) as caller:
        yield caller


async def test_asking_is_answered_at_once(ann, capsys):
    """`respond-async`: 202 with where to go on, in the body and in the headers; the request is durable by then."""
    reply = await ann.call("POST", "/v1/requests", {"text": "Hello?"}, {"Prefer": "respond-async"})
    assert reply.status == 202
    assert reply.headers["Preference-Applied"] == "respond-async"
    request_id = reply.body["request_id"]
    assert reply.headers["Location"] == f"/v1/requests/{request_id}"
    assert f'</v1/requests/{request_id}/events>; rel="events"' in reply.headers["Link"]
    assert reply.body["created"]
    assert reply.body["status"] == "queued"
    assert reply.body["urls"] == {
        "self": f"{ann.rig.base}/v1/requests/{request_id}",
        "events": f"{ann.rig.base}/v1/requests/{request_id}/events",
        "cancel": f"{ann.rig.base}/v1/requests/{request_id}/cancel",
    }
    status = await ann.call("GET", reply.body["urls"]["self"])
    assert status.body["status"] == "queued"
    assert status.body["place"] == 0
    took = []
    for number in range(50):
        began = time.perf_counter()
        await ann.submit(f"many-{number}")
        took.append(time.perf_counter() - began)
    with capsys.disabled():
        print(  # noqa: T201 - a figure to look at, not to hold anybody to
            f"\n202 at the median after {statistics.median(took) * 1000:.1f} ms"
        )


async def asking(ann, body, headers):
    """A submit that goes on while the test writes the answer."""
    return asyncio.create_task(ann.call("POST", "/v1/requests", body, headers))


async def test_waiting_for_the_answer(ann):
    """`wait=N`: 200 with the whole status if it ends in time."""
    call = await asking(ann, {"request_id": "r1", "text": "Hello?"}, {"Prefer": "wait=30"})
    pen = await ann.rig.pen("r1")
    await pen.put(*answer_events(ann.rig.now_ms(), "Hello", " you"))
    reply = await call
    assert reply.status == 200
    assert reply.headers["Preference-Applied"] == "wait=30"
    assert reply.headers["Location"] == "/v1/requests/r1"
    assert reply.body["status"] == "completed"
    assert reply.body["result"] == {
        "text": "Hello you",
        "finish": "tool_calls",
        "tool_calls": [{"call_id": "c1", "name": "weather", "arguments": '{"city":"Zürich"}'}],
    }
    assert reply.body["error"] is None
    again = await ann.call(
        "POST", "/v1/requests", {"request_id": "r1", "text": "Hello?"}, {"Prefer": "wait=30"}
    )
    assert again.status == 200
    assert again.body == reply.body


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ({"Prefer": "wait=0"}, "wait=0"),
        ({"Prefer": "respond-async"}, "respond-async"),
        ({"Prefer": "Respond-Async, wait=0; x=1"}, "respond-async, wait=0"),
        ({"Prefer": "wait=soon"}, None),
        ({"Prefer": "wait=-1, return=minimal"}, None),
        ({}, None),
    ],
)
async def test_preferences(ann, prefer, applied):
    """What is not understood is ignored and not among what was applied; without a wait the answer is 202 at once."""
    reply = await ann.call("POST", "/v1/requests", {"text": "Hello?"}, prefer)
    assert reply.status == 202
    assert reply.headers.get("Preference-Applied") == applied


async def test_the_default_and_the_bound_of_waiting(tmp_path):
    """A server may wait by default, which `respond-async` takes back; a wait is cut to what it permits, and that is said."""
    rig = HttpRig(tmp_path, desk={"default_wait_s": 30.0, "wait_max_s": 0.05})
    async with http_serving(rig) as ann:
        brief = await ann.call("POST", "/v1/requests", {"text": "Hello?"})
        assert brief.status == 202
        cut = await ann.call("POST", "/v1/requests", {"text": "Hello?"}, {"Prefer": "wait=600"})
        assert (cut.status, cut.headers["Preference-Applied"]) == (202, "wait=0")
    rig = HttpRig(tmp_path, desk={"default_wait_s": 30.0})
    async with http_serving(rig) as ann:
        at_once = await ann.call("POST", "/v1/requests", {"text": "Hello?"}, {"Prefer": "respond-async"})
        assert at_once.status == 202
        call = await asking(ann, {"request_id": "r1", "text": "Hello?"}, {})
        await (await ann.rig.pen(at_once.body["request_id"])).end()
        await (await ann.rig.pen("r1")).end()
        assert (await call).status == 200


async def park(pen, **fields):
    """The request waits for a person."""
    wait = ev.Waiting(at=1, part=1, wait_id="w1", kind="approval", body={"sum": 7}, digest="d1", **fields)
    await pen.put(ev.PartDone(at=1, part=0))
    await pen.desk.store.park(pen._claim, 0, wait)


async def test_a_run_that_waits_for_a_person_is_told_at_once(ann):
    """Who waits for the answer gets 202 when there is something to decide; a decision is taken once, and only for it."""
    call = await asking(ann, {"request_id": "r1", "text": "Hello?"}, {"Prefer": "wait=60"})
    pen = await ann.rig.pen("r1")
    await park(pen)
    reply = await asyncio.wait_for(call, 20)
    assert (reply.status, reply.body["status"]) == (202, "waiting")
    status = (await ann.call("GET", "/v1/requests/r1")).body
    wait = {"wait_id": "w1", "kind": "approval", "body": {"sum": 7}, "digest": "d1", "expires_at": None}
    assert status["waiting"] == wait
    path = "/v1/requests/r1/decide"
    wrong = await ann.call("POST", path, {"wait_id": "w1", "digest": "other", "decision": True})
    assert (wrong.status, wrong.code) == (409, "not_waiting")
    for accepted in (True, False):
        taken = await ann.call("POST", path, {"wait_id": "w1", "digest": "d1", "decision": True})
        assert (taken.status, taken.body) == (200, {"accepted": accepted})
    await ann.call("POST", "/v1/requests/r1/cancel")
    late = await ann.call("POST", path, {"wait_id": "w2", "digest": "d1", "decision": True})
    assert (late.status, late.code) == (409, "ended")


async def test_a_key_makes_a_retry_harmless(ann):
    """The same Idempotency-Key with the same body is the same request, with another body a conflict; so is an id in the body,
    which wins over the key."""
    for key, request_id in (("key-1", "key-1"), ('"key-2"', "key-2"), ("a b/ü", None)):
        headers = {"Idempotency-Key": key}
        first = await ann.call("POST", "/v1/requests", {"text": "Hello?"}, headers)
        again = await ann.call("POST", "/v1/requests", {"text": "Hello?"}, headers)
        other = await ann.call("POST", "/v1/requests", {"text": "Other?"}, headers)
        assert first.body["created"]
        assert not again.body["created"]
        assert first.body["request_id"] == again.body["request_id"]
        assert request_id in (None, first.body["request_id"])
        assert (other.status, other.code) == (409, "request_conflict")
    named = await ann.call(
        "POST", "/v1/requests", {"request_id": "own", "text": "x"}, {"Idempotency-Key": "key-1"}
    )
    assert named.body["request_id"] == "own"


async def test_the_status_shows_how_far_it_is(ann):
    """Progress, text and parts so far; `parts=false` leaves them out; result and times when it has ended."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    await pen.say("so ", "far")
    now = ann.rig.now_ms()
    await pen.put(ev.Progress(at=now, part=1, id="p", label="Looking", percent=40.0, step=2, total=5))
    body = (await ann.call("GET", "/v1/requests/r1")).body
    assert (body["status"], body["text"], body["attempt"]) == ("running", "so far", 1)
    step = {
        "id": "p", "label": "Looking", "kind": "step", "state": "running", "at": now, "percent": 40.0, "step": 2, "total": 5,
    }  # fmt: skip
    assert body["progress"] == [step]
    assert [part["kind"] for part in body["parts"]] == ["text", "progress"]
    assert (body["result"], body["error"], body["ended_at"], body["place"]) == (None, None, None, None)
    assert body["started_at"] >= body["created_at"]
    assert body["cursor"] == str(pen.log.cursor())
    brief = (await ann.call("GET", "/v1/requests/r1?parts=false")).body
    assert "parts" not in brief
    failed = ev.Failed(at=now, code="upstream", message="The model went away.", retryable=True)
    await pen.put(failed)
    body = (await ann.call("GET", "/v1/requests/r1")).body
    assert body["error"] == {"code": "upstream", "message": "The model went away.", "retryable": True}
    assert body["result"] is None
    assert body["ended_at"] == now
    assert body["text"] == "so far"


async def test_polling_costs_little_while_nothing_changes(ann):
    """A status that was seen is answered with 304, until something happens; each form of it by itself."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    seen = await ann.call("GET", "/v1/requests/r1")
    tag = seen.headers["ETag"]
    same = await ann.call("GET", "/v1/requests/r1", headers={"If-None-Match": f'"x", {tag}'})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    brief = await ann.call("GET", "/v1/requests/r1?parts=false", headers={"If-None-Match": tag})
    assert brief.status == 200
    await pen.say("more")
    changed = await ann.call("GET", "/v1/requests/r1", headers={"If-None-Match": tag})
    assert (changed.status, changed.body["text"]) == (200, "more")
    assert changed.headers["ETag"] != tag


async def test_a_place_in_the_queue_changes_the_status(ann):
    """What is queued moves up without a word in its log, and who polls is told."""
    await ann.submit("r1")
    await ann.submit("r2")
    seen = await ann.call("GET", "/v1/requests/r2")
    assert seen.body["place"] == 1
    await ann.rig.pen("r1")
    moved = await ann.call("GET", "/v1/requests/r2", headers={"If-None-Match": seen.headers["ETag"]})
    assert (moved.status, moved.body["place"]) == (200, 0)


async def test_the_status_waits_for_the_end(ann):
    """With a wait, by the address or by Prefer, the status is answered when the request has ended, or when the time is up."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    brief = await ann.call("GET", "/v1/requests/r1?wait=0.05")
    assert brief.body["status"] == "running"
    one = asyncio.create_task(ann.call("GET", "/v1/requests/r1?wait=60"))
    two = asyncio.create_task(ann.call("GET", "/v1/requests/r1", headers={"Prefer": "wait=60"}))
    await come_true(lambda: len(pen.log._sealed_waiters) == 2)
    await pen.end()
    assert (await one).body["status"] == (await two).body["status"] == "completed"
    assert (await two).headers["Preference-Applied"] == "wait=60"


async def test_a_status_after_the_purge(ann):
    """When the journal is gone the status comes from the history, and says the same."""
    log = await answered(ann, "r1", chat_id="c1")
    before = (await ann.call("GET", "/v1/requests/r1")).body
    await ann.rig.projector.catch_up(log.key.owner)
    assert await ann.rig.store.purge(ann.rig.now_ms() + 1, 0) == 1
    after = (await ann.call("GET", "/v1/requests/r1")).body
    same = ("status", "text", "result", "progress", "parts", "chat_id", "message_id", "ended_at", "agent")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


async def test_lists(ann):
    """Newest first, filtered by every condition, in pages that name the next; each user sees their own."""
    for number in range(5):
        await ann.submit(f"r{number}", f"Question {number}")
    await answered(ann, "done", text="Something else", chat_id="c1")
    bob = ann.user("bob-token")
    await bob.submit("bobs")

    async def ids(query, caller=ann):
        reply = await caller.call("GET", f"/v1/requests{query}")
        assert reply.status == 200, reply.body
        return [row["request_id"] for row in reply.body["requests"]]

    assert await ids("") == ["done", "r4", "r3", "r2", "r1", "r0"]
    assert await ids("?active=true") == ["r4", "r3", "r2", "r1", "r0"]
    assert await ids("?status=completed&status=failed") == ["done"]
    assert await ids("?chat_id=c1") == ["done"]
    assert await ids("?text=QUESTION%203") == ["r3"]
    assert await ids("?tools=true") == ["done"]
    assert await ids("?agent=other") == []
    assert await ids("", bob) == ["bobs"]
    page = await ann.call("GET", "/v1/requests?active=true&limit=2")
    assert [row["request_id"] for row in page.body["requests"]] == ["r4", "r3"]
    link = page.headers["Link"]
    assert link.endswith('; rel="next"')
    rest = await ann.call("GET", link[1 : link.index(">")])
    assert [row["request_id"] for row in rest.body["requests"]] == ["r2", "r1"]
    last = await ann.call("GET", f"/v1/requests?active=true&limit=2&before={rest.body['next']}")
    assert last.body["next"] is None
    assert "Link" not in last.headers
    assert (await ann.call("GET", "/v1/requests?everyone=true")).code == "not_permitted"
    everybody = await ann.user("ops-token").call("GET", "/v1/requests?everyone=true")
    assert {row["owner"] for row in everybody.body["requests"]} == {"acme/ann", "acme/bob"}


async def test_ending_a_request(ann):
    """A cancel wins once; after it the outcome stands, and what was shown with it."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    await pen.say("so far")
    assert (await ann.call("POST", "/v1/requests/r1/cancel")).body == {"won": True, "status": "cancelled"}
    assert (await ann.call("POST", "/v1/requests/r1/cancel")).body == {"won": False, "status": "cancelled"}
    body = (await ann.call("GET", "/v1/requests/r1")).body
    assert body["text"] == "so far"
    assert body["error"] == {"code": "user", "message": "Stopped.", "retryable": False}


async def test_deleting_for_good(ann):
    """A request is gone with its journal, whether it runs or not, and its id is free; one of a chat goes as its message."""
    await answered(ann, "ended")
    await ann.submit("runs")
    await ann.rig.pen("runs")
    await answered(ann, "chats", chat_id="c1")
    await ann.submit("chats-runs", chat_id="c2")
    for request_id in ("ended", "runs", "chats", "chats-runs"):
        assert (await ann.call("DELETE", f"/v1/requests/{request_id}")).status == 204, request_id
        for method, path in (
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/log"),
            ("GET", "/inspect"),
            ("DELETE", ""),
        ):
            reply = await ann.call(method, f"/v1/requests/{request_id}{path}")
            assert (reply.status, reply.code) == (404, "unknown_request")
    assert (await ann.submit("ended"))["created"]
    rows, _ = await ann.rig.chats.list_messages((await ann.rig.store.claim()).log.key.owner, "c1", 10, None)
    assert [row.role for row in rows] == ["user"]


async def test_looking_into_a_request(ann):
    """The log as it was written comes in parts, unmerged; its readers and terms beside it."""
    log = await answered(ann, "r1")
    first = (await ann.call("GET", "/v1/requests/r1/log?limit=3")).body
    assert (first["start"], first["next"], first["sealed"]) == (0, 3, False)
    rest = (await ann.call("GET", "/v1/requests/r1/log?start=3")).body
    assert rest["sealed"]
    assert len(first["events"]) + len(rest["events"]) == log.tail
    assert first["events"][0]["type"] == "accepted"
    inspected = (await ann.call("GET", "/v1/requests/r1/inspect")).body
    assert inspected["request"]["status"] == "completed"
    assert [term["attempt"] for term in inspected["terms"]] == [1]


async def test_operators_look_and_stop(ann):
    """An operator may look into anybody's request and stop it, by the owner's name; nobody else may name anybody."""
    await ann.submit("r1")
    ops = ann.user("ops-token")
    for method, path in (("GET", "/log"), ("GET", "/inspect"), ("POST", "/cancel")):
        at = f"/v1/requests/r1{path}?owner=acme/ann"
        assert (await ann.call(method, at)).code == "unknown_request"
        assert (await ops.call(method, at)).status == 200
    body = (await ann.call("GET", "/v1/requests/r1")).body
    assert body["error"]["code"] == "operator"


class Hooks:
    """Webhooks as the door needs them: what was armed, and what became of it."""

    configured = True

    def __init__(self):
        self.armed = []

    def check_url(self, url):
        return "That address is private." if "private" in url else None

    @asynccontextmanager
    async def arming(self, key, url):
        self.armed.append((key.request_id, url))
        try:
            yield
        except Exception:
            self.armed.pop()
            raise


async def test_a_webhook_is_armed_before_its_request(tmp_path):
    """The address is checked, armed under the request's id, and is a part of what makes two requests the same; a request
    that is refused leaves nothing armed."""
    hooks = Hooks()
    async with http_serving(HttpRig(tmp_path, desk={"webhooks": hooks})) as ann:
        body = {"text": "Hello?", "webhook": {"url": "https://example.org/a"}}
        key = {"Idempotency-Key": "r1"}
        for created in (True, False):
            reply = await ann.call("POST", "/v1/requests", body, key)
            assert (reply.status, reply.body["created"]) == (202, created)
        assert set(hooks.armed) == {("r1", "https://example.org/a")}
        hooks.armed.clear()
        other = {"text": "Hello?", "webhook": {"url": "https://example.org/b"}}
        assert (await ann.call("POST", "/v1/requests", other, key)).code == "request_conflict"
        unknown = await ann.call("POST", "/v1/requests", {**body, "agent": "nobody"})
        assert unknown.code == "unknown_agent"
        private = {"text": "Hello?", "webhook": {"url": "https://private.example/"}}
        refused = await ann.call("POST", "/v1/requests", private)
        assert (refused.status, refused.body["error"]["param"]) == (400, "webhook.url")
        assert hooks.armed == []
