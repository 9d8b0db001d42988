"""The other nodes: what they do to what is shown here, and the small things that all nodes of a cluster share.

A server that is alone with its store has no other nodes. Then nothing comes from here, nothing is kept here, and every call
is free; so whoever uses it need not ask how many nodes there are.

Messages between nodes may be lost. Each use leans on a level that is looked at again, after a `gap` at the latest.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from holdfast_protocol.events import Accepted

from .stores.base import Key, Owner, Record, StoreError, Summary, Unavailable
from .stores.log import Log
from .stores.shared import Shared
from .tasks import Tasks

TURN_S: Final = 10.0
"""How long a turn is somebody's who neither asks for it again nor gives it back: a node that died with it, or stands still."""

TURN_AGAIN_S: Final = 2.0
"""Whoever needs it for longer asks for it again so often; two calls may be lost."""

TURN_MARGIN_S: Final = 3.0
"""So long before it may be another's, what is done inside ends: what was given to the store by then has arrived, though it
may have waited for a connection."""

TURN_HELD_MAX_S: Final = 60.0
"""Nobody asks for it again after so long: longer than the waits for the history and the store add up to."""

TURN_WAIT_S: Final = 25.0
"""How long one waits for a turn: longer than a node that died with it can keep it, and than the slowest call of the history
that is still answered. Of a chat one request of each node waits here; the others wait for that."""

TURN_LOOK_S: Final = (0.01, 0.03)
"""Between two looks whether a turn is free, drawn evenly: turns are short, and seldom wanted by two nodes at once."""

QUIET_S: Final = 5.0
"""After so long without a word of the store this node asks anew for all that it wants to be told; sooner than the store
forgets what it asked for."""

COUNT_S: Final = 1.0
"""How old the count of what is open on all nodes may be."""

log = structlog.get_logger(__name__)


class Peers:
    """What a node has of the others. `shared` is the store that they have in common; None: there are no others."""

    def __init__(self, shared: Shared | None = None) -> None:
        self._shared = shared
        self._open_total: int | None = None
        self._holds: Counter[Owner] = Counter()
        self._row_observers: list[Callable[[Summary, bool], None]] = []
        self._gap_observers: list[Callable[[], None]] = []
        self._tasks = Tasks("peers")
        if shared is not None:
            shared.observe_rows(self._row_changed)
            shared.observe_gap(self._gap)

    @property
    def alone(self) -> bool:
        """Whether there are no other nodes."""
        return self._shared is None

    @property
    def open_total(self) -> int | None:
        """Requests without an outcome on all nodes, as of a moment ago; None: only this node knows of any."""
        return self._open_total

    def start(self) -> None:
        """Count what is open from now on."""
        if self._shared is not None:
            self._tasks.start(self._count(self._shared), "count")

    async def _count(self, shared: Shared) -> None:
        now = asyncio.get_running_loop().time
        heard_at = now()
        while True:
            with suppress(StoreError):
                self._open_total = await shared.count_open()
                if now() - heard_at > QUIET_S:
                    self._begin_anew(shared)
                heard_at = now()
            await asyncio.sleep(COUNT_S)

    def _begin_anew(self, shared: Shared) -> None:
        """This node stood still, or could not reach the store: what it asked to be told may have lapsed."""
        for owner in self._holds:
            shared.unwatch(owner)
            shared.watch(owner)
        self._gap()

    async def reopen(self, record: Record, accepted: Accepted, past: str = "") -> str | None:
        """See Shared.reopen; only where there are other nodes."""
        assert self._shared is not None
        return await self._shared.reopen(record, accepted, past)

    async def drain(self) -> None:
        """This node is about to stop: the others do what it would have begun."""
        if self._shared is not None:
            await self._shared.drain()

    async def close(self) -> None:
        """End what is under way."""
        await self._tasks.close()

    # -- rows of requests --------------------------------------------------------------------------------------

    def hold(self, owner: Owner) -> None:
        """Be told of this owner's requests, until everybody who asked for it has let go."""
        if self._shared is None:
            return
        self._holds[owner] += 1
        if self._holds[owner] == 1:
            self._shared.watch(owner)

    def let_go(self, owner: Owner) -> None:
        """One does not want to be told any more."""
        if self._shared is None:
            return
        self._holds[owner] -= 1
        if self._holds[owner] <= 0:
            del self._holds[owner]
            self._shared.unwatch(owner)

    def observe_rows(self, observer: Callable[[Summary, bool], None]) -> None:
        """Call `observer` with rows that another node changed, of owners who are held; True: the request was removed."""
        self._row_observers.append(observer)

    def observe_gap(self, observer: Callable[[], None]) -> None:
        """Call `observer` after messages may have been lost."""
        self._gap_observers.append(observer)

    def observe_lost(self, observer: Callable[[Log], None]) -> None:
        """Call `observer` with a log whose past the store has lost; what it has now is another log."""
        if self._shared is not None:
            self._shared.observe_lost(observer)

    def _row_changed(self, row: Summary, removed: bool) -> None:
        for observer in self._row_observers:
            _told(observer, row, removed)

    def _gap(self) -> None:
        for observer in self._gap_observers:
            _told(observer)

    # -- messages ----------------------------------------------------------------------------------------------

    def observe_message(self, topic: str, observer: Callable[[bytes], None]) -> None:
        """Call `observer` with what other nodes publish under that topic."""
        shared = self._shared
        if shared is None:
            return
        own = shared.node.encode()

        def came(body: bytes) -> None:
            node, _, rest = body.partition(b"\n")
            if node != own:
                _told(observer, rest)

        shared.observe_message(topic, came)

    async def publish(self, topic: str, body: bytes) -> None:
        """Tell the other nodes; a few KiB at most. Raises: Unavailable."""
        if self._shared is not None:
            await self._shared.publish(topic, self._shared.node.encode() + b"\n" + body)

    # -- small values ------------------------------------------------------------------------------------------

    async def put_once(self, kind: str, name: str, value: bytes, keep_s: float) -> None:
        """Keep a small value for whoever takes it first, on whichever node. There must be other nodes. Raises: Unavailable."""
        assert self._shared is not None
        await self._shared.put_once(_place(kind, name), value, keep_s)

    async def take_once(self, kind: str, name: str) -> bytes | None:
        """The value, once. There must be other nodes. Raises: Unavailable."""
        assert self._shared is not None
        return await self._shared.take_once(_place(kind, name))

    @asynccontextmanager
    async def turn(self, kind: str, name: str) -> AsyncIterator[None]:
        """Be the only node inside, for as long as it takes; a node that dies or stands still with it keeps nobody longer than
        TURN_S. What is done inside is cancelled before it could be another's. Raises: Unavailable if that happens, or if others
        have it for too long."""
        shared = self._shared
        if shared is None:
            yield
            return
        place, token = _place(kind, name), secrets.token_bytes(8)
        asked_at = await self._take_turn(shared, place, token)
        bound = asyncio.timeout_at(asked_at + TURN_S - TURN_MARGIN_S)
        try:
            async with bound:
                keeping = self._tasks.start(self._keep_turn(shared, place, token, bound), "keep turn")
                try:
                    yield
                finally:
                    keeping.cancel()
        except TimeoutError:
            if not bound.expired():
                raise
            raise Unavailable("this could not be finished while it was its turn; try again") from None
        finally:
            # Given back also if whoever had it was cancelled; what is another's by now stays so. Where the time ran out it
            # ends by itself, when nothing of what was done can be under way any more.
            if not bound.expired():
                await asyncio.shield(self._tasks.start(self._end_turn(shared, place, token), "turn"))

    async def _take_turn(self, shared: Shared, place: str, token: bytes) -> float:
        """When it was asked for, by the loop, once it was got. Raises: Unavailable."""
        now = asyncio.get_running_loop().time
        until = now() + TURN_WAIT_S
        try:
            while True:
                asked_at = now()
                got = await shared.take_turn(place, token, TURN_S)
                if got and now() - asked_at < TURN_AGAIN_S:
                    return asked_at
                if now() >= until:
                    raise Unavailable("something else is being done there; try again")
                if not got:
                    await asyncio.sleep(random.uniform(*TURN_LOOK_S))  # noqa: S311 - spreads a crowd, guards nothing
        except BaseException:  # it may have been got: the answer was late, or nobody waits for it any more
            self._tasks.start(self._end_turn(shared, place, token), "turn")
            raise

    async def _keep_turn(self, shared: Shared, place: str, token: bytes, bound: asyncio.Timeout) -> None:
        """Ask for it again and again; each time what is done inside may go on for longer."""
        now = asyncio.get_running_loop().time
        for _ in range(int(TURN_HELD_MAX_S / TURN_AGAIN_S)):
            await asyncio.sleep(TURN_AGAIN_S)
            asked_at = now()
            try:
                kept = await shared.take_turn(place, token, TURN_S)
            except StoreError:
                continue
            if bound.expired():
                return
            bound.reschedule(asked_at + TURN_S - TURN_MARGIN_S if kept else now())
            if not kept:
                return

    async def _end_turn(self, shared: Shared, place: str, token: bytes) -> None:
        with suppress(StoreError):  # it ends by itself
            await shared.end_turn(place, token)

    # -- what the history may not have ---------------------------------------------------------------------------

    async def dirty(self, owner: Owner) -> list[tuple[Key, int]]:
        """This owner's requests of chats whose beginning or end the history may not have. Raises: Unavailable."""
        return [] if self._shared is None else await self._shared.dirty(owner)

    async def clean(self, marks: Sequence[tuple[Key, int]]) -> None:
        """The history has these as they were at that version. Raises: Unavailable."""
        if self._shared is not None and marks:
            await self._shared.clean(marks)


def _place(kind: str, name: str) -> str:
    """A name of bounded length without anything that somebody typed."""
    return f"{kind}:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _told(observer: Callable[..., None], *what: object) -> None:
    """A bug of one must not keep the others from being told, nor reach the store."""
    try:
        observer(*what)
    except Exception:
        log.exception("what another node did is not noted here")
