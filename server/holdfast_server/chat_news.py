"""Tells the other nodes' feeds which chats the history changed through this one, and this one's what theirs did.

What is told is the whole row with a version that only rises, so rows that come twice, late or in another order are harmless.
While the others cannot be told, the latest row of each chat waits; if too many do, all are told to begin anew instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from holdfast_protocol.replies import ChatRow

from .peers import Peers
from .stores.base import Owner, Unavailable
from .tasks import Tasks

TOPIC: Final = "chats"

WAITING_MAX: Final = 5_000
"""Rows that wait for others to be told, some hundred bytes each."""

BODY_BYTES: Final = 16 * 1024
"""Rows are put together into messages of about this size."""

RETRY_S: Final = 0.5
"""Between two attempts while the others cannot be told."""


class _News(msgspec.Struct, frozen=True, array_like=True):
    """Some rows. Without any: rows were lost, look again."""

    rows: list[tuple[Owner, ChatRow]]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_News)


class ChatNews:
    """One node's. `changed` is called with what other nodes changed, `lost` when some of it may have been lost."""

    def __init__(
        self, peers: Peers, *, changed: Callable[[Owner, ChatRow], None], lost: Callable[[], None]
    ) -> None:
        self._peers = peers
        self._changed = changed
        self._lost = lost
        self._waiting: dict[tuple[Owner, str], ChatRow] = {}
        self._dropped = False
        self._any = asyncio.Event()
        peers.observe_message(TOPIC, self._came)

    def start(self, tasks: Tasks) -> None:
        """Tell the others from now on."""
        if not self._peers.alone:
            tasks.start(self._run(), "chat news")

    def tell(self, owner: Owner, row: ChatRow) -> None:
        """The history changed a chat through this node."""
        if self._peers.alone:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.clear()
            self._dropped = True
        place = (owner, row.chat_id)
        known = self._waiting.get(place)
        if known is None or known.version <= row.version:
            self._waiting[place] = row
        self._any.set()

    async def _run(self) -> None:
        while True:
            await self._any.wait()
            self._any.clear()
            try:
                await self._flush()
            except Unavailable:
                self._any.set()
                await asyncio.sleep(RETRY_S)

    async def _flush(self) -> None:
        if self._dropped:
            await self._peers.publish(TOPIC, _ENCODER.encode(_News([])))
            self._dropped = False
        while self._waiting:
            some: dict[tuple[Owner, str], ChatRow] = {}
            size = 0
            for place, row in self._waiting.items():
                some[place] = row
                size += len(_ENCODER.encode(row))
                if size >= BODY_BYTES:
                    break
            await self._peers.publish(
                TOPIC, _ENCODER.encode(_News([(owner, row) for (owner, _), row in some.items()]))
            )
            for place, row in some.items():
                if self._waiting.get(place) is row:  # else it has changed meanwhile
                    del self._waiting[place]

    def _came(self, body: bytes) -> None:
        try:
            rows = _DECODER.decode(body).rows
        except msgspec.DecodeError:  # another release's
            self._lost()
            return
        if not rows:
            self._lost()
        for owner, row in rows:
            self._changed(owner, row)
