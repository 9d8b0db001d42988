"""Chats over HTTP: list, make, change, delete and restore, their messages, and the search over them."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from holdfast_protocol.commands import Id, ListLimit, Name, Title
from holdfast_protocol.commands import Query as SearchText
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.limits import ID_PATTERN
from holdfast_protocol.replies import ChatRow, HitRow, MessageRow, RequestRow
from holdfast_server.doors.bodies import idempotent_id
from holdfast_server.history.visible import UnknownChat

from .listing import PageQuery, next_link, reading_a_page
from .operations import Asked, answer, local, no_content, path_of
from .request_shapes import Closed, Shape

CHATS = "/v1/chats"
CHAT = "/v1/chats/{chat_id}"
MESSAGES = "/v1/chats/{chat_id}/messages"
MESSAGE = "/v1/chats/{chat_id}/messages/{message_id}"
SEARCH = "/v1/search"


class NewChat(Closed, frozen=True, kw_only=True):
    """A chat before its first message. Without a `chat_id` it gets one, that of the header Idempotency-Key if there is one."""

    chat_id: Id | None = None
    title: Title | None = None
    agent: Name | None = None


class ChatChange(Closed, frozen=True, kw_only=True):
    """What is given is changed. `seen`: the person has read it up to now. An empty title leaves the naming to the next first
    message."""

    title: Title | None = None
    agent: Name | None = None
    archived: bool | None = None
    seen: bool = False


class ChatList(Shape, frozen=True, kw_only=True):
    """A page of chats, most recently changed first; `next` goes on, as `before`."""

    chats: list[ChatRow]
    next: str | None


class MessageList(Shape, frozen=True, kw_only=True):
    """A page of messages, newest first, each with its parent; `next` goes on, as `before`. `requests` are the chat's that have
    no outcome yet."""

    messages: list[MessageRow]
    requests: list[RequestRow]
    next: str | None


class HitList(Shape, frozen=True, kw_only=True):
    """Search hits, best first; `next` goes on, as `before`."""

    hits: list[HitRow]
    next: str | None


class ChatsQuery(PageQuery, frozen=True, kw_only=True):
    """Which chats."""

    archived: Annotated[bool, msgspec.Meta(description="The archived ones instead.")] = False


class SearchQuery(PageQuery, frozen=True, kw_only=True):
    """What is looked for."""

    q: Annotated[
        SearchText, msgspec.Meta(description="Words, of titles and messages; the last may be a beginning.")
    ]
    limit: Annotated[ListLimit, msgspec.Meta(description="Rows at most.")] = 20


async def list_chats(asked: Asked) -> web.StreamResponse:
    """A page of them."""
    query: ChatsQuery = asked.query
    with reading_a_page():
        rows, mark = await asked.desk.requests.chats.list_chats(
            asked.visit.owner, query.archived, query.limit, query.before
        )
    return answer(ChatList(chats=rows, next=mark), headers=next_link(asked, CHATS, mark))


async def create_chat(asked: Asked) -> web.StreamResponse:
    """Make one, or find it."""
    body: NewChat = asked.body
    chats, owner = asked.desk.requests.chats, asked.visit.owner
    key = idempotent_id(asked.visit)  # looked at also where the body wins: a wrong one is told
    chat_id = body.chat_id or key or asked.desk.new_id()
    try:
        await chats.get_chat(owner, chat_id)
        status = 200
    except UnknownChat:
        status = 201
    row = await chats.create_chat(owner, chat_id, body.title, body.agent)
    return answer(row, status, {hdrs.LOCATION: local(asked.visit, path_of(CHAT, chat_id=chat_id))})


async def get_chat(asked: Asked) -> web.StreamResponse:
    """One of them."""
    return answer(await asked.desk.requests.chats.get_chat(asked.visit.owner, _chat_id(asked)))


async def change_chat(asked: Asked) -> web.StreamResponse:
    """Change what is given."""
    body: ChatChange = asked.body
    row = await asked.desk.requests.chats.update_chat(
        asked.visit.owner, _chat_id(asked), title=body.title, agent=body.agent, archived=body.archived, seen=body.seen,
    )  # fmt: skip
    return answer(row)


async def delete_chat(asked: Asked) -> web.StreamResponse:
    """Delete one; it can be restored for a while."""
    await asked.desk.requests.delete_chat(asked.visit.owner, _chat_id(asked))
    return no_content()


async def restore_chat(asked: Asked) -> web.StreamResponse:
    """Take the deletion back."""
    return answer(await asked.desk.requests.chats.restore_chat(asked.visit.owner, _chat_id(asked)))


async def list_messages(asked: Asked) -> web.StreamResponse:
    """A page of a chat's messages, and what runs in it."""
    query: PageQuery = asked.query
    chat_id = _chat_id(asked)
    with reading_a_page():
        rows, requests, mark = await asked.desk.requests.list_messages(
            asked.visit.owner, chat_id, query.limit, query.before
        )
    headers = next_link(asked, path_of(MESSAGES, chat_id=chat_id), mark)
    return answer(MessageList(messages=rows, requests=requests, next=mark), headers=headers)


async def delete_message(asked: Asked) -> web.StreamResponse:
    """Delete a message and what is under it."""
    chat_id = _chat_id(asked)
    message_id = asked.visit.request.match_info["message_id"]
    if re.fullmatch(ID_PATTERN, message_id) is None:
        raise ProtocolError("unknown_message")
    await asked.desk.requests.delete_message(asked.visit.owner, chat_id, message_id)
    return no_content()


async def search(asked: Asked) -> web.StreamResponse:
    """A page of what was found."""
    query: SearchQuery = asked.query
    with reading_a_page():
        hits, mark = await asked.desk.requests.chats.search(
            asked.visit.owner, query.q, query.limit, query.before
        )
    return answer(HitList(hits=hits, next=mark), headers=next_link(asked, SEARCH, mark))


def _chat_id(asked: Asked) -> str:
    """The chat in the path. Raises: ProtocolError."""
    chat_id = asked.visit.request.match_info["chat_id"]
    if re.fullmatch(ID_PATTERN, chat_id) is None:
        raise ProtocolError("unknown_chat")
    return chat_id
