"""/v1/conversations: chats, under OpenAI's name for them.

A conversation's items are those of its newest branch: questions and answers, with what an answer consists of. They come of
responses; none can be put there by hand. Of metadata a chat keeps `title` alone.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from holdfast_protocol.limits import TITLE_CHARS_MAX
from holdfast_protocol.replies import ChatRow, MessageRow
from holdfast_server.doors.bodies import read_json
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.history.visible import UnknownChat, UnknownMessage
from holdfast_server.stores.base import UnknownRequest

from .agents_here import metadata_of
from .delivering import json_response
from .earlier import Turns
from .naming import CONVERSATION, own_id, unsupported_parameter, unsupported_value
from .paging import Nothing, Paging, query
from .response_reel import ResponseReels

BRANCH_MESSAGES_MAX: Final = 1000
"""Messages whose items are listed, the newest of the branch; more than anybody pages through."""

_NO_ITEMS: Final = (
    "Items come of responses: ask with this conversation. Turns of your own go with `input` and "
    "`previous_response_id`, without a conversation."
)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of create and update."""

    metadata: Any = None
    items: list[Any] | None = None


class Conversations:
    """The calls."""

    def __init__(self, desk: HttpDesk, reels: ResponseReels, turns: Turns) -> None:
        self._desk = desk
        self._chats = desk.requests.chats
        self._reels = reels
        self._turns = turns

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        add, one = self._desk.reception.add, "/v1/conversations/{conversation_id}"
        add(app, "POST", "/v1/conversations", self._create)
        add(app, "GET", one, self._retrieve)
        add(app, "POST", one, self._update)
        add(app, "DELETE", one, self._delete)
        add(app, "GET", f"{one}/items", self._items)
        add(app, "POST", f"{one}/items", self._no_items)
        add(app, "GET", f"{one}/items/{{item_id}}", self._item)
        add(app, "DELETE", f"{one}/items/{{item_id}}", self._delete_item)

    # -- conversations ---------------------------------------------------------------------------------------

    async def _create(self, visit: Visit) -> web.StreamResponse:
        change = await read_json(visit, Change, empty=Change())
        if change.items:
            raise unsupported_parameter("items", _NO_ITEMS)
        title = _title_of(change.metadata)
        return _shown(await self._chats.create_chat(visit.owner, self._desk.new_id(), title or None))

    async def _retrieve(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        chat_id = await self._find(visit)
        return _shown(await self._chats.get_chat(visit.owner, chat_id))

    async def _update(self, visit: Visit) -> web.StreamResponse:
        change = await read_json(visit, Change)
        if change.items is not None:
            raise unsupported_parameter("items", _NO_ITEMS)
        title = _title_of(change.metadata)
        chat_id = await self._find(visit)
        return _shown(await self._chats.update_chat(visit.owner, chat_id, title=title))

    async def _delete(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        chat_id = await self._find(visit)
        await self._desk.requests.delete_chat(visit.owner, chat_id)
        return json_response(
            {"id": f"{CONVERSATION}{chat_id}", "object": "conversation.deleted", "deleted": True}
        )

    async def _find(self, visit: Visit) -> str:
        """The id of the chat that is asked for, if it is there. Raises: Refused."""
        chat_id = own_id(visit.request.match_info["conversation_id"], CONVERSATION)
        await self._turns.chat(visit.owner, chat_id)
        return chat_id

    # -- items -----------------------------------------------------------------------------------------------

    async def _no_items(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        raise unsupported_parameter("items", _NO_ITEMS)

    async def _items(self, visit: Visit) -> web.StreamResponse:
        wanted = query(visit.request, Paging)
        chat_id = await self._find(visit)
        return json_response(await self._page(visit, chat_id, wanted))

    async def _item(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        chat_id, item_id = await self._find(visit), visit.request.match_info["item_id"]
        message = await self._message(visit, chat_id, item_id)
        for item in await self._items_of(visit, message):
            if item["id"] == item_id:
                return json_response(item)
        raise _no_item(item_id)

    async def _delete_item(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        chat_id = await self._find(visit)
        message = await self._message(visit, chat_id, visit.request.match_info["item_id"])
        await self._desk.requests.delete_message(visit.owner, chat_id, message.message_id)
        return _shown(await self._chats.get_chat(visit.owner, chat_id))

    async def _message(self, visit: Visit, chat_id: str, item_id: str) -> MessageRow:
        """The message that an item is of. Raises: Refused."""
        await self._desk.requests.list_messages(visit.owner, chat_id, 1, None)  # to catch up
        for message_id in _message_ids(item_id):
            try:
                return await self._chats.message(visit.owner, chat_id, message_id)
            except (UnknownMessage, UnknownChat):
                continue
        raise _no_item(item_id)

    async def _page(self, visit: Visit, chat_id: str, wanted: Paging) -> dict[str, Any]:
        """A page of the newest branch's items; of its answers only those are read that the page needs."""
        await self._desk.requests.list_messages(visit.owner, chat_id, 1, None)  # to catch up
        leaf = await self._chats.newest_leaf(visit.owner, chat_id)
        rows: list[MessageRow] = []
        if leaf is not None:
            rows = await self._chats.branch(visit.owner, chat_id, leaf, BRANCH_MESSAGES_MAX)
        if wanted.order == "desc":
            rows.reverse()
        if wanted.after is not None:
            ids = _message_ids(wanted.after)
            rows = rows[next((n for n, row in enumerate(rows) if row.message_id in ids), len(rows)) :]
        items: list[dict[str, Any]] = []
        for row in rows:
            of_row = await self._items_of(visit, row)
            items += reversed(of_row) if wanted.order == "desc" else of_row
            if len(items) > wanted.needs(items):
                break
        return wanted.cut(items)

    async def _items_of(self, visit: Visit, row: MessageRow) -> list[dict[str, Any]]:
        if row.role == "user":
            content = [{"type": "input_text", "text": row.text}]
            return [
                {
                    "id": f"msg_{row.message_id}", "type": "message", "status": "completed", "role": "user",
                    "content": content,
                }
            ]  # fmt: skip
        try:
            log = await self._desk.requests.find(visit.owner, row.message_id)
        except UnknownRequest:
            return []
        return (await self._reels.wound(log)).output()


def _message_ids(item_id: str) -> tuple[str, str]:
    """Which messages an item may be of: their id is between the item's kind and, in an answer, the item's number."""
    inner = item_id.partition("_")[2]
    return inner, inner.rpartition("_")[0]


def _title_of(metadata: Any) -> str:
    """The title that the metadata gives. Raises: Refused for anything else in it."""
    given = {} if metadata is None else metadata_of(metadata)
    for name, value in given.items():
        if name != "title":
            raise unsupported_value(f"metadata.{name}", "Of its metadata a conversation keeps `title` alone.")
        if len(value) > TITLE_CHARS_MAX:
            raise unsupported_value("metadata.title", f"A title has {TITLE_CHARS_MAX} characters at most.")
    return given.get("title", "")


def _shown(row: ChatRow) -> web.Response:
    return json_response(
        {
            "id": f"{CONVERSATION}{row.chat_id}",
            "object": "conversation",
            "created_at": row.created_at // 1000,
            "metadata": {"title": row.title} if row.title else {},
        }
    )


def _no_item(item_id: str) -> Refused:
    return Refused(404, "item_not_found", f"This conversation has no item {item_id[:80]!r}.")
