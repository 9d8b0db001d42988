"""The store port: what keeps journals, who calls what and when, and what may go wrong.

The life of a journal, in order. A door `open`s it; from then on it exists and will reach an outcome (I4). A runner
`claim`s it and gets a *term*: a number that only the store gives out, and that fences (I3). Under that term it takes a
`writer`, puts events, and either seals (the last event it puts is terminal), `park`s (the request waits for a person and
holds neither task nor slot), or `release`s (a draining node hands over). Inputs from outside go to the journal's inbox
by `put_input`; anybody may `seal` a journal that is not sealed. Between two claims nobody but the holder of the term
appends output; the five transitions that need no lease (open, claim, park, put_input, seal) are each one atomic step
with its own precondition, and there is no other way to append. Later the journal is compacted (the same events, written
smaller), projected into the history, and purged.

A batch is refused whole, never in part; and in a group commit one refusal does not fail its neighbours. What a call
returns is durable and readable (I4). A key is (tenant, user, request_id): no call takes a bare request id, so the same
id of two owners is two requests, and a stranger's is simply not there (I9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from holdfast_protocol.commands import Deadlines, InputMessage
from holdfast_protocol.events import Accepted, Event, Outcome, Usage, Waiting
from holdfast_protocol.lifecycle import Status

if TYPE_CHECKING:
    from .log import Log


class Owner(NamedTuple):
    """Whose it is. Identity `none` is ("", "local")."""

    tenant: str
    user: str


class Key(NamedTuple):
    """What names a journal everywhere."""

    tenant: str
    user: str
    request_id: str

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.tenant, self.user)


def key_of(owner: Owner, request_id: str) -> Key:
    """The key of this owner's request."""
    return Key(owner.tenant, owner.user, request_id)


Priority = Literal["low", "normal", "high"]
"""Orders the requests of one owner; `low` also steps back behind everybody's normal ones, for a while."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked: everything that a runner on any node needs to answer, none of which readers carry.

    `body_hash` is the SHA-256 of the submission as decoded and normalised; a retry that differs is a conflict.
    `history` is fixed when the request is opened for requests without a chat (`messages`); with a chat, the branch above
    `message_id` is read when it is claimed. `after` is the request id (same owner) that must be sealed before. `envelope` is
    what the door that took the request needs to show it again in its own words; nobody else looks into it.
    """

    key: Key
    body_hash: bytes
    agent: str
    created_at: int
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None
    text: str | None = None
    messages: list[InputMessage] = []
    options: dict[str, Any] = {}
    deadlines: Deadlines = Deadlines()
    append_only: bool = False
    after: str | None = None
    not_before: int = 0
    envelope: dict[str, Any] = {}
    priority: Priority = "normal"


class InboxItem(msgspec.Struct, frozen=True, kw_only=True):
    """An input to a request from outside; unique by (kind, id)."""

    kind: Literal["decision", "steer", "interrupt", "tool_result"]
    id: str
    at: int
    digest: str = ""
    value: Any = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What a term used up: beside the journal, because it may be known only after the seal. `running_ms` is the time
    this term ran; `steps` what `context.step` recorded."""

    term: int
    usage: Usage | None = None
    running_ms: int = 0
    reason: str = ""
    steps: dict[str, Any] = {}


class Opened(NamedTuple):
    """`created` is false if the same request was there already."""

    log: Log
    created: bool


class Claim(NamedTuple):
    """The right to append under `term` from offset `start` on. `how`: first (never started), recovered (its owner died),
    resumed (it was parked), handed_over (it was released). `alone`: nothing else runs on this node beside it, because those
    who ran it before died. `judged`: the store sees to what kills its owners, so recoveries are not counted against it."""

    log: Log
    term: int
    nonce: str
    start: int
    how: Literal["first", "recovered", "resumed", "handed_over"]
    alone: bool = False
    judged: bool = False


class Change(NamedTuple):
    """After a commit: `log` grew from `start` to `end` (equal if only its state changed). `state` tells that its row
    (status, attempt, parked, ...) changed."""

    log: Log
    start: int
    end: int
    state: bool


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a request, of a live one or one that has left memory. `number` is its place in the order of opening, and
    as text the mark behind it in a list. `usage` and `tools` are what the log said so far. What has a default may be
    missing in rows that an earlier release wrote."""

    key: Key
    agent: str
    status: Status
    chat_id: str | None
    message_id: str | None
    parent_id: str | None
    created_at: int
    updated_at: int
    attempt: int
    version: int
    text: str = ""
    outcome: Outcome | None = None
    projected: bool = False
    number: int = 0
    started_at: int | None = None
    usage: Usage | None = None
    tools: int = 0


Reason = Literal["slots", "user", "agent", "after", "not_before", "alone", "no_worker"]
"""What a queued request waits for: a free slot; that fewer of its user's run; or of its agent's; the end of the request
before it in its chat; its time; a node that runs nothing else; that there is any node that runs agents."""


class Spot(NamedTuple):
    """Where a queued request stands: how many will be claimed before it as things are, why it waits, and in how many seconds
    it is expected to begin (None: nobody can tell)."""

    place: int
    reason: Reason
    estimate_s: float | None = None


class StoreError(Exception):
    """Base of what a store raises."""


class UnknownRequest(StoreError):
    """No such journal of this owner: it never was, or it was purged."""


class RequestConflict(StoreError):
    """The request id is in use for another body."""


class TooManyOpen(StoreError):
    """The owner has as many requests open as one may."""


class JournalSealed(StoreError):
    """The journal has its outcome; nothing can be appended. `status` is the outcome that stands."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status: Status = status


class Fenced(StoreError):
    """A later term exists, or this one was given back: the caller is a zombie and must stop."""


class InboxUnread(StoreError):
    """Something came into the inbox that the owner has not seen; read it, then try to park again."""


class NotWaiting(StoreError):
    """The request is not waiting for this, or what it waits for has another digest."""


class Unavailable(StoreError):
    """The store did not take it, or did not answer; the same call may be repeated. No bug of ours: `is_outage` has it logged
    in one line (logs.py)."""

    is_outage = True


class StorageFull(Unavailable):
    """The disk is full; reads and what is in memory go on."""


class Damaged(Unavailable):
    """What the store holds of this journal is not what was written: it is not shown. A backup may have it."""

    is_outage = False


class LogWriter(Protocol):
    """The pen of a term. What is put while a commit is in flight is merged per part and goes with the next one,
    so a first token never waits. Text is cut on code points into events of DELTA_BYTES_MAX at most."""

    key: Key
    term: int

    def put(self, event: Event) -> None:
        """Add an event; it is shown once it is durable. A wait goes by `park`. Raises: Fenced, JournalSealed if an earlier
        commit found so; IllegalEvent if the lifecycle or a limit forbids it, or it cannot be stored (a bug of the caller)."""

    @property
    def congested(self) -> bool:
        """Whether WRITER_PENDING_BYTES_MAX are waiting to be committed: await `room` before more."""

    async def room(self) -> None:
        """Return when there is room again. Raises: as flush."""

    async def flush(self) -> None:
        """Return when everything put so far is durable and readable; a full or busy disk is waited out. Raises: Fenced,
        JournalSealed, IllegalEvent if what was put does not fit the journal, Unavailable when the store closes."""


class Store(Protocol):
    """Keeps journals. Every implementation passes tests/conformance/store_suite.py."""

    durability: Literal["process", "power"]

    async def start(self) -> None:
        """Take the store into use and recover what a crash left. Raises: Unavailable with a sentence for people."""

    async def close(self) -> None:
        """Finish what was handed in, and let go."""

    def observe(self, observer: Callable[[Sequence[Change]], None]) -> None:
        """Call `observer` after every commit, in the loop, with what it changed. It must not block or raise."""

    async def open(self, record: Record, accepted: Accepted) -> Opened:
        """Make the journal with `accepted` at offset 0, or find it. Raises: RequestConflict, Unavailable."""

    async def claim(self) -> Claim | None:
        """Take the oldest claimable journal: not sealed, no live lease, not parked, `not_before` reached, `after` sealed
        (or gone). None if there is none. Raises: Unavailable."""

    async def claimable(self) -> None:
        """Return promptly when `claim` may find something; waits for the level, so nothing is missed."""

    def writer(self, claim: Claim) -> LogWriter:
        """The pen of that term; one per claim."""

    async def release(self, claim: Claim) -> None:
        """Give the lease back: claimable at once, `how` = handed_over. Raises: Fenced, JournalSealed, Unavailable."""

    async def park(self, claim: Claim, inbox_seen: int, waiting: Waiting) -> None:
        """Append `waiting` and park, in one step; flush the writer before. Raises: InboxUnread if the inbox holds more
        than `inbox_seen` items, IllegalEvent if this wait's id was decided before, Fenced, JournalSealed, Unavailable."""

    async def put_input(self, key: Key, item: InboxItem) -> bool:
        """Put an input; a parked request becomes claimable in the same step. False if (kind, id) was there already. A
        decision must match the open wait's id and digest. Raises: UnknownRequest, JournalSealed, NotWaiting (also if the
        inbox is full), Unavailable."""

    async def seal(self, key: Key, outcome: Outcome) -> Log:
        """End a journal that is not sealed, without a lease. Raises: UnknownRequest, JournalSealed, Unavailable."""

    async def account(self, key: Key, account: Account) -> None:
        """Write the account of a term, also after the seal; a later write of the same term replaces it."""

    async def accounts(self, key: Key) -> list[Account]:
        """The accounts of all terms, in order."""

    async def log(self, key: Key) -> Log:
        """The journal in this node's memory, kept current. Raises: UnknownRequest, Damaged, Unavailable."""

    def live(self, key: Key) -> Log | None:
        """The same if it is in memory now; never waits."""

    async def head(self, key: Key) -> Summary:
        """The row of one request. Costs no more, however long its answer is: nothing is unpacked or brought into memory.
        Raises: UnknownRequest, Damaged, Unavailable."""

    async def summaries(
        self, owner: Owner | None, *, active: bool, chat_id: str | None, limit: int, before: str | None
    ) -> tuple[list[Summary], str | None]:
        """Requests newest first, and the mark for the next page. Owner None: everybody's (operators, sweeps)."""

    async def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        """Where these stand in the queue; those that do not wait are left out. Raises: Unavailable."""

    async def unprojected(self, limit: int) -> list[Log]:
        """Sealed journals of chats that the history has not taken yet, oldest first."""

    async def projected(self, keys: Sequence[Key]) -> None:
        """Note that the history has taken them."""

    async def erase(self, keys: Sequence[Key]) -> None:
        """Remove journals whole, whatever their state (their chat was deleted); seal the unsealed before."""

    async def compact(self) -> int:
        """Write sealed journals smaller; loses no event. How many."""

    async def purge(self, older_than_ms: int, bytes_max: int) -> int:
        """Remove sealed, projected journals that ended before `older_than_ms`, and the oldest beyond `bytes_max`; never
        an unsealed or unprojected one. How many."""
