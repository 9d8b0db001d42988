"""One who opens, claims and writes journals of any store, in one line each: for tests of stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Claim, InboxItem, Key, LogWriter, Owner, Store, key_of
from holdfast_server.stores.log import Log
from tests.support.journals import ANN, Clock, accepted_of, asked


def decision(wait_id: str = "w1", value: Any = "yes", digest: str = "d1") -> InboxItem:
    """A person's answer to `wait()`."""
    return InboxItem(kind="decision", id=wait_id, at=1, digest=digest, value=value)


def steer(item_id: str = "s1") -> InboxItem:
    """Something said to a running request."""
    return InboxItem(kind="steer", id=item_id, at=1, value="go left")


def cancelled(at: int = 9) -> ev.Cancelled:
    """What a door seals with."""
    return ev.Cancelled(at=at, code="user")


def text_of(log: Log) -> str:
    """Everything that deltas of the journal say."""
    return "".join(event.text for event in log.events if isinstance(event, ev.Delta))


class Held(NamedTuple):
    """A claimed journal, and its pen."""

    claim: Claim
    writer: LogWriter

    @property
    def log(self) -> Log:
        return self.claim.log

    @property
    def key(self) -> Key:
        return self.claim.log.key

    def say(self, *texts: str, part: int = 0) -> None:
        """Put deltas."""
        for text in texts:
            self.writer.put(ev.Delta(at=5, part=part, text=text))

    async def begin(self, reason: ev.Reason = "first", *, attempt: int = 1, keep: ev.Keep = "all") -> None:
        """Start an attempt, with a text part if nothing is kept or it is the first."""
        claim = self.claim
        self.writer.put(
            ev.Started(at=4, attempt=attempt, term=claim.term, nonce=claim.nonce, reason=reason, keep=keep)
        )
        if reason == "first" or keep == "none":
            self.writer.put(ev.PartStarted(at=4, part=0, kind="text"))
        await self.writer.flush()

    async def complete(self) -> None:
        """Close the part, and end well."""
        self.writer.put(ev.PartDone(at=6, part=0))
        self.writer.put(ev.Completed(at=6, code="stop"))
        await self.writer.flush()

    def wait(self, *, part: int = 1, wait_id: str = "w1", expires_at: int | None = None) -> ev.Waiting:
        """A question to a person."""
        return ev.Waiting(
            at=7, part=part, wait_id=wait_id, kind="approval", digest="d1", expires_at=expires_at
        )


class Scribe:
    """Works on one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def open(self, request_id: str = "r1", *, owner: Owner = ANN, **fields: Any) -> Log:
        """An accepted request."""
        chat_id = fields.pop("chat_id", None)
        record = msgspec.structs.replace(asked(request_id, owner=owner, chat_id=chat_id), **fields)
        return (await self.store.open(record, accepted_of(record))).log

    async def claim(self) -> Held:
        """The next claim; there must be one."""
        claim = await self.store.claim()
        assert claim is not None
        return Held(claim, self.store.writer(claim))

    async def running(self, request_id: str = "r1", **fields: Any) -> Held:
        """A request that has begun to answer."""
        log = await self.open(request_id, **fields)
        held = await self.claim()
        assert held.log is log
        await held.begin()
        return held

    async def parked(self, request_id: str = "r1", *, expires_at: int | None = None, **fields: Any) -> Held:
        """A request that waits for a person."""
        held = await self.running(request_id, **fields)
        await self.store.park(held.claim, 0, held.wait(expires_at=expires_at))
        return held

    async def ended(self, request_id: str = "r1", *texts: str, **fields: Any) -> Log:
        """A request that was answered."""
        held = await self.running(request_id, **fields)
        held.say(*texts)
        await held.complete()
        return held.log

    async def ids(
        self, owner: Owner | None = ANN, *, active: bool = False, chat_id: str | None = None
    ) -> Sequence[str]:
        """What the list shows, newest first."""
        rows, _ = await self.store.summaries(owner, active=active, chat_id=chat_id, limit=100, before=None)
        return [row.key.request_id for row in rows]


def key(request_id: str = "r1", owner: Owner = ANN) -> Key:
    """A key of Ann's."""
    return key_of(owner, request_id)
