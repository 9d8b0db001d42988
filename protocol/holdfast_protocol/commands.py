"""Commands: what a client may ask. Each has a `ref` of the client's choice; its one reply carries the same.

Commands on one connection take effect in the order in which they were sent. They are read strictly: an unknown field is
an error that names it, so that a misspelt option is not ignored in silence.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from .events import snake
from .lifecycle import Status
from .limits import (
    CALL_CHARS_MAX,
    CALLS_PER_MESSAGE_MAX,
    CLIENT_CHARS_MAX,
    ID_PATTERN,
    LIST_LIMIT_DEFAULT,
    LIST_LIMIT_MAX,
    OFFSET_MAX,
    OWNER_CHARS_MAX,
    PROBES_PER_COMMAND_MAX,
    QUERY_CHARS_MAX,
    SUBMITS_PER_COMMAND_MAX,
    TITLE_CHARS_MAX,
)

Id = Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]
Ref = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]
CursorText = Annotated[str, msgspec.Meta(max_length=80)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 24 * 3600)]
ListLimit = Annotated[int, msgspec.Meta(ge=1, le=LIST_LIMIT_MAX)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Title = Annotated[str, msgspec.Meta(max_length=TITLE_CHARS_MAX)]
Query = Annotated[str, msgspec.Meta(min_length=1, max_length=QUERY_CHARS_MAX)]
PageMark = Annotated[str, msgspec.Meta(max_length=200)]
OwnerName = Annotated[str, msgspec.Meta(min_length=1, max_length=OWNER_CHARS_MAX)]
CallName = Annotated[str, msgspec.Meta(min_length=1, max_length=CALL_CHARS_MAX)]
Statuses = Annotated[list[Status], msgspec.Meta(max_length=9)]


class CommandBase(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=snake,
):
    """What every command has."""

    ref: Ref


Priority = Literal["low", "normal", "high"]


class InputToolCall(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A tool call of an answer that the client has. `arguments` is JSON text, as the model wrote it."""

    call_id: CallName
    name: CallName
    arguments: str = ""


class InputMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A message that a request brings along. `tool_calls` are an assistant's. A message of the role tool is the result of
    one call of an assistant's message before it, which `call_id` names; a call has at most one result."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    tool_calls: Annotated[list[InputToolCall], msgspec.Meta(max_length=CALLS_PER_MESSAGE_MAX)] = []
    call_id: CallName | None = None


class Deadlines(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Lower bounds than the agent's own, in seconds; a higher one than the agent's is cut to it. `queue_s`: accepted to
    first claim. `first_output_s`, `stall_s`: per attempt. `total_s`: time spent running, over all attempts."""

    queue_s: Seconds | None = None
    first_output_s: Seconds | None = None
    stall_s: Seconds | None = None
    total_s: Seconds | None = None


class Submission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One request. With `chat_id`: `text` becomes a new message of the person under `parent_id` (default: the newest
    branch's last message; with `root`: under none, beside the chat's first message), or, without `text`, the message
    `parent_id` of the person is answered once more. A chat id that is not there yet makes the chat. Its `messages` are
    then of the role system: instructions for this request alone, which the chat does not keep. Without `chat_id` the request
    carries its own `messages` and stays out of the history. `request_id` is the idempotency key: the same id with
    the same body is the same request, however often it is sent; with another body it is refused. `priority` orders it
    among the requests of its user; what is `low` also lets everybody's others go first, for a minute."""

    request_id: Id | None = None
    chat_id: Id | None = None
    message_id: Id | None = None
    parent_id: Id | None = None
    root: bool = False
    text: str | None = None
    messages: list[InputMessage] = []
    agent: Name | None = None
    options: dict[str, Any] = {}
    deadlines: Deadlines = Deadlines()
    append_only: bool = False
    priority: Priority = "normal"


# -- connection --------------------------------------------------------------------------------------------------


class Hello(CommandBase, frozen=True, kw_only=True):
    """Says who is there; the first frame of a connection without an Authorization header. Reply: welcome."""

    token: Annotated[str, msgspec.Meta(max_length=2048)] | None = None
    client: Annotated[str, msgspec.Meta(max_length=CLIENT_CHARS_MAX)] = ""


class Ping(CommandBase, frozen=True, kw_only=True):
    """Is the other end alive? Reply: pong."""


# -- requests ----------------------------------------------------------------------------------------------------


class Submit(CommandBase, frozen=True, kw_only=True):
    """Ask something. Reply: submitted, once the request is durable. `follow` subscribes from the start."""

    request: Submission
    follow: bool = True


class SubmitMany(CommandBase, frozen=True, kw_only=True):
    """Ask many things at once; each is accepted or refused by itself. Reply: submitted_many."""

    requests: Annotated[list[Submission], msgspec.Meta(min_length=1, max_length=SUBMITS_PER_COMMAND_MAX)]
    follow: bool = True


class Subscribe(CommandBase, frozen=True, kw_only=True):
    """Follow a request from a cursor to its end; without one, from a snapshot. Reply: subscribed."""

    request_id: Id
    cursor: CursorText | None = None


class Unsubscribe(CommandBase, frozen=True, kw_only=True):
    """Stop following; the request goes on. Reply: done."""

    request_id: Id


class Cancel(CommandBase, frozen=True, kw_only=True):
    """End a request, running or not. `owner`: somebody else's, for operators. Reply: cancel_result."""

    request_id: Id
    owner: OwnerName | None = None


class Decide(CommandBase, frozen=True, kw_only=True):
    """Answer what a request waits for. `digest` must be that of the wait. Reply: done."""

    request_id: Id
    wait_id: Annotated[str, msgspec.Meta(max_length=64)]
    digest: Annotated[str, msgspec.Meta(max_length=128)] = ""
    decision: Any = None


class Probe(CommandBase, frozen=True, kw_only=True):
    """What has become of these? Reply: probed."""

    request_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=PROBES_PER_COMMAND_MAX)]


class ListRequests(CommandBase, frozen=True, kw_only=True):
    """Requests, newest first. `active`: those without an outcome. `everyone`: all users' (operators only). `status`,
    `agent`, `text` (in the title, in any case of its letters) and `tools` (with at least one tool call) keep those that
    fit; a page may then hold fewer rows than `limit`, or none, and still have a `next`; so may one of everyone's in a
    chat. Reply: requests."""

    active: bool = False
    everyone: bool = False
    chat_id: Id | None = None
    status: Statuses = []
    agent: Name | None = None
    text: Query | None = None
    tools: bool = False
    limit: ListLimit = LIST_LIMIT_DEFAULT
    before: PageMark | None = None


class ReadEvents(CommandBase, frozen=True, kw_only=True):
    """The log as it was written, unmerged, from an offset: for replay and inspection. `owner`: somebody else's, for
    operators. Reply: log."""

    request_id: Id
    owner: OwnerName | None = None
    start: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500


class Inspect(CommandBase, frozen=True, kw_only=True):
    """What is known about a request beside its log: who followed it, and how often it was taken up. `owner`: somebody
    else's, for operators. Reply: inspected."""

    request_id: Id
    owner: OwnerName | None = None


class Watch(CommandBase, frozen=True, kw_only=True):
    """Follow one's own feed. Reply: watching; then feed pushes."""

    cursor: CursorText | None = None


class Unwatch(CommandBase, frozen=True, kw_only=True):
    """Stop following the feed. Reply: done."""


# -- history -----------------------------------------------------------------------------------------------------


class ListChats(CommandBase, frozen=True, kw_only=True):
    """Chats, most recently changed first. Reply: chats."""

    archived: bool = False
    limit: ListLimit = LIST_LIMIT_DEFAULT
    before: PageMark | None = None


class CreateChat(CommandBase, frozen=True, kw_only=True):
    """Make a chat before its first message; repeating it is harmless. Reply: chat."""

    chat_id: Id
    title: Title | None = None
    agent: Name | None = None


class UpdateChat(CommandBase, frozen=True, kw_only=True):
    """Change what is given: title, agent, archived; `seen` notes that the person has read it up to now. Reply: chat."""

    chat_id: Id
    title: Title | None = None
    agent: Name | None = None
    archived: bool | None = None
    seen: bool = False


class DeleteChat(CommandBase, frozen=True, kw_only=True):
    """Delete a chat: it is gone at once, restorable for a short while, then erased with its requests. Reply: done."""

    chat_id: Id


class RestoreChat(CommandBase, frozen=True, kw_only=True):
    """Take a deletion back, while that is possible. Reply: chat."""

    chat_id: Id


class ListMessages(CommandBase, frozen=True, kw_only=True):
    """The messages of a chat, newest first, each with its parent; and the requests that run in it. Reply: messages."""

    chat_id: Id
    limit: ListLimit = LIST_LIMIT_DEFAULT
    before: PageMark | None = None


class DeleteMessage(CommandBase, frozen=True, kw_only=True):
    """Delete a message and everything under it. Reply: done."""

    chat_id: Id
    message_id: Id


class Search(CommandBase, frozen=True, kw_only=True):
    """Full-text search over titles and messages. Reply: found."""

    query: Query
    limit: ListLimit = 20
    before: PageMark | None = None


class ListAgents(CommandBase, frozen=True, kw_only=True):
    """Which agents exist. Reply: agents."""


Command = (
    Hello | Ping | Submit | SubmitMany | Subscribe | Unsubscribe | Cancel | Decide | Probe | ListRequests | ReadEvents
    | Inspect | Watch | Unwatch | ListChats | CreateChat | UpdateChat | DeleteChat | RestoreChat | ListMessages | DeleteMessage
    | Search | ListAgents
)  # fmt: skip
