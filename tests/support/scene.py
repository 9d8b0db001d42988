"""A scene of delivery on the simulated loop: a memory store, the pump, and connections without sockets."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from holdfast_protocol.fold import Fold
from holdfast_server.connection import DeliveryLimits
from holdfast_server.delivery import Delivery
from holdfast_server.journal import Place, place

from .pens import Desk, Pen
from .readers import CountingCodec, FakeConnection
from .simloop import SimLoop

START = Place(0, None)


class Scene:
    """A desk, its delivery, and connections."""

    def __init__(self, sim: SimLoop, limits: DeliveryLimits | None = None) -> None:
        self.sim = sim
        self.desk = Desk(sim.now_ms)
        self.delivery = Delivery(self.desk, limits=limits)
        self.codec = CountingCodec()

    def connect(self, codec: CountingCodec | None = None) -> FakeConnection:
        connection = FakeConnection(codec or self.codec)
        self.delivery.join(connection)
        return connection

    def follow(self, connection: FakeConnection, pen: Pen, where: Place = START) -> None:
        connection.follows(pen.request_id)
        self.delivery.subscribe(connection, pen.log, where)

    def resume(self, connection: FakeConnection, pen: Pen, cursor: str | None) -> Place:
        where = place(pen.log, cursor)
        self.follow(connection, pen, where)
        return where

    async def settle(self) -> None:
        """Everything that is due has happened, without time passing."""
        await self.sim.idle()


Play = Callable[[Scene], Coroutine[Any, Any, None]]


def play(scene: Play, seed: int = 0, limits: DeliveryLimits | None = None) -> None:
    """Run a scene on its own loop."""
    sim = SimLoop(seed)

    async def main() -> None:
        made = Scene(sim, limits)
        await scene(made)
        made.delivery.close()
        await made.desk.store.close()

    sim.run(main())


def whole(pen: Pen) -> Any:
    """What the log folds to."""
    return Fold().apply_all(pen.log.events).transcript()
