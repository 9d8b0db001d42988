"""The journal: the append-only event log of one request, and the only place where writers and readers meet.

Producers append (through the writer of their term), readers hold cursors, nothing else is shared. Doors open, cancel,
decide and read here; the runner claims and writes through the same store; neither knows of the other. There is no code
for resuming: a reader that comes back is a reader at an older cursor.

This module decides where a reader begins (`place`): at its cursor if that is good, or at a snapshot that says why not
(I6). A snapshot is itself a short log (holdfast_protocol.rewrite), so readers fold one kind of thing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from holdfast_protocol.cursor import parse_cursor
from holdfast_protocol.digest import Digest
from holdfast_protocol.events import Accepted, Cancelled, Event
from holdfast_protocol.lifecycle import Status
from holdfast_protocol.replies import ResetReason
from holdfast_protocol.rewrite import events_of

from .projections.versions import VERSIONS
from .stores.base import (
    Account,
    Change,
    InboxItem,
    JournalSealed,
    Key,
    Opened,
    Owner,
    Record,
    Spot,
    Store,
    Summary,
)
from .stores.log import Log


class Place(NamedTuple):
    """Where a reader begins: at `offset`, or, if `reset` says why, at a snapshot of the present."""

    offset: int
    reset: ResetReason | None


class Journal:
    """The journals of one node's store."""

    def __init__(
        self,
        store: Store,
        *,
        now_ms: Callable[[], int],
        nonce: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._nonce = nonce

    @property
    def durability(self) -> str:
        """What an acknowledgement survives: the end of every process of ours, or of power too."""
        return self._store.durability

    def observe(self, observer: Callable[[Sequence[Change]], None]) -> None:
        """As Store.observe."""
        self._store.observe(observer)

    async def open(self, record: Record) -> Opened:
        """Accept a request: once this returns it is durable and will reach an outcome (I4). The same request again is
        found, not made. Raises: RequestConflict, Unavailable."""
        accepted = Accepted(
            at=self._now_ms(),
            nonce=self._nonce(),
            agent=record.agent,
            chat_id=record.chat_id,
            message_id=record.message_id,
            parent_id=record.parent_id,
            append_only=record.append_only,
            projections=dict(VERSIONS),
        )
        return await self._store.open(record, accepted)

    async def cancel(self, key: Key, code: str = "user", message: str = "Stopped.") -> tuple[bool, Status]:
        """End a request, running or not: to cancel is to seal; whoever writes reads the seal and stops. True and
        `cancelled` if this call did it, else False and the outcome that stands. Raises: UnknownRequest, Unavailable."""
        try:
            log = await self._store.seal(key, Cancelled(at=self._now_ms(), code=code, message=message))
        except JournalSealed as sealed:
            return False, sealed.status
        return True, log.status

    async def decide(self, key: Key, wait_id: str, digest: str, decision: Any) -> bool:
        """Answer what a request waits for; False if the same answer was there already. Raises: UnknownRequest,
        JournalSealed, NotWaiting, Unavailable."""
        item = InboxItem(kind="decision", id=wait_id, at=self._now_ms(), digest=digest, value=decision)
        return await self._store.put_input(key, item)

    async def log(self, key: Key) -> Log:
        """The journal, to be read. Raises: UnknownRequest, Unavailable."""
        return await self._store.log(key)

    def live(self, key: Key) -> Log | None:
        """The same if it is in memory."""
        return self._store.live(key)

    async def head(self, key: Key) -> Summary:
        """The row of one request; nothing is unpacked for it. Raises: UnknownRequest, Unavailable."""
        return await self._store.head(key)

    async def accounts(self, key: Key) -> list[Account]:
        """What its terms used up, in order. Raises: Unavailable."""
        return await self._store.accounts(key)

    async def summaries(
        self,
        owner: Owner | None,
        *,
        active: bool = False,
        chat_id: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> tuple[list[Summary], str | None]:
        """Requests newest first, and the mark for the next page."""
        return await self._store.summaries(owner, active=active, chat_id=chat_id, limit=limit, before=before)

    async def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        """As Store.spots. Raises: Unavailable."""
        return await self._store.spots(keys)

    async def erase(self, keys: Sequence[Key]) -> None:
        """End and remove journals (their chat was deleted); their readers are told."""
        for key in keys:
            log = self._store.live(key)
            if log is not None and not log.sealed:
                await self.cancel(key, "chat_deleted", "The chat was deleted.")
        await self._store.erase(keys)


def place(log: Log, cursor: str | None) -> Place:
    """Where a reader with this cursor begins. Never a silent clamp: a cursor that does not belong here, that lies ahead,
    or behind which shown output was dropped, gets a snapshot and is told. Raises: ProtocolError if it is no cursor."""
    if cursor is None:
        return Place(0, "start")
    parsed = parse_cursor(cursor)
    fault = log.check(parsed)
    if fault is not None:
        return Place(0, "purged" if log.purged else fault)
    if log.superseded(parsed.offset):
        return Place(0, "superseded")
    return Place(parsed.offset, None)


def snapshot(log: Log) -> list[Event]:
    """The shortest log that folds to what this one folds to now; its spans add up to the tail."""
    return events_of(log.fold().transcript())


def digest(log: Log) -> Digest:
    """The digest of what the log shows at its tail."""
    return log.fold().digest()
