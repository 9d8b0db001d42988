"""The projector: carries what journals say into the history, in order, and makes good what a crash left out (I11).

Two commits are made for one fact, the journal's and then the history's, and a process may die between them. So the
projector waits for a level, not for an edge: what the store does not know as projected is to be projected, however long
ago it was committed. Commits that it observes only make it look sooner; a sweep at start and every few seconds finds
the rest. What it does is idempotent, and a journal is marked as projected only once the history holds it.

Keys wait in a queue (backlog.py), never data; a queue that is full is let go, because the sweep finds the same.
`catch_up` is how a reader becomes independent of all this: it returns when everything of its owner's that was committed
before is in the history. It waits for no other owner's, except while it is not known whose is missing: during the first
sweep, and during the one after keys were let go.

Where several nodes share a store, each projects what it sees, and the same journal twice is harmless. What one node commits
another need not see: so there the store itself notes what the history may not have of an owner, and `catch_up` goes by
that: it projects these itself, in the state in which the store has them, and then takes the notes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from .backlog import Backlog
from .chats import Chats
from .history.turns import Turns
from .outages import Outage
from .peers import Peers
from .stores.base import Change, Damaged, Key, Owner, Store, Unavailable, UnknownRequest
from .stores.log import Log
from .tasks import Tasks

log = structlog.get_logger(__name__)

SWEEP_S: Final = 5.0
"""How often it looks for what no commit announced: the longest that journals and history may disagree (I11)."""

QUEUE_KEYS_MAX: Final = 10_000
"""Keys that wait; beyond it the queue is let go and a sweep finds them again."""

SWEEP_ROWS: Final = 200
"""Journals that a sweep asks for at once."""

RETRY_S_MIN: Final = 0.05
RETRY_S_MAX: Final = 5.0
"""While the history or the store does not answer, the wait doubles between these."""

MARKED_AT_ONCE: Final = 64
"""Journals marked in one commit of the store."""

HELD_KEYS_MAX: Final = 10_000
"""Journals of which this node remembers how much of them it has projected, so that it does not ask the history again."""

PROJECTED_AT_ONCE: Final = 64
"""More than the history writes at once; what waits for the same journal waits before it asks."""

REFUSED_KEYS_MAX: Final = 1_000
"""Journals that could not be projected for a reason of their own, and are left alone until the next start."""

CATCH_UP_S: Final = 10.0
"""How long a reader waits for the history to catch up before it is told to try again."""


BEHIND_LOOK_S: Final = 0.1
"""Between two looks whether the journal in memory is what the store has noted: it follows within a moment."""


class Projector:
    """One node's projector. Start it after the store and the history, close it before them."""

    def __init__(
        self,
        store: Store,
        chats: Chats,
        tasks: Tasks,
        *,
        sweep_s: float = SWEEP_S,
        peers: Peers | None = None,
    ) -> None:
        self._peers = peers if peers is not None else Peers()
        self._store = store
        self._chats = chats
        self._tasks = tasks
        self._sweep_s = sweep_s
        self._backlog = Backlog()
        self._look_again = True  # what runs must be looked through too: at start, and after keys were let go
        self._whole = False  # all that is missing is in the backlog: from the end of such a look on
        self._refused: dict[Key, None] = {}
        # By journals' numbers too, since an id may come again: what the history holds, a beginning or (True) an end.
        self._held: dict[tuple[Key, int], bool] = {}
        self._turns = Turns(PROJECTED_AT_ONCE)
        self._due = asyncio.Event()
        self._waiters: list[tuple[Owner | None, int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        # Neither side is blamed: what is missing may be the journals' store as well as the history.
        self._outage = Outage(log, "answers do not reach the history", "answers reach the history again")

    async def start(self) -> None:
        """Begin; the first sweep goes on behind, and `catch_up` waits for it."""
        self._store.observe(self._changed)
        self._task = self._tasks.start(self._run(), "projector")

    async def close(self) -> None:
        """Stop; what is left is found at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        for _, _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(Unavailable("the server stops"))

    async def catch_up(self, owner: Owner | None = None, wait_s: float = CATCH_UP_S) -> None:
        """Return when the history holds all that was committed before this call, of this owner's or of everybody's.
        Raises: Unavailable if that takes longer than `wait_s`."""
        if owner is not None and not self._peers.alone:
            try:
                async with asyncio.timeout(wait_s):
                    await self._clean(owner)
            except TimeoutError:
                raise Unavailable("the history is behind; try again") from None
            return
        target = self._backlog.noted
        if self._reached(owner, target):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (owner, target, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(wait_s):
                await waiter
        except TimeoutError:
            raise Unavailable("the history is behind; try again") from None
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    async def _clean(self, owner: Owner) -> None:
        """Project what the store has noted of this owner, whichever node it was. Raises: Unavailable."""
        for key, version in await self._peers.dirty(owner):
            if not await self._has(key, version):
                await self._peers.clean([(key, version)])  # it was erased
                continue
            if await self._project(key):
                await self._mark([key])
            if key not in self._refused:
                await self._peers.clean([(key, version)])

    async def _has(self, key: Key, version: int) -> bool:
        """Wait until this node has the journal as the store noted it; False if it is no more. Raises: Unavailable."""
        while True:
            try:
                journal = await self._store.log(key)
            except UnknownRequest:
                return False
            except Damaged:
                return True  # for `_project` to find out and say
            if journal.version >= version or journal.sealed:
                return True
            await asyncio.sleep(BEHIND_LOOK_S)

    # -- what is to be done ----------------------------------------------------------------------------------

    def _changed(self, changes: Sequence[Change]) -> None:
        """The store committed: note what begins and what ends."""
        for change in changes:
            journal = change.log
            if journal.record.chat_id is None or journal.projected or journal.erased:
                continue
            begins = change.start == 0 and change.end > 0
            ends = journal.sealed and change.state
            if begins or ends:
                self._note(journal.key)

    def _note(self, key: Key) -> None:
        if len(self._backlog) >= QUEUE_KEYS_MAX:
            self._backlog.clear()
            self._look_again, self._whole = True, False
        else:
            self._backlog.note(key)
        self._due.set()

    # -- doing it --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        wait_s = RETRY_S_MIN
        sweep = True
        while True:
            try:
                failure = await self._swept() if sweep or not self._whole else None
                await self._drain(anyway=failure is not None)
                if failure is not None:
                    raise failure
                wait_s = RETRY_S_MIN
                self._outage.over()
            except Unavailable as error:
                self._outage.failed(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_S_MAX)
                continue
            except Exception as error:  # noqa: BLE001 - a bug must not end the only loop that writes the history
                self._outage.failed(error)
                await asyncio.sleep(RETRY_S_MAX)
                continue
            sweep = await self._wait()

    async def _wait(self) -> bool:
        """Wait until something is noted, or it is time for a sweep: whether it is."""
        try:
            async with asyncio.timeout(self._sweep_s):
                await self._due.wait()
        except TimeoutError:
            return True
        return False

    async def _swept(self) -> Unavailable | None:
        """Sweep; why it could not be done, where nodes share a store: part of that may be away for long, and what is noted does
        not wait for it. Raises: Unavailable."""
        try:
            await self._sweep()
        except Unavailable as error:
            if self._peers.alone:
                raise
            return error
        return None

    async def _drain(self, *, anyway: bool = False) -> None:
        """Project what is noted, each owner's oldest first, until nothing is, or (unless `anyway`) a sweep must come first."""
        held: list[Key] = []
        while self._backlog and (anyway or not self._look_again):
            key = self._backlog.take()
            try:
                if await self._project(key):
                    held.append(key)
            except BaseException:
                self._backlog.back()
                raise
            self._backlog.done()
            self._settle()
            if len(held) >= MARKED_AT_ONCE:
                await self._mark(held)
                held = []
        await self._mark(held)
        if not self._backlog and not self._look_again:
            self._due.clear()

    async def _sweep(self) -> None:
        """Project what the store does not know as projected; after keys were let go, what runs too."""
        if self._look_again:
            self._look_again = False  # first: what is let go during the sweep asks for another
            try:
                for key in await self._running():
                    await self._project(key, anew=True)
            except BaseException:
                self._look_again = True
                raise
        while True:
            # Beyond the refused ones, which stay unprojected, so that they hide nothing behind them.
            refused = len(self._refused)
            journals = await self._store.unprojected(SWEEP_ROWS + refused)
            journals = [journal for journal in journals if journal.key not in self._refused]
            held = [journal.key for journal in journals if await self._project(journal.key, anew=True)]
            await self._mark(held)
            moved = held or len(self._refused) > refused
            if not moved or len(journals) < SWEEP_ROWS:
                break
        self._whole = not self._look_again
        self._settle()

    async def _running(self) -> list[Key]:
        """Requests of chats without an outcome, oldest first: as many keys as requests may be open."""
        keys: list[Key] = []
        before: str | None = None
        while True:
            rows, before = await self._store.summaries(
                None, active=True, chat_id=None, limit=SWEEP_ROWS, before=before
            )
            keys += [row.key for row in rows if row.chat_id is not None]
            if before is None:
                return keys[::-1]

    async def _project(self, key: Key, *, anew: bool = False) -> bool:
        """Bring one journal into the history, `anew`: though this node did it before; whether it may be marked as
        projected. Raises: Unavailable."""
        if key in self._refused:
            return False
        try:
            journal: Log = self._store.live(key) or await self._store.log(key)
            if journal.record.chat_id is None:
                return False
            # Whoever catches up wants the same journal projected at the same time as what was noted of it.
            async with self._turns.of("\x00".join(key)):
                sealed = journal.sealed
                if not anew and self._held.get((key, journal.number)) is sealed:
                    return sealed
                if not sealed:
                    await self._chats.project_opened(journal)
                if not sealed or await self._chats.project_sealed(journal):
                    self._hold((key, journal.number), sealed)
                    return sealed
            reason = "what was read back is not what was written"
        except UnknownRequest:
            return False  # erased meanwhile
        except Damaged as error:
            reason = str(error)
        except Unavailable:
            raise
        except Exception:
            log.exception("a journal cannot be projected", request_id=key.request_id)
            reason = ""
        if reason:
            log.error("a journal cannot be projected", request_id=key.request_id, reason=reason)
        if len(self._refused) < REFUSED_KEYS_MAX:
            self._refused[key] = None
        return False

    def _hold(self, journal: tuple[Key, int], sealed: bool) -> None:
        self._held[journal] = sealed
        while len(self._held) > HELD_KEYS_MAX:
            del self._held[next(iter(self._held))]

    async def _mark(self, keys: Sequence[Key]) -> None:
        if keys:
            await self._store.projected(keys)

    def _settle(self) -> None:
        """Tell those who wait for what is in the history now."""
        waiters, self._waiters = self._waiters, []
        for owner, target, waiter in waiters:
            if not self._reached(owner, target):
                self._waiters.append((owner, target, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def _reached(self, owner: Owner | None, target: int) -> bool:
        return self._whole and self._backlog.reached(owner) >= target

    # -- a history that was lost -----------------------------------------------------------------------------

    async def rebuild(self) -> int:
        """Project every journal that the store still holds, marked or not, oldest first: after the history's file was
        lost or restored from an older copy. Keeps one key per request meanwhile. How many. Raises: Unavailable."""
        keys: list[tuple[int, Key]] = []
        before: str | None = None
        while True:
            rows, before = await self._store.summaries(
                None, active=False, chat_id=None, limit=SWEEP_ROWS, before=before
            )
            keys += [(row.created_at, row.key) for row in rows if row.chat_id is not None]
            if before is None:
                break
        for _, key in sorted(keys):
            await self._mark([key] if await self._project(key, anew=True) else [])
        return len(keys)
