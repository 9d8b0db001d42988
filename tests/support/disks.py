"""A disk in memory that outlives its store, and does on command what disks do: stand still, refuse, forget to answer."""

from __future__ import annotations

import asyncio

from holdfast_server.stores.base import Key, StoreError, Unavailable
from holdfast_server.stores.disk import Batch, Replay, Restored, encode_segment
from holdfast_server.stores.memory import MemoryDisk


class KeptDisk(MemoryDisk):
    """Keeps segments in their stored form, so another store can be started over it."""

    def __init__(self) -> None:
        super().__init__()
        self.segments: dict[int, bytes] = {}
        self.batches: list[Batch] = []
        self.refusals: list[StoreError] = []
        self.lose_reply = False
        self._packed: dict[int, tuple[int, Key]] = {}
        self._gate = asyncio.Event()
        self._gate.set()
        self._reached = asyncio.Event()

    def hold(self) -> None:
        """Stand still: commits wait until `go`."""
        self._gate.clear()
        self._reached.clear()

    async def held(self) -> None:
        """Return when a commit waits."""
        await self._reached.wait()

    def go(self) -> None:
        """Go on."""
        self._gate.set()

    async def start(self) -> Restored:
        replay = Replay(self._packed.get)
        for seq in sorted(self.segments):
            replay.feed(seq, self.segments[seq])
        seqs = [seq for seq, _ in self._packed.values()]
        return replay.restored(max(seqs, default=0) + 1, max(self._packed, default=0) + 1)

    async def commit(self, batch: Batch) -> None:
        self._reached.set()
        await self._gate.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        self.batches.append(batch)
        for seq in [seq for seq in self.segments if seq < batch.drop_below]:
            del self.segments[seq]
        self.segments.pop(batch.seq, None)
        if batch.entries or batch.removed:
            self.segments[batch.seq] = encode_segment(batch.entries, batch.removed)
        self._packed = {number: row for number, row in self._packed.items() if row[1] not in batch.removed}
        for row in batch.cold:
            self._packed[row.number] = (batch.seq, row.summary.key)
        self.segment_bytes = sum(map(len, self.segments.values()))
        await super().commit(batch)
        if self.lose_reply:
            self.lose_reply = False
            raise Unavailable("the reply was lost")
