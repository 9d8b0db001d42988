"""The composition root: the only place that names concrete parts, puts them together, starts and stops them.

Start: store (which recovers what a crash left), history, projector, runner, doors, in that order, and only then the
port. (A store that several nodes share needs the history, which is where requests are accepted: there the history is first.)
A node that is no gateway has no doors, only the port for its health; one that is no worker has no runner. Stop, on SIGTERM: not ready; new requests are refused with a retryable code; nothing more is claimed; what runs
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
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from aiohttp import web

from .admission import Admission, Bounds
from .batches import Batches
from .chat_news import ChatNews
from .config import Config, ConfigError, load
from .config_check import check
from .delivery import Delivery
from .doors import health
from .doors.bodies import BODY_BYTES_MAX
from .doors.connection import Runner as WebRunner
from .doors.headers import secure
from .doors.page import PageDoor
from .doors.page_files import read_page
from .doors.settings import delivery_limits, settings_of
from .doors.webhook import WebhookSender
from .doors.websocket import WebSocketDoor
from .endings import Endings
from .entrance import Entrance, make_identity, webhook_settings
from .feed import Feed
from .fleet import agent_rows, make_agents
from .ids import new_id
from .journal import Journal
from .leaving import abandon, left_behind, refused
from .listening import BACKLOG, listen
from .logs import configure
from .notices import Notices
from .outages import Outage
from .projector import Projector
from .readers import Readers
from .reopening import Reopening
from .replacing import Replacing
from .requests import Requests
from .runner import Runner
from .storage import HISTORY_FILE, make_storage
from .stores.base import Unavailable
from .sweeps import SWEEP_S, Health, sweep
from .tasks import Tasks
from .webhook_addresses import Reach
from .webhooks import Webhooks

log = structlog.get_logger(__name__)

HEADER_DEADLINE_S: Final = 15
"""How long an HTTP connection may sit without a complete request; the library's default is an hour."""

DAY_MS: Final = 86_400_000

__all__ = ["HISTORY_FILE", "Node", "now_ms", "serve"]


def now_ms() -> int:
    """The wall clock: for people, never for order."""
    return time.time_ns() // 1_000_000


class Node:
    """One server process, put together from a configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        check(config)
        limits, store = config.limits, config.store
        self.roles = frozenset(config.cluster.roles)
        self._storage = make_storage(config, now_ms)
        self.store, self.chats, self.peers, _ = self._storage
        self.agents = make_agents(config)
        profiles = {name: agent.profile for name, agent in self.agents.items()}
        self.tasks = Tasks("node")
        self.journal = Journal(self.store, now_ms=now_ms)
        away = Outage(log, "postgresql is not available", "postgresql is back")
        self.history_health = Health(self.chats.check, "the history", away)
        self.projector = Projector(self.store, self.chats, self.tasks, peers=self.peers)
        self.readers = Readers(self.chats.reader_rows, now_ms=now_ms)
        self.admission = Admission(
            self.journal,
            Bounds(
                user_open_max=limits.user_open_max,
                open_max=limits.open_max,
                live_bytes_max=limits.live_bytes_max,
            ),
            open_total=lambda: self.peers.open_total,
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
            peers=self.peers,
            history_trouble=lambda: self.history_health.trouble,
        )
        self.feed = Feed(self.journal, self.requests.first_chats, peers=self.peers)
        self.chats.observe(self.feed.chat_changed)
        self.news = ChatNews(self.peers, changed=self.feed.chat_changed, lost=self.feed.begin_anew)
        self.chats.observe(self.news.tell)
        self.delivery = Delivery(self.journal, limits=delivery_limits(config), witness=self.readers)
        self.replacing = Replacing(self.journal, self.delivery, self.peers)
        self.reopening = Reopening(
            self.chats.acceptances, self.store, reopen=self.peers.reopen, purged_status=self.chats.purged_status, now_ms=now_ms,
        )  # fmt: skip
        self.peers.observe_lost(self.reopening.lost)
        self.runner = Runner(
            self.store, self.agents, self.requests.history, slots=limits.slots, now_ms=now_ms,
            answer_bytes_max=limits.answer_bytes_max, shared=not self.peers.alone,
        )  # fmt: skip
        self.identity = make_identity(config)
        rows = agent_rows(self.agents, default)
        hooks = webhook_settings(config)
        self.sender = WebhookSender(
            Reach(allow_private=hooks.allow_private, allowed_hosts=hooks.allowed_hosts)
        )
        self.webhooks = Webhooks(
            self.chats.webhook_rows,
            self.journal,
            self.requests.find,
            self.sender,
            hooks,
            now_ms=now_ms,
            peers=self.peers,
        )
        self.requests.observe_erased(self.webhooks.forget)
        self.batches = Batches(
            self.chats.batch_rows, self.journal.head, self.chats.purged_status, now_ms=now_ms,
            keep_days=store.keep_days,
        )  # fmt: skip
        self.entrance = Entrance(
            config, self.requests, self.identity, agents=rows, durability=store.durability, webhooks=self.webhooks,
            batches=self.batches, endings=Endings(self.journal, self.peers), feed=self.feed, peers=self.peers,
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
        self._web: WebRunner | None = None
        self._starting = True
        self.port = config.server.port

    def trouble(self) -> str | None:
        """Why no work should come here, or None."""
        if self._starting:
            return "starting"
        if self.admission.draining:
            return "draining"
        return self.storage_trouble()

    def storage_trouble(self) -> str | None:
        """What is wrong with the store or the history, as a sentence for people, or None."""
        return self.store.trouble or self.history_health.trouble

    async def start(self) -> None:
        """Take the data into use, then listen. Raises: ConfigError, Unavailable, OSError."""
        listening = listen(self.config.server.host, self.config.server.port)
        self.port = listening.getsockname()[1]
        try:
            await self._start_storage()
            if "worker" in self.roles:
                await self.runner.start()
            self.tasks.start(self._sweep(), "sweep")
            app = web.Application(client_max_size=BODY_BYTES_MAX)
            no_page: str | None = health.NO_GATEWAY
            if "gateway" in self.roles:
                no_page = await self._open_doors(app)
            secure(app)
            health.add_routes(app, self.trouble, self.journal.durability, no_page)
            self._web = WebRunner(
                app,
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

    async def _open_doors(self, app: web.Application) -> str | None:
        """Serve those who ask and read; why there is no page, or None."""
        self.readers.start(self.tasks)
        self.webhooks.start()
        await self.door.start()
        notices = Notices(self.delivery, self.journal.spots, self.storage_trouble)
        self.tasks.start(notices.run(), "notices")
        self.door.add_routes(app)
        self.entrance.add_routes(app)
        return await self._serve_page(app)

    async def _serve_page(self, app: web.Application) -> str | None:
        """Serve the page; why there is none, or None."""
        if not self.config.server.page:
            return health.SWITCHED_OFF
        files = await asyncio.to_thread(read_page)
        if files is None:
            return health.NOT_BUILT
        PageDoor(files).add_routes(app)
        return None

    async def _start_storage(self) -> None:
        """A history of its own that is not there (any more) is made from the journals (I11)."""
        if self.peers.alone:
            await self.store.start()
            await self.admission.start()
            await self.chats.start()
        else:
            await self.chats.start()
            await self.store.start()
            self.tasks.start(self.history_health.run(), "history health")
            self.news.start(self.tasks)
            self.peers.start()
        await self.projector.start()
        if self._storage.rebuilds and (count := await self.projector.rebuild()):
            log.warning("the history has been made again from the journals", requests=count)

    async def stop(self) -> None:
        """Drain and stop; see the module's text."""
        self.admission.draining = True
        server = self.config.server
        self.door.announce_draining()
        await self.peers.drain()
        await self.runner.drain(server.drain_s)
        self.entrance.close()
        await self.door.close(server.close_spread_s)
        if self._web is not None:
            await self._web.cleanup()
        await self.replacing.close()
        self.delivery.close()
        await self.readers.close()
        await self.tasks.close()
        await self.webhooks.close()
        await self.sender.close()
        await self.projector.close()
        await self.peers.close()
        for part in (self.chats, self.store) if self.peers.alone else (self.store, self.chats):
            await part.close()
        for agent in self.agents.values():
            await agent.close()

    async def _sweep(self) -> None:
        """What is done by the clock."""
        store = self.config.store

        async def purge() -> None:
            await self.store.purge(now_ms() - int(store.keep_days * DAY_MS), store.keep_bytes)

        async def forget_readers() -> None:
            await self.readers.sweep(self.journal.head)

        async def forget_accepted() -> None:
            await self.chats.acceptances.sweep(now_ms() - int(store.keep_days * DAY_MS))

        often = [self.requests.erase_due]
        seldom = [self.store.compact, purge, forget_readers, self.webhooks.sweep, self.batches.sweep]
        if not self.peers.alone:
            often.append(self.reopening.sweep)
            seldom.append(forget_accepted)
        await sweep(often, seldom, every_s=SWEEP_S, seldom_s=store.compact_every_s)


def serve(config_path: str | None = None, overrides: Mapping[str, Any] | None = None) -> int:
    """Run a server until it is told to stop; the process's exit status: 0, or 2 with one line that says what is wrong. This
    is a whole program: it takes the signals, and what agents leave running at its end ends with the process."""
    earlier = threading.enumerate()
    try:
        config = load(config_path, overrides)
    except ConfigError as error:
        return _refuse(str(error))
    configure(config.server.log_level, config.server.log_format)
    try:
        return asyncio.run(_serve(config, earlier))
    except (ConfigError, Unavailable) as error:
        return refused(_refuse(str(error)), earlier)
    except OSError as error:
        return refused(_refuse(_os_error(error, config)), earlier)


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


async def _serve(config: Config, earlier: Sequence[threading.Thread]) -> int:
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
    if left := await left_behind(earlier):
        abandon(left)
    return 0
