"""Where nodes that share a store accept requests: a row for each, written before the request is opened and acknowledged.

A store that keeps live journals in memory may lose the last of them when it fails over. What was acknowledged is then still
here, whole, until somebody has noted that it has its outcome, and is opened again. The hash of what was asked stays for longer,
so that the same request handed in again is the same, and another one under its id is refused, whatever became of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import bindparam, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.events import Accepted
from holdfast_server.stores.base import Key, Record, RequestConflict

from .database import Database
from .tables import acceptances, messages, named, new_in, of

KEYS_PER_STATEMENT: Final = 200
"""Three parameters each; SQLite takes some thousands."""

OPEN_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of bodies handed out at once; there is one at least, and the next call goes on when these are noted as ended."""

SWEPT_AT_ONCE: Final = 1_000
"""Rows removed in one statement."""

Place = tuple[int, Key]
"""When it was accepted, in ms, and its key: as such they are in order."""

log = structlog.get_logger(__name__)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[Record, Accepted])
_KEY: Final = (acceptances.c.tenant, acceptances.c.user, acceptances.c.request_id)

_HASH: Final = select(acceptances.c.body_hash).where(named(acceptances, "request_id"))
_BODY: Final = select(acceptances.c.body).where(named(acceptances, "request_id"))
_LATER: Final = update(acceptances).values(accepted_at=acceptances.c.accepted_at + 1)
_FOUND: Final = _LATER.where(named(acceptances, "request_id"), acceptances.c.body_hash == bindparam("same"))
_HELD: Final = _LATER.where(named(acceptances, "request_id"), acceptances.c.body.is_not(None)).returning(
    acceptances.c.body
)
_TAKEN_BACK: Final = delete(acceptances).where(
    named(acceptances, "request_id"), acceptances.c.accepted_at == bindparam("mark")
)
_ENDED: Final = (
    update(acceptances)
    .where(tuple_(*_KEY).in_(bindparam("keys", expanding=True)), acceptances.c.ended_at.is_(None))
    .values(body=None)
)


class AcceptanceRows:
    """The acceptances in one history: `Acceptances` of the shared stores. Every call may raise Unavailable."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def accept(self, record: Record, accepted: Accepted) -> int:
        """Note the request as open: its mark, for `take_back`; 0 if it was there already with the same body, and then nobody
        takes it back any more. Raises: RequestConflict."""
        now = self._now_ms()
        values = {
            **record.key._asdict(), "body_hash": record.body_hash, "body": _ENCODER.encode((record, accepted)),
            "accepted_at": now, "ended_at": None,
        }  # fmt: skip
        same = {**_of(record.key), "same": record.body_hash}

        async def work(connection: AsyncConnection) -> int:
            while True:
                if (await connection.execute(new_in(connection, acceptances), values)).rowcount > 0:
                    return now
                if (await connection.execute(_FOUND, same)).rowcount > 0:
                    return 0
                row = (await connection.execute(_HASH, _of(record.key))).one_or_none()
                if row is not None and row.body_hash != record.body_hash:
                    raise RequestConflict(record.key.request_id)
                # else it was forgotten just now, and perhaps accepted again

        return await self._database.write(work, singly=True)

    async def hold(self, key: Key) -> tuple[Record, Accepted] | None:
        """As `of`, and nobody takes it back any more: for whoever is about to open it."""

        async def work(connection: AsyncConnection) -> bytes | None:
            body: bytes | None = (await connection.execute(_HELD, _of(key))).scalar()
            return body

        return _read(key, await self._database.write(work, singly=True))

    async def take_back(self, key: Key, mark: int) -> bool:
        """Forget what was accepted with this mark; False if it stays, or is not there, for somebody else has found it since.

        When it was accepted is the mark: whoever finds the row makes it a millisecond later, in the same statement. So of one
        who takes it back and one who goes on under it, whichever comes second does nothing, and knows."""

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(_TAKEN_BACK, {**_of(key), "mark": mark})).rowcount > 0

        return await self._database.write(work, singly=True)

    async def ended(self, keys: Sequence[Key]) -> None:
        """These have their outcome; the body is not needed any more. Again is harmless."""
        now = self._now_ms()

        async def work(connection: AsyncConnection) -> None:
            for some in _slices(keys):
                await connection.execute(_ENDED, {"keys": some, "ended_at": now})

        if keys:
            await self._database.write(work, singly=True)

    async def open_before(self, before_ms: int, limit: int) -> list[tuple[Record, Accepted]]:
        """Those accepted before then that nobody noted as ended, oldest first. One that cannot be read is passed over."""
        query = (
            select(acceptances)
            .where(acceptances.c.ended_at.is_(None), acceptances.c.accepted_at < before_ms)
            .order_by(acceptances.c.accepted_at, *_KEY)
            .limit(limit)
        )
        out: list[tuple[Record, Accepted]] = []
        size = 0
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                size += len(row.body or b"")
                if out and size > OPEN_BYTES_MAX:
                    break
                try:
                    out.append(_DECODER.decode(row.body or b""))
                except msgspec.DecodeError:
                    log.exception("an accepted request cannot be read", request_id=row.request_id)
        return out

    async def open_keys(self, before_ms: int, limit: int, after: Place | None = None) -> list[Place]:
        """When and which were accepted before then and nobody noted as ended, newest first; `after` goes on behind one."""
        at = acceptances.c.accepted_at
        query = select(at, *_KEY).where(acceptances.c.ended_at.is_(None), at < before_ms)
        if after is not None:
            query = query.where(tuple_(at, *_KEY) < tuple_(after[0], *after[1]))
        query = query.order_by(at.desc(), *(column.desc() for column in _KEY)).limit(limit)
        async with self._database.read() as connection:
            return [(at, Key(*key)) for at, *key in await connection.execute(query)]

    async def of(self, key: Key) -> tuple[Record, Accepted] | None:
        """What was accepted under that key, as long as nobody noted it as ended."""
        async with self._database.read(singly=True) as connection:
            body = (await connection.execute(_BODY, _of(key))).scalar()  # `ended` has taken it away
        return _read(key, body)

    async def forget(self, keys: Sequence[Key]) -> None:
        """These were erased."""
        if keys:
            await self._database.write(lambda connection: remove(connection, keys))

    async def sweep(self, before_ms: int) -> None:
        """Forget those that ended before then and of which the history holds no answer: their journals are purged, and a
        request under such an id is a new one. Those of chats stay as long as their answers."""
        answers = select(messages.c.message_id).where(
            messages.c.tenant == acceptances.c.tenant,
            messages.c.user == acceptances.c.user,
            messages.c.message_id == acceptances.c.request_id,
        )
        old = select(*_KEY).where(acceptances.c.ended_at < before_ms, ~answers.exists()).limit(SWEPT_AT_ONCE)

        async def work(connection: AsyncConnection) -> int:
            done = await connection.execute(delete(acceptances).where(tuple_(*_KEY).in_(old)))
            return done.rowcount

        while await self._database.write(work) >= SWEPT_AT_ONCE:
            pass


def _read(key: Key, body: bytes | None) -> tuple[Record, Accepted] | None:
    try:
        return None if body is None else _DECODER.decode(body)
    except msgspec.DecodeError:
        log.exception("an accepted request cannot be read", request_id=key.request_id)
        return None


def _of(key: Key) -> dict[str, Any]:
    return of(key.owner, request_id=key.request_id)


def _slices(keys: Iterable[Key]) -> Iterator[list[Any]]:
    plain = sorted(tuple(key) for key in keys)  # two that lock the same rows do it in one order
    for first in range(0, len(plain), KEYS_PER_STATEMENT):
        yield plain[first : first + KEYS_PER_STATEMENT]


async def remove(connection: AsyncConnection, keys: Iterable[Key]) -> None:
    """Forget these."""
    for some in _slices(keys):
        await connection.execute(delete(acceptances).where(tuple_(*_KEY).in_(some)))
