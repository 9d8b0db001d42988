"""From what `useChat` sends to a request: whose history it goes on in, where in the chat's tree, and under which id.

`useChat` sends the whole conversation each time and no key. A request's id is therefore made of what is asked, so the same
question sent again (a browser that tries once more, a page that was loaded twice) is the same request, while whoever asks
for another answer gets one: once the last is there, the next of the same words has the next number. An answer that came to
nothing is made again.

The server keeps the chat: its last message is placed under the last message before it that the server has too, so what the
agent is told is what the page shows. A chat that began elsewhere, of which the server has nothing, stays the client's: the
conversation goes along with each request, and only what runs is found by the chat's id.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any, Final, NamedTuple

import msgspec

from holdfast_protocol.commands import InputMessage, Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.limits import ID_PATTERN
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.own_words import in_own_words
from holdfast_server.doors.refusal import Refused
from holdfast_server.history.visible import UnknownChat, UnknownMessage
from holdfast_server.stores.base import Owner, UnknownRequest
from holdfast_server.stores.log import Log

from .left_out import LeftOut
from .naming import (
    DOOR,
    began_elsewhere,
    checked_chat,
    digest_of,
    id_of,
    names_of,
    no_question,
    noted,
    text_if_any,
    wants_another,
)  # fmt: skip
from .shapes import Question, UiMessage
from .ui_messages import has_results, input_messages, text_of

LOOKBACK_MAX: Final = 50
"""Messages before the question that are looked for on the server: greetings and refused questions are few."""

TRIES_MAX: Final = 200
"""Answers to one question under ids made of it; who wants more sends a key of his own."""

PROBED: Final = 8
"""Ids looked for at once; nearly always the first is it."""

ACTIVE_MAX: Final = 200
"""Requests of a user that are looked through for a chat that the client keeps."""


class Asked(NamedTuple):
    """A request that is durable: its log, and whether this call made it."""

    log: Log
    created: bool


class Asking:
    """Takes questions of the AI SDK's."""

    def __init__(self, desk: HttpDesk) -> None:
        self._requests = desk.requests
        self.left_out = LeftOut(desk.reception.peers)

    async def ask(self, owner: Owner, question: Question, *, agent: str | None, key: str | None) -> Asked:
        """Submit what is asked, or find it. `agent`: unless the question names one; `key`: the request's id, chosen by
        the client. Raises: Refused, ProtocolError, StoreError."""
        chat_id = checked_chat(question.id)
        messages = [*question.messages, *([question.message] if question.message is not None else [])]
        if not messages:
            raise Refused(400, "invalid", "Send `messages`, with the question last.", param="messages")
        common = Submission(
            request_id=key,
            agent=question.agent or question.model or agent,
            options=question.options,
            messages=[InputMessage(role="system", text=question.system)] if question.system else [],
        )
        digest = digest_of([chat_id, question.trigger, messages[-1], common])
        if key is not None and (found := await self._of_key(owner, key, digest)) is not None:
            return Asked(found, False)
        envelope = {"chat": chat_id} if key is None else {"chat": chat_id, "digest": digest}
        try:
            if await self._is_kept_there(owner, chat_id, question, messages):
                return await self._ask_kept_there(owner, common, messages, question, envelope)
            return await self._ask_kept_here(owner, common, messages, question, envelope)
        except ProtocolError as error:
            asked = f"messages[{len(messages) - 1}]" if question.message is None else "message"
            fields = {"text": asked, "messages": "messages", "chat_id": "id"}
            raise in_own_words(error, fields) from None

    async def active(self, owner: Owner, chat_id: str) -> list[Log]:
        """What runs in the chat, the latest first. Raises: StoreError."""
        rows, _ = await self._requests.list_requests(owner, True, chat_id, ACTIVE_MAX, None)
        if not rows:
            every, _ = await self._requests.list_requests(owner, True, None, ACTIVE_MAX, None)
            rows = [row for row in every if row.chat_id is None]
        logs = []
        for row in rows:
            try:
                log = await self._requests.find(owner, row.request_id)
            except UnknownRequest:
                continue
            if not log.sealed and chat_id in (log.record.chat_id, noted(log).get("chat")):
                logs.append(log)
        return logs

    async def to_tell(self, owner: Owner, chat_id: str, last: str | None) -> Log | None:
        """What a page that comes back is to be told: what runs; or what ran when it loaded the chat, and has ended since; or, if
        `last` is the last message that it has, an answer to that one which has ended meanwhile. Raises: StoreError."""
        left_out = await self.left_out.take(owner, chat_id, asyncio.get_running_loop().time())
        running = await self.active(owner, chat_id)
        if running:
            return running[0]
        if left_out is not None:
            with contextlib.suppress(UnknownRequest):
                return await self._requests.find(owner, left_out)
        if last is None:
            return None
        rows, _ = await self._requests.list_requests(owner, False, chat_id, 1, None)
        if rows:
            answer = rows[0].request_id if rows[0].message_id == last else None
        else:
            answer = await self._kept_answer(owner, chat_id, last)
        return None if answer is None else await self._requests.find(owner, answer)

    async def _kept_answer(self, owner: Owner, chat_id: str, last: str) -> str | None:
        """The answer to the chat's last question that the history keeps, when its journal is gone."""
        try:
            messages, _, _ = await self._requests.list_messages(owner, chat_id, 1, None)
        except UnknownChat:
            return None
        if messages and (messages[0].role, messages[0].parent_id) == ("assistant", last):
            return messages[0].message_id
        return None

    # -- whose history it is ---------------------------------------------------------------------------------

    async def _is_kept_there(
        self, owner: Owner, chat_id: str, question: Question, messages: list[UiMessage]
    ) -> bool:
        """Whether the client keeps the chat. Raises: Refused for a chat that was deleted."""
        if question.history != "client" and (
            question.history == "server"
            or question.message is not None
            or not began_elsewhere(messages)
            or await self._has_chat(owner, chat_id)
        ):
            return False
        if await self._requests.chats.is_deleted(owner, chat_id):
            raise Refused(404, "unknown_chat", "The chat was deleted; begin another.", param="id")
        return True

    async def _ask_kept_there(
        self,
        owner: Owner,
        common: Submission,
        messages: list[UiMessage],
        question: Question,
        envelope: dict[str, Any],
    ) -> Asked:
        last = messages[-1]
        if last.role == "assistant" and has_results(last):
            envelope = {**envelope, "message_id": last.id}  # the answer goes on in that message
        elif last.role != "user":
            raise no_question(messages)
        submission = msgspec.structs.replace(common, messages=[*common.messages, *input_messages(messages)])
        return await self._submit_next(owner, submission, envelope, another=wants_another(question, last))

    async def _ask_kept_here(
        self,
        owner: Owner,
        common: Submission,
        messages: list[UiMessage],
        question: Question,
        envelope: dict[str, Any],
    ) -> Asked:
        last = messages[-1]
        if last.role != "user":
            raise no_question(messages)
        chat_id = question.id
        text = text_of(last, f"messages[{len(messages) - 1}]")
        another = wants_another(question, last)
        await self._has_chat(owner, chat_id)  # so that what was committed by now is seen
        known = await self._known(owner, chat_id, last, text)
        if known is None or not (another or common.request_id):
            message_id = known or await self._new_id(owner, chat_id, last, text)
            first = msgspec.structs.replace(common, chat_id=chat_id, text=text, message_id=message_id)
            if question.messages:
                parent = await self._parent(owner, chat_id, messages[:-1])
                first = msgspec.structs.replace(first, parent_id=parent, root=parent is None)
            if known is None:
                request_id = common.request_id or id_of(first, chat_id)
                return await self._submit(owner, first, request_id, envelope)
            standing = await self._standing(owner, id_of(first, chat_id))
            if standing is not None:
                return standing
        again = msgspec.structs.replace(common, chat_id=chat_id, parent_id=known)
        return await self._submit_next(owner, again, envelope, another=another)

    # -- which request it is ---------------------------------------------------------------------------------

    async def _submit_next(
        self, owner: Owner, submission: Submission, envelope: dict[str, Any], *, another: bool
    ) -> Asked:
        """The request among those of the same words: the one that runs, or, unless `another` is wanted, the one that came to an
        answer; otherwise the next."""
        request_id = submission.request_id
        if request_id is None:
            request_id = await self._free(owner, submission, envelope["chat"], another=another)
        return await self._submit(owner, submission, request_id, envelope)

    async def _free(self, owner: Owner, submission: Submission, chat_id: str, *, another: bool) -> str:
        for start in range(0, TRIES_MAX, PROBED):
            ids = [id_of(submission, chat_id, number) for number in range(start, start + PROBED)]
            for row in await self._requests.probe(owner, ids):
                if row.state != "ended" or (row.status == "completed" and not another):
                    return row.request_id
        text = "This was asked too often in the same words; send a fresh Idempotency-Key with it."
        raise Refused(429, "too_many_requests", text, retryable=False)

    async def _standing(self, owner: Owner, request_id: str) -> Asked | None:
        """The request that was made when this was asked first, unless it came to nothing."""
        (row,) = await self._requests.probe(owner, [request_id])
        if row.state == "unknown" or (row.state == "ended" and row.status != "completed"):
            return None
        return Asked(await self._requests.find(owner, request_id), False)

    async def _submit(
        self, owner: Owner, submission: Submission, request_id: str, envelope: dict[str, Any]
    ) -> Asked:
        submission = msgspec.structs.replace(submission, request_id=request_id)
        opened = await self._requests.submit(owner, submission, envelope={DOOR: envelope})
        return Asked(opened.log, opened.created)

    async def _of_key(self, owner: Owner, key: str, digest: str) -> Log | None:
        """The request of that key. What a retry finds in the chat is no longer what was there at first, so what was asked is
        compared, and not what it came to. Raises: Refused for another's key."""
        try:
            found = await self._requests.find(owner, key)
        except UnknownRequest:
            return None
        if noted(found).get("digest", digest) != digest or DOOR not in found.record.envelope:
            text = "That key was another request's; take a new one."
            raise Refused(409, "request_conflict", text, param="requestId")
        return found

    # -- what the server has ---------------------------------------------------------------------------------

    async def _has_chat(self, owner: Owner, chat_id: str) -> bool:
        """Whether the server keeps the chat; what was committed by now is seen."""
        try:
            await self._requests.list_messages(owner, chat_id, 1, None)
        except UnknownChat:
            return False
        return True

    async def _known(self, owner: Owner, chat_id: str, message: UiMessage, text: str) -> str | None:
        """The id that the person's message has here; None: it never came."""
        for message_id in names_of(chat_id, message, text):
            try:
                row = await self._requests.chats.message(owner, chat_id, message_id)
            except (UnknownChat, UnknownMessage):
                continue
            if row.role == "user" and row.text == text:
                return message_id
        return None

    async def _new_id(self, owner: Owner, chat_id: str, message: UiMessage, text: str) -> str:
        """An id for a message that never came: its own, if no other has that. An edited message keeps its id there; here it is
        another, beside the old one."""
        own, other = names_of(chat_id, message, text)
        return other if await self._requests.chats.has_message(owner, own) else own

    async def _parent(self, owner: Owner, chat_id: str, before: list[UiMessage]) -> str | None:
        """The last of these messages that the server has too."""
        for message in reversed(before[-LOOKBACK_MAX:]):
            if message.role == "user":
                known = await self._known(owner, chat_id, message, text_if_any(message))
                if known is not None:
                    return known
            elif message.role == "assistant" and re.fullmatch(ID_PATTERN, message.id):
                try:
                    row = await self._requests.chats.message(owner, chat_id, message.id)
                except (UnknownChat, UnknownMessage):
                    continue
                if row.role == "assistant":
                    return message.id
        return None
