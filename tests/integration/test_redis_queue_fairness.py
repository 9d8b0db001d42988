"""Turns in the Redis store are those of every other store, among the owners of one shard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_server.stores.base import Store
from holdfast_server.stores.redis import keys
from holdfast_server.stores.redis.store import RedisStore
from tests.conformance.fairness_suite import FairnessSuite
from tests.support.journals import Clock
from tests.support.redis_rig import RedisServer

pytestmark = [pytest.mark.needs("redis-server")]


class TestRedisTurns(FairnessSuite):
    """The suite, with all owners in one shard."""

    @pytest.fixture(autouse=True)
    def _one_shard(self, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.url = redis_server.url
        monkeypatch.setattr(keys, "SHARDS", 1)
        keys.tag_of.cache_clear()
        yield
        keys.tag_of.cache_clear()

    def fair(
        self, folder: Path, clock: Clock, *, owner_running_max: int | None, agents_max: dict[str, int]
    ) -> Store:
        return RedisStore(self.url, now_ms=clock, owner_running_max=owner_running_max, agents_max=agents_max)
