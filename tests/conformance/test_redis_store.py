"""The Redis store keeps the port's promises over a real server, and across starts of its node."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast_server.stores.base import Store
from holdfast_server.stores.redis.store import RedisStore
from tests.conformance.durable_suite import DurableSuite
from tests.conformance.keeping_suite import KeepingSuite
from tests.conformance.store_suite import StoreSuite
from tests.support.journals import Clock
from tests.support.redis_rig import RedisServer

pytestmark = [pytest.mark.needs("redis-server")]


class TestRedisStore(StoreSuite, KeepingSuite, DurableSuite):
    """All suites, each test in an empty database."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    def make(self, folder: Path, clock: Clock) -> Store:
        return RedisStore(self.url, now_ms=clock)
