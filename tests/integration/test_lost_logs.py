"""A journal loses its past while doors wait for it: streams break off, polls are answered from what is there now."""

import asyncio

import aiohttp
import pytest

from holdfast_server.stores.base import UnknownRequest
from tests.support.door import TOKENS
from tests.support.http_door import SSE, HttpRig, come_true, frames_of, http_serving
from tests.support.journals import asked
from tests.support.pens import Desk

ANN = TOKENS["ann-token"]


class Lossy(HttpRig):
    """A node whose store can lose a journal, and have another in its place."""

    def lose(self, log, new=None):
        """Whoever looks finds `new`, or nothing yet."""

        async def found(key):
            if new is None:
                raise UnknownRequest(key.request_id)
            return new

        self.store.log = found  # type: ignore[method-assign]
        log.lost = log.erased = True
        log.wake()


@pytest.fixture
async def rig(tmp_path):
    return Lossy(tmp_path)


async def running(rig, ann):
    """A request that has said something, and the journal that takes its place, which has said something else."""
    await ann.submit("r")
    pen = await rig.pen("r")
    await pen.say("What was lost.")
    other = Desk(rig.now_ms)
    other._nonces = 1_000_000
    await other.store.start()
    await other.journal.open(asked("r", owner=ANN, chat_id=None))
    claim = await other.store.claim()
    assert claim is not None
    new = claim.log
    await other.store.close()
    return pen.log, new


async def test_polls_are_answered_from_what_is_there_now(rig):
    """A long poll begins anew with a reason, a status that was waited for is that of the new journal."""
    async with http_serving(rig) as ann:
        old, new = await running(rig, ann)
        polls = [
            asyncio.create_task(
                ann.call("GET", f"/v1/requests/r/events?format=json&wait=20&cursor={old.cursor()}")
            ),
            asyncio.create_task(ann.call("GET", "/v1/requests/r", headers={"Prefer": "wait=2"})),
        ]
        await come_true(lambda: len(old._waiters) + len(old._sealed_waiters) == 2)
        rig.lose(old, new)
        new.extend([])
        page, status = [await poll for poll in polls]
        assert (page.status, page.body["reset"]) == (200, "unknown_epoch")
        assert page.body["cursor"] == str(new.cursor())
        assert (status.status, status.body["status"]) == (200, "queued")


async def test_until_something_is_there_they_are_told_to_try_again(rig):
    """Also who asks for an answer in one call: what was accepted is not called unknown."""
    async with http_serving(rig) as ann:
        old, _ = await running(rig, ann)
        poll = asyncio.create_task(
            ann.call("GET", f"/v1/requests/r/events?format=json&wait=20&cursor={old.cursor()}")
        )
        await come_true(lambda: bool(old._waiters))
        rig.lose(old)
        reply = await poll
        assert (reply.status, reply.code) == (503, "unavailable")


async def test_a_stream_breaks_off_without_an_end(rig):
    """It is not told that the request is gone, nor does it look as if it had ended."""
    async with http_serving(rig) as ann:
        old, new = await running(rig, ann)
        kinds = []

        async def read():
            async with ann.open("GET", "/v1/requests/r/events", {"Accept": SSE}) as stream:
                async for frame in frames_of(stream):
                    kinds.append(frame.kind)
                    if frame.kind == "caught_up":
                        rig.lose(old, new)

        with pytest.raises(aiohttp.ClientError):
            await read()
        assert kinds[-1] == "caught_up"
        assert "gone" not in kinds
