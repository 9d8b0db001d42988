"""What comes to journals from outside: requests, inputs, and ends that somebody else decides on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from holdfast_protocol.events import Accepted, Failed, Outcome
from holdfast_protocol.lifecycle import next_status
from holdfast_server.stores.base import (
    Account,
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
    UnknownRequest,
)
from holdfast_server.stores.log import Log
from holdfast_server.stores.shared import Acceptances
from holdfast_server.stores.stage import INBOX_ITEMS_MAX

from .appends import Appends
from .calls import AGAIN, Calls
from .claims import Claims
from .follow import FOLLOW_MS, Follow
from .keys import key_in, prefix_of, tag_in
from .rows import effect, encode, encoded_events, fields_in, record_fields, said
from .shelf import Shelf


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
        owner_open_max: int | None,
        acceptances: Acceptances | None,
    ) -> None:
        self._calls = calls
        self._shelf = shelf
        self._follow = follow
        self._claims = claims
        self._appends = appends
        self._node = node
        self._now_ms = now_ms
        self._owner_open_max = owner_open_max
        self._acceptances = acceptances
        appends.end_again = self._seal_again

    async def open(self, record: Record, accepted: Accepted) -> Opened:
        """See Store.open."""
        prefix = prefix_of(record.key)
        journal = Log(record, accepted)
        made = effect(journal, [accepted])
        fields = [*record_fields(record, quote(record.chat_id or "", safe="")), *made.fields]
        blob = encoded_events([accepted])
        fresh = await self._accept(record, accepted)
        self._follow.expect(prefix)
        try:
            answer = await self._calls.sure(
                "open", tag_in(prefix), self._node, prefix, self._owner_open_max or 0, record.body_hash, accepted.nonce,
                blob, FOLLOW_MS, *fields,
            )  # fmt: skip
            if answer[0] == b"NEW":
                journal.extend([accepted])
                journal.number, journal.version = int(answer[1]), int(answer[2])
                kept = self._shelf.put(journal, [1])
                if kept is journal:
                    self._shelf.note(journal, 0, 1, state=True)
                    self._shelf.tell()
                self._claims.offered(tag_in(prefix))
                return Opened(kept, fresh)
        except StorageFull:
            # It was told that this must wait: it must not run by itself later, as what was accepted would.
            with contextlib.suppress(StoreError):
                await self._refuse(record.key, fresh=fresh)
            raise
        finally:
            self._follow.arrived(prefix)
        if answer[0] == b"CONFLICT":
            raise RequestConflict(f"{record.key.request_id} was used for another request")
        if answer[0] == b"FULL":
            await self._refuse(record.key, fresh=fresh)
            raise TooManyOpen(f"{self._owner_open_max} requests are open, which is the most")
        return Opened(await self._follow.load(record.key), created=False)

    async def _accept(self, record: Record, accepted: Accepted) -> bool:
        """Whether it is accepted here for the first time. Raises: UnknownRequest if it has ended long ago, and is gone: it
        must not be done again."""
        if self._acceptances is None or await self._acceptances.accept(record, accepted):
            return True
        if await self._acceptances.of(record.key) is None:
            await self._follow.load(record.key)
        return False

    async def _refuse(self, key: Key, *, fresh: bool) -> None:
        """What this call has accepted was not. Raises: Unavailable."""
        if fresh and self._acceptances is not None:
            await self._acceptances.forget([key])

    async def put_input(self, key: Key, item: InboxItem) -> bool:
        """See Store.put_input."""
        prefix, blob = prefix_of(key), encode(item)
        answer = await self._calls.sure(
            "input", tag_in(prefix), self._node, prefix, item.kind, item.id, item.digest, said(item), blob, self._now_ms(),
            INBOX_ITEMS_MAX, AGAIN,
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

    async def condemn(self, prefix: str) -> None:
        """Seal what has killed whoever ran it. Raises: Unavailable."""
        message = "It was given up: every server that worked on it died."
        with contextlib.suppress(UnknownRequest, JournalSealed):
            await self.seal(key_in(prefix), Failed(at=self._now_ms(), code="poison", message=message))
