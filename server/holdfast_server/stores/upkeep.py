"""What keeps the embedded store small: packing sealed journals, restating old ones, dropping segments, purging.

A segment can go when no journal in memory needs it or an older one. A request that waits for a person for days would
hold every later segment, so when most of the segments is waste the journals in memory are *restated*: written whole into
a new segment, which costs at most what it frees. After an erasure that is done at once, so that erased text leaves the
file too. All of it is done in slices, each an ordinary commit among others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from .base import Damaged, Key
from .blob import pack
from .commits import CommitQueue
from .disk import Disk
from .journals import Journals
from .log import Log
from .stage import Stage

PACKED_PER_COMMIT: Final = 50
"""Journals packed in one commit: others wait for it no longer than for a busy one."""

RESTATED_BYTES_PER_COMMIT: Final = 2 * 1024 * 1024
"""As much as a busy commit holds."""

DROPPED_PER_COMMIT: Final = 500
"""Segments deleted in one commit: some ten milliseconds of a disk."""

REMOVED_PER_COMMIT: Final = 200
"""Journals purged in one commit."""

WASTE_BYTES_MIN: Final = 16 * 1024 * 1024
"""Below it the segments are left alone: reading them takes a fraction of a second at the next start."""

log = structlog.get_logger(__name__)


class Upkeep:
    """Called from a timer; never in a hurry."""

    def __init__(
        self, disk: Disk, journals: Journals, commits: CommitQueue, cooled: Callable[[Log], None]
    ) -> None:
        self._disk = disk
        self._journals = journals
        self._commits = commits
        self._cooled = cooled
        self._scrub_below = 0  # segments below hold text that was erased

    def erased(self) -> None:
        """Journals were erased: what the segments hold of them goes with the next `compact`."""
        self._scrub_below = self._journals.next_seq

    # -- smaller ---------------------------------------------------------------------------------------------

    async def compact(self) -> int:
        """Pack what is sealed, and drop the segments that nobody needs. How many were packed. Raises: Unavailable."""
        count = 0
        sealed = [journal for journal in self._journals.by_number.values() if journal.sealed]
        for first in range(0, len(sealed), PACKED_PER_COMMIT):
            count += await self._pack(sealed[first : first + PACKED_PER_COMMIT])
        if self._wasteful():
            await self._restate()
        await self._drop()
        return count

    async def _pack(self, journals: Sequence[Log]) -> int:
        """One slice; a journal that cannot be packed stays as it is."""
        done = []
        for journal in journals:
            try:
                done.append((journal, await self._disk.offload(partial(pack, journal))))
            except Damaged as error:
                log.warning(
                    "a journal cannot be packed", request_id=journal.key.request_id, reason=str(error)
                )
        packed = await self._commits.do(
            lambda stage: [journal for journal, blob in done if stage.pack(journal, blob)], frees=True
        )
        for journal in packed:
            if not journal.erased:
                self._cooled(journal)
        return len(packed)

    def _wasteful(self) -> bool:
        """Whether most of the segments is of no use any more, or something in them must go."""
        if any(seq < self._scrub_below for seq in self._journals.first_seq.values()):
            return True
        needed = sum(journal.bytes for journal in self._journals.by_number.values())
        return self._disk.segment_bytes - needed > max(needed, WASTE_BYTES_MIN)

    async def _restate(self) -> None:
        """Write all of memory anew, oldest first."""
        slice_: list[Log] = []
        size = 0
        for journal in list(self._journals.by_number.values()):
            slice_.append(journal)
            size += journal.bytes
            if size >= RESTATED_BYTES_PER_COMMIT:
                await self._commits.do(partial(_restate, slice_))
                slice_, size = [], 0
        if slice_:
            await self._commits.do(partial(_restate, slice_))

    async def _drop(self) -> None:
        """Delete the segments below the first that is needed. The floor is read before the commit that deletes, so what
        made them needless is durable already."""
        floor = min(self._journals.first_seq.values(), default=self._journals.next_seq)
        while self._disk.first_seq < floor:
            await self._commits.do(
                partial(_drop, min(floor, self._disk.first_seq + DROPPED_PER_COMMIT)), frees=True
            )

    # -- gone ------------------------------------------------------------------------------------------------

    async def purge(self, older_than_ms: int, bytes_max: int) -> AsyncIterator[list[Key]]:
        """Remove old journals that are sealed and projected, slice by slice; gives the keys of each slice."""
        await self.compact()
        while True:
            over = max(0, await self._disk.packed_bytes() - bytes_max)
            keys = await self._disk.purgeable(older_than_ms, over, REMOVED_PER_COMMIT)
            if not keys:
                return
            await self._commits.do(partial(_purge, keys), frees=True)
            yield keys


def _restate(journals: Sequence[Log], stage: Stage) -> None:
    for journal in journals:
        stage.restate(journal)


def _drop(below: int, stage: Stage) -> None:
    stage.drop_below = below


def _purge(keys: Sequence[Key], stage: Stage) -> None:
    stage.remove(keys, erase=False)
