"""The feed as its reader knows it: whole rows by id, of which the higher version holds. Pure."""

from __future__ import annotations

from typing import Final

from holdfast_protocol.pushes import Feed, FeedChat
from holdfast_protocol.replies import ChatRow, RequestRow

ROWS_MAX: Final = 2000
"""Rows of one sort that are kept; the ones changed longest ago go first, and can be listed again."""


class FeedRows:
    """Chats and requests, as far as the feed has told. Repeats and overtaken rows do no harm."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.chats: dict[str, ChatRow] = {}
        self.requests: dict[str, RequestRow] = {}

    def take(self, push: Feed) -> list[ChatRow | RequestRow]:
        """The rows of `push` that were news, in order."""
        news: list[ChatRow | RequestRow] = []
        for event in push.events:
            if isinstance(event, FeedChat):
                chat = event.chat
                known_chat = self.chats.get(chat.chat_id)
                if known_chat is None or chat.version > known_chat.version:
                    self.chats.pop(chat.chat_id, None)
                    self.chats[chat.chat_id] = chat
                    news.append(chat)
            else:
                request = event.request
                known = self.requests.get(request.request_id)
                if known is None or request.version > known.version:
                    self.requests.pop(request.request_id, None)
                    self.requests[request.request_id] = request
                    news.append(request)
        while len(self.chats) > ROWS_MAX:
            del self.chats[next(iter(self.chats))]
        while len(self.requests) > ROWS_MAX:
            del self.requests[next(iter(self.requests))]
        self.cursor = push.next
        return news
