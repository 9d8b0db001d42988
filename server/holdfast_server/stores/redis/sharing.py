"""Small things that nodes share: messages by topic, values that are taken once, turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from .calls import Calls
from .keys import ALL, once_key, once_tag
from .link import Link

TOPIC_BYTES_MAX: Final = 64 * 1024
"""Of a message that every node takes: a few KiB are meant."""

log = structlog.get_logger(__name__)


class Sharing:
    """On one channel and in single keys."""

    def __init__(self, topics: dict[bytes, list[Callable[[bytes], None]]]) -> None:
        self._topics = topics
        self._link: Link
        self._calls: Calls

    def start(self, link: Link, calls: Calls) -> None:
        """Use these."""
        self._link, self._calls = link, calls

    def take(self, channel: str, body: bytes) -> bool:
        """Take a message of the link, if it is one of a topic."""
        if channel != ALL or not body.startswith(b"m "):
            return False
        topic, _, said = body[2:].partition(b" ")
        for observer in self._topics.get(topic, ()):
            try:
                observer(said)
            except Exception:  # one that breaks its promise must not stop the rest
                log.exception("an observer of a message failed")
        return True

    async def publish(self, topic: str, body: bytes) -> None:
        """Tell all nodes. Raises: Unavailable."""
        if len(body) > TOPIC_BYTES_MAX:
            raise ValueError(f"{len(body)} bytes to every node; the most is {TOPIC_BYTES_MAX}")
        await self._link.publish(ALL, b"m " + topic.encode() + b" " + body)

    async def put_once(self, name: str, value: bytes, keep_s: float) -> None:
        """See Shared.put_once."""
        await self._link.raw("SET", once_key(name), value, "PX", _ms(keep_s))

    async def take_once(self, name: str) -> bytes | None:
        """See Shared.take_once."""
        value: bytes | None = await self._link.raw("GETDEL", once_key(name))
        return value

    async def take_turn(self, name: str, token: bytes, keep_s: float) -> bool:
        """Have the turn of that name for so long at most, from now; False while it is another's. Raises: Unavailable."""
        return bool(await self._calls.sure("turn", once_tag(name), once_key(name), token, _ms(keep_s)))

    async def end_turn(self, name: str, token: bytes) -> None:
        """Give it back, if it is still one's own. Raises: Unavailable."""
        await self._calls.sure("turned", once_tag(name), once_key(name), token)


def _ms(keep_s: float) -> int:
    return max(1, round(keep_s * 1000))
