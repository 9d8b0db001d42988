"""Others who touch requests, beside clients: somebody who steers, an operator who cancels, a node that was paused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from holdfast_protocol import events as ev
from holdfast_protocol.replies import CancelResult
from holdfast_server.patience import patiently
from holdfast_server.stores.base import (
    Claim,
    Fenced,
    InboxItem,
    JournalSealed,
    Key,
    StoreError,
    Unavailable,
    UnknownRequest,
)  # fmt: skip
from tests.simulation.evidence import Evidence, Told
from tests.simulation.server import Server
from tests.simulation.upstream import key_text
from tests.simulation.words import section_text

Work = Coroutine[Any, Any, None]


async def steers(server: Server, key: Key, at_ms: int) -> bool:
    """Somebody adds something to a request; whether there is nothing more to do."""
    try:
        await server.store.put_input(key, InboxItem(kind="steer", id="more", at=at_ms))
    except JournalSealed:
        return True
    except StoreError:
        return False
    return True


async def cancels(server: Server, key: Key, evidence: Evidence) -> None:
    """An operator stops a request, and is told who was faster."""
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    try:
        won, status = await server.requests.cancel(key.owner, key.request_id)
    except StoreError:
        return
    reply = CancelResult(ref=0, won=won, status=status)
    evidence.told.append(Told("operator", server.boot, key, "cancel", asked_at, loop.time(), reply))


async def compacts(server: Server) -> None:
    """The clock says that it is time."""
    try:
        await server.store.compact()
    except StoreError:
        return


async def wakes_too_late(server: Server, evidence: Evidence, dice: random.Random) -> None:
    """A node claims a request and is paused; its lease lapses, somebody else has the request, and now it goes on to write
    what it was about to."""
    store = server.store
    try:
        claim = await store.claim()
        if claim is not None:
            if claim.log.status == "queued":
                await _overslept(server, claim, evidence, dice)
            else:
                await patiently(lambda: store.release(claim), "release")
    except (Fenced, JournalSealed, UnknownRequest, Unavailable) as refusal:
        evidence.zombies.append(type(refusal).__name__)


async def _overslept(server: Server, claim: Claim, evidence: Evidence, dice: random.Random) -> None:
    store, now_ms, key = server.store, server.now_ms, claim.log.key
    attempt = 0 if claim.log.record.agent == "continues" else 1
    text = section_text(key_text(key.user, key.request_id), 0, attempt)
    cut = dice.randint(1, len(text))
    writer = store.writer(claim)
    writer.put(ev.Started(at=now_ms(), attempt=1, term=claim.term, nonce=claim.nonce))
    writer.put(ev.PartStarted(at=now_ms(), part=0, kind="text"))
    writer.put(ev.Delta(at=now_ms(), part=0, text=text[:cut]))
    await asyncio.sleep(dice.uniform(0, 0.3))
    await patiently(lambda: store.release(claim), "release")  # as the end of a timed lease would
    await asyncio.sleep(dice.uniform(0, 1.0))
    writer.put(ev.Delta(at=now_ms(), part=0, text=text[cut:] or "more"))
    await writer.flush()
    evidence.zombies.append(f"wrote under term {claim.term} of {key.request_id}")
