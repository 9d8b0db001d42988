"""The store that keeps nothing beyond the process: for tests, trials and the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from .base import Account, Key, Owner, Summary
from .disk import Batch, Cold, Found, Restored
from .embedded import EmbeddedStore

T = TypeVar("T")


class MemoryDisk:
    """A disk that takes every commit at once. Packed journals are kept as blobs, which are a fraction of the journals."""

    def __init__(self) -> None:
        self._cold: dict[Key, Cold] = {}
        self.segment_bytes = 0
        self.first_seq = 1

    async def start(self) -> Restored:
        return Restored([], {}, 1, 1, [])

    async def close(self) -> None:
        pass

    async def commit(self, batch: Batch) -> None:
        self.first_seq = max(self.first_seq, batch.drop_below)
        for key in batch.removed:
            self._cold.pop(key, None)
        for row in batch.cold:
            self._cold[row.summary.key] = row
        for key in batch.projected:
            if key in self._cold:
                row = self._cold[key]
                self._cold[key] = row._replace(summary=msgspec.structs.replace(row.summary, projected=True))
        for key, account in batch.accounts:
            if key in self._cold:
                row = self._cold[key]
                accounts = {known.term: known for known in row.accounts} | {account.term: account}
                self._cold[key] = row._replace(accounts=[accounts[term] for term in sorted(accounts)])

    async def offload(self, work: Callable[[], T]) -> T:
        return work()

    async def find(self, key: Key) -> Found | None:
        row = self._cold.get(key)
        return None if row is None else Found(row.number, row.summary, row.packed)

    async def head(self, key: Key) -> Summary | None:
        row = self._cold.get(key)
        return None if row is None else row.summary

    async def accounts(self, key: Key) -> list[Account] | None:
        row = self._cold.get(key)
        return None if row is None else row.accounts

    async def page(
        self, owner: Owner | None, chat_id: str | None, below: int | None, limit: int
    ) -> list[tuple[int, Summary]]:
        rows = [
            (row.number, row.summary)
            for row in self._cold.values()
            if (owner is None or row.summary.key.owner == owner)
            and (chat_id is None or row.summary.chat_id == chat_id)
            and (below is None or row.number < below)
        ]
        rows.sort(key=lambda row: -row[0])
        return rows[:limit]

    async def unprojected(self, limit: int) -> list[Key]:
        rows = sorted(self._cold.values(), key=lambda row: row.number)
        return [row.summary.key for row in rows if not _settled(row)][:limit]

    async def purgeable(self, older_than_ms: int, over_bytes: int, limit: int) -> list[Key]:
        keys: list[Key] = []
        total = 0
        for row in sorted(self._cold.values(), key=lambda row: (row.ended_at, row.number)):
            if len(keys) == limit or not (row.ended_at < older_than_ms or total < over_bytes):
                break
            if _settled(row):
                keys.append(row.summary.key)
                total += len(row.packed.data)
        return keys

    async def packed_bytes(self) -> int:
        return sum(len(row.packed.data) for row in self._cold.values())


def _settled(row: Cold) -> bool:
    """Whether the history has it, or never will."""
    return row.summary.projected or row.summary.chat_id is None


class MemoryStore(EmbeddedStore):
    """Keeps journals while the process lives."""

    def __init__(self, **options: Any) -> None:
        super().__init__(MemoryDisk(), **options)
