"""Batches as rows: one per batch with the list of its requests, found by owner and id (I9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Row, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.batches import Batch, BatchItem
from holdfast_server.stores.base import Owner

from .database import Database, turn_of
from .marks import RowMark, mark_text, row_mark
from .tables import batches, keys, owned

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[BatchItem])


class BatchRows:
    """The batches in one history. Every call may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: Batch) -> Batch | None:
        """Insert it, or return the one that is there."""

        async def work(connection: AsyncConnection) -> Batch | None:
            known = await _find(connection, batch.owner, batch.batch_id)
            if known is None:
                values = keys(
                    batch.owner, batch_id=batch.batch_id, created_at=batch.created_at,
                    cancelled_at=batch.cancelled_at, items=_ENCODER.encode(batch.items),
                )  # fmt: skip
                await connection.execute(insert(batches).values(values))
            return known

        return await self._database.write(work, turn=turn_of(batch.owner))

    async def of(self, owner: Owner, batch_id: str) -> Batch | None:
        """A batch."""
        async with self._database.read() as connection:
            return await _find(connection, owner, batch_id)

    async def note(
        self, owner: Owner, batch_id: str, refused: Mapping[str, tuple[str, str] | None]
    ) -> Batch | None:
        """Note which of its requests were refused, or are no more (None)."""

        def noted(item: BatchItem) -> BatchItem:
            if item.request_id not in refused:
                return item
            code, message = refused[item.request_id] or ("", "")
            return BatchItem(request_id=item.request_id, code=code, message=message)

        async def work(connection: AsyncConnection) -> Batch | None:
            known = await _find(connection, owner, batch_id)
            if known is None:
                return None
            items = [noted(item) for item in known.items]
            await connection.execute(
                update(batches).where(_of(owner, batch_id)).values(items=_ENCODER.encode(items))
            )
            return msgspec.structs.replace(known, items=items)

        return await self._database.write(work, turn=turn_of(owner))

    async def cancel(self, owner: Owner, batch_id: str, at: int) -> Batch | None:
        """Note that it is to end; the first time stays."""

        async def work(connection: AsyncConnection) -> Batch | None:
            known = await _find(connection, owner, batch_id)
            if known is None or known.cancelled_at is not None:
                return known
            await connection.execute(update(batches).where(_of(owner, batch_id)).values(cancelled_at=at))
            return msgspec.structs.replace(known, cancelled_at=at)

        return await self._database.write(work, turn=turn_of(owner))

    async def page(self, owner: Owner, limit: int, before: str | None) -> tuple[list[Batch], str | None]:
        """Newest first, and the mark for the next page. Raises: ProtocolError for what is no mark."""
        mark = row_mark(before)
        place = (batches.c.created_at, batches.c.batch_id)
        query = select(batches).where(owned(batches, owner))
        if mark is not None:
            query = query.where(tuple_(*place) < tuple_(mark.place, mark.row_id))
        query = query.order_by(*(column.desc() for column in place)).limit(limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = [_read(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return found, None
        return found, mark_text(RowMark(found[-1].created_at, found[-1].batch_id))

    async def remove(self, owner: Owner, batch_id: str) -> bool:
        """Forget it; False if there is none."""

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(delete(batches).where(_of(owner, batch_id)))).rowcount > 0

        return await self._database.write(work)

    async def remove_old(self, before: int) -> None:
        """Forget those that were made before then."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(batches).where(batches.c.created_at < before))

        await self._database.write(work)


def _of(owner: Owner, batch_id: str) -> Any:
    return owned(batches, owner, batch_id=batch_id)


async def _find(connection: AsyncConnection, owner: Owner, batch_id: str) -> Batch | None:
    row = (await connection.execute(select(batches).where(_of(owner, batch_id)))).one_or_none()
    return None if row is None else _read(row)


def _read(row: Row[Any]) -> Batch:
    """The batch; a list that cannot be read is as good as an empty one."""
    try:
        items = _DECODER.decode(row.items)
    except msgspec.DecodeError:
        items = []
    return Batch(
        owner=Owner(row.tenant, row.user), batch_id=row.batch_id, created_at=row.created_at, items=items,
        cancelled_at=row.cancelled_at,
    )  # fmt: skip
