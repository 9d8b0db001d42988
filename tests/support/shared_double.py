"""What nodes share, in memory: messages go at once, and can be held back or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from holdfast_protocol.events import Accepted
from holdfast_server.stores.base import Key, Owner, Record, Summary, Unavailable, UnknownRequest
from holdfast_server.stores.log import Log


class Common:
    """What all nodes of a test have in common."""

    def __init__(self) -> None:
        self.nodes: list[SharedDouble] = []
        self.values: dict[str, tuple[bytes, float]] = {}
        self.turns: dict[str, tuple[bytes, float]] = {}
        self.dirty: dict[Key, int] = {}

    def node(self, name: str) -> SharedDouble:
        """One more node."""
        node = SharedDouble(self, name)
        self.nodes.append(node)
        return node


class SharedDouble:
    """One node's side; see stores/shared.py. `away`: the store does not answer it."""

    def __init__(self, common: Common, node: str) -> None:
        self.node = node
        self.away = False
        self.open = 0
        self.watched: dict[Owner, int] = {}
        self.rows: list[Callable[[Summary, bool], None]] = []
        self.gaps: list[Callable[[], None]] = []
        self.losses: list[Callable[[Log], None]] = []
        self.topics: dict[str, list[Callable[[bytes], None]]] = {}
        self.ended_turns = 0
        self.drained = False
        self._common = common

    def change(self, row: Summary, *, removed: bool = False) -> None:
        """Another node changed this row."""
        if row.key.owner in self.watched:
            for observer in self.rows:
                observer(row, removed)

    def lose(self, log: Log) -> None:
        """The store has lost this log's past."""
        log.lost = log.erased = True
        log.wake()
        for observer in self.losses:
            observer(log)

    def gap(self) -> None:
        """Messages may have been lost."""
        for observer in self.gaps:
            observer()

    # -- turns -----------------------------------------------------------------------------------------------

    def watch(self, owner: Owner) -> None:
        self.watched[owner] = self.watched.get(owner, 0) + 1

    def unwatch(self, owner: Owner) -> None:
        self.watched[owner] -= 1
        if not self.watched[owner]:
            del self.watched[owner]

    def observe_rows(self, observer: Callable[[Summary, bool], None]) -> None:
        self.rows.append(observer)

    def observe_lost(self, observer: Callable[[Log], None]) -> None:
        self.losses.append(observer)

    def observe_gap(self, observer: Callable[[], None]) -> None:
        self.gaps.append(observer)

    def observe_message(self, topic: str, observer: Callable[[bytes], None]) -> None:
        self.topics.setdefault(topic, []).append(observer)

    async def publish(self, topic: str, body: bytes) -> None:
        self._check()
        for node in self._common.nodes:
            for observer in node.topics.get(topic, ()):
                observer(body)

    async def put_once(self, name: str, value: bytes, keep_s: float) -> None:
        self._check()
        self._common.values[name] = (value, _now() + keep_s)

    async def take_once(self, name: str) -> bytes | None:
        self._check()
        value, until = self._common.values.pop(name, (b"", 0.0))
        return value if until > _now() else None

    async def take_turn(self, name: str, token: bytes, keep_s: float) -> bool:
        self._check()
        has, until = self._common.turns.get(name, (b"", 0.0))
        if until > _now() and has != token:
            return False
        self._common.turns[name] = (token, _now() + keep_s)
        return True

    async def end_turn(self, name: str, token: bytes) -> None:
        self._check()
        if self._common.turns.get(name, (b"", 0.0))[0] == token:
            del self._common.turns[name]
            self.ended_turns += 1

    async def reopen(self, record: Record, accepted: Accepted, past: str = "") -> str | None:
        """There are no journals here."""
        raise UnknownRequest(record.key.request_id)

    async def drain(self) -> None:
        self.drained = True

    async def count_open(self) -> int:
        self._check()
        return self.open

    async def dirty(self, owner: Owner) -> list[tuple[Key, int]]:
        self._check()
        return [mark for mark in self._common.dirty.items() if mark[0].owner == owner]

    async def clean(self, marks: Sequence[tuple[Key, int]]) -> None:
        self._check()
        for key, version in marks:
            if self._common.dirty.get(key) == version:
                del self._common.dirty[key]

    def _check(self) -> None:
        if self.away:
            raise Unavailable("away")


def _now() -> float:
    return asyncio.get_running_loop().time()
