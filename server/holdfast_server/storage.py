"""Where a node keeps things, made from its configuration: journals and the history, alone in a folder or shared with others.

What only one of these needs is imported when it is made: a server with its data in a folder loads nothing of the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast

from .chats import Chats
from .config import Config
from .peers import Peers
from .stores.base import Store
from .stores.pacing import Pace
from .stores.shared import Shared

HISTORY_FILE: Final = "history.db"


class TroubledStore(Store, Protocol):
    """A store that says what is wrong with it."""

    @property
    def trouble(self) -> str | None:
        """Why it takes nothing now, as a sentence for people, or None."""


class Storage(NamedTuple):
    """A node's. `rebuilds`: at the start the history is made again from the journals, because it is not there or was asked to."""

    store: TroubledStore
    chats: Chats
    peers: Peers
    rebuilds: bool


def make_storage(config: Config, now_ms: Callable[[], int]) -> Storage:
    """What the configuration names; nothing is opened yet."""
    section = config.store
    file = Path(section.folder) / HISTORY_FILE
    chats = Chats(
        section.history or f"sqlite+aiosqlite:///{file}",
        now_ms=now_ms,
        undo_s=section.undo_s,
        durability=section.durability,
    )
    if section.url:
        store = _shared_store(config, chats)
        return Storage(store, chats, Peers(cast("Shared", store)), section.rebuild_history)
    missing = section.history is None and not file.exists()
    return Storage(_own_store(config, now_ms), chats, Peers(), missing or section.rebuild_history)


def _agents_max(config: Config) -> dict[str, int]:
    """How many answers of an agent may run at once, of those that have a limit."""
    return {name: agent.running_max for name, agent in config.agents.items() if agent.running_max}


def _own_store(config: Config, now_ms: Callable[[], int]) -> TroubledStore:
    from .stores.sqlite import SqliteStore

    section = config.store
    return SqliteStore(
        Path(section.folder), durability=section.durability, now_ms=now_ms, lock_wait_s=section.lock_wait_s,
        owner_running_max=config.limits.user_running_max, agents_max=_agents_max(config), pace=Pace(),
    )  # fmt: skip


def _shared_store(config: Config, chats: Chats) -> TroubledStore:
    """It goes by the clock of Redis: the nodes' own may differ."""
    from .stores.redis.store import RedisStore

    limits, cluster = config.limits, config.cluster
    store: Any = RedisStore(
        config.store.url, name=cluster.name, durability=config.store.durability,
        nonce=lambda: secrets.token_hex(4), memory_bytes_max=SHARED_MEMORY_BYTES,
        owner_running_max=limits.user_running_max, owner_open_max=limits.user_open_max,
        agents_max=_agents_max(config),
        lease_s=cluster.lease_s, acceptances=chats.acceptances,
        worker="worker" in cluster.roles, slots=limits.slots, volatile_ok=cluster.volatile_ok, pace=Pace(),
    )  # fmt: skip
    return cast("TroubledStore", store)


SHARED_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Journals that nobody follows any more are kept in memory up to this, so that who comes back is served from there."""
