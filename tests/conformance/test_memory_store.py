"""The memory store keeps the port's promises."""

from __future__ import annotations

from pathlib import Path

from holdfast_server.stores.base import Store
from holdfast_server.stores.memory import MemoryStore
from tests.conformance.fairness_suite import FairnessSuite
from tests.conformance.keeping_suite import KeepingSuite
from tests.conformance.store_suite import StoreSuite
from tests.support.journals import Clock


class TestMemoryStore(StoreSuite, KeepingSuite):
    """Both suites over one store."""

    def make(self, folder: Path, clock: Clock) -> Store:
        return MemoryStore(now_ms=clock)


class TestMemoryStoreTurns(FairnessSuite):
    """Turns and limits."""

    def fair(
        self, folder: Path, clock: Clock, *, owner_running_max: int | None, agents_max: dict[str, int]
    ) -> Store:
        return MemoryStore(now_ms=clock, owner_running_max=owner_running_max, agents_max=agents_max)
