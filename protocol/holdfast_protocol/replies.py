"""Replies: the one answer to each command, with the command's `ref`; and the rows that they carry."""

from __future__ import annotations

from typing import Literal

import msgspec

from .events import KnownEvent, Outcome, Reason, Usage, snake
from .lifecycle import Status
from .transcript import Transcript


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the rows in replies and in the feed."""


class ChatRow(Row, frozen=True, kw_only=True):
    """A chat. `version` rises with every change: of two rows of one chat the higher one holds. `updated_at`: when
    something was last asked or answered in it; a title, the archive and `seen` leave it alone. `last_...`: the request
    of this chat that ended last; if that was after `seen_at`, the person has not read it."""

    chat_id: str
    version: int
    title: str
    agent: str | None = None
    created_at: int = 0
    updated_at: int = 0
    seen_at: int = 0
    last_request_id: str | None = None
    last_status: Status | None = None
    last_ended_at: int = 0
    archived: bool = False
    deleted: bool = False


class RequestRow(Row, frozen=True, kw_only=True):
    """A request. `version` rises with every change of this row. `place`: how many are before it in the queue; `queue_reason`:
    what it waits for (`slots`, `user`, `agent`, `after`, `not_before`, `alone`, `no_worker`; others may come), and
    `estimate_ms`: in how many milliseconds it is expected to begin, if anybody can tell; only while it is queued.
    `started_at`: when it was first taken up. `usage`: the tokens known so far, of all attempts; `tools`: how many tools
    were called. Both are those of the moment in which the row was made, and do not raise `version` by themselves.
    `owner`: whose it is, `user` or `tenant/user`; only where everybody's are listed. `deleted`: it is gone, and so is
    its journal."""

    request_id: str
    version: int
    status: Status
    agent: str
    chat_id: str | None = None
    message_id: str | None = None
    created_at: int = 0
    updated_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    attempt: int = 0
    place: int | None = None
    queue_reason: str | None = None
    estimate_ms: int | None = None
    outcome: Outcome | None = None
    usage: Usage | None = None
    tools: int = 0
    title: str = ""
    owner: str | None = None
    deleted: bool = False


class ReaderRow(Row, frozen=True, kw_only=True):
    """Somebody followed a request: over `connection` (a random name, no address), by a program that called itself
    `client`, through `door`; from `since` until `until` (none: it still does), from offset `start` up to `end`."""

    connection: str
    door: str
    since: int
    start: int
    end: int
    client: str = ""
    until: int | None = None


class TermRow(Row, frozen=True, kw_only=True):
    """A request was taken up: under `term`, as `attempt`, by the event at offset `start`, at the time `at`. `running_ms`
    is how long this term ran and `usage` what it used, as far as that was noted."""

    term: int
    attempt: int
    start: int
    at: int
    reason: Reason
    running_ms: int = 0
    usage: Usage | None = None


class MessageRow(Row, frozen=True, kw_only=True):
    """A message. An answer's id is its request's id; its `transcript` is there once the request has ended."""

    message_id: str
    chat_id: str
    role: Literal["user", "assistant"]
    parent_id: str | None = None
    created_at: int = 0
    text: str = ""
    transcript: Transcript | None = None
    status: Status | None = None
    damaged: bool = False


class AgentRow(Row, frozen=True, kw_only=True):
    """An agent that requests may name."""

    name: str
    description: str = ""
    model: str = ""
    default: bool = False


class HitRow(Row, frozen=True, kw_only=True):
    """A search hit. `snippet` marks what was found between U+0002 and U+0003."""

    chat_id: str
    title: str
    message_id: str | None = None
    role: str | None = None
    snippet: str = ""
    created_at: int = 0


ProbeState = Literal["running", "accepted", "ended", "unknown"]


class ProbeRow(Row, frozen=True, kw_only=True):
    """What has become of a request: running (or waiting), accepted and not started, ended, or not known here. `cursor` is
    where its log ends now, while that still grows; what has ended has none."""

    request_id: str
    state: ProbeState
    status: Status | None = None
    chat_id: str | None = None
    cursor: str | None = None


class ReplyBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=snake):
    """What every reply has."""

    ref: int


class Error(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=snake):
    """The command was refused, or (without `ref`) a frame could not be read. `code` is stable; `message` says what to
    do; `retryable` tells whether the same command may succeed later, `retry_after_ms` when."""

    code: str
    message: str
    ref: int | None = None
    retryable: bool = False
    retry_after_ms: int | None = None
    request_id: str | None = None


class Welcome(ReplyBase, frozen=True, kw_only=True):
    """The connection may be used. `user` is who it belongs to, as `user` or `tenant/user`. `durability`: what an
    acknowledgement survives, `process` (the end of every process of the server's) or `power` (that of the machine too).
    `operator`: this user may see everybody's requests, and stop them."""

    server: str
    user: str
    heartbeat_s: float
    durability: str = "process"
    limits: dict[str, int] = {}
    draining: bool = False
    operator: bool = False


class Pong(ReplyBase, frozen=True, kw_only=True):
    """Alive; `at` is the server's clock in milliseconds."""

    at: int


class Done(ReplyBase, frozen=True, kw_only=True):
    """It has been done."""


class Submitted(ReplyBase, frozen=True, kw_only=True):
    """The request is durable (I4). `created` is false if it was there already. `cursor` is its start."""

    request_id: str
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None
    created: bool = True
    status: Status = "queued"
    cursor: str = ""


class SubmittedMany(ReplyBase, frozen=True, kw_only=True):
    """One result per request, in order."""

    results: list[Submitted | Error]


ResetReason = Literal["start", "unknown_epoch", "ahead", "superseded", "purged"]


class Subscribed(ReplyBase, frozen=True, kw_only=True):
    """Pages follow: from the cursor that was sent, or, if `reset` says why not, a snapshot first."""

    request_id: str
    status: Status
    chat_id: str | None = None
    reset: ResetReason | None = None


class CancelResult(ReplyBase, frozen=True, kw_only=True):
    """`won`: this call ended the request; otherwise `status` is the outcome that stands."""

    won: bool
    status: Status


class Probed(ReplyBase, frozen=True, kw_only=True):
    """One row per id, in order."""

    requests: list[ProbeRow]


class Requests(ReplyBase, frozen=True, kw_only=True):
    """A page of requests; `next` goes on, as `before`."""

    requests: list[RequestRow]
    next: str | None = None


class Log(ReplyBase, frozen=True, kw_only=True):
    """Events as they were written, from `start`; `next` is the offset after them; `sealed` if the log ends there."""

    request_id: str
    start: int
    next: int
    events: list[KnownEvent]
    sealed: bool = False


class Inspected(ReplyBase, frozen=True, kw_only=True):
    """The request; who followed it, latest first; how often it was taken up, in order. Readers are noted as well as the
    server could, and no promise: a crash or a history in trouble may leave some out."""

    request: RequestRow
    readers: list[ReaderRow] = []
    terms: list[TermRow] = []


class Watching(ReplyBase, frozen=True, kw_only=True):
    """Feed pushes follow; `reset` if they begin with a snapshot."""

    cursor: str
    reset: ResetReason | None = None


class Chats(ReplyBase, frozen=True, kw_only=True):
    """A page of chats; `next` goes on, as `before`."""

    chats: list[ChatRow]
    next: str | None = None


class Chat(ReplyBase, frozen=True, kw_only=True):
    """The chat as it is now."""

    chat: ChatRow


class Messages(ReplyBase, frozen=True, kw_only=True):
    """A page of messages, and the requests of the chat that have no outcome yet."""

    messages: list[MessageRow]
    requests: list[RequestRow] = []
    next: str | None = None


class Found(ReplyBase, frozen=True, kw_only=True):
    """Search hits, best first."""

    hits: list[HitRow]
    next: str | None = None


class Agents(ReplyBase, frozen=True, kw_only=True):
    """The agents."""

    agents: list[AgentRow]


Reply = (
    Error | Welcome | Pong | Done | Submitted | SubmittedMany | Subscribed | CancelResult | Probed | Requests | Log
    | Inspected | Watching | Chats | Chat | Messages | Found | Agents
)  # fmt: skip
