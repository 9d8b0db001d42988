"""The composition root: the only place that names concrete parts, puts them together, starts and stops them.

Start: store (which recovers what a crash left), history, projector, runner, doors, in that order, and only then the
port. Stop, on SIGTERM: not ready; new requests are refused with a retryable code; nothing more is claimed; what runs
may finish within the grace, the rest is handed over; sockets are closed with 1012, spread over time; exit 0. A second
signal ends it at once; what that cuts off is recovered at the next start.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from .admission import Admission, Bounds
from .batches import Batches
from .chats import Chats
from .config import Config, ConfigError, load
from .config_check import check
from .delivery import Delivery
from .doors import health
from .doors.bodies import BODY_BYTES_MAX
from .doors.headers import secure
from .doors.page import PageDoor
from .doors.page_files import read_page
from .doors.settings import delivery_limits, settings_of
from .doors.webhook import WebhookSender
from .doors.websocket import WebSocketDoor
from .endings import Endings
from .entrance import Entrance, webhook_settings
from .feed import Feed
from .fleet import agent_rows, make_agents
from .identity import Identity, NoIdentity, TokenIdentity
from .ids import new_id
from .journal import Journal
from .listening import BACKLOG, listen
from .logs import configure
from .notices import Notices
from .projector import Projector
from .readers import Readers
from .requests import Requests
from .runner import Runner
from .stores.base import Owner, Unavailable
from .stores.pacing import Pace
from .stores.sqlite import SqliteStore
from .tasks import Tasks
from .webhook_addresses import Reach
from .webhooks import Webhooks

log = structlog.get_logger(__name__)

HEADER_DEADLINE_S: Final = 15
"""How long an HTTP connection may sit without a complete request; the library's default is an hour."""

SWEEP_S: Final = 5.0

HISTORY_FILE: Final = "history.db"


def now_ms() -> int:
    """The wall clock: for people, never for order."""
    return time.time_ns() // 1_000_000


class Node:
    """One server process, put together from a configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        check(config)
        limits, store = config.limits, config.store
        self.folder = Path(store.folder)
        self.store = SqliteStore(
            self.folder, durability=store.durability, now_ms=now_ms, lock_wait_s=store.lock_wait_s,
            owner_running_max=limits.user_running_max, pace=Pace(),
        )  # fmt: skip
        self.agents = make_agents(config)
        profiles = {name: agent.profile for name, agent in self.agents.items()}
        self.tasks = Tasks("node")
        self.journal = Journal(self.store, now_ms=now_ms)
        url = store.history or f"sqlite+aiosqlite:///{self.folder / HISTORY_FILE}"
        self.chats = Chats(url, now_ms=now_ms, undo_s=store.undo_s, durability=store.durability)
        self.projector = Projector(self.store, self.chats, self.tasks)
        self.readers = Readers(self.chats.reader_rows, now_ms=now_ms)
        self.admission = Admission(
            self.journal,
            Bounds(
                user_open_max=limits.user_open_max,
                open_max=limits.open_max,
                live_bytes_max=limits.live_bytes_max,
            ),
        )
        default = config.default_agent or next(iter(self.agents))
        self.requests = Requests(
            self.journal,
            self.chats,
            self.projector,
            self.admission,
            profiles=profiles,
            default_agent=default,
            now_ms=now_ms,
            new_id=new_id,
            readers=self.readers,
        )
        self.feed = Feed(self.journal, self.requests.first_chats)
        self.chats.observe(self.feed.chat_changed)
        self.delivery = Delivery(self.journal, limits=delivery_limits(config), witness=self.readers)
        self.runner = Runner(
            self.store, self.agents, self.requests.history, slots=limits.slots, now_ms=now_ms,
            answer_bytes_max=limits.answer_bytes_max,
        )  # fmt: skip
        self.identity = make_identity(config)
        rows = agent_rows(self.agents, default)
        hooks = webhook_settings(config)
        self.sender = WebhookSender(
            Reach(allow_private=hooks.allow_private, allowed_hosts=hooks.allowed_hosts)
        )
        self.webhooks = Webhooks(
            self.chats.webhook_rows, self.journal, self.requests.find, self.sender, hooks, now_ms=now_ms
        )
        self.requests.observe_erased(self.webhooks.forget)
        self.batches = Batches(
            self.chats.batch_rows, self.journal.head, self.chats.purged_status, now_ms=now_ms,
            keep_days=store.keep_days,
        )  # fmt: skip
        self.entrance = Entrance(
            config, self.requests, self.identity, agents=rows, durability=store.durability, webhooks=self.webhooks,
            batches=self.batches, endings=Endings(self.journal), feed=self.feed,
        )  # fmt: skip
        self.door = WebSocketDoor(
            self.requests,
            self.delivery,
            self.feed,
            self.identity,
            agents=rows,
            outside=self.entrance.reception.outside,
            settings=settings_of(
                config, server=f"holdfast/{health.version_text()}", durability=store.durability
            ),
        )
        self._web: web.AppRunner | None = None
        self._starting = True
        self.port = config.server.port

    def trouble(self) -> str | None:
        """Why no work should come here, or None."""
        if self._starting:
            return "starting"
        if self.admission.draining:
            return "draining"
        return self.store.trouble

    async def start(self) -> None:
        """Take the data into use, then listen. Raises: ConfigError, Unavailable, OSError."""
        listening = listen(self.config.server.host, self.config.server.port)
        self.port = listening.getsockname()[1]
        try:
            await self.store.start()
            await self.admission.start()
            await self._start_history()
            await self.runner.start()
            await self.door.start()
            self.tasks.start(self._sweep(), "sweep")
            notices = Notices(self.delivery, self.admission.queued, lambda: self.store.trouble)
            self.tasks.start(notices.run(), "notices")
            app = web.Application(client_max_size=BODY_BYTES_MAX)
            self.door.add_routes(app)
            self.entrance.add_routes(app)
            secure(app)
            health.add_routes(app, self.trouble, self.journal.durability, await self._serve_page(app))
            self._web = web.AppRunner(
                app,
                handle_signals=False,
                keepalive_timeout=HEADER_DEADLINE_S,
                access_log=None,
                shutdown_timeout=5.0,
                auto_decompress=False,  # 200 kB of a stranger's may stand for 200 MB; bodies.py refuses what is packed
            )
            await self._web.setup()
            await web.SockSite(self._web, listening, backlog=BACKLOG).start()
        except BaseException:
            listening.close()
            raise
        self._starting = False

    async def _serve_page(self, app: web.Application) -> str | None:
        """Serve the page; why there is none, or None."""
        if not self.config.server.page:
            return health.SWITCHED_OFF
        files = await asyncio.to_thread(read_page)
        if files is None:
            return health.NOT_BUILT
        PageDoor(files).add_routes(app)
        return None

    async def _start_history(self) -> None:
        """A history that is not there (any more) is made from the journals (I11)."""
        new = self.config.store.history is None and not (self.folder / HISTORY_FILE).exists()
        await self.chats.start()
        await self.projector.start()
        self.readers.start(self.tasks)
        self.webhooks.start()
        if new and (count := await self.projector.rebuild()):
            log.warning("the history was missing and has been made again from the journals", requests=count)

    async def stop(self) -> None:
        """Drain and stop; see the module's text."""
        self.admission.draining = True
        server = self.config.server
        self.door.announce_draining()
        await self.runner.drain(server.drain_s)
        self.entrance.close()
        await self.door.close(server.close_spread_s)
        if self._web is not None:
            await self._web.cleanup()
        self.delivery.close()
        await self.readers.close()
        await self.tasks.close()
        await self.webhooks.close()
        await self.sender.close()
        await self.projector.close()
        await self.chats.close()
        await self.store.close()
        for agent in self.agents.values():
            await agent.close()

    async def _sweep(self) -> None:
        """What is done by the clock: erasing what was deleted, compaction, purge. None of them waits for another that fails:
        a history that takes nothing must not keep the journals from making room."""
        store = self.config.store
        last_compaction = time.monotonic()

        async def purge() -> None:
            await self.store.purge(now_ms() - int(store.keep_days * 86_400_000), store.keep_bytes)

        async def forget_readers() -> None:
            await self.readers.sweep(self.journal.head)

        while True:
            await asyncio.sleep(SWEEP_S)
            due: list[Callable[[], Awaitable[object]]] = [self.requests.erase_due]
            if time.monotonic() - last_compaction >= store.compact_every_s:
                last_compaction = time.monotonic()
                due += [self.store.compact, purge, forget_readers, self.webhooks.sweep, self.batches.sweep]
            for work in due:
                try:
                    await work()
                except Exception:
                    log.exception("sweep failed; it is tried again", work=work.__name__)


def make_identity(config: Config) -> Identity:
    """The identity that the configuration names."""
    if config.identity.kind == "none":
        return NoIdentity()
    tokens = config.identity.tokens
    return TokenIdentity(
        [(entry.token.value, Owner(entry.tenant, entry.user)) for entry in tokens],
        operators=[entry.token.value for entry in tokens if entry.operator],
    )


def serve(config_path: str | None = None, overrides: Mapping[str, Any] | None = None) -> int:
    """Run a server until it is told to stop; the process's exit status: 0, or 2 with one line that says what is wrong."""
    try:
        config = load(config_path, overrides)
    except ConfigError as error:
        return _refuse(str(error))
    configure(config.server.log_level, config.server.log_format)
    try:
        return asyncio.run(_serve(config))
    except (ConfigError, Unavailable) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(_os_error(error, config))


def _refuse(reason: str) -> int:
    print(f"holdfast: {reason}", file=sys.stderr)
    return 2


def _os_error(error: OSError, config: Config) -> str:
    host, port = config.server.host, config.server.port
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; stop what listens there, or choose another with --port"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {host}:{port}: {error.strerror}; choose another with --host"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"cannot write to {error.filename or config.store.folder}: {error.strerror}; choose a folder with --data"
    return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")


async def _serve(config: Config) -> int:
    node = Node(config)
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await node.start()
    host = config.server.host
    shown = f"[{host}]" if ":" in host else host
    print(f"holdfast: ready on http://{shown}:{node.port} (agents: {', '.join(node.agents)})", flush=True)
    await stopping.wait()
    log.info("stopping", grace_s=config.server.drain_s)
    await node.stop()
    return 0
