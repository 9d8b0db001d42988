"""Webhooks as rows: one per request, with the address, how far its delivery is, and the latest tries.

What is due is found by an index over all owners; everything else is found by its key. A list of tries that cannot be
read is as good as none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Row, and_, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.stores.base import Key
from holdfast_server.webhook_terms import ENDED, Hook, Try

from .database import Database, turn_of
from .tables import owned, webhooks

KEYS_PER_STATEMENT: Final = 200
"""Three parameters each; SQLite takes some thousands."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Try])
_KEY: Final = (webhooks.c.tenant, webhooks.c.user, webhooks.c.request_id)


class WebhookRows:
    """The webhooks in one history. Every call may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, hook: Hook) -> None:
        """Keep it, in the place of one that is there."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(webhooks).where(_of(hook.key)))
            await connection.execute(insert(webhooks).values(**hook.key._asdict(), **_values(hook)))

        await self._database.write(work, turn=turn_of(hook.key.owner))

    async def of(self, key: Key) -> Hook | None:
        """The webhook of a request."""
        async with self._database.read() as connection:
            return await _find(connection, key)

    async def armed(self, after: Key | None, limit: int) -> list[tuple[Key, int]]:
        """The keys of armed ones in their order, each with when it was made."""
        query = select(*_KEY, webhooks.c.created_at).where(webhooks.c.state == "armed")
        query = query.order_by(*_KEY).limit(limit)
        if after is not None:
            query = query.where(tuple_(*_KEY) > tuple_(*after))
        async with self._database.read() as connection:
            return [(Key(*key), created_at) for *key, created_at in await connection.execute(query)]

    async def make_due(self, keys: Collection[Key], at: int) -> None:
        """Those of them that are armed are due."""

        async def work(connection: AsyncConnection) -> None:
            for some in _slices(keys):
                await connection.execute(
                    update(webhooks)
                    .where(tuple_(*_KEY).in_(some), webhooks.c.state == "armed")
                    .values(state="due", next_at=at, updated_at=at, tried=0)
                )

        await self._database.write(work)

    async def due(self, now: int, limit: int, without_hosts: Collection[str]) -> list[Hook]:
        """Those that are due, the longest waiting first; none of these hosts."""
        query = select(webhooks).where(webhooks.c.state == "due", webhooks.c.next_at <= now)
        if without_hosts:
            query = query.where(webhooks.c.host.not_in(list(without_hosts)))
        query = query.order_by(webhooks.c.next_at, *_KEY).limit(limit)
        async with self._database.read() as connection:
            return [_read(row) for row in await connection.execute(query)]

    async def next_at(self, after: int) -> int | None:
        """When the next one is due, later than `after`."""
        query = select(func.min(webhooks.c.next_at))
        query = query.where(webhooks.c.state == "due", webhooks.c.next_at > after)
        async with self._database.read() as connection:
            at: int | None = (await connection.execute(query)).scalar()
            return at

    async def take(self, hook: Hook, until: int) -> bool:
        """Put off the next try of a due one until then; False if it is not as it was read any more."""

        async def work(connection: AsyncConnection) -> bool:
            same = and_(_of(hook.key), webhooks.c.state == "due", webhooks.c.next_at == hook.next_at)
            done = await connection.execute(update(webhooks).where(same).values(next_at=until))
            return done.rowcount > 0

        return await self._database.write(work)

    async def settle(self, hook: Hook) -> None:
        """Write what became of a due one, if it is the same delivery still."""

        async def work(connection: AsyncConnection) -> None:
            same = and_(_of(hook.key), webhooks.c.delivery_id == hook.delivery_id, webhooks.c.state == "due")
            await connection.execute(update(webhooks).where(same).values(**_values(hook)))

        await self._database.write(work)

    async def again(self, key: Key, at: int) -> bool:
        """Make it due anew, unless it is armed; False if there is none to deliver."""

        async def work(connection: AsyncConnection) -> bool:
            done = await connection.execute(
                update(webhooks)
                .where(_of(key), webhooks.c.state != "armed")
                .values(state="due", next_at=at, updated_at=at, tried=0)
            )
            return done.rowcount > 0

        return await self._database.write(work)

    async def remove(self, keys: Collection[Key]) -> None:
        """Forget them."""
        await self._database.write(lambda connection: remove(connection, keys))

    async def remove_unopened(self, keys: Collection[Key], before: int) -> None:
        """Forget those of them that are armed and were made before then."""

        async def work(connection: AsyncConnection) -> None:
            unopened = and_(webhooks.c.state == "armed", webhooks.c.created_at < before)
            for some in _slices(keys):
                await connection.execute(delete(webhooks).where(tuple_(*_KEY).in_(some), unopened))

        await self._database.write(work)

    async def remove_ended(self, before: int) -> None:
        """Forget those that ended before then."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                delete(webhooks).where(webhooks.c.state.in_(ENDED), webhooks.c.updated_at < before)
            )

        await self._database.write(work)


def _of(key: Key) -> Any:
    return owned(webhooks, key.owner, request_id=key.request_id)


def _values(hook: Hook) -> dict[str, Any]:
    return {
        "url": hook.url, "host": hook.host, "delivery_id": hook.delivery_id, "state": hook.state,
        "created_at": hook.created_at, "updated_at": hook.updated_at, "next_at": hook.next_at,
        "tried": hook.tried, "tries": _ENCODER.encode(hook.tries),
    }  # fmt: skip


async def _find(connection: AsyncConnection, key: Key) -> Hook | None:
    row = (await connection.execute(select(webhooks).where(_of(key)))).one_or_none()
    return None if row is None else _read(row)


def _read(row: Row[Any]) -> Hook:
    try:
        tries = _DECODER.decode(row.tries)
    except msgspec.DecodeError:
        tries = []
    return Hook(
        key=Key(row.tenant, row.user, row.request_id), url=row.url, host=row.host, delivery_id=row.delivery_id,
        state=row.state, created_at=row.created_at, updated_at=row.updated_at, next_at=row.next_at,
        tried=row.tried, tries=tries,
    )  # fmt: skip


def _slices(keys: Iterable[Key]) -> list[list[Any]]:
    plain = sorted(tuple(key) for key in keys)  # two that lock the same rows do it in one order
    return [plain[first : first + KEYS_PER_STATEMENT] for first in range(0, len(plain), KEYS_PER_STATEMENT)]


async def remove(connection: AsyncConnection, keys: Iterable[Key]) -> None:
    """Forget the webhooks of these requests."""
    for some in _slices(keys):
        await connection.execute(delete(webhooks).where(tuple_(*_KEY).in_(some)))
