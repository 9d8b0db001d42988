"""The parts under the doors, with a memory store and a real history: journal, chats, projector, admission, requests, feed."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast_protocol.commands import Submission
from holdfast_protocol.events import Completed, Delta, PartDone, PartStarted, Started
from holdfast_server.admission import Admission, Bounds
from holdfast_server.agents.base import Profile
from holdfast_server.chats import Chats
from holdfast_server.feed import Feed
from holdfast_server.journal import Journal
from holdfast_server.projector import Projector
from holdfast_server.requests import Requests
from holdfast_server.stores.base import Owner
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.tasks import Tasks

ADA = Owner("", "ada")
EVE = Owner("", "eve")
NOW = 1_800_000_000_000


class Parts:
    """The parts under the doors, with a memory store and a real history."""

    def __init__(self, folder: Path, history: str | None = None, **bounds: int) -> None:
        self.ticks = itertools.count(NOW)
        self.ids = itertools.count(1)
        self.store = MemoryStore(now_ms=self.now_ms)
        self.journal = Journal(self.store, now_ms=self.now_ms)
        url = history or f"sqlite+aiosqlite:///{folder / 'history.db'}"
        self.chats = Chats(url, now_ms=self.now_ms, undo_s=0)
        self.tasks = Tasks("test")
        self.projector = Projector(self.store, self.chats, self.tasks)
        self.admission = Admission(self.journal, Bounds(**bounds))
        self.requests = Requests(
            self.journal,
            self.chats,
            self.projector,
            self.admission,
            profiles={"demo": Profile("demo"), "other": Profile("other")},
            default_agent="demo",
            now_ms=self.now_ms,
            new_id=lambda: f"id-{next(self.ids)}",
        )
        self.feed = Feed(self.journal, self.requests.first_chats, nonce=lambda: "00000000")
        self.chats.observe(self.feed.chat_changed)

    def now_ms(self) -> int:
        return next(self.ticks)

    async def answer(self, text: str = "answer") -> Log:
        """Claim the next request and answer it."""
        claim = await self.store.claim()
        assert claim is not None
        writer = self.store.writer(claim)
        at = self.now_ms()
        writer.put(Started(at=at, attempt=1, term=claim.term, nonce=claim.nonce))
        writer.put(PartStarted(at=at, part=0, kind="text"))
        writer.put(Delta(at=at, part=0, text=text))
        writer.put(PartDone(at=at, part=0))
        writer.put(Completed(at=at, code="stop"))
        await writer.flush()
        return claim.log


def ask(**fields: Any) -> Submission:
    """A submission to one chat."""
    return Submission(**{"chat_id": "c1", "text": "why?", **fields})


@asynccontextmanager
async def parts_in(folder: Path, history: str | None = None, **bounds: int) -> AsyncIterator[Parts]:
    """Parts that are up."""
    parts = Parts(folder, history, **bounds)
    await parts.store.start()
    await parts.admission.start()
    await parts.chats.start()
    await parts.projector.start()
    try:
        yield parts
    finally:
        await parts.projector.close()
        await parts.tasks.close()
        await parts.chats.close()
        await parts.store.close()
