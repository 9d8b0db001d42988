"""Addresses of Redis, their masks, and how the functions are put together."""

from __future__ import annotations

import pytest

from holdfast_server.stores.base import StorageFull, Unavailable
from holdfast_server.stores.redis.address import Address, Tls
from holdfast_server.stores.redis.cluster import slot_of
from holdfast_server.stores.redis.refusals import Faulty, RefusedByFunction, meaning
from holdfast_server.stores.redis.source import assembled, library, prefix_of

SHOWN = [
    ("redis://host", "redis://host:6379/0"),
    ("redis://host:1/0", "redis://host:1/0"),
    ("rediss://:sw%2Fordfish@[::1]:7/00?ca_file=/x.pem", "rediss://:***@[::1]:7/0"),
    ("redis://ann:swordfish@host", "redis://ann:***@host:6379/0"),
    ("redis+sentinel://ann:swordfish@a,b:5/main?sentinel_password=swordfish",
     "redis+sentinel://ann:***@a:26379,b:5/main/0"),
    ("redis+cluster://a:1,b", "redis+cluster://a:1,b:6379"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_addresses(text: str, shown: str) -> None:
    """An address is shown whole but for its secrets."""
    address = Address.parse(text)
    assert str(address) == shown
    assert "ordfish" not in repr(address)


def test_parts_of_an_address() -> None:
    """What is percent-encoded is decoded, and each part is where it belongs."""
    address = Address.parse(
        "rediss+sentinel://ann:p%40ss@a,[::1]:5/main/0?sentinel_user=bob&sentinel_password=q"
    )
    assert address.places == (("a", 26379), ("::1", 5))
    assert (address.kind, address.master, address.database, address.tls) == ("sentinel", "main", 0, Tls())
    assert (address.user, address.password) == ("ann", "p@ss")
    assert (address.sentinel_user, address.sentinel_password) == ("bob", "q")
    assert address.secrets == ("p@ss", "q")


WRONG = [
    "",
    "http://ann:swordfish@host",
    "redis+other://ann:swordfish@host",
    "redis://",
    "redis://ann:swordfish@",
    "redis://ann:swordfish@host:0",
    "redis://ann:swordfish@host:70000",
    "redis://ann:swordfish@host:x",
    "redis://ann:swordfish@[::1",
    "redis://ann:swordfish@a,b",
    "redis://ann:swordfish@host/x",
    "redis://ann:swordfish@host/0/1",
    "redis://ann:swordfish@host#1",
    "redis://ann:sword/fish@host",
    "redis://ann:swordfish@host?password=swordfish",
    "redis://ann:swordfish@host?ca_file=/x.pem",
    "rediss://ann:swordfish@host?key_file=/x.key",
    "rediss://ann:swordfish@host?sentinel_user=bob",
    "redis+sentinel://ann:swordfish@host",
    "redis+cluster://ann:swordfish@host/1",
    "redis://ann:swordfish@host/1",
    "redis+sentinel://ann:swordfish@host/main/15",
    "redis+cluster://" + ",".join(["h"] * 65),
]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_addresses(text: str) -> None:
    """What is no address is refused in one sentence, which does not show its secret."""
    with pytest.raises(ValueError) as caught:
        Address.parse(text)
    said = str(caught.value)
    assert said.endswith(".")
    assert "fish" not in said


def test_another_database_is_no_place_of_its_own() -> None:
    """Two deployments on one Redis would hear each other's messages: the refusal says why, and what to do."""
    for text in ("redis://host/1", "redis+sentinel://host/main/1"):
        with pytest.raises(
            ValueError,
            match="messages in Redis know no databases, so give each deployment a Redis of its own",
        ):
            Address.parse(text)


def test_library_is_named_by_what_it_is() -> None:
    """The same code has the same name; other code another, so that two releases do not replace each other's functions."""
    parts = {"head": "-- head", "queue": "-- queue", "journal": "-- journal"}
    one = assembled(parts)
    assert one.source.index("-- head") < one.source.index("-- queue") < one.source.index("-- journal")
    assert one.source.startswith(f"#!lua name={one.name}\nlocal PREFIX = '{prefix_of(one.name)}'\n")
    assert assembled(dict(reversed(parts.items()))) == one
    assert assembled({**parts, "head": "-- other"}).name != one.name
    assert library().name.startswith("holdfast_1_")


def test_slots() -> None:
    """A key's slot is that of what is in its first braces, as Redis counts it."""
    assert slot_of(b"123456789") == 12739
    assert slot_of(b"{user}.x") == slot_of(b"user")
    assert slot_of(b"{}.x") != slot_of(b"")


def test_meanings() -> None:
    """Our functions' refusals, a full Redis, what passes, and what does not."""
    refused = meaning("HF GAP 3")
    assert isinstance(refused, RefusedByFunction)
    assert refused.text == "GAP 3"
    assert isinstance(meaning("OOM command not allowed when used memory > 'maxmemory'."), StorageFull)
    for passing in ("LOADING Redis is loading", "BUSY Redis is busy", "CLUSTERDOWN Hash slot not served"):
        assert type(meaning(passing)) is Unavailable
    assert isinstance(meaning("WRONGTYPE Operation against a key"), Faulty)
