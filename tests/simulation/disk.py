"""A disk in memory whose troubles are seeded: it is slow, refuses, runs full, loses its reply, and may see us killed.

`Image` is the medium: it outlives every process, and holds exactly what was written. `SimDisk` is one process's way to
it. Between the moment a commit is written and the moment its caller hears of it the process may die, or the reply may
be lost: those are the two that stores get wrong.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from holdfast_server.stores.base import Key, StorageFull, Unavailable
from holdfast_server.stores.blob import unpack
from holdfast_server.stores.disk import Batch, Cold, Replay, Restored, encode_segment
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryDisk
from tests.support.faults import Faults

FULL_S: Final = (0.05, 1.5)
"""How long a full disk stays full."""


class Image:
    """What is on the medium."""

    def __init__(self) -> None:
        self.segments: dict[int, bytes] = {}
        self.packed: dict[Key, Cold] = {}
        self.packed_at: dict[int, tuple[int, Key]] = {}
        self.commits = 0

    def copy(self) -> Image:
        """As it is now; what is written later does not reach the copy."""
        other = Image()
        other.segments, other.packed = dict(self.segments), dict(self.packed)
        other.packed_at, other.commits = dict(self.packed_at), self.commits
        return other

    def write(self, batch: Batch) -> None:
        """The part of a commit that is a segment."""
        self.commits += 1
        for seq in [seq for seq in self.segments if seq < batch.drop_below]:
            del self.segments[seq]
        self.segments.pop(batch.seq, None)  # a failed commit may have left one under this number
        if batch.entries or batch.removed:
            self.segments[batch.seq] = encode_segment(batch.entries, batch.removed)
        removed = set(batch.removed)
        self.packed_at = {number: at for number, at in self.packed_at.items() if at[1] not in removed}
        for row in batch.cold:
            self.packed_at[row.number] = (batch.seq, row.summary.key)

    def read(self) -> Restored:
        """As a start reads it."""
        replay = Replay(self.packed_at.get)
        for seq in sorted(self.segments):
            replay.feed(seq, self.segments[seq])
        seqs = [seq for seq, _ in self.packed_at.values()]
        return replay.restored(max(seqs, default=0) + 1, max(self.packed_at, default=0) + 1)

    def logs(self) -> dict[Key, Log]:
        """Every journal that a start would find, packed or not."""
        found = {row.summary.key: unpack(row.packed) for row in self.packed.values()}
        return found | {log.key: log for log in self.read().logs}


class Outside(Protocol):
    """What is told of a disk's commits, and may interfere."""

    def dies(self) -> bool:
        """A fault says that the process dies in the middle of a commit: whether it does."""

    def writes(self, batch: Batch) -> None:
        """A commit is on its way: the moment for whoever wants to be too late for it."""


class SimDisk(MemoryDisk):
    """One process's disk."""

    def __init__(self, image: Image, faults: Faults, outside: Outside) -> None:
        super().__init__()
        self._cold = image.packed
        self._image = image
        self._faults = faults
        self._outside = outside
        self._full_until = 0.0

    async def start(self) -> Restored:
        restored = self._image.read()
        self.first_seq = min(self._image.segments, default=restored.next_seq)
        self.segment_bytes = sum(map(len, self._image.segments.values()))
        return restored

    async def commit(self, batch: Batch) -> None:
        faults, loop = self._faults, asyncio.get_running_loop()
        self._outside.writes(batch)
        if faults.fault("disk.kill_before_write"):
            await self._die()
        await asyncio.sleep(faults.delay("disk.write"))
        if faults.fault("disk.full"):
            self._full_until = loop.time() + faults.delay("disk.full_for")
        if loop.time() < self._full_until and not batch.frees:
            raise StorageFull("The simulated disk is full.")
        if faults.fault("disk.refused"):
            raise Unavailable("The simulated disk refused.")
        self._image.write(batch)
        await super().commit(batch)
        self.segment_bytes = sum(map(len, self._image.segments.values()))
        if faults.fault("disk.kill_after_write"):
            await self._die()
        await asyncio.sleep(faults.delay("disk.reply"))
        if faults.fault("disk.reply_lost"):
            raise Unavailable("The simulated disk did not answer.")

    async def _die(self) -> None:
        if self._outside.dies():
            never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            await never
