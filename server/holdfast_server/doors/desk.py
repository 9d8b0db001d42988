"""What the doors' commands work with: the ports they call, the desk that all connections share, the caller, the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast_protocol import commands as cm
from holdfast_protocol import replies as rp
from holdfast_protocol.events import Event
from holdfast_protocol.lifecycle import Status
from holdfast_server.connection import Connection
from holdfast_server.delivery import Delivery
from holdfast_server.feed_delivery import FeedDelivery, Readable
from holdfast_server.filters import Filter
from holdfast_server.readers import Readers
from holdfast_server.stores.base import Owner
from holdfast_server.stores.log import Log


class Opened(Protocol):
    """A request that is durable; `created` is false if it was there already."""

    @property
    def log(self) -> Log: ...

    @property
    def created(self) -> bool: ...


class Chats(Protocol):
    """The history, as far as commands reach it directly."""

    async def list_chats(
        self, owner: Owner, archived: bool, limit: int, before: str | None
    ) -> tuple[list[rp.ChatRow], str | None]: ...

    async def create_chat(
        self, owner: Owner, chat_id: str, title: str | None, agent: str | None
    ) -> rp.ChatRow: ...

    async def update_chat(
        self,
        owner: Owner,
        chat_id: str,
        *,
        title: str | None = None,
        agent: str | None = None,
        archived: bool | None = None,
        seen: bool = False,
    ) -> rp.ChatRow: ...

    async def restore_chat(self, owner: Owner, chat_id: str) -> rp.ChatRow: ...

    async def search(
        self, owner: Owner, query: str, limit: int, before: str | None
    ) -> tuple[list[rp.HitRow], str | None]: ...


class Requests(Protocol):
    """Requests, as all doors see them."""

    @property
    def chats(self) -> Chats: ...

    @property
    def readers(self) -> Readers: ...

    async def submit(self, owner: Owner, submission: cm.Submission) -> Opened: ...

    async def find(self, owner: Owner, request_id: str) -> Log: ...

    async def cancel(
        self, owner: Owner, request_id: str, *, by_operator: bool = False
    ) -> tuple[bool, Status]: ...

    async def decide(
        self, owner: Owner, request_id: str, wait_id: str, digest: str, decision: Any
    ) -> bool: ...

    async def probe(self, owner: Owner, request_ids: Sequence[str]) -> list[rp.ProbeRow]: ...

    async def list_requests(
        self,
        owner: Owner | None,
        active: bool,
        chat_id: str | None,
        limit: int,
        before: str | None,
        *,
        which: Filter = ...,
    ) -> tuple[list[rp.RequestRow], str | None]: ...

    async def inspect(
        self, owner: Owner, request_id: str
    ) -> tuple[rp.RequestRow, list[rp.ReaderRow], list[rp.TermRow]]: ...

    async def read_events(
        self, owner: Owner, request_id: str, start: int, limit: int
    ) -> tuple[list[Event], int, bool]: ...

    async def list_messages(
        self, owner: Owner, chat_id: str, limit: int, before: str | None
    ) -> tuple[list[rp.MessageRow], list[rp.RequestRow], str | None]: ...

    async def delete_chat(self, owner: Owner, chat_id: str) -> None: ...

    async def delete_message(self, owner: Owner, chat_id: str, message_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What all connections of a door share."""

    requests: Requests
    delivery: Delivery
    feed: Readable
    feeds: FeedDelivery
    agents: Sequence[rp.AgentRow]
    welcome: Callable[[int, Owner, bool], rp.Welcome]
    owner_of: Callable[[str | None], Owner | None]
    is_operator: Callable[[str | None], bool]
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose connection it is; `operator` tells whether its token is one of those that may look at everybody's."""

    owner: Owner
    connection: Connection
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply, and what begins after it."""

    reply: rp.Reply
    after: Callable[[], None] | None = None


class Stranger(Exception):
    """A token was presented that is not this connection's user's."""
