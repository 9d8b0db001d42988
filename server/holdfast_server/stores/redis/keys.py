"""The names of keys: all of one owner's in one of SHARDS slots, so that a function call stays on one server."""

from __future__ import annotations

from binascii import crc_hqx
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from holdfast_server.stores.base import Key, Owner

SHARDS: Final = 64
"""Slots that all keys lie in: enough to spread over some dozen servers, few enough to ask each of them every second. It is
written into the database at the first start, and cannot change after."""

ALL: Final = "hf:all"
"""The channel of small messages to every node."""

META: Final = "hf:meta"
"""The key that keeps SHARDS."""


@lru_cache(maxsize=4096)
def owner_path(owner: Owner) -> str:
    """The owner in the names of keys."""
    return f"{quote(owner.tenant, safe='')}/{quote(owner.user, safe='')}"


@lru_cache(maxsize=4096)
def tag_of(owner: Owner) -> str:
    """T: what begins all keys of this owner."""
    return tag(crc_hqx(owner_path(owner).encode(), 0) % SHARDS)


def tag(shard: int) -> str:
    """T of the shard with this number."""
    return f"{{h{shard}}}"


TAGS: Final = tuple(tag(shard) for shard in range(SHARDS))


def prefix_of(key: Key) -> str:
    """K: what begins the keys of one journal."""
    return f"{tag_of(key.owner)}:j:{owner_path(key.owner)}/{quote(key.request_id, safe='')}"


def owner_prefix(owner: Owner) -> str:
    """O: what begins the keys of one owner."""
    return f"{tag_of(owner)}:o:{owner_path(owner)}"


def tag_in(prefix: str) -> str:
    """T of a K."""
    return prefix[: prefix.index("}") + 1]


def key_in(prefix: str) -> Key:
    """The key that a K is of."""
    tenant, user, request_id = prefix[prefix.index(":j:") + 3 :].split("/")
    return Key(unquote(tenant), unquote(user), unquote(request_id))


def node_channel(node: str) -> str:
    """The channel that one node listens to."""
    return f"hf:n:{node}"


def once_tag(name: str) -> str:
    """T of the key of a small value."""
    return tag(crc_hqx(name.encode(), 0) % SHARDS)


def once_key(name: str) -> str:
    """The key of a small value that is taken once."""
    return f"{once_tag(name)}:once:{quote(name, safe='')}"
