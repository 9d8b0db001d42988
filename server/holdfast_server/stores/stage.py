"""The state machine of journals: the transitions, each with its precondition, on drafts that nobody sees yet.

A stage is one commit in the making. Each operation is judged in order against what is committed plus what earlier
operations of the same stage have done; it either changes drafts or raises, and then it has changed nothing, so a refusal
never touches its neighbours. When the disk has taken the batch, `apply` moves the drafts into the logs; when it has not,
the stage is thrown away, and what it took from the index, and counted there, is put back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from holdfast_protocol.cursor import Epoch
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.events import Accepted, Cancelled, Event, Outcome, Waiting

from .base import (
    Account,
    Change,
    Claim,
    InboxItem,
    InboxUnread,
    JournalSealed,
    Key,
    NotWaiting,
    Owner,
    Record,
    RequestConflict,
    UnknownRequest,
)  # fmt: skip
from .blob import Packed
from .disk import Batch, Cold, Entry
from .draft import Draft, cold, entry, land
from .drafts import Drafts, Elsewhere
from .journals import Journals, look
from .log import Log
from .ready import Turn

INBOX_ITEMS_MAX: Final = 1000
"""Inputs that one request takes in its life: far above what a person sends, and a bound on what a flood leaves."""


class Stage:
    """One commit in the making."""

    def __init__(self, journals: Journals, now: int) -> None:
        self._journals = journals
        self._seq = journals.next_seq
        self.now = now
        self._drafts = Drafts(journals)
        self._leases: Counter[tuple[Owner, str]] = Counter()  # more or fewer than committed
        self._ends = 0  # leases given back
        self._hints: list[
            tuple[Turn, int]
        ] = []  # taken from the index by `claim`, with the owner's place before
        self._next_number = journals.next_number
        self.cold_removed: list[Key] = []
        self.cold_projected: list[Key] = []
        self.cold_accounts: list[tuple[Key, Account]] = []
        self.drop_below = 0
        self.frees = False

    def find(self, key: Key) -> Draft | None:
        """The draft of a journal that is in memory and not removed."""
        return self._drafts.find(key)

    # -- the transitions -------------------------------------------------------------------------------------

    def open(self, record: Record, accepted: Accepted) -> tuple[Log, bool]:
        """The journal, and whether it was made here. Raises: RequestConflict."""
        draft = self._drafts.find(record.key)
        if draft is not None:
            if draft.record.body_hash != record.body_hash:
                raise RequestConflict(f"{record.key.request_id} was used for another request")
            return draft.log, False
        packed = self._drafts.touched(record.key)
        if packed is not None and packed.packed is not None and not packed.removed:
            raise Elsewhere
        log = Log(record, accepted)
        log.number = self._next_number
        draft = Draft(log, opened=True)
        draft.extend([accepted])
        self._next_number += 1
        self._drafts.add(draft)
        self._journals.ready.hint(log)
        return log, True

    def append(self, log: Log, term: int, events: Sequence[Event]) -> None:
        """Output of the holder of the term. Raises: JournalSealed, Fenced, IllegalEvent."""
        draft = self._drafts.mine(log, term)
        draft.extend(events)
        self._ended(draft)

    def claim(self, nonce: str) -> Claim | None:
        """The journal whose turn it is, under a new term."""
        ready = self._journals.ready
        ready.due(self.now)
        while (number := ready.first()) is not None:
            self._hints.append(ready.take(number))
            turn = self._hints[-1][0]
            draft = self._drafts.number(number)
            if draft is None or not self._claimable(draft, turn):
                continue
            how = (
                "resumed" if draft.status == "waiting"
                else "first" if draft.status == "queued"
                else "handed_over" if draft.released
                else "recovered"
            )  # fmt: skip
            draft.term += 1
            draft.epochs.append(Epoch(draft.term, nonce, draft.tail))
            ready.serve(turn.owner)
            self._lease(draft, held=True)
            draft.parked, draft.released, draft.row = False, False, True
            return Claim(draft.log, draft.term, nonce, draft.tail, how)  # type: ignore[arg-type]
        return None

    def _claimable(self, draft: Draft, turn: Turn) -> bool:
        seen = look(draft, self.now)
        if seen.after is not None:
            before = self._drafts.find(seen.after)
            if before is not None and not before.sealed:
                self._journals.ready.follow(seen.after, turn)
                return False
        if not seen.claimable and seen.at is not None:
            self._journals.ready.at(seen.at, turn)
        return seen.claimable

    def _lease(self, draft: Draft, *, held: bool) -> None:
        """The only place where a lease is given or taken: what runs is counted by it."""
        if draft.lease != held:
            draft.lease = held
            owner, agent, more = draft.log.key.owner, draft.record.agent, 1 if held else -1
            self._leases[owner, agent] += more
            self._ends += not held
            self._journals.ready.leased(owner, agent, more)

    def release(self, claim: Claim) -> None:
        """Hand over. Raises: JournalSealed, Fenced."""
        draft = self._drafts.mine(claim.log, claim.term)
        self._lease(draft, held=False)
        draft.released = draft.row = True
        self._journals.ready.hint(claim.log)

    def park(self, claim: Claim, inbox_seen: int, waiting: Waiting) -> None:
        """Append the wait and give the lease back. Raises: JournalSealed, Fenced, InboxUnread, IllegalEvent."""
        draft = self._drafts.mine(claim.log, claim.term)
        inbox = draft.all_inbox()
        if len(inbox) > inbox_seen:
            raise InboxUnread(f"{len(inbox)} inputs, {inbox_seen} seen")
        if any(item.kind == "decision" and item.id == waiting.wait_id for item in inbox):
            raise IllegalEvent(f"{waiting.wait_id} was decided before; each wait needs an id of its own")
        draft.extend([waiting])
        self._lease(draft, held=False)
        draft.parked, draft.inbox_seen, draft.row = True, inbox_seen, True
        if waiting.expires_at is not None:
            self._journals.ready.at(waiting.expires_at, self._journals.ready.turn(claim.log))

    def put_input(self, key: Key, item: InboxItem) -> bool:
        """Into the inbox, and out of the park. Raises: JournalSealed, NotWaiting."""
        draft = self._drafts.find(key)
        if draft is None:
            raise Elsewhere
        inbox = draft.all_inbox()
        for known in inbox:
            if (known.kind, known.id) == (item.kind, item.id):
                if item.kind == "decision" and (known.value, known.digest) != (item.value, item.digest):
                    raise NotWaiting(f"{item.id} was decided otherwise")
                return False
        if draft.sealed:
            raise JournalSealed(draft.status)
        if item.kind == "decision":
            waiting = draft.waiting
            if waiting is None or waiting.wait_id != item.id or waiting.digest != item.digest:
                raise NotWaiting(f"{key.request_id} does not wait for {item.id} as it was shown")
            if waiting.expires_at is not None and waiting.expires_at <= self.now:
                raise NotWaiting(f"{item.id} has expired")
        if len(inbox) >= INBOX_ITEMS_MAX:
            raise NotWaiting(f"{key.request_id} has taken {INBOX_ITEMS_MAX} inputs, which is the most")
        draft.inbox.append(item)
        draft.row = True
        if draft.parked:
            draft.parked = False
            self._journals.ready.hint(draft.log)
        return True

    def seal(self, key: Key, outcome: Outcome) -> Log:
        """End it without a lease: compare-and-set on "not sealed" (I2). Raises: JournalSealed, IllegalEvent."""
        draft = self._drafts.unsealed(key)
        draft.extend([outcome])
        self._ended(draft)
        return draft.log

    def _ended(self, draft: Draft) -> None:
        if draft.sealed:
            self._lease(draft, held=False)
            draft.parked = draft.released = False
            self._journals.ready.sealed(draft.log.key)

    # -- beside the log --------------------------------------------------------------------------------------

    def account(self, key: Key, account: Account) -> None:
        """Write a term's account, in memory or in its row."""
        draft = self._drafts.find(key)
        if draft is not None:
            draft.accounts.append(account)
            return
        gone = self._drafts.touched(key)
        if gone is not None and gone.removed:
            raise UnknownRequest(key.request_id)
        self.cold_accounts.append((key, account))

    def project(self, keys: Sequence[Key]) -> None:
        """Note that the history has them."""
        for key in keys:
            draft = self._drafts.find(key)
            if draft is None:
                self.cold_projected.append(key)
            elif not draft.projected:
                draft.projected = draft.row = True

    def remove(self, keys: Sequence[Key], *, erase: bool) -> None:
        """Take journals away, in memory or in their rows; the unsealed are sealed first."""
        for key in keys:
            draft = self._drafts.find(key)
            if draft is None:
                gone = self._drafts.touched(key)
                if gone is not None and not gone.removed:
                    gone.removed = "erased" if erase else "purged"
            else:
                if not draft.sealed:
                    draft.extend(
                        [Cancelled(at=self.now, code="chat_deleted", message="The chat was deleted.")]
                    )
                    self._ended(draft)
                draft.removed = "erased" if erase else "purged"
                draft.row = True
            self.cold_removed.append(key)

    def pack(self, log: Log, packed: Packed) -> bool:
        """Move a sealed journal out of the segments."""
        draft = self._drafts.find(log.key)
        if draft is None or draft.log is not log or not log.sealed:
            return False
        draft.packed = packed
        return True

    def restate(self, log: Log) -> bool:
        """Write a journal anew and whole, so that its older segments are not needed."""
        draft = self._drafts.find(log.key)
        if draft is None or draft.log is not log:
            return False
        draft.restated = True
        return True

    # -- the end of it ---------------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether nothing has to be written."""
        cold = self.cold_removed or self.cold_projected or self.cold_accounts or self.drop_below
        return not cold and not any(draft.changed for draft in self._drafts.all)

    def batch(self) -> Batch:
        """What the disk is to take."""
        entries: list[Entry] = []
        packed: list[Cold] = []
        strict = False
        for draft in self._drafts.all:
            if not draft.changed:
                continue
            strict = strict or draft.opened or draft.outcome is not None or bool(draft.inbox)
            if draft.packed is not None and not draft.removed:
                packed.append(cold(draft, draft.packed))
            elif not (draft.opened and draft.removed):
                entries.append(entry(draft))
        return Batch(
            self._seq, entries, packed, self.cold_removed, self.cold_projected, self.cold_accounts, self.drop_below,
            strict, self.frees,
        )  # fmt: skip

    def abandon(self) -> None:
        """The disk did not take it: nothing has changed."""
        ready = self._journals.ready
        # What is filed under a number that was given here must not be taken for another journal.
        self._journals.next_number = self._next_number
        for (owner, agent), more in self._leases.items():
            ready.leased(owner, agent, -more)
        for turn, place in reversed(self._hints):
            ready.put_back(turn, place)
        for draft in self._drafts.all:
            if draft.opened:
                ready.drop(draft.log.number)

    def apply(self) -> list[Change]:
        """The disk holds it: make it so in memory, wake who waits, and tell what changed."""
        journals, changes = self._journals, []
        if not self.empty:
            journals.next_seq = self._seq + 1
        journals.next_number = self._next_number
        for draft in self._drafts.all:
            if draft.changed:
                start = draft.log.tail
                land(draft, journals, self._seq)
                changes.append(Change(draft.log, start, draft.log.tail, draft.row))
        journals.ready.settled(self.now, self._ends)
        for change in changes:
            change.log.wake()
        return [change for change in changes if change.state or change.end > change.start]
