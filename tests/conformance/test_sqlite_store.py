"""The SQLite store keeps the port's promises, in both classes of durability, and across starts."""

from __future__ import annotations

from pathlib import Path

from holdfast_server.stores.base import Store
from holdfast_server.stores.sqlite import SqliteStore
from tests.conformance.durable_suite import DurableSuite
from tests.conformance.fairness_suite import FairnessSuite
from tests.conformance.keeping_suite import KeepingSuite
from tests.conformance.store_suite import StoreSuite
from tests.support.journals import Clock


class TestSqliteStore(StoreSuite, KeepingSuite, DurableSuite):
    """All suites over a folder."""

    def make(self, folder: Path, clock: Clock) -> Store:
        return SqliteStore(folder, now_ms=clock)


class TestSyncedSqliteStore(DurableSuite):
    """What survives, with `durability = power`."""

    def make(self, folder: Path, clock: Clock) -> Store:
        return SqliteStore(folder, now_ms=clock, durability="power")


class TestSqliteStoreTurns(FairnessSuite):
    """Turns and limits."""

    def fair(
        self, folder: Path, clock: Clock, *, owner_running_max: int | None, agents_max: dict[str, int]
    ) -> Store:
        return SqliteStore(folder, now_ms=clock, owner_running_max=owner_running_max, agents_max=agents_max)
