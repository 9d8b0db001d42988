"""Webhooks: somebody's address is called when a request has its outcome, again and again until it answers.

A webhook is a row before its request is a journal, so no crash in between loses it: if the request then never came to be,
the row goes after an hour. That a request has ended is a level, not an edge: the journal's observer only shortens the wait
until the next comparison of what is armed with the journal, which happens at the start and all the time. What is due lies
in the history with the time of its next try. A try whose end was not written is made again with the same delivery id, so
every outcome is told at least once, and a receiver can tell a repetition.

Tries are bounded over all and per host. While a host is at its bound, what is due for others is read past it, so one dead
receiver delays nobody else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from random import random
from typing import Final, Literal, get_args

import structlog

from holdfast_protocol.errors import ProtocolError

from .journal import Journal
from .peers import Peers
from .stores.base import Change, Damaged, Key, Owner, RequestConflict, StoreError, Summary, UnknownRequest
from .stores.log import Log
from .tasks import Tasks
from .webhook_addresses import Reach, UrlRefused
from .webhook_terms import Hook, Rows, Sender, Try, WebhookSettings
from .webhook_tries import Tries

Lot = Literal["waits", "ended", "deleted", "erased", "never"]

ARMED_MAX: Final = 100_000
"""Requests with a webhook and without an outcome: their keys are in memory, some 20 MB. Beyond it none is taken."""

NEVER_OPENED_MS: Final = 3_600_000
"""How long a webhook waits for its request to come to be: far longer than a submit may take."""

FRESH_MS: Final = NEVER_OPENED_MS // 2
"""One that is older and is asked for again is written anew, so that it does not go in just that moment."""

HELD_S: Final = 30.0
"""What ended because its chat was deleted is told that long after the deletion can no longer be undone, if it is there
still: erasing begins within seconds of that, and what is erased is told to nobody."""

LOOK_S: Final = 30.0
"""The longest that nothing is looked at: the wall clock may jump, and a wake-up may have been lost."""

LOOK_REQUESTS: Final = 500
"""Armed requests compared with the journal in one look, a row each; the next look goes on."""

RELOAD_S: Final = 60.0
"""How often a node looks which webhooks others have armed: those of one that died are noticed by the rest."""

TROUBLE_S: Final = 5.0
"""Between two looks while the history or the journal is in trouble."""

DAY_MS: Final = 86_400_000

NOT_CONFIGURED: Final = (
    "Webhooks are not configured on this server: whoever runs it must set `webhooks.secrets`."
)

log = structlog.get_logger(__name__)


class Webhooks:
    """The webhooks of one node. `find` is the journal of a request, or what the history has of it (`Requests.find`).
    Raises: ValueError for a secret that is none."""

    def __init__(
        self,
        rows: Rows,
        journal: Journal,
        find: Callable[[Owner, str], Awaitable[Log]],
        sender: Sender,
        settings: WebhookSettings,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
        dice: Callable[[], float] = random,
        peers: Peers | None = None,
    ) -> None:
        self._peers = peers if peers is not None else Peers()
        self._rows = rows
        self._journal = journal
        self._find = find
        self._now_ms = now_ms
        self._new_id = new_id
        self._held_ms = int((settings.undo_s + HELD_S) * 1000)
        self._keep_ms = int(settings.keep_days * DAY_MS)
        self._reach = Reach(allow_private=settings.allow_private, allowed_hosts=settings.allowed_hosts)
        self._armed: dict[Key, int] = {}  # with when it was made
        self._held: set[Key] = set()  # of the armed, those armed here: their owners' rows are told
        self._ended: set[Key] = set()  # of the armed, those that the observer saw ending
        self._arming: Counter[Key] = Counter()
        self._wake = asyncio.Event()
        self._tasks = Tasks("webhooks")
        self._loop: asyncio.Task[None] | None = None
        self._tries = Tries(
            rows,
            find,
            sender,
            settings,
            self._reach,
            tasks=self._tasks,
            now_ms=now_ms,
            dice=dice,
            freed=self._wake.set,
            alone=self._peers.alone,
        )
        journal.observe(self._changed)
        self._peers.observe_rows(self._row_changed)

    @property
    def configured(self) -> bool:
        """Whether there is a secret to sign with."""
        return self._tries.signs

    # -- doors -----------------------------------------------------------------------------------------------

    def check_url(self, url: str) -> str | None:
        """Why no webhook can go there, as a sentence for people, or None. Whether its name resolves to something that may
        be reached is seen at each try."""
        if not self.configured:
            return NOT_CONFIGURED
        try:
            self._reach.target(url)
        except UrlRefused as error:
            return str(error)
        return None

    async def arm(self, key: Key, url: str) -> bool:
        """Have `url` called when that request has its outcome; then open the request, with the url among what tells a retry
        from another request. The same again is harmless. False if the request is there already and has no such webhook:
        open it all the same, and the journal says whether it is the same request. Raises: ProtocolError, Unavailable."""
        fault = self.check_url(url)
        if fault is not None:
            raise ProtocolError("invalid", fault)
        if len(self._armed) >= ARMED_MAX:
            raise ProtocolError("overloaded")
        now = self._now_ms()
        hook = Hook(
            key=key, url=url, host=self._reach.target(url).place, delivery_id=f"msg_{self._new_id()}",
            state="armed", created_at=now, updated_at=now, next_at=0,
        )  # fmt: skip
        known = await self._rows.of(key)
        same = known is not None and known.url == url
        if known is not None and same and (known.state != "armed" or now - known.created_at < FRESH_MS):
            return True
        if await self._is_there(key):
            return same
        await self._rows.put(hook)  # also in the place of one whose request was refused, or never came
        self._ended.discard(key)
        self._armed[key] = now
        if key not in self._held:
            self._held.add(key)
            self._peers.hold(key.owner)
        return True

    @asynccontextmanager
    async def arming(self, key: Key, url: str | None) -> AsyncIterator[None]:
        """Open the request inside: what was armed for it is taken back if it is refused. Without a url nothing is done.
        Raises: as `arm`."""
        if url is None:
            yield
            return
        self._arming[key] += 1
        try:
            had = await self._rows.of(key)
            await self.arm(key, url)
            try:
                yield
            except Exception as error:
                await self._take_back(key, mine=had is None and isinstance(error, RequestConflict))
                raise
        finally:
            self._arming[key] -= 1
            if not self._arming[key]:
                del self._arming[key]

    async def _take_back(self, key: Key, *, mine: bool) -> None:
        """What is not taken back goes after an hour, so trouble here is none."""
        if self._arming[key] > 1:
            return  # its twin may be about to open the request
        with suppress(StoreError):
            if mine or not await self._is_there(key):
                await self.forget([key])

    async def find(self, key: Key) -> Hook | None:
        """The webhook of a request with its tries, or None. Raises: Unavailable."""
        return await self._rows.of(key)

    async def log_of(self, key: Key) -> list[Try]:
        """The latest tries, the oldest first. Raises: Unavailable."""
        hook = await self._rows.of(key)
        return [] if hook is None else hook.tries

    async def redeliver(self, key: Key) -> bool:
        """Call it once more, now, whatever became of it before; False if there is none, or the request has no outcome yet.
        Raises: Unavailable."""
        done = await self._rows.again(key, self._now_ms())
        self._wake.set()
        return done

    async def forget(self, keys: Collection[Key]) -> None:
        """These requests were erased: nobody is called for them any more. Raises: Unavailable."""
        for key in keys:
            self._disarm(key)
            self._ended.discard(key)
        self._tries.stop(keys)
        await self._rows.remove(keys)

    async def sweep(self) -> None:
        """Forget what ended long ago. Raises: Unavailable."""
        await self._rows.remove_ended(self._now_ms() - self._keep_ms)

    # -- life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Go on where the last process stopped, in the background. The store and the history are open."""
        if self.configured:
            self._loop = self._tasks.start(self._run(), "look")

    async def close(self) -> None:
        """Let tries under way end, for a moment; then stop. The store and the history are still open."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])
            self._loop = None
        await self._tries.close()
        await self._tasks.close()

    def _disarm(self, key: Key) -> None:
        self._armed.pop(key, None)
        if key in self._held:
            self._held.discard(key)
            self._peers.let_go(key.owner)

    def _row_changed(self, row: Summary, removed: bool) -> None:
        """Another node changed a request."""
        if row.key in self._armed and (removed or row.outcome is not None):
            self._ended.add(row.key)
            self._wake.set()

    def _changed(self, changes: Sequence[Change]) -> None:
        if not self._armed:
            return
        for change in changes:
            log_ = change.log
            ended = log_.sealed or (log_.erased and not log_.lost)
            if change.state and log_.key in self._armed and ended:
                self._ended.add(change.log.key)
                self._wake.set()

    async def _run(self) -> None:
        place: Key | None = None
        loaded = False
        clock = asyncio.get_running_loop().time
        look_at = clock() + LOOK_S
        load_at = clock() + RELOAD_S
        while True:
            if loaded and not self._peers.alone and clock() >= load_at:
                loaded, place, load_at = False, None, clock() + RELOAD_S
            if self._tries.trouble:
                await asyncio.sleep(TROUBLE_S)
                self._tries.trouble = False
            self._wake.clear()
            wait_s = LOOK_S
            try:
                some = list(self._ended)[:LOOK_REQUESTS]
                if not loaded:
                    page = await self._load(place)
                    loaded = len(page) < LOOK_REQUESTS
                    place = page[-1] if page else None
                    some += page
                    wait_s = LOOK_S if loaded else 0.0
                elif clock() >= look_at:
                    some += self._next_armed()
                    look_at = clock() + LOOK_S
                await self._compare(some)
                wait_s = min(wait_s, await self._tries.begin_due())
            except Exception:  # whatever it is, nobody is called as long as this loop is down
                log.exception("webhooks cannot go on; it is tried again")
                self._tries.trouble = True
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    # -- armed: is it due? -----------------------------------------------------------------------------------

    async def _load(self, place: Key | None) -> list[Key]:
        """What was armed before us, a page at a time."""
        page = await self._rows.armed(place, LOOK_REQUESTS)
        for key, created_at in page:
            self._armed.setdefault(key, created_at)
        return [key for key, _ in page]

    def _next_armed(self) -> list[Key]:
        """Some of all, in turn."""
        some = list(islice(self._armed, LOOK_REQUESTS))
        for key in some:
            self._armed[key] = self._armed.pop(key)  # the next look begins behind it
        return some

    async def _compare(self, some: Sequence[Key]) -> None:
        """Those of the armed among these that have their outcome are due; those that will never have one go."""
        lots: dict[Lot, list[Key]] = {lot: [] for lot in get_args(Lot)}
        for key in dict.fromkeys(some):
            if key in self._armed:
                lots[await self._lot(key)].append(key)
        now = self._now_ms()
        if lots["ended"]:
            await self._rows.make_due(lots["ended"], now)
        if lots["deleted"]:
            await self._rows.make_due(lots["deleted"], now + self._held_ms)
        if lots["erased"]:
            await self._rows.remove(lots["erased"])
        if lots["never"]:
            await self._rows.remove_unopened(lots["never"], now - NEVER_OPENED_MS)
        for lot, keys in lots.items():
            for key in keys if lot != "waits" else ():
                self._disarm(key)
        self._ended.difference_update(some)
        if self._ended:
            self._wake.set()

    async def _lot(self, key: Key) -> Lot:
        try:
            head = await self._journal.head(key)
        except UnknownRequest:
            if await self._is_there(key):
                return "ended"  # only the history has it
            if key in self._ended:
                return "erased"
            age_ms = self._now_ms() - self._armed.get(key, self._now_ms())
            return "never" if age_ms > NEVER_OPENED_MS and key not in self._arming else "waits"
        except Damaged:
            return "ended"
        if head.outcome is None:
            return "waits"
        return "deleted" if head.outcome.code == "chat_deleted" else "ended"

    async def _is_there(self, key: Key) -> bool:
        try:
            await self._find(key.owner, key.request_id)
        except UnknownRequest:
            return False
        except Damaged:
            return True
        return True
