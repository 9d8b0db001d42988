"""What this node holds: its claims, shard by shard."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, NamedTuple

from .keys import TAGS

LAPSED_MAX: Final = 4096
"""Claims remembered that Redis knew nothing of any more: after a failover their holder may write them again."""

How = Literal["first", "recovered", "resumed", "handed_over"]


class ClaimRow(NamedTuple):
    """A claim: the journal's prefix K, and what its log needs."""

    prefix: str
    term: int
    nonce: str
    start: int
    how: How
    alone: bool
    agent: str


class Book:
    """What this node holds, shard by shard, and which claims are under way."""

    def __init__(self) -> None:
        self._held: list[dict[tuple[str, int], ClaimRow]] = [{} for _ in TAGS]
        self._lapsed: dict[tuple[str, int], ClaimRow] = {}
        self.count = 0
        self.alone: ClaimRow | None = None
        self.flights = [0] * len(TAGS)  # claims under way
        self.begun = [0] * len(TAGS)  # claims that ever were

    def add(self, shard: int, row: ClaimRow) -> None:
        """It is held now."""
        self._held[shard][row.prefix, row.term] = row
        self.count += 1
        if row.alone:
            self.alone = row

    def drop(self, shard: int, prefix: str, term: int | None) -> list[ClaimRow]:
        """It is not any more (None: under any term); what was held."""
        held = self._held[shard]
        for name in [(prefix, term)] if term is not None else [it for it in self._lapsed if it[0] == prefix]:
            if (lapsed := self._lapsed.pop(name, None)) is not None:
                self._over(lapsed)
        rows = [row for row in held.values() if row.prefix == prefix and term in (None, row.term)]
        for row in rows:
            del held[row.prefix, row.term]
            self.count -= 1
            self._over(row)
        return rows

    def _over(self, row: ClaimRow) -> None:
        if self.alone is row:
            self.alone = None

    def lapse(self, shard: int, known: Collection[tuple[str, int]]) -> list[ClaimRow]:
        """Redis knows only these there: the others are not held any more. They are remembered, for `revive`; whatever runs
        alone here does so until it is dropped, for it runs on until it finds out."""
        rows = [row for name, row in self._held[shard].items() if name not in known]
        for row in rows:
            del self._held[shard][row.prefix, row.term]
            self.count -= 1
            self._lapsed[row.prefix, row.term] = row
        while len(self._lapsed) > LAPSED_MAX:
            self._over(self._lapsed.pop(next(iter(self._lapsed))))
        return rows

    def revive(self, shard: int, prefix: str, term: int, nonce: str) -> ClaimRow | None:
        """Redis knows of this claim again; the claim, if it was one of ours."""
        row = self._lapsed.get((prefix, term))
        if row is None or row.nonce != nonce:
            return None
        del self._lapsed[prefix, term]
        self.add(shard, row)
        return row

    def row(self, shard: int, prefix: str, term: int) -> ClaimRow | None:
        """That claim, if it is held."""
        return self._held[shard].get((prefix, term))

    def held(self, shard: int) -> int:
        """How many are held there."""
        return len(self._held[shard])
