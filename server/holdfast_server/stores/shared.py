"""What stores of several nodes offer beside the store port, and what they need: small messages, and where requests are accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from holdfast_protocol.events import Accepted

from .base import Key, Owner, Record, Summary
from .log import Log


class Shared(Protocol):
    """What a store beside `Store` offers that several nodes share. Messages between nodes may be lost: whoever relies on them
    looks again after a gap."""

    node: str

    def watch(self, owner: Owner) -> None:
        """Be told of changes to any of this owner's requests, whichever node makes them; see `observe_rows`."""

    def unwatch(self, owner: Owner) -> None:
        """Not any more."""

    def observe_rows(self, observer: Callable[[Summary, bool], None]) -> None:
        """Call `observer` with rows of watched owners that another node changed; True: it was removed."""

    def observe_lost(self, observer: Callable[[Log], None]) -> None:
        """Call `observer` with a log whose past the store has lost: it is marked `lost` and `erased`, and will not go on.
        What the store has now is another log, to be got by `log`."""

    def observe_gap(self, observer: Callable[[], None]) -> None:
        """Call `observer` after messages may have been lost."""

    def observe_message(self, topic: str, observer: Callable[[bytes], None]) -> None:
        """Call `observer` with what any node published under that topic, this one too."""

    async def publish(self, topic: str, body: bytes) -> None:
        """Tell all nodes; a few KiB at most. Raises: Unavailable."""

    async def put_once(self, name: str, value: bytes, keep_s: float) -> None:
        """Keep a small value for so long, or until somebody takes it. Raises: Unavailable."""

    async def take_once(self, name: str) -> bytes | None:
        """The value, for the one caller that comes first. Raises: Unavailable."""

    async def reopen(self, record: Record, accepted: Accepted, past: str = "") -> str | None:
        """Open what was accepted and is not there, without accepting it; what is there stays. None, or the mark of the erasure
        since which nothing was opened under that key: then it is not opened, unless `past` is that mark. Raises: TooManyOpen,
        Unavailable."""

    async def drain(self) -> None:
        """This node is about to stop: it claims nothing more and counts as no place to run anything; what runs here goes on."""

    async def dirty(self, owner: Owner) -> list[tuple[Key, int]]:
        """This owner's requests of chats whose beginning or end the history may not have, with their versions. Raises:
        Unavailable."""

    async def clean(self, marks: Sequence[tuple[Key, int]]) -> None:
        """The history has these as they were at that version. Raises: Unavailable."""

    async def take_turn(self, name: str, token: bytes, keep_s: float) -> bool:
        """Have the turn of that name for so long at most; False while it is another's. Raises: Unavailable."""

    async def end_turn(self, name: str, token: bytes) -> None:
        """Give it back, long before it ends by itself. Raises: Unavailable."""

    async def count_open(self) -> int:
        """How many requests have no outcome, on all nodes. Raises: Unavailable."""


class Acceptances(Protocol):
    """Where a cluster accepts requests: a table that outlives the store of live journals, so that what was acknowledged is
    never lost, and the same request is the same whatever happened since."""

    async def accept(self, record: Record, accepted: Accepted) -> int:
        """Note the request as open: its mark, for `take_back`; 0 if it was there already with the same body, and then nobody
        takes it back any more. Raises: RequestConflict, Unavailable."""

    async def take_back(self, key: Key, mark: int) -> bool:
        """Forget what was accepted with this mark; False if it stays, for somebody else has found it since. Raises:
        Unavailable."""

    async def of(self, key: Key) -> tuple[Record, Accepted] | None:
        """What was accepted under that key, as long as nobody noted it as ended. Raises: Unavailable."""

    async def ended(self, keys: Sequence[Key]) -> None:
        """These have their outcome; the body is not needed any more. Raises: Unavailable."""

    async def open_before(self, before_ms: int, limit: int) -> list[tuple[Record, Accepted]]:
        """Those accepted before then that nobody noted as ended, oldest first. Raises: Unavailable."""

    async def forget(self, keys: Sequence[Key]) -> None:
        """These were erased. Raises: Unavailable."""
