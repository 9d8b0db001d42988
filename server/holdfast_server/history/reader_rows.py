"""Who followed which request, as rows: one per request with all its spans, so that a bound and an erasure are one row's.

What is kept here is best effort (holdfast_server/readers.py); a row that cannot be read is as good as none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.replies import ReaderRow
from holdfast_server.readers import merged
from holdfast_server.stores.base import Key

from .database import Database
from .tables import readers

KEYS_PER_STATEMENT: Final = 200
"""Three parameters each; SQLite takes some thousands."""

TURN: Final = "holdfast readers"
"""A batch has spans of many owners, and is added to what is there: so one at a time, whosever it is."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[ReaderRow])
_KEY: Final = (readers.c.tenant, readers.c.user, readers.c.request_id)


class ReaderRows:
    """The spans in one history. Every call may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, spans: Mapping[Key, Sequence[ReaderRow]], gone: Collection[Key]) -> None:
        """Add spans to what is kept, the same again once, the latest READERS_MAX of each; then forget those in `gone`."""

        async def work(connection: AsyncConnection) -> None:
            known = await _find(connection, list(spans))
            await remove(connection, [*spans, *gone])
            rows = [
                {**key._asdict(), "spans": _ENCODER.encode(merged([*known.get(key, ()), *more]))}
                for key, more in spans.items()
                if key not in gone
            ]
            if rows:
                await connection.execute(insert(readers), rows)

        await self._database.write(work, turn=TURN)

    async def of(self, key: Key) -> list[ReaderRow]:
        """The spans of a request."""
        async with self._database.read() as connection:
            return (await _find(connection, [key])).get(key, [])

    async def page(self, after: Key | None, limit: int) -> list[Key]:
        """Requests with spans, in the order of their keys."""
        query = select(*_KEY).order_by(*_KEY).limit(limit)
        if after is not None:
            query = query.where(tuple_(*_KEY) > tuple_(*after))
        async with self._database.read() as connection:
            return [Key(*row) for row in await connection.execute(query)]


async def _find(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, list[ReaderRow]]:
    out: dict[Key, list[ReaderRow]] = {}
    for first in range(0, len(keys), KEYS_PER_STATEMENT):
        some: list[Any] = [tuple(key) for key in keys[first : first + KEYS_PER_STATEMENT]]
        query = select(*_KEY, readers.c.spans).where(tuple_(*_KEY).in_(some))
        for tenant, user, request_id, spans in await connection.execute(query):
            out[Key(tenant, user, request_id)] = _read(spans)
    return out


def _read(spans: bytes) -> list[ReaderRow]:
    try:
        return _DECODER.decode(spans)
    except msgspec.DecodeError:
        return []


async def remove(connection: AsyncConnection, keys: Iterable[Key]) -> None:
    """Forget what is kept of these requests."""
    gone: list[Any] = [tuple(key) for key in keys]
    for first in range(0, len(gone), KEYS_PER_STATEMENT):
        some = gone[first : first + KEYS_PER_STATEMENT]
        await connection.execute(delete(readers).where(tuple_(*_KEY).in_(some)))
