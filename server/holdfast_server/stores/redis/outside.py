"""What comes to journals from outside: requests, inputs, and ends that somebody else decides on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from holdfast_protocol.events import Accepted, Failed, Outcome
from holdfast_protocol.lifecycle import next_status
from holdfast_server.stores.base import (
    Account,
    Damaged,
    InboxItem,
    JournalSealed,
    Key,
    NotWaiting,
    Opened,
    Record,
    RequestConflict,
    StorageFull,
    StoreError,
    TooManyOpen,
    Unavailable,
    UnknownRequest,
)
from holdfast_server.stores.log import Log
from holdfast_server.stores.shared import Acceptances
from holdfast_server.stores.stage import INBOX_ITEMS_MAX

from .appends import Appends
from .calls import AGAIN, AGAIN_S, Calls
from .claims import Claims
from .follow import FOLLOW_MS, Follow
from .keys import key_in, prefix_of, tag_in
from .rows import effect, encode, encoded_events, fields_in, record_fields, said
from .shelf import Shelf

STAYS: Final = (
    "The request was accepted and is opened as soon as there is room; ask for it again in a moment."
)
"""What is said where an acceptance stays: it is no refusal, for the request will run."""

CONDEMNED: Final = {
    "poison": "It was given up: every server that worked on it died.",
    "damaged": "It was given up: what was stored of it cannot be read.",
}


class Outside:
    """Transitions that need no lease."""

    def __init__(
        self,
        calls: Calls,
        shelf: Shelf,
        follow: Follow,
        node: str,
        *,
        appends: Appends,
        claims: Claims,
        now_ms: Callable[[], int],
        clock_ms: Callable[[], int] | None,
        owner_open_max: int | None,
        acceptances: Acceptances | None,
    ) -> None:
        """`clock_ms` decides whether a wait is over; None: Redis's own clock."""
        self._calls = calls
        self._shelf = shelf
        self._follow = follow
        self._claims = claims
        self._appends = appends
        self._node = node
        self._now_ms = now_ms
        self._clock_ms = clock_ms
        self._owner_open_max = owner_open_max
        self._acceptances = acceptances
        appends.end_again = self._seal_again

    async def open(self, record: Record, accepted: Accepted) -> Opened:
        """See Store.open."""
        mark, record, accepted = await self._accept(record, accepted)
        try:
            answer, made = await self._open(record, accepted, past="*")
        except StorageFull:
            await self._refuse(record.key, mark)
            raise
        if made is not None:
            return Opened(made, mark > 0)
        if answer[0] == b"CONFLICT":
            raise RequestConflict(f"{record.key.request_id} was used for another request")
        if answer[0] == b"FULL":
            await self._refuse(record.key, mark)
            raise TooManyOpen(f"{self._owner_open_max} requests are open, which is the most")
        return Opened(await self._follow.load(record.key), created=False)

    async def reopen(self, record: Record, accepted: Accepted, past: str = "") -> str | None:
        """See Shared.reopen."""
        answer, _ = await self._open(record, accepted, past=past)
        if answer[0] == b"FULL":
            raise TooManyOpen(f"{self._owner_open_max} requests are open, which is the most")
        return answer[1].decode() if answer[0] == b"ERASED" else None

    async def _open(self, record: Record, accepted: Accepted, *, past: str) -> tuple[Any, Log | None]:
        """What Redis answers, and the log if it is new. Raises: Unavailable; StorageFull only if nothing was opened."""
        prefix = prefix_of(record.key)
        journal = Log(record, accepted)
        made = effect(journal, [accepted])
        fields = [*record_fields(record, quote(record.chat_id or "", safe="")), *made.fields]
        self._follow.expect(prefix)
        try:
            answer = await self._asked(
                tag_in(prefix), self._node, prefix, self._owner_open_max or 0, record.body_hash, accepted.nonce,
                encoded_events([accepted]), FOLLOW_MS, past, *fields,
            )  # fmt: skip
            if answer[0] != b"NEW":
                return answer, None
            journal.extend([accepted])
            journal.number, journal.version = int(answer[1]), int(answer[2])
            kept = self._shelf.put(journal, [1])
            if kept is journal:
                self._shelf.note(journal, 0, 1, state=True)
                self._shelf.tell()
            self._claims.offered(tag_in(prefix))
            return answer, kept
        finally:
            self._follow.arrived(prefix)

    async def _asked(self, tag: str, *args: bytes | str | int) -> Any:
        """Full is a clear no at the first call only: after one without an answer the request may be open."""
        try:
            return await self._calls.ask("open", tag, *args)
        except StorageFull:
            raise
        except Unavailable:
            await asyncio.sleep(AGAIN_S)
        try:
            return await self._calls.sure("open", tag, *args)
        except StorageFull as error:
            raise Unavailable(STAYS) from error

    async def _accept(self, record: Record, accepted: Accepted) -> tuple[int, Record, Accepted]:
        """The mark of its acceptance (0: it was there already), and what is to be opened: what stands there, for that is what
        would be opened again. Raises: UnknownRequest if it has ended long ago, and is gone: it must not be done again."""
        if self._acceptances is None:
            return 1, record, accepted
        mark = await self._acceptances.accept(record, accepted)
        if not mark:
            found = await self._acceptances.of(record.key)
            if found is None:
                await self._follow.load(record.key)
            else:
                record, first = found
                accepted = replace(first, at=accepted.at, nonce=accepted.nonce)
        return mark, record, accepted

    async def _refuse(self, key: Key, mark: int) -> None:
        """Take back what this call has accepted: who is refused for good must not find that it runs by itself later. Raises:
        Unavailable if it stays, for it was accepted before, or cannot be taken back.

        Another node may have found the row meanwhile, opened the request under it and acknowledged it. Whoever finds a row
        changes its mark before it opens anything, so the row is taken back by its mark, or it stays, and so does the request."""
        if self._acceptances is None:
            return
        try:
            if mark and await self._acceptances.take_back(key, mark):
                return
        except StoreError as error:
            raise Unavailable(STAYS) from error
        raise Unavailable(STAYS)

    async def put_input(self, key: Key, item: InboxItem) -> bool:
        """See Store.put_input."""
        prefix, blob = prefix_of(key), encode(item)
        answer = await self._calls.sure(
            "input", tag_in(prefix), self._node, prefix, item.kind, item.id, item.digest, said(item), blob,
            "" if self._clock_ms is None else self._clock_ms(), INBOX_ITEMS_MAX, AGAIN,
        )  # fmt: skip
        word = answer[0]
        if word == b"OK":
            journal = self._shelf.at(prefix)
            if journal is not None and len(answer) > 2:
                fields = fields_in(answer[2])
                if int(fields[b"inb"]) == len(journal.inbox) + 1:
                    journal.inbox.append(item)
                if not self._shelf.restate(journal, fields):
                    await self._follow.sync(journal)
                self._shelf.tell()
            self._claims.offered(tag_in(prefix))
            return True
        if word == b"SAME":
            return False
        if word == b"GONE":
            raise UnknownRequest(key.request_id)
        if word == b"SEALED":
            raise JournalSealed(answer[1].decode())
        raise NotWaiting({
            b"OTHERWISE": f"{item.id} was decided otherwise",
            b"EXPIRED": f"{item.id} has expired",
            b"FULL": f"{key.request_id} has taken {INBOX_ITEMS_MAX} inputs, which is the most",
        }.get(word, f"{key.request_id} does not wait for {item.id} as it was shown"))  # fmt: skip

    async def seal(self, key: Key, outcome: Outcome) -> Log:
        """See Store.seal."""
        prefix = prefix_of(key)
        answer = await self._sealed(prefix, outcome)
        if answer[0] == b"GONE":
            raise UnknownRequest(key.request_id)
        journal = self._shelf.at(prefix)
        if answer[0] == b"SEALED":
            if journal is not None and not journal.sealed:
                await self._follow.sync(journal)
            raise JournalSealed(answer[1].decode())
        self._claims.offered(tag_in(prefix))
        if journal is None:
            journal = await self._follow.load(key)
            self._shelf.note(journal, journal.tail, journal.tail, state=True)  # nobody else tells this node
        else:
            await self._follow.sync(journal)
        if journal.sealed and not journal.erased:
            self._appends.keep(journal)
        self._shelf.tell()
        return journal

    async def _sealed(self, prefix: str, outcome: Outcome) -> Any:
        blob = encoded_events([outcome])
        return await self._calls.sure(
            "seal", tag_in(prefix), self._node, prefix, blob, outcome.at, next_status("running", outcome), blob, AGAIN
        )  # fmt: skip

    async def _seal_again(self, journal: Log) -> None:
        prefix = prefix_of(journal.key)
        assert journal.outcome is not None
        await self._sealed(prefix, journal.outcome)
        self._claims.offered(tag_in(prefix))

    async def account(self, key: Key, account: Account) -> None:
        """See Store.account."""
        prefix = prefix_of(key)
        answer = await self._calls.sure("account", tag_in(prefix), prefix, account.term, encode(account))
        if answer[0] == b"GONE":
            raise UnknownRequest(key.request_id)
        journal = self._shelf.at(prefix)
        if journal is not None and not journal.compacted:
            journal.accounts[account.term] = account

    async def condemn(self, prefix: str, code: str = "poison") -> None:
        """Seal what has killed whoever ran it, or (`damaged`) what nobody can read. Raises: Unavailable."""
        outcome = Failed(at=self._now_ms(), code=code, message=CONDEMNED[code])
        with contextlib.suppress(UnknownRequest, JournalSealed, Damaged):  # sealed it is before it is read
            await self.seal(key_in(prefix), outcome)
