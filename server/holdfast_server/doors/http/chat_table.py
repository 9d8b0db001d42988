"""The operations on chats, agents and the feed, as data."""

from __future__ import annotations

from typing import Final

from holdfast_protocol.replies import ChatRow

from . import agent_calls, chat_calls, feed_calls
from .chat_calls import CHAT, CHATS, MESSAGE, MESSAGES, SEARCH
from .listing import PageQuery
from .operations import SSE, Answer, Header, Operation
from .preferences import APPLIED, PREFER

GROUP: Final = "Chats"

_UNKNOWN: Final = ("unknown_chat",)
_NEXT: Final = Header("Link", 'The next page, as `rel="next"`.')
_LOCATION: Final = Header("Location", "The chat's address.")

OPERATIONS: Final[list[Operation]] = [
    Operation(
        "GET", CHATS, "listChats", GROUP, "List chats",
        "Your chats, most recently changed first.",
        chat_calls.list_chats,
        (Answer(200, "A page of them.", chat_calls.ChatList, (_NEXT,)),),
        query=chat_calls.ChatsQuery, example_query="?limit=20",
    ),
    Operation(
        "POST", CHATS, "createChat", GROUP, "Make a chat",
        "Makes a chat before its first message. A request with a `chat_id` that is not there yet makes one too. One that is there already is answered as it is.",
        chat_calls.create_chat,
        (
            Answer(200, "It was there already; this is how it is.", ChatRow, (_LOCATION,)),
            Answer(201, "It is made.", ChatRow, (_LOCATION,)),
        ),
        body=chat_calls.NewChat,
        headers=(
            Header("Idempotency-Key", "Stands for the `chat_id` where the body has none.", {"type": "string", "minLength": 1, "maxLength": 255}),
        ),
        refusals=_UNKNOWN, example={"title": "Questions about the sky"},
    ),
    Operation(
        "GET", CHAT, "getChat", GROUP, "One chat", "A chat as it is now.",
        chat_calls.get_chat, (Answer(200, "The chat.", ChatRow),), refusals=_UNKNOWN,
    ),
    Operation(
        "PATCH", CHAT, "changeChat", GROUP, "Change a chat",
        "Changes what is given: title, agent, archived; `seen` notes that the person has read it up to now.",
        chat_calls.change_chat, (Answer(200, "The chat as it is now.", ChatRow),),
        body=chat_calls.ChatChange, refusals=_UNKNOWN, example={"title": "The sky", "seen": True},
    ),
    Operation(
        "DELETE", CHAT, "deleteChat", GROUP, "Delete a chat",
        "It is gone at once, and what runs in it is ended; it can be restored for a short while, and is then erased with its requests.",
        chat_calls.delete_chat, (Answer(204, "It is gone."),), refusals=_UNKNOWN,
    ),
    Operation(
        "POST", CHAT + "/restore", "restoreChat", GROUP, "Restore a chat",
        "Takes a deletion back, while that is possible. What was ended stays ended.",
        chat_calls.restore_chat, (Answer(200, "The chat.", ChatRow),), refusals=_UNKNOWN,
    ),
    Operation(
        "GET", MESSAGES, "listMessages", GROUP, "Messages of a chat",
        "The messages of a chat, newest first, each with its parent: a chat is a tree. And the requests that run in it. An answer's id is its request's id.",
        chat_calls.list_messages, (Answer(200, "A page of them.", chat_calls.MessageList, (_NEXT,)),),
        query=PageQuery, refusals=_UNKNOWN, example_query="?limit=50",
    ),
    Operation(
        "DELETE", MESSAGE, "deleteMessage", GROUP, "Delete a message",
        "Deletes a message and everything under it, for good; what runs there is ended.",
        chat_calls.delete_message, (Answer(204, "It is gone."),), refusals=("unknown_chat", "unknown_message"),
    ),
    Operation(
        "GET", SEARCH, "search", GROUP, "Search", "Full-text search over titles and messages. A snippet marks what was found between U+0002 and U+0003.",
        chat_calls.search, (Answer(200, "A page of hits.", chat_calls.HitList, (_NEXT,)),),
        query=chat_calls.SearchQuery, example_query="?q=sky",
    ),
    Operation(
        "GET", feed_calls.FEED, "readFeed", GROUP, "Follow everything",
        "What changes of your chats and requests, as whole rows with a version: of two rows with one id the higher version holds. Without a good cursor the present comes first: the first page of chats, and the requests without an outcome. As SSE it goes on; as JSON it answers with a page, at once if there is one, else within `wait` seconds.",
        feed_calls.read_feed,
        (
            Answer(200, "What came.", feed_calls.FeedPage, (Header(APPLIED, "What of Prefer was followed."),),
                   {SSE: "Frames with the event `feed`: `id` is the cursor behind it, `data` a FeedPage."}),
        ),
        query=feed_calls.FeedQuery,
        headers=(
            Header("Last-Event-ID", "A cursor, as EventSource sends it; wins over `cursor`."),
            Header(PREFER, "`wait=N`: as the parameter `wait`, and wins over it."),
        ),
        ticket=True, example_query="?wait=0",
    ),
    Operation(
        "GET", agent_calls.AGENTS, "listAgents", "Agents", "Which agents there are",
        "The agents that requests may name, and which of them is the default.",
        agent_calls.list_agents, (Answer(200, "All of them.", agent_calls.AgentList),),
    ),
]  # fmt: skip
