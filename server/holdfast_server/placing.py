"""Where in its chat's tree a submission goes: which message it answers, and what that one hangs on.

Two tabs that submit at once get one place after the other, not the same one: finding a place and opening the journal that
takes it are one step per chat, so both are done inside `alone`. Where several nodes share a store they take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from holdfast_protocol.commands import Submission
from holdfast_protocol.errors import ProtocolError

from .history.reading import Ground, Standing
from .history.visible import UnknownChat, UnknownMessage
from .journal import Journal
from .peers import Peers
from .stores.base import Key, Owner, Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .chats import Chats
    from .projector import Projector


class Placing:
    """Finds places. Enter `alone`, look whether the request is there by now, `place` it, open its journal, leave."""

    def __init__(
        self,
        journal: Journal,
        chats: Chats,
        projector: Projector,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        peers: Peers | None = None,
    ) -> None:
        self._peers = peers if peers is not None else Peers()
        self._journal = journal
        self._chats = chats
        self._projector = projector
        self._now_ms = now_ms
        self._new_id = new_id
        self._locks: dict[tuple[Owner, str], _Lock] = {}

    @asynccontextmanager
    async def alone(self, owner: Owner, chat_id: str) -> AsyncIterator[None]:
        """One submission per chat at a time; the lock is there only while somebody uses it. What is inside is cancelled, and
        harmless when it is done again for the same request, if other nodes could come in meanwhile. Raises: Unavailable."""
        place = (owner, chat_id)
        lock = self._locks.setdefault(place, _Lock())
        lock.users += 1
        try:
            async with lock.lock, self._peers.turn("chat", "\x00".join((*owner, chat_id))):
                yield
        finally:
            lock.users -= 1
            if not lock.users:
                del self._locks[place]

    async def place(
        self, key: Key, submission: Submission, body_hash: bytes, agent: str, envelope: dict[str, Any]
    ) -> Record:
        """Where in the chat's tree the request goes; call it inside `alone`. Raises: ProtocolError,
        UnknownChat, UnknownMessage, Unavailable."""
        owner, chat_id = key.owner, submission.chat_id
        assert chat_id is not None
        await self._projector.catch_up(owner)
        active, _ = await self._journal.summaries(owner, active=True, chat_id=chat_id, limit=200)
        answering = {summary.key.request_id for summary in active}
        asked_id = submission.message_id if submission.text is not None else None
        by_default = submission.text is not None and not submission.root and submission.parent_id is None
        ids = {taken for taken in (asked_id, key.request_id, submission.parent_id) if taken is not None}
        ground = await self._chats.ground(owner, chat_id, ids, leaf=by_default and not active)
        if ground.deleted:
            raise ProtocolError("unknown_chat", param="chat_id")
        for taken in (asked_id, key.request_id):
            if taken is not None and taken in ground.messages:
                text = f"The id {taken} is another message's; take a new one."
                param = "message_id" if taken == asked_id else None
                raise ProtocolError("request_conflict", text, param=param)
        if submission.text is None:
            message_id = submission.parent_id
            if message_id is None:
                raise ProtocolError(
                    "invalid", "Give `text`, or name in `parent_id` the message to answer once more."
                )
            message = _message(ground, chat_id, message_id)
            if message.role != "user":
                text = "Only a person's message can be answered; `parent_id` is an answer."
                raise ProtocolError("invalid", text, param="parent_id")
            parent_id = message.parent_id
        else:
            message_id = submission.message_id or self._new_id()
            if submission.root:
                parent_id = None
            elif submission.parent_id is not None:
                parent_id = submission.parent_id
                if parent_id not in answering:
                    _message(ground, chat_id, parent_id)
            elif active:
                parent_id = active[0].key.request_id
            else:
                parent_id = ground.leaf
        return Record(
            key=key, body_hash=body_hash, agent=agent, created_at=self._now_ms(), chat_id=chat_id,
            message_id=message_id, parent_id=parent_id, text=submission.text, messages=submission.messages,
            options=submission.options, deadlines=submission.deadlines, append_only=submission.append_only, envelope=envelope,
            priority=submission.priority, after=parent_id if parent_id in answering else None,
        )  # fmt: skip


def _message(ground: Ground, chat_id: str, message_id: str) -> Standing:
    """Raises: UnknownChat, UnknownMessage."""
    if not ground.there:
        raise UnknownChat(chat_id)
    message = ground.messages.get(message_id)
    if message is None or message.chat_id != chat_id:
        raise UnknownMessage(message_id)
    return message


class _Lock:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
