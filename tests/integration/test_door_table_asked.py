"""The table of doors: requests that came in through OpenAI's doors themselves."""

import asyncio
from typing import Any

import pytest

from tests.support.door_happenings import parked
from tests.support.door_table import begun_by, table


@pytest.fixture
async def rig(tmp_path):
    """All doors."""
    async with table(tmp_path) as rig:
        yield rig


HI = [{"role": "user", "content": "Hi"}]
CALLS: dict[str, Any] = {
    "responses": ("/v1/responses", {"model": "demo", "input": "Hi"}),
    "completions": ("/v1/chat/completions", {"model": "demo", "messages": HI}),
}


async def test_a_streaming_completion_is_asked_for_as_append_only(rig):
    """So a new attempt never drops what it showed."""
    path, body = CALLS["completions"]
    async with rig.ann.open("POST", path, {"Idempotency-Key": "r1"}, json={**body, "stream": True}):
        log = (await begun_by(rig, "r1")).log
    assert log.record.append_only
    accepted: Any = log.events[0]
    assert accepted.append_only


@pytest.mark.parametrize("api", CALLS)
async def test_a_call_that_waits_is_told_of_a_wait_for_a_person(rig, api):
    """Who waits in silence for the whole answer is told at once that it may take days: the object as it is, or `pending`."""
    path, body = CALLS[api]
    call = asyncio.create_task(rig.ann.call("POST", path, body, {"Idempotency-Key": "r1"}))
    await begun_by(rig, "r1")
    assert not call.done()
    await parked(rig)
    reply = await asyncio.wait_for(call, 10)
    if api == "responses":
        assert (reply.status, reply.body["status"]) == (200, "in_progress")
    else:
        assert (reply.status, reply.code) == (504, "pending")
        assert reply.headers["x-should-retry"] == "false"
