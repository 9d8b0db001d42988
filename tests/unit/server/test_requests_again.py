"""A request that comes again: known to the history alone, or accepted and about to be opened once more."""

import msgspec
import pytest

from holdfast_server.stores.base import RequestConflict, TooManyOpen, Unavailable
from holdfast_server.submissions import hash_of
from tests.support.parts import ADA, ask


async def test_a_twin_that_only_the_history_knows_by_now(bench, monkeypatch):
    """While a request waits for its turn in the chat its twin is answered and purged: it is the same request, and another one
    under that id is refused."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    log = await bench.answer("the answer")
    await bench.projector.catch_up()
    await bench.store.projected([log.key])
    await bench.store.compact()
    assert await bench.store.purge(bench.now_ms() + 10, 1) == 1
    find_same = bench.requests._find_same
    looks: list[object] = []

    async def nothing_at_first(*what):
        looks.append(what)
        return await find_same(*what) if len(looks) % 2 == 0 else None

    monkeypatch.setattr(bench.requests, "_find_same", nothing_at_first)
    again = await bench.requests.submit(ADA, ask(request_id="r1"))
    assert (again.created, again.log.fold().transcript().text) == (False, "the answer")
    with pytest.raises(RequestConflict):
        await bench.requests.submit(ADA, ask(request_id="r1", text="something else"))
    assert len(looks) == 4


async def test_what_was_accepted_is_not_refused_when_it_is_opened_again(bench, monkeypatch):
    """Its owner has too many open just now: it will be opened, so the answer is to try again, no refusal."""
    first = await bench.requests.submit(ADA, ask(request_id="r0"))

    async def lost(key):
        return msgspec.structs.replace(first.log.record, key=key, body_hash=hash_of(ask(request_id="r1")))

    async def full(record, accepted):
        raise TooManyOpen("2 requests are open")

    monkeypatch.setattr(bench.requests, "_lost", lost)
    monkeypatch.setattr(bench.store, "open", full)
    with pytest.raises(Unavailable, match="opened again"):
        await bench.requests.submit(ADA, ask(request_id="r1"))
