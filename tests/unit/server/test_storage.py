"""What a configuration makes of a node's storage, and what a node that stops tells the others."""

from __future__ import annotations

from pathlib import Path

from holdfast_server.config import load
from holdfast_server.peers import Peers
from holdfast_server.storage import make_storage
from holdfast_server.stores.redis.store import RedisStore
from tests.support.shared_double import Common


def test_the_other_nodes_are_told_of_as_many_slots_as_there_are(tmp_path: Path) -> None:
    """What a shared store tells of this node's room is what its runner has."""
    config = load(None, {
        "store.url": "redis://127.0.0.1:1/0", "store.history": "postgresql://nobody@127.0.0.1:1/none",
        "store.folder": str(tmp_path), "limits.slots": 7,
    })  # fmt: skip
    store = make_storage(config, lambda: 0).store
    assert isinstance(store, RedisStore)
    assert store._slots == 7


async def test_a_node_that_stops_says_so_to_the_store_it_shares() -> None:
    """Before anything of it ends; a node that is alone has nobody to tell."""
    shared = Common().node("one")
    await Peers(shared).drain()
    assert shared.drained
    await Peers().drain()


def test_nodes_that_share_a_store_go_by_its_clock(tmp_path: Path) -> None:
    """A node whose own clock is wrong takes nothing as due, or as expired, that is not."""
    config = load(None, {
        "store.url": "redis://127.0.0.1:1/0", "store.history": "postgresql://nobody@127.0.0.1:1/none",
        "store.folder": str(tmp_path),
    })  # fmt: skip
    store = make_storage(config, lambda: 0).store
    assert isinstance(store, RedisStore)
    assert store._clock_ms is None
