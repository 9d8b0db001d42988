"""Whether Redis is set up to keep what it is given: checked at the start, and refused in one sentence that says what to change."""

from __future__ import annotations

from typing import NamedTuple

from holdfast_server.stores.base import Unavailable

from .address import shown
from .wire import Wire

REDIS_MIN = (7, 0)
VALKEY_MIN = (7, 2)
PUBSUB_BYTES_MIN = 64 * 1024 * 1024  # below it a node that stood still for a moment is cut off


class Checked(NamedTuple):
    """What runs there, and what could not be checked."""

    version: str
    warnings: list[str]


async def check(wire: Wire, *, volatile_ok: bool, power: bool = False) -> Checked:
    """Look at the settings of one server. `power`: what it acknowledged must outlive the machine's power. Raises: Unavailable
    with a sentence."""
    where = f"Redis at {shown(wire.place)}"
    warnings: list[str] = []
    version = await _version(wire, where, warnings)
    policy = await _setting(wire, "maxmemory-policy", warnings)
    if policy not in {None, "noeviction"}:
        raise Unavailable(
            f"{where} would throw requests away when it is full: set its maxmemory-policy to noeviction (it is {policy})."
        )
    appendonly = await _setting(wire, "appendonly", warnings)
    if power:
        synced = await _setting(wire, "appendfsync", warnings)
        if synced not in {None, "always"} or appendonly not in {None, "yes"}:
            raise Unavailable(
                f"{where} would lose what it acknowledged when the power fails: set its appendonly to yes and its appendfsync "
                f'to always (they are {appendonly} and {synced}), or durability = "process" in [store].'
            )
    if appendonly not in {None, "yes"} and not volatile_ok:
        raise Unavailable(
            f"{where} would lose running requests when it restarts: set its appendonly to yes, or, if that may be, "
            "volatile_ok = true in [cluster]."
        )
    limit = await _setting(wire, "client-output-buffer-limit", warnings)
    if limit is not None and 0 < (hard := _pubsub_bytes(limit)) < PUBSUB_BYTES_MIN:
        raise Unavailable(
            f"{where} cuts subscribers off too early, at {hard} bytes: set its client-output-buffer-limit "
            'to "pubsub 64mb 16mb 60".'
        )
    if warnings:
        warnings = [
            f"{where} does not let its settings be read ({', '.join(warnings)}): see to it that they are right."
        ]
    return Checked(version, warnings)


async def _version(wire: Wire, where: str, warnings: list[str]) -> str:
    try:
        said = str(await wire.ask("INFO", "server"), "utf-8", "replace")  # bytes
    except Unavailable:
        if wire.lost.is_set():
            raise
        warnings.append("version")
        return ""
    fields = dict(line.split(":", 1) for line in said.split("\r\n") if ":" in line)
    name = "valkey" if "valkey_version" in fields else "redis"
    version = fields.get(f"{name}_version", "")
    least = VALKEY_MIN if name == "valkey" else REDIS_MIN
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if number < least:
        raise Unavailable(
            f"{where} is too old ({name} {version}): install Redis {_dotted(REDIS_MIN)} or Valkey {_dotted(VALKEY_MIN)}, or newer."
        )
    return f"{name} {version}"


async def _setting(wire: Wire, name: str, warnings: list[str]) -> str | None:
    """Its value, or None, with a warning, where it may not be read."""
    try:
        said: list[bytes] = await wire.ask("CONFIG", "GET", name)
    except Unavailable:
        if wire.lost.is_set():
            raise
        warnings.append(name)
        return None
    return said[1].decode() if len(said) == 2 else None


def _pubsub_bytes(limit: str) -> int:
    """The hard limit of subscribers, from `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`; 0 is none."""
    words = limit.split()
    return int(words[words.index("pubsub") + 1]) if "pubsub" in words else 0


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
