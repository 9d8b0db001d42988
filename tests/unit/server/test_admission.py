"""Admission: bounds that many at once cannot pass together, and that what ends makes room in."""

import asyncio

import pytest

from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Completed, Delta, PartStarted, Started
from tests.support.parts import ADA, EVE, NOW, ask


async def test_bounds_on_open_requests(make):
    """One owner's bound does not touch another's; what ends makes room; a drain refuses all, retryably."""
    bench = await make(user_open_max=2, open_max=3)
    for number in range(2):
        await bench.requests.submit(ADA, ask(chat_id=f"c{number}", request_id=f"r{number}"))
    with pytest.raises(ProtocolError) as error:
        await bench.requests.submit(ADA, ask(chat_id="c9"))
    assert (error.value.code, error.value.retryable) == ("too_many_requests", True)
    again = await bench.requests.submit(ADA, ask(chat_id="c0", request_id="r0"))
    assert not again.created
    await bench.requests.submit(EVE, ask())
    with pytest.raises(ProtocolError) as error:
        await bench.requests.submit(EVE, ask(chat_id="c2"))
    assert error.value.code == "overloaded"
    await bench.answer()
    assert bench.admission.open_count == 2
    await bench.requests.submit(ADA, ask(chat_id="c9"))
    bench.admission.draining = True
    with pytest.raises(ProtocolError) as error:
        await bench.requests.submit(EVE, ask(chat_id="c3"))
    assert (error.value.code, error.value.retryable) == ("draining", True)


async def test_many_at_once_do_not_pass_the_bound_together(make):
    """Of fifty parallel submits at a bound of five, exactly five are opened."""
    bench = await make(user_open_max=5)
    submits = (bench.requests.submit(ADA, ask(chat_id=f"c{number}")) for number in range(50))
    results = await asyncio.gather(*submits, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 5
    assert {error.code for error in results if isinstance(error, ProtocolError)} == {"too_many_requests"}


async def test_live_bytes_shed_new_requests_and_come_back(make):
    """At the memory bound new requests are refused; what runs goes on."""
    bench = await make(live_bytes_max=10_000)
    await bench.requests.submit(ADA, ask(request_id="r1"))
    claim = await bench.store.claim()
    assert claim is not None
    writer = bench.store.writer(claim)
    writer.put(Started(at=NOW, attempt=1, term=claim.term, nonce=claim.nonce))
    writer.put(PartStarted(at=NOW, part=0, kind="text"))
    writer.put(Delta(at=NOW, part=0, text="x" * 9_000))
    await writer.flush()
    with pytest.raises(ProtocolError) as error:
        await bench.requests.submit(EVE, ask())
    assert error.value.code == "overloaded"
    writer.put(Completed(at=NOW, code="stop"))
    await writer.flush()
    assert bench.admission.live_bytes == 0
    await bench.requests.submit(EVE, ask())
