"""Batches over HTTP: many requests under one id, told one by one as they end, through cuts, refusals and the server's death."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from holdfast_server.stores.base import key_of
from tests.support.http_door import NDJSON, SSE, HttpRig, frames_of, http_serving, lines_of
from tests.support.journals import ANN
from tests.support.pens import Pen
from tests.support.serving import Server

ENOUGH_S = 10.0


@pytest.fixture
async def ann(tmp_path):
    """A server, and ann's way to it."""
    async with http_serving(HttpRig(tmp_path)) as caller:
        yield caller


async def hand_in(ann, count=3, batch_id="b1", **fields):
    """A batch that was accepted."""
    requests = [{"text": f"Question {number}?", **fields} for number in range(count)]
    reply = await ann.call("POST", "/v1/batches", {"batch_id": batch_id, "requests": requests})
    assert reply.status == 202, reply.body
    return reply


async def pens_of(ann, count, batch_id="b1"):
    """Their pens, in the order of the batch; they were opened in whatever order."""
    rig = ann.rig
    found: dict[str, Any] = {}
    while len(found) < count:
        await rig.store.claimable()
        claim = await rig.store.claim()
        if claim is not None:
            pen = Pen(rig, claim.log)
            pen._claim, pen._writer = claim, rig.store.writer(claim)
            await pen.begin()
            found[pen.request_id] = pen
    return [found[f"{batch_id}-{number}"] for number in range(count)]


async def write(pen, text):
    """The answer, and its end."""
    await pen.say(text)
    await pen.end()


async def read(ann, cursor=None, media=NDJSON, lines_max=None, batch_id="b1"):
    """What the results hold from there on, as far as `lines_max`; then the line is cut."""
    query = "" if cursor is None else f"?cursor={cursor}"
    found = []
    async with (
        asyncio.timeout(ENOUGH_S),
        ann.open("GET", f"/v1/batches/{batch_id}/results{query}", {"Accept": media}) as response,
    ):
        assert response.status == 200
        if media == NDJSON:
            async for line in lines_of(response):
                found.append(line)
                if len(found) == lines_max:
                    break
        else:
            async for frame in frames_of(response):
                assert (frame.kind, frame.id) == (frame.data["type"], frame.data["cursor"])
                found.append(frame.data)
                if len(found) == lines_max:
                    break
        return found


async def test_results_come_as_they_end(ann):
    """One per request in the order in which they end, whoever listens from when, with k of n; then the end."""
    reply = await hand_in(ann)
    assert reply.headers["Location"] == "/v1/batches/b1"
    assert reply.body["created"]
    assert [one["request_id"] for one in reply.body["results"]] == ["b1-0", "b1-1", "b1-2"]
    assert all(one["error"] is None and one["accepted"]["created"] for one in reply.body["results"])
    assert reply.body["progress"] == {"done": 0, "total": 3}
    assert reply.body["counts"] == {"queued": 3}
    assert reply.body["urls"]["results"] == f"{ann.rig.base}/v1/batches/b1/results"
    pens = await pens_of(ann, 3)
    readers = [asyncio.create_task(read(ann, media=media)) for media in (NDJSON, SSE)]
    for number in (2, 0):
        await write(pens[number], f"Answer {number}")
        await asyncio.sleep(0.002)  # what ends in one millisecond has no order
    middle = (await ann.call("GET", "/v1/batches/b1?results=true")).body
    assert middle["progress"] == {"done": 2, "total": 3}
    assert middle["counts"] == {"completed": 2, "running": 1}
    shown = {one["request_id"]: one.get("text") for one in middle["requests"]}
    assert shown == {"b1-0": "Answer 0", "b1-1": None, "b1-2": "Answer 2"}
    await ann.call("POST", "/v1/requests/b1-1/cancel")
    for reader in readers:
        *results, end = await reader
        assert [one["request_id"] for one in results] == ["b1-2", "b1-0", "b1-1"]
        assert [one["progress"]["done"] for one in results] == [1, 2, 3]
        assert [one["text"] for one in results] == ["Answer 2", "Answer 0", ""]
        assert [one["status"] for one in results] == ["completed", "completed", "cancelled"]
        assert results[2]["error"]["code"] == "user"
        assert (end["type"], end["progress"], end["missing"]) == ("end", {"done": 3, "total": 3}, [])
    assert not ann.rig.desk.endings._watches
    assert not ann.rig.desk.endings._opening


@pytest.mark.parametrize("media", [NDJSON, SSE])
@pytest.mark.parametrize("lines", [1, 2, 3, 4, 5])
async def test_cut_after_every_line(ann, media, lines):
    """Cut after every n-th line and gone on with: each request once, in whatever moment it ended, and the end."""
    await hand_in(ann, 5)
    pens = await pens_of(ann, 5)
    writing: Any = None
    cursor: str | None = None
    found: list[Any] = []
    while not found or found[-1]["type"] != "end":
        if writing is None:
            await write(pens[4], "Answer 4")

            async def the_rest():
                for number in (1, 3, 0, 2):
                    await write(pens[number], f"Answer {number}")
                    await asyncio.sleep(0)

            writing = asyncio.create_task(the_rest())
        some = await read(ann, cursor, media, lines_max=lines)
        found += some
        cursor = some[-1]["cursor"]
    await writing
    assert sorted(one["text"] for one in found[:-1]) == [f"Answer {n}" for n in range(5)]
    assert [one["progress"]["done"] for one in found] == [1, 2, 3, 4, 5, 5]


async def test_event_source_stays_away_at_the_end(ann):
    """204 for who has it all and comes back with Last-Event-ID; a ticket lets it in."""
    await hand_in(ann, 1)
    await write((await pens_of(ann, 1))[0], "Answer")
    *_, end = await read(ann)
    headers = {"Accept": SSE, "Last-Event-ID": end["cursor"]}
    async with ann.open("GET", "/v1/batches/b1/results", headers) as response:
        assert response.status == 204
    ticket = (await ann.call("POST", "/v1/tickets")).body["ticket"]
    stranger = ann.user(None)
    async with stranger.open("GET", f"/v1/batches/b1/results?ticket={ticket}&format=sse") as response:
        assert [frame.kind async for frame in frames_of(response)] == ["result", "end"]


async def test_one_that_is_refused_holds_up_no_other(ann):
    """It is said in the answer, counted, told as a result, and accepted when the batch is handed in again and it can be."""
    body = {"batch_id": "b1", "requests": [
        {"text": "Hello?"}, {"text": "Hello?", "agent": "nobody"}, {"text": None},
        {"text": "Hello?", "request_id": "mine", "webhook": {"url": "https://example.org/"}},
    ]}  # fmt: skip
    reply = await ann.call("POST", "/v1/batches", body)
    assert reply.status == 202
    codes = [one["error"] and one["error"]["code"] for one in reply.body["results"]]
    assert codes == [None, "unknown_agent", "invalid", "webhooks_not_configured"]
    assert reply.body["counts"] == {"queued": 1, "refused": 3}
    await write(await ann.rig.pen("b1-0"), "Answer")
    *results, end = await read(ann)
    assert [one["status"] for one in results] == ["refused", "refused", "refused", "completed"]
    assert end["progress"] == {"done": 4, "total": 4}
    ann.rig.requests.profiles["nobody"] = ann.rig.requests.profiles["demo"]
    again = await ann.call("POST", "/v1/batches", body)
    assert [one["accepted"] and one["accepted"]["created"] for one in again.body["results"]] == [
        False,
        True,
        None,
        None,
    ]
    assert again.body["counts"] == {"completed": 1, "queued": 1, "refused": 2}


async def test_handed_in_again(ann):
    """The same batch opens nothing twice, by its id or the header; other requests under its id are a conflict, and the same
    ids with other texts are each refused and stay as they are."""
    for headers, batch_id in (({}, "b1"), ({"Idempotency-Key": "a b"}, None)):
        body = {
            "batch_id": batch_id,
            "requests": [{"text": "One?"}, {"text": "Two?", "chat_id": f"c-{batch_id}"}],
        }
        first, second = [await ann.call("POST", "/v1/batches", body, headers) for _ in range(2)]
        assert (first.body["created"], second.body["created"]) == (True, False)
        assert [one["accepted"]["created"] for one in second.body["results"]] == [False, False]
        assert first.body["batch_id"] == second.body["batch_id"]
    other = await ann.call("POST", "/v1/batches", {"batch_id": "b1", "requests": [{"text": "One?"}]})
    assert (other.status, other.code) == (409, "batch_conflict")
    changed = {"batch_id": "b1", "requests": [{"text": "1?"}, {"text": "Two?", "chat_id": "c-b1"}]}
    reply = await ann.call("POST", "/v1/batches", changed)
    assert [one["error"] and one["error"]["code"] for one in reply.body["results"]] == [
        "request_conflict",
        None,
    ]
    assert reply.body["counts"] == {"queued": 2}


async def test_requests_of_one_chat_are_in_their_order(ann):
    """Each follows the one before it; those of other chats do not wait for them."""
    requests = [{"text": f"{n}?", "chat_id": f"c{n % 2}", "message_id": f"m{n}"} for n in range(10)]
    reply = await ann.call("POST", "/v1/batches", {"batch_id": "b1", "requests": requests})
    parents = [one["accepted"]["parent_id"] for one in reply.body["results"]]
    assert parents[:2] == [None, None]
    assert parents[2:] == [f"b1-{number - 2}" for number in range(2, 10)]


async def test_ending_all_of_it(ann):
    """Cancel ends what has not ended, says how many, and nothing of the batch is opened after it."""
    await hand_in(ann, 4)
    pens = await pens_of(ann, 4)
    await write(pens[0], "Answer")
    reader = asyncio.create_task(read(ann))
    for count in (3, 0):
        reply = await ann.call("POST", "/v1/batches/b1/cancel")
        assert (reply.status, reply.body) == (200, {"cancelled": count})
    assert len(await reader) == 5
    shown = (await ann.call("GET", "/v1/batches/b1")).body
    assert shown["counts"] == {"cancelled": 3, "completed": 1}
    assert shown["cancelled_at"] is not None
    assert (await ann.call("DELETE", "/v1/requests/b1-3")).status == 204
    again = await hand_in(ann, 4)
    assert [one["error"] and one["error"]["code"] for one in again.body["results"]] == [
        None,
        None,
        None,
        "batch_cancelled",
    ]


async def test_what_is_deleted_is_missing(ann):
    """Results that wait for a request that is deleted end without it, and name it."""
    await hand_in(ann, 2)
    await write((await pens_of(ann, 2))[0], "Answer")
    reader = asyncio.create_task(read(ann))
    await asyncio.sleep(0)
    assert (await ann.call("DELETE", "/v1/requests/b1-1")).status == 204
    *results, end = await reader
    assert [one["request_id"] for one in results if one["status"] == "completed"] == ["b1-0"]
    assert end["missing"] == (["b1-1"] if len(results) == 1 else [])
    end = (await read(ann))[-1]
    assert end["missing"] == ["b1-1"]


async def test_lists_and_forgetting(ann):
    """Newest first, in pages; a batch that was forgotten is gone, and its requests are not."""
    for number in range(5):
        await hand_in(ann, 1, f"b{number}")
    path, found = "/v1/batches?limit=2", []
    while path:
        page = await ann.call("GET", path)
        found += [one["batch_id"] for one in page.body["batches"]]
        assert ("Link" in page.headers) == (page.body["next"] is not None)
        path = page.body["next"] and f"/v1/batches?limit=2&before={page.body['next']}"
    assert sorted(found) == [f"b{number}" for number in range(5)]
    assert (await ann.call("DELETE", "/v1/batches/b1")).status == 204
    assert (await ann.call("DELETE", "/v1/batches/b1")).code == "unknown_batch"
    assert (await ann.call("GET", "/v1/requests/b1-0")).status == 200


async def test_texts_are_given_in_pages(ann, monkeypatch):
    """One answer holds a bounded amount of text, one request at least; `next` goes on."""
    monkeypatch.setattr("holdfast_server.doors.http.batch_calls.PAGE_BYTES_MAX", 10)
    await hand_in(ann, 4)
    for pen, text in zip(await pens_of(ann, 4), ("x" * 50, "y" * 5, "z" * 5, "w"), strict=True):
        await write(pen, text)
    start: Any = 0
    pages = []
    while start is not None:
        page = (await ann.call("GET", f"/v1/batches/b1?results=true&start={start}")).body
        pages.append([len(one["text"]) for one in page["requests"]])
        start = page["next"]
    assert pages == [[50], [5, 5], [1]]


async def test_what_is_anothers_is_not_there(ann):
    """Bob sees nothing of ann's batch, and may have one under the same id."""
    await hand_in(ann, 1)
    bob = ann.user("bob-token")
    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
        reply = await bob.call(method, f"/v1/batches/b1{path}")
        assert (reply.status, reply.code) == (404, "unknown_batch")
    assert (await bob.call("GET", "/v1/batches")).body["batches"] == []
    assert (await hand_in(bob, 2)).body["created"]
    assert (await ann.call("GET", "/v1/batches/b1")).body["progress"]["total"] == 1


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"requests": []}, "invalid", "requests"),
        ({"requests": [{"text": "?"}] * 101}, "invalid", "requests"),
        ({}, "missing_parameter", "requests"),
        ({"requests": [{"txt": "?"}]}, "unknown_parameter", "requests[0].txt"),
        ({"requests": [{"text": "?"}], "batch_id": "a b"}, "invalid", "batch_id"),
        ({"requests": [{"text": "?", "request_id": "r"}] * 2}, "invalid", "requests[1].request_id"),
        ([], "invalid", None),
    ],
)
async def test_what_is_no_batch(ann, body, code, param):
    """It is refused as a whole, and the field is named."""
    reply = await ann.call("POST", "/v1/batches", body)
    assert (reply.status, reply.code, reply.body["error"]["param"]) == (400, code, param)
    assert (await ann.call("GET", "/v1/batches")).body["batches"] == []


@pytest.mark.parametrize("cursor", ["", "x", "8-00000000", "ff-{tag}", "-1-{tag}", "1", "0"])
async def test_what_is_no_cursor(ann, cursor):
    """It is refused by name; one of another batch too."""
    await hand_in(ann, 3)
    await ann.call("POST", "/v1/batches/b1/cancel")
    tag = (await read(ann))[-1]["cursor"].partition("-")[2]
    reply = await ann.call("GET", f"/v1/batches/b1/results?cursor={cursor.format(tag=tag)}")
    assert (reply.status, reply.code, reply.body["error"]["param"]) == (400, "invalid", "cursor")


@pytest.mark.slow
@pytest.mark.faults
async def test_a_batch_survives_the_servers_death(tmp_path):
    """1. A batch is handed in; its reader has some of it when the server is killed. 2. Another batch's list is there, of its
    requests only some: what a death in the middle of handing in leaves. 3. The server starts again: the first reader goes on,
    each result once, and the second batch is handed in again and completed."""
    options = {"words": 30, "pace": 60}
    body = {"batch_id": "b1", "requests": [
        {"text": f"Question {number}?", "options": {**options, "words": 5 + 25 * number}} for number in range(4)
    ]}  # fmt: skip
    found: list[Any] = []
    cursor: Any = None

    async def go_on(session, url, until):
        nonlocal cursor
        query = f"?cursor={cursor}" if cursor else ""
        async with asyncio.timeout(ENOUGH_S), session.get(f"{url}/v1/batches/b1/results{query}") as response:
            async for line in lines_of(response):
                found.append(line)
                cursor = line["cursor"]
                if until(line):
                    return

    toml = 'default_agent = "demo"\n[agents.demo]\nkind = "demo"\n[store]\ndurability = "process"\n'
    async with Server(tmp_path, toml=toml) as server, ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}"
        async with session.post(f"{url}/v1/batches", data=json.dumps(body)) as response:
            assert response.status == 202
        await go_on(session, url, lambda line: line["progress"]["done"] == 1)
        await server.kill()
        await server.start()
        again = {**body, "requests": body["requests"]}
        async with session.post(f"{url}/v1/batches", data=json.dumps(again)) as response:
            shown = await response.json()
        assert not shown["created"]
        assert [one["accepted"]["created"] for one in shown["results"]] == [False] * 4
        await go_on(session, url, lambda line: line["type"] == "end")
        *results, end = found
        assert sorted(one["request_id"] for one in results) == [f"b1-{number}" for number in range(4)]
        assert {one["status"] for one in results} == {"completed"}
        assert [len(one["text"].split()) for one in sorted(results, key=lambda one: one["request_id"])] == [
            5 + 25 * number for number in range(4)
        ]
        assert end["missing"] == []


async def test_a_list_without_its_requests(ann):
    """What a death between the list and the requests leaves: results do not wait for what nobody opens, and name it; the
    batch handed in again opens it, and the same reader goes on."""
    await ann.rig.desk.batches.create(ANN, "b1", ["b1-0", "b1-1"])
    (end,) = await read(ann)
    assert end["missing"] == ["b1-0", "b1-1"]
    assert (await ann.call("GET", "/v1/batches/b1")).body["counts"] == {"unknown": 2}
    again = await hand_in(ann, 2)
    assert not again.body["created"]
    assert [one["accepted"]["created"] for one in again.body["results"]] == [True, True]
    reader = asyncio.create_task(read(ann, end["cursor"]))
    for pen in await pens_of(ann, 2):
        await write(pen, "Answer")
    assert [one["type"] for one in await reader] == ["result", "result", "end"]


async def test_what_is_about_to_be_opened_is_waited_for(ann):
    """Results that are asked for while the batch is being handed in do not take what is not open yet for missing; who is
    refused in the end is told."""
    batches, endings = ann.rig.desk.batches, ann.rig.desk.endings
    keys = [key_of(ANN, f"b1-{number}") for number in range(2)]
    with endings.opening(keys):
        await batches.create(ANN, "b1", [key.request_id for key in keys])
        reader = asyncio.create_task(read(ann))
        await ann.submit("b1-0", chat_id=None)
        await write(await ann.rig.pen("b1-0"), "Answer")
        while not endings._watches:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.001)
        await batches.refused(ANN, "b1", {"b1-1": ("too_many_requests", "Wait.")})
    *results, end = await reader
    assert [(one["request_id"], one["status"]) for one in results] == [
        ("b1-0", "completed"),
        ("b1-1", "refused"),
    ]
    assert results[1]["error"] == {"code": "too_many_requests", "message": "Wait.", "retryable": True}
    assert end["missing"] == []
