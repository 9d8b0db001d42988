"""Requests as doors see them: submit, cancel, decide, probe, list, find; every verb checks the owner (I9).

An id that is there already is looked up before anything else, so a retry finds its request although the chat has moved
on; only what is new is given a place in its chat's tree (placing.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast_protocol.codec import check_depth
from holdfast_protocol.commands import Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Event
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, Status
from holdfast_protocol.replies import (
    ChatRow,
    MessageRow,
    ProbeRow,
    ProbeState,
    ReaderRow,
    RequestRow,
    TermRow,
)

from .admission import FULL_RETRY_MS, Admission
from .feed import request_row
from .filters import EVERY, Filter, Page, check_mark, filtered
from .identity import owner_name
from .inspection import terms_of
from .journal import Journal
from .peers import Peers
from .placing import Placing
from .readers import Readers
from .stores.base import (
    Key,
    Owner,
    Record,
    RequestConflict,
    Spot,
    StoreError,
    Summary,
    TooManyOpen,
    Unavailable,
    UnknownRequest,
    key_of,
)
from .stores.log import Log
from .submissions import check_options, check_submission, hash_of

if TYPE_CHECKING:
    from .agents.base import Message, Profile
    from .chats import Chats
    from .projector import Projector


def _same(log: Log, body_hash: bytes) -> Log:
    """The log, if that was asked. Raises: RequestConflict."""
    if log.record.body_hash != body_hash:
        raise RequestConflict(log.key.request_id)
    return log


OPENING: Final = "this request is being opened again; try again in a moment"


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that is durable. `created` is false if it was there already."""

    log: Log
    created: bool


class Requests:
    """What all doors share."""

    def __init__(
        self,
        journal: Journal,
        chats: Chats,
        projector: Projector,
        admission: Admission,
        *,
        profiles: Mapping[str, Profile],
        default_agent: str,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        readers: Readers | None = None,
        peers: Peers | None = None,
        history_trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`history_trouble`: why the history takes nothing now, if that is known; then nothing waits for it in vain."""
        self._history_trouble = history_trouble
        self._peers = peers if peers is not None else Peers()
        self._journal = journal
        self.chats = chats
        self._projector = projector
        self._admission = admission
        self.readers = readers if readers is not None else Readers(now_ms=now_ms)
        self.profiles = profiles
        self.default_agent = default_agent
        self.now_ms = now_ms
        self._new_id = new_id
        self._erased_observers: list[Callable[[Collection[Key]], Awaitable[None]]] = []
        self._placing = Placing(journal, chats, projector, now_ms=now_ms, new_id=new_id, peers=peers)

    def observe_erased(self, observer: Callable[[Collection[Key]], Awaitable[None]]) -> None:
        """Await `observer` with requests whose journals were erased. It may miss some: a crash tells nobody."""
        self._erased_observers.append(observer)

    async def _forget(self, keys: Collection[Key]) -> None:
        self.readers.forget(keys)
        for observer in self._erased_observers:
            with suppress(StoreError):
                await observer(keys)

    # -- submit ----------------------------------------------------------------------------------------------

    async def submit(
        self, owner: Owner, submission: Submission, *, envelope: dict[str, Any] | None = None
    ) -> Opened:
        """Accept a request (I4). `envelope` is what the door notes with it. Raises: ProtocolError, StoreError."""
        check_submission(submission)
        if (trouble := self._history_trouble()) is not None:
            raise Unavailable(trouble)
        envelope = envelope or {}
        request_id = submission.request_id or self._new_id()
        key = key_of(owner, request_id)
        body_hash = hash_of(submission, envelope)
        found = await self._find_same(key, body_hash)
        if found is not None:
            return Opened(found, False)
        lost = await self._lost(key)
        if lost is not None:
            if lost.body_hash != body_hash:
                raise RequestConflict(request_id)
            try:
                return Opened(*await self._journal.open(lost))
            except TooManyOpen:  # it stays accepted, so it is not refused
                raise Unavailable(OPENING) from None
        agent = await self._agent_of(owner, submission)
        check_options(agent, self.profiles[agent], submission.options)
        with self._admission.place(owner):
            try:
                return await self._open(key, submission, body_hash, agent, envelope)
            except TooManyOpen:
                raise ProtocolError("too_many_requests", retry_after_ms=FULL_RETRY_MS) from None

    async def _open(
        self, key: Key, submission: Submission, body_hash: bytes, agent: str, envelope: dict[str, Any]
    ) -> Opened:
        if submission.chat_id is None:
            record = Record(
                key=key, body_hash=body_hash, agent=agent, created_at=self.now_ms(), text=submission.text,
                messages=submission.messages, options=submission.options, deadlines=submission.deadlines,
                append_only=submission.append_only, envelope=envelope, priority=submission.priority,
            )  # fmt: skip
            return Opened(*await self._journal.open(record))
        async with self._placing.alone(key.owner, submission.chat_id):
            with suppress(UnknownRequest):  # else its twin was before it in the chat
                return Opened(_same(await self._journal.log(key), body_hash), False)
            try:
                record = await self._placing.place(key, submission, body_hash, agent, envelope)
            except ProtocolError:
                found = await self._find_same(key, body_hash)
                if found is not None:  # a twin of which only the history knows any more
                    return Opened(found, False)
                raise
            return Opened(*await self._journal.open(record))

    async def _find_same(self, key: Key, body_hash: bytes) -> Log | None:
        try:
            return _same(await self._find(key), body_hash)
        except UnknownRequest:
            return None

    async def _agent_of(self, owner: Owner, submission: Submission) -> str:
        agent = submission.agent
        if agent is None and submission.chat_id is not None:
            agent = await self.chats.agent_of(owner, submission.chat_id)
        if agent is None or (submission.agent is None and agent not in self.profiles):
            agent = self.default_agent
        if agent not in self.profiles:
            raise ProtocolError("unknown_agent")
        return agent

    # -- the rest --------------------------------------------------------------------------------------------

    async def find(self, owner: Owner, request_id: str) -> Log:
        """The journal, or, after its purge, one made from the history. Raises: UnknownRequest, Unavailable."""
        key = key_of(owner, request_id)
        try:
            return await self._find(key)
        except UnknownRequest:
            await self._check_lost(key)
            raise

    async def _find(self, key: Key) -> Log:
        try:
            return await self._journal.log(key)
        except UnknownRequest:
            return await self.chats.purged_log(key.owner, key.request_id)

    async def _lost(self, key: Key) -> Record | None:
        """What was accepted under that key, if nodes share the store and its journal is not there (yet, or any more)."""
        accepted = None if self._peers.alone else await self.chats.acceptances.of(key)
        return None if accepted is None else accepted[0]

    async def _check_lost(self, key: Key) -> None:
        """Raises: Unavailable if the request was accepted, and is only not there where live journals are."""
        if await self._lost(key) is not None:
            raise Unavailable(OPENING)

    async def cancel(
        self, owner: Owner, request_id: str, *, by_operator: bool = False
    ) -> tuple[bool, Status]:
        """End it: (True, cancelled), or (False, the outcome that stands). Raises: UnknownRequest, Unavailable."""
        how = ("operator", "Stopped by an operator.") if by_operator else ("user", "Stopped.")
        try:
            return await self._journal.cancel(key_of(owner, request_id), *how)
        except UnknownRequest:
            return False, (await self.find(owner, request_id)).status

    async def decide(self, owner: Owner, request_id: str, wait_id: str, digest: str, decision: Any) -> bool:
        """Answer what it waits for. Raises: ProtocolError, UnknownRequest, JournalSealed, NotWaiting, Unavailable."""
        check_depth(decision)
        return await self._journal.decide(key_of(owner, request_id), wait_id, digest, decision)

    async def probe(self, owner: Owner, request_ids: Sequence[str]) -> list[ProbeRow]:
        """What has become of each: rows are read, never answers. Raises: Unavailable."""
        return [await self._probe(key_of(owner, request_id)) for request_id in request_ids]

    async def _probe(self, key: Key) -> ProbeRow:
        status: Status
        cursor = None
        try:
            head = await self._journal.head(key)
            status, chat_id = head.status, head.chat_id
        except UnknownRequest:
            try:
                status, chat_id = await self.chats.purged_status(key.owner, key.request_id)
            except UnknownRequest:
                await self._check_lost(key)
                return ProbeRow(request_id=key.request_id, state="unknown")
        state: ProbeState = "accepted" if status == "queued" else "running"
        if status in OUTCOME_STATUSES:
            state = "ended"
        elif (log := self._journal.live(key)) is not None:
            cursor = str(log.cursor())
        return ProbeRow(request_id=key.request_id, state=state, status=status, chat_id=chat_id, cursor=cursor)

    async def list_requests(
        self,
        owner: Owner | None,
        active: bool,
        chat_id: str | None,
        limit: int,
        before: str | None,
        *,
        which: Filter = EVERY,
    ) -> tuple[list[RequestRow], str | None]:
        """Requests newest first, those that fit, and the mark for the next page; it may hold fewer than `limit` and have
        one all the same. Owner None: everybody's, each with its owner's name (for operators). Raises: ProtocolError for what
        is no mark, Unavailable."""
        check_mark(before)
        # Chats are found by their owners: for everybody's, the store would read every row there is.
        if owner is None and chat_id is not None:
            which, chat_id = which._replace(chat_id=chat_id), None

        async def read(limit: int, before: str | None) -> Page:
            return await self._journal.summaries(
                owner, active=active or which.live, chat_id=chat_id, limit=limit, before=before
            )

        summaries, mark = await filtered(read, which, limit, before)
        spots = await self._spots(summaries)
        rows = [
            request_row(
                row, spot=spots.get(row.key), owner=owner_name(row.key.owner) if owner is None else None
            )
            for row in summaries
        ]
        return rows, mark

    async def _spots(self, summaries: Sequence[Summary]) -> dict[Key, Spot]:
        """Where those of them stand that are queued; none if the store does not say, for a row is good without it."""
        queued = [summary.key for summary in summaries if summary.status == "queued"]
        if queued:
            with suppress(Unavailable):
                return await self._journal.spots(queued)
        return {}

    async def row_of(self, log: Log) -> RequestRow:
        """The request's row, with its place in the queue."""
        summary = log.summary()
        return request_row(summary, spot=(await self._spots([summary])).get(log.key))

    async def inspect(
        self, owner: Owner, request_id: str
    ) -> tuple[RequestRow, list[ReaderRow], list[TermRow]]:
        """Its row, who followed it (the latest first; best effort) and how often it was taken up. Raises: UnknownRequest,
        Unavailable."""
        log = await self.find(owner, request_id)
        accounts = await self._journal.accounts(log.key)
        readers = await self.readers.of(log.key)
        return await self.row_of(log), readers, terms_of(log, accounts)

    async def read_events(
        self, owner: Owner, request_id: str, start: int, limit: int
    ) -> tuple[list[Event], int, bool]:
        """The log as written, from `start`; the next offset; whether the log ends there. Raises: UnknownRequest."""
        log = await self.find(owner, request_id)
        events = log.events[start : start + limit]
        after = start + len(events)
        return events, after, log.sealed and after >= log.tail

    async def list_messages(
        self, owner: Owner, chat_id: str, limit: int, before: str | None
    ) -> tuple[list[MessageRow], list[RequestRow], str | None]:
        """Messages newest first, and the chat's requests without an outcome. What runs is read first: what ends in
        between is then in both rather than in neither. Raises: UnknownChat."""
        requests, _ = await self.list_requests(owner, True, chat_id, 200, None)
        await self._projector.catch_up(owner)
        rows, mark = await self.chats.list_messages(owner, chat_id, limit, before)
        return rows, requests, mark

    async def delete_message(self, owner: Owner, chat_id: str, message_id: str) -> None:
        """Delete a message and what is under it; requests that run there are ended and their journals go. Raises:
        UnknownChat, UnknownMessage, Unavailable."""
        await self._projector.catch_up(owner)
        answers = await self.chats.delete_message(owner, chat_id, message_id)
        keys = [key_of(owner, answer) for answer in answers]
        await self._journal.erase(keys)
        await self._forget(keys)

    async def delete(self, owner: Owner, request_id: str) -> None:
        """Delete a request and its journal for good, ended first if it runs; one of a chat goes as its message does, with
        what is under it. Raises: UnknownRequest, UnknownChat, Unavailable."""
        log = await self.find(owner, request_id)
        if not log.sealed:
            await self.cancel(owner, request_id)
        if log.record.chat_id is not None:
            await self.delete_message(owner, log.record.chat_id, request_id)
            return
        await self._journal.erase([log.key])
        await self._forget([log.key])
        await self.chats.erased(owner, [request_id])

    async def delete_chat(self, owner: Owner, chat_id: str) -> None:
        """Delete a chat: its tombstone first, then what runs in it is ended. Its journals go when the tombstone can no
        longer be taken back (`erase_due`). Raises: UnknownChat, Unavailable."""
        await self._projector.catch_up(owner)
        await self.chats.delete_chat(owner, chat_id)
        active, _ = await self._journal.summaries(owner, active=True, chat_id=chat_id, limit=1000)
        for summary in active:
            await self._journal.cancel(summary.key, "chat_deleted", "The chat was deleted.")

    async def erase_due(self) -> None:
        """Erase chats whose deletion can no longer be taken back, with their journals; what a crash leaves is done the
        next time. Run by a sweep."""
        for owner, request_ids in await self.chats.erase_due():
            keys = [key_of(owner, request_id) for request_id in request_ids]
            await self._journal.erase(keys)
            await self._forget(keys)
            await self.chats.erased(owner, request_ids)

    async def first_chats(self, owner: Owner) -> list[ChatRow]:
        """What a feed's snapshot begins with. Raises: Unavailable."""
        await self._projector.catch_up(owner)
        rows, _ = await self.chats.list_chats(owner)
        return rows

    async def history(self, record: Record) -> Sequence[Message]:
        """What the agent is given: the messages that the request brought along, and, in a chat, the branch above the
        question after them."""
        from .agents.base import Message, ToolCall

        brought = [
            Message(
                message.role, message.text, call_id=message.call_id,
                tool_calls=[ToolCall(call.call_id, call.name, call.arguments) for call in message.tool_calls],
            )
            for message in record.messages
        ]  # fmt: skip
        if record.chat_id is None:
            return [*brought, Message("user", record.text)] if record.text is not None else brought
        await self._projector.catch_up(record.key.owner)
        assert record.message_id is not None
        branch = await self.chats.branch(record.key.owner, record.chat_id, record.message_id)
        return [*brought, *(Message(row.role, row.text, row.transcript) for row in branch)]
