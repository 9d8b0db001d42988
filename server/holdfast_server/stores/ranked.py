"""A set in order of rank, from which anything can be taken out and put in again under another rank."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

STALE_MIN: Final = 32
"""Entries that no longer hold are kept up to here, and up to as many as hold; then the heap is built anew."""


class Ranked(Generic[T]):
    """Each item is in it at most once; every call costs O(log n), spread over many calls. No two items have one rank."""

    def __init__(self) -> None:
        self._ranks: dict[T, Any] = {}
        self._heap: list[tuple[Any, T]] = []

    def __len__(self) -> int:
        return len(self._ranks)

    def put(self, item: T, rank: Any) -> None:
        """It is in, under this rank."""
        if self._ranks.get(item) != rank:
            self._ranks[item] = rank
            heappush(self._heap, (rank, item))
            self._tidy()

    def drop(self, item: T) -> None:
        """It is out."""
        if self._ranks.pop(item, None) is not None:
            self._tidy()

    def first(self) -> tuple[Any, T] | None:
        """The lowest rank and its item; it stays."""
        heap = self._heap
        while heap:
            rank, item = heap[0]
            if self._ranks.get(item) == rank:
                return heap[0]
            heappop(heap)
        return None

    def items(self) -> list[T]:
        """All of it, lowest rank first."""
        return sorted(self._ranks, key=self._ranks.__getitem__)

    def _tidy(self) -> None:
        """What was taken out by many who come and go must not stay for ever."""
        if len(self._heap) > 2 * len(self._ranks) + STALE_MIN:
            self._heap = [(rank, item) for item, rank in self._ranks.items()]
            heapify(self._heap)
