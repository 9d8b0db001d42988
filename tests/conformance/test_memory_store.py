"""The memory store keeps the port's promises."""

from __future__ import annotations

from pathlib import Path

from holdfast_server.stores.base import Store
from holdfast_server.stores.memory import MemoryStore
from tests.conformance.keeping_suite import KeepingSuite
from tests.conformance.store_suite import StoreSuite
from tests.support.journals import Clock


class TestMemoryStore(StoreSuite, KeepingSuite):
    """Both suites over one store."""

    def make(self, folder: Path, clock: Clock) -> Store:
        return MemoryStore(now_ms=clock)
