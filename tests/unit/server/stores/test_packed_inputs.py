"""Inputs to journals that have left memory: they are answered as if they had not."""

from __future__ import annotations

import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import InboxItem, JournalSealed, NotWaiting
from holdfast_server.stores.memory import MemoryStore
from tests.support.journals import accepted_of, asked


def decision(value: str, digest: str = "d", wait_id: str = "w") -> InboxItem:
    return InboxItem(kind="decision", id=wait_id, at=2, digest=digest, value=value)


@pytest.mark.parametrize("packed", [False, True], ids=["in memory", "packed"])
async def test_another_decision_is_refused_however_old_the_request(packed):
    """The decision that was taken may be repeated; another one is told that it came too late, after the packing too."""
    store = MemoryStore(now_ms=lambda: 1)
    record = asked("r1", chat_id=None)
    await store.start()
    await store.open(record, accepted_of(record))
    claim = await store.claim()
    assert claim is not None
    writer = store.writer(claim)
    writer.put(ev.Started(at=1, attempt=1, term=claim.term, nonce=claim.nonce))
    await store.park(claim, 0, ev.Waiting(at=1, part=0, wait_id="w", kind="approval", digest="d"))
    assert await store.put_input(record.key, decision("yes"))
    await store.seal(record.key, ev.Cancelled(at=3, code="user"))
    if packed:
        assert await store.compact() == 1

    assert await store.put_input(record.key, decision("yes")) is False
    for other in (decision("no"), decision("yes", digest="e")):
        with pytest.raises(NotWaiting):
            await store.put_input(record.key, other)
    with pytest.raises(JournalSealed):
        await store.put_input(record.key, decision("yes", wait_id="v"))
    await store.close()
