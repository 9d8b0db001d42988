"""One boot of the server, put together as the app does it, over what outlives it: the disk's image, the history's rows,
the upstream. It lives in a simulated process; a kill leaves nothing of it but these.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from holdfast_protocol.replies import Welcome
from holdfast_server.admission import Admission, Bounds
from holdfast_server.connection import DeliveryLimits
from holdfast_server.delivery import Delivery
from holdfast_server.doors.desk import Desk
from holdfast_server.doors.frames import FRAME_CODECS
from holdfast_server.doors.gate import Gate, Pass
from holdfast_server.doors.session import Session
from holdfast_server.doors.settings import DoorSettings
from holdfast_server.feed import Feed
from holdfast_server.feed_delivery import FeedDelivery
from holdfast_server.journal import Journal
from holdfast_server.projector import Projector
from holdfast_server.readers import Readers
from holdfast_server.requests import Requests
from holdfast_server.runner import Runner
from holdfast_server.stores.base import Owner
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.tasks import Tasks
from tests.simulation.disk import Image, Outside, SimDisk
from tests.simulation.history import Rows, SimChats
from tests.simulation.plan import Plan
from tests.simulation.upstream import PROFILES, SimAgent, Upstream
from tests.simulation.wire import SimTransport, SimWebSocket
from tests.support.lossy_link import LossyLink
from tests.support.simloop import SimLoop

OWNERS: Final = {user: Owner("acme", user) for user in ("ann", "bob")}
"""Users, by their tokens."""

LIMITS: Final = DeliveryLimits(
    buffer_bytes=700, page_bytes=120, turn_bytes=4000, no_progress_s=4.0, abort_grace_s=0.5, poll_s=0.05,
    snapshot_bytes=8000, snapshot_logs=4, snapshot_age_events=6,
)  # fmt: skip
"""Small, so that answers of a few hundred bytes meet every bound that long ones meet."""


class Server:
    """A process, from its start to its end."""

    def __init__(
        self, sim: SimLoop, boot: int, *, image: Image, rows: Rows, upstream: Upstream, plan: Plan, outside: Outside
    ) -> None:  # fmt: skip
        self.process = sim.process(f"boot {boot}")
        self.now_ms = sim.now_ms
        self.boot = boot
        self.up = False
        self._sim = sim
        self._image = image
        self._rows = rows
        self._upstream = upstream
        self._plan = plan
        self._outside = outside
        self._sessions: dict[Session, None] = {}
        self.links: dict[LossyLink, None] = {}

    async def start(self) -> None:
        """In the process."""
        sim, boot = self._sim, self.boot
        nonces = sim.dice(f"nonce:{boot}")
        nonce = lambda: f"{nonces.getrandbits(32):08x}"  # noqa: E731 - three parts want the same dice
        dice = sim.dice(f"runner:{boot}").random
        faults = self._upstream.faults
        self.store = EmbeddedStore(
            SimDisk(self._image, faults, self._outside), now_ms=sim.now_ms, nonce=nonce, memory_bytes_max=600,
            owner_running_max=self._plan.owner_running_max,
        )  # fmt: skip
        self.journal = Journal(self.store, now_ms=sim.now_ms, nonce=nonce)
        chats: Any = SimChats(self._rows, faults)
        self.tasks = Tasks("node")
        self.projector = Projector(self.store, chats, self.tasks)
        self.admission = Admission(self.journal, Bounds(user_open_max=self._plan.user_open_max))
        ids = iter(range(1_000_000))
        self.requests = Requests(
            self.journal, chats, self.projector, self.admission, profiles=PROFILES, default_agent="restart",
            now_ms=sim.now_ms, new_id=lambda: f"made-{boot}-{next(ids)}",
            readers=Readers(now_ms=sim.now_ms, name=lambda: "reader"),
        )  # fmt: skip
        self.feed = Feed(self.journal, self.requests.first_chats, nonce)
        self.delivery = Delivery(self.journal, limits=LIMITS, witness=self.requests.readers)
        self.feeds = FeedDelivery(self.feed, self.delivery)
        self.agents = {name: SimAgent(profile, self._upstream, boot) for name, profile in PROFILES.items()}
        self.runner = Runner(
            self.store, self.agents, self.requests.history, slots=self._plan.slots, now_ms=sim.now_ms, dice=dice,
            cancel_grace_s=1.0, narrate=boot % 2 == 0,
        )  # fmt: skip
        self.gate = Gate(1000, 1000, 1000)
        self.desk = Desk(
            requests=self.requests, delivery=self.delivery, feed=self.feed, feeds=self.feeds, agents=(),
            welcome=self._welcome, owner_of=lambda token: OWNERS.get(token or ""), is_operator=lambda _: False,
            now_ms=sim.now_ms,
        )  # fmt: skip
        self._settings = DoorSettings(buffer_bytes=LIMITS.buffer_bytes, no_progress_s=LIMITS.no_progress_s)
        await self.store.start()
        await self.projector.start()
        await self.runner.start()
        self.up = True

    def _welcome(self, ref: int, owner: Owner, operator: bool) -> Welcome:
        return Welcome(
            ref=ref, server=f"boot {self.boot}", user=owner.user, heartbeat_s=20.0, operator=operator
        )

    def accept(self, link: LossyLink, codec: str) -> None:
        """A client connects; called from outside of the process."""
        self.links[link] = None
        self.process.start(self._talk(link, codec), name="connection")

    async def _talk(self, link: LossyLink, codec: str) -> None:
        entry = self.gate.enter("address")
        assert isinstance(entry, Pass)
        transport: Any = SimTransport(link.server)
        ws: Any = SimWebSocket(link.server, transport)
        session = Session(
            desk=self.desk, ws=ws, transport=transport, codec=FRAME_CODECS[codec], settings=self._settings,
            entry=entry, direct=True,
        )  # fmt: skip
        self._sessions[session] = None
        try:
            await session.run(None)
        finally:
            entry.leave()
            del self._sessions[session]
            del self.links[link]
            transport.abort()

    async def stop(self, grace_s: float) -> None:
        """Drain and end, in the order of the app's stop; in the process."""
        self.up = False
        self.admission.draining = True
        await self.runner.drain(grace_s)
        for session in list(self._sessions):
            session.close(1012, "The server restarts; reconnect.")
        if self._sessions:
            waits = [session.over.wait() for session in self._sessions]
            async with asyncio.timeout(10.0):
                await asyncio.gather(*waits)
        while self._sessions:  # noqa: ASYNC110 - the loop is simulated: a look costs nothing
            await asyncio.sleep(0.01)
        self.left = self._left()
        await self.feeds.close()
        self.delivery.close()
        await self.projector.close()
        await self.tasks.close()
        await self.store.close()

    def _left(self) -> dict[str, int]:
        """What is there only while somebody uses it."""
        delivery: Any = self.delivery
        return {
            "slots": self.runner.running,
            "open requests": self.admission.open_count,
            "live bytes": self.admission.live_bytes,
            "connections": self.gate.total,
            "lanes": len(delivery._lanes),
            "topics": len(delivery._topics),
            "full lanes": len(delivery._full),
            "watchers": len(self.feeds._watchers),
            "chat locks": len(self.requests._placing._locks),
        }

    def kill(self) -> None:
        """SIGKILL: the process is gone, and the kernel resets its connections."""
        self.up = False
        self.process.kill()
        for link in list(self.links):
            link.cut()
        self.links.clear()
