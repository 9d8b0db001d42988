"""An answer as a program sees it: text as it comes, the transcript so far, and its end.

Nothing is queued for a reader: every way of reading keeps its own place in the transcript, so any number of readers may
be as slow as they like, and the answer costs its own size once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from holdfast_protocol import replies as rep
from holdfast_protocol.events import OUTCOMES, Event
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import Status
from holdfast_protocol.live_part import LivePart
from holdfast_protocol.queueing import waiting_sentence
from holdfast_protocol.transcript import Transcript

from .errors import AnswerFailed, AnswerLost
from .following import Following
from .reading import Piece, Reader, Superseded

if TYPE_CHECKING:
    from .client import Client

_EVENTS_PER_READ: Final = 500


class Level:
    """A number that only rises, and those who wait until it is above the one they have seen. No edge can be missed."""

    def __init__(self) -> None:
        self.value = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def rise(self) -> None:
        """Wake everybody."""
        self.value += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def above(self, seen: int) -> int:
        """Wait until the level is above `seen`; returns it."""
        while self.value <= seen:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
        return self.value


class Answer:
    """What a request answers. Made by `Client.submit` and `Client.attach`; it outlives any connection and ends with the
    request only.

    Iterate it for its text:

        async for piece in answer:
            if isinstance(piece, Superseded):
                text = text[: piece.kept_chars]
            else:
                text += piece

    It is one object per call, and any number of them may follow one request."""

    def __init__(
        self, client: Client, following: Following, level: Level, submitted: rep.Submitted | None
    ) -> None:
        self._client = client
        self._following = following
        self._level = level
        self.submitted = submitted

    def __repr__(self) -> str:
        return f"Answer({self.request_id!r}, {self.status})"

    @property
    def request_id(self) -> str:
        """The id under which any device can attach to it."""
        return self._following.request_id

    @property
    def chat_id(self) -> str | None:
        """The chat it belongs to, once known."""
        accepted = self._following.fold.accepted
        if accepted is not None:
            return accepted.chat_id
        return self.submitted.chat_id if self.submitted is not None else None

    @property
    def status(self) -> Status:
        """The request's status, as far as it is known here."""
        if self._following.fold.status == "new" and self.submitted is not None:
            return self.submitted.status
        return self._following.fold.status

    @property
    def waits_for(self) -> str | None:
        """While it is queued: why, and for about how long, as a sentence; None if that is not known (yet)."""
        told = self._following.queued
        if told is None or self.status != "queued":
            return None
        return waiting_sentence(told.place, told.reason, told.estimate_ms)

    @property
    def ended(self) -> bool:
        """Whether all of it is here, verified."""
        return self._following.state == "ended"

    @property
    def transcript(self) -> Transcript:
        """The answer so far; costs its size."""
        return self._following.fold.transcript()

    @property
    def fold(self) -> Fold:
        """The answer so far, as it is kept; read it, never write it. It is another object after a snapshot."""
        return self._following.fold

    @property
    def parts(self) -> Sequence[LivePart]:
        """The parts so far, without copying; read them, never write them."""
        return self._following.fold.parts

    @property
    def level(self) -> int:
        """Rises with every change. Take it, look at the answer, then wait for `changed(level)`."""
        return self._level.value

    async def changed(self, seen: int) -> int:
        """Wait until there is more than at level `seen`. Raises: ConnectionLost, AnswerLost."""
        self._check_alive()
        level = await self._level.above(seen)
        self._check_alive()
        return level

    def _check_alive(self) -> None:
        following = self._following
        if following.lost is not None:
            raise AnswerLost(self.request_id, *following.lost)
        if following.state != "ended" and self._client.failure is not None:
            raise self._client.failure

    # -- reading ---------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[str | Superseded]:
        """The text from the beginning to the end, as it comes; a `Superseded` where some of it is taken back.

        Raises: ConnectionLost, AnswerLost. An answer that failed simply ends: see `check`.
        """
        async for piece in self.pieces("text"):
            if isinstance(piece, Superseded):
                yield piece
            elif piece.text:
                yield piece.text

    async def pieces(self, *kinds: str) -> AsyncIterator[Piece | Superseded]:
        """What there is to show of the parts of these kinds, as it comes. Raises: ConnectionLost, AnswerLost."""
        reader = Reader(*kinds)
        level = self.level
        while True:
            for piece in reader.read(self._following.fold):
                yield piece
            if level == self.level:
                if self.ended:
                    return
                level = await self.changed(level)
            else:
                level = self.level

    async def events(self, start: int = 0) -> AsyncIterator[Event]:
        """The events from offset `start` to the end. Those that are at hand come as they arrived (their `span` tells how
        many of the log each stands for); what is further back is read from the server, as it was written.

        Raises: ConnectionLost, AnswerLost, CommandRefused if the log has been purged.
        """
        offset = start
        while True:
            level = self.level
            ready = self._following.events_from(offset)
            if ready is None and offset < self._following.fold.offset:
                log = await self._client.read_events(self.request_id, start=offset, limit=_EVENTS_PER_READ)
                ready = list(log.events)
            for event in ready or ():
                offset += event.span
                yield event
                if isinstance(event, OUTCOMES):
                    return
            if not ready and level == self.level:
                if self.ended:
                    return
                await self.changed(level)

    async def result(self) -> Transcript:
        """Wait for the end, however the request ends; a look at `status` and `outcome` tells. Raises: ConnectionLost,
        AnswerLost."""
        while not self.ended:
            level = self.level
            self._check_alive()
            if not self.ended:
                await self.changed(level)
        return self.transcript

    async def check(self) -> Transcript:
        """Wait for the end and insist that it is `completed`. Raises: AnswerFailed, ConnectionLost, AnswerLost."""
        transcript = await self.result()
        if transcript.status != "completed":
            raise AnswerFailed(transcript)
        return transcript

    # -- acting ----------------------------------------------------------------------------------------------

    async def cancel(self) -> rep.CancelResult:
        """End the request; `won` tells whether it was this call. Then `result()` has what was shown until then."""
        return await self._client.cancel(self.request_id)

    async def decide(self, wait_id: str, decision: object, *, digest: str = "") -> None:
        """Answer what the request waits for. Raises: CommandRefused if it does not wait for that any more."""
        await self._client.decide(self.request_id, wait_id, decision, digest=digest)

    def detach(self) -> None:
        """Stop following; the request goes on, and `Client.attach` comes back to it. Whoever still reads this object gets
        AnswerLost `detached`."""
        self._client.detach(self.request_id)
