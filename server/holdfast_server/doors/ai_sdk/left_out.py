"""What loading a chat left to the return that follows: the answer that ran then, and may have ended in between.

A page loads the messages, without the answer that runs, and comes back to that one a moment later. Had it ended by then, it
would be in neither. So it is remembered for a while, and told to the first who comes back, at whichever node.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from holdfast_server.peers import Peers
from holdfast_server.stores.base import Owner

LEFT_OUT_S: Final = 60.0
"""How long after its messages a page comes back at most: it has to start in between."""

LEFT_OUT_MAX: Final = 10_000
"""Chats that are remembered; beyond it the oldest are forgotten, a few hundred bytes each."""


_KIND: Final = "left_out"


class LeftOut:
    """Of each chat the request that was left out. Times are the loop's."""

    def __init__(self, peers: Peers | None = None) -> None:
        self._peers = peers if peers is not None else Peers()
        self._chats: OrderedDict[tuple[Owner, str], tuple[str, float]] = OrderedDict()

    async def put(self, owner: Owner, chat_id: str, request_id: str | None, now: float) -> None:
        """The chat was loaded without that answer, or with all that there is. Raises: Unavailable."""
        if not self._peers.alone:
            if request_id is None:
                await self._peers.take_once(_KIND, _name(owner, chat_id))
            else:
                await self._peers.put_once(_KIND, _name(owner, chat_id), request_id.encode(), LEFT_OUT_S)
            return
        self._chats.pop((owner, chat_id), None)
        if request_id is not None:
            self._chats[owner, chat_id] = (request_id, now + LEFT_OUT_S)
        while len(self._chats) > LEFT_OUT_MAX:
            self._chats.popitem(last=False)

    async def take(self, owner: Owner, chat_id: str, now: float) -> str | None:
        """Somebody comes back: what was left out, once. Raises: Unavailable."""
        if not self._peers.alone:
            kept = await self._peers.take_once(_KIND, _name(owner, chat_id))
            return None if kept is None else kept.decode()
        request_id, until = self._chats.pop((owner, chat_id), (None, 0.0))
        return request_id if until > now else None


def _name(owner: Owner, chat_id: str) -> str:
    return "\x00".join((*owner, chat_id))
