"""The tables of the SQLite store, and every statement on them. Called on the threads of sqlite.py; knows no loop.

A commit is one row of `segment` and, where there is something to say of packed journals, one statement per kind of
thing; so the number of calls into SQLite does not depend on how many journals a commit serves (each call gives up the
interpreter's lock, and beside a busy loop gets it back late).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from .base import Account, Damaged, Key, Owner, Summary, Unavailable
from .blob import Packed
from .disk import Batch, Found, Replay, Restored, encode_segment

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE segment (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE packed (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, user TEXT NOT NULL, request_id TEXT NOT NULL, chat_id TEXT,
    ended_at INTEGER NOT NULL, projected INTEGER NOT NULL, seq INTEGER NOT NULL, size INTEGER NOT NULL,
    summary BLOB NOT NULL, sha BLOB NOT NULL, text_sha BLOB NOT NULL, data BLOB NOT NULL
);
CREATE UNIQUE INDEX packed_key ON packed (tenant, user, request_id);
CREATE INDEX packed_owner ON packed (tenant, user, number);
CREATE INDEX packed_chat ON packed (tenant, user, chat_id, number);
CREATE INDEX packed_ended ON packed (ended_at, number);
CREATE INDEX packed_unprojected ON packed (number) WHERE projected = 0 AND chat_id IS NOT NULL;
CREATE TABLE account (
    number INTEGER NOT NULL, term INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (number, term)
) WITHOUT ROWID;
"""

_DELETE_ACCOUNTS: Final = """
DELETE FROM account WHERE number IN (
    SELECT number FROM json_each(?) JOIN packed ON tenant = json_extract(value, '$[0]')
    AND user = json_extract(value, '$[1]') AND request_id = json_extract(value, '$[2]')
)
"""
_DELETE_PACKED: Final = """
DELETE FROM packed WHERE number IN (
    SELECT number FROM json_each(?) JOIN packed ON tenant = json_extract(value, '$[0]')
    AND user = json_extract(value, '$[1]') AND request_id = json_extract(value, '$[2]')
)
"""
_PROJECT: Final = """
UPDATE packed SET projected = 1 WHERE number IN (
    SELECT number FROM json_each(?) JOIN packed ON tenant = json_extract(value, '$[0]')
    AND user = json_extract(value, '$[1]') AND request_id = json_extract(value, '$[2]')
)
"""

_PAGE: Final = "SELECT number, summary, projected FROM packed WHERE number < ? ORDER BY number DESC LIMIT ?"
_PAGE_OF_CHAT: Final = """
SELECT number, summary, projected FROM packed WHERE chat_id = ? AND number < ? ORDER BY number DESC LIMIT ?
"""
_PAGE_OF_OWNER: Final = """
SELECT number, summary, projected FROM packed WHERE tenant = ? AND user = ? AND number < ?
ORDER BY number DESC LIMIT ?
"""
_PAGE_OF_OWNERS_CHAT: Final = """
SELECT number, summary, projected FROM packed WHERE tenant = ? AND user = ? AND chat_id = ? AND number < ?
ORDER BY number DESC LIMIT ?
"""

_INSERT_PACKED: Final = "INSERT OR REPLACE INTO packed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_encode: Final = msgspec.msgpack.Encoder().encode
_summary: Final = msgspec.msgpack.Decoder(Summary)
_account: Final = msgspec.msgpack.Decoder(Account)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or see that they are ours. Raises: Unavailable if a later release made them."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise Unavailable(
            f"The journals were written by a later release (schema {version}, this one knows {SCHEMA_VERSION}); "
            "run that release, or use another folder."
        )
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")


def restore(connection: sqlite3.Connection) -> tuple[Restored, int, int]:
    """What the segments hold, their bytes, and the first of them. Raises: Unavailable if one is damaged."""
    known: dict[int, tuple[int, Key] | None] = {}

    def packed(number: int) -> tuple[int, Key] | None:
        if number not in known:
            row = connection.execute(
                "SELECT seq, tenant, user, request_id FROM packed WHERE number = ?", (number,)
            ).fetchone()
            known[number] = None if row is None else (row[0], Key(*row[1:]))
        return known[number]

    replay = Replay(packed)
    size = first = 0
    try:
        for seq, data in connection.execute("SELECT seq, data FROM segment ORDER BY seq"):
            first = first or seq
            size += len(data)
            replay.feed(seq, data)
    except (ValueError, msgspec.DecodeError) as error:
        raise Unavailable(
            f"The journals are damaged ({error}), so nothing is served from them; restore the folder from a backup."
        ) from error
    seq, number = connection.execute("SELECT max(seq), max(number) FROM packed").fetchone()
    restored = replay.restored((seq or 0) + 1, (number or 0) + 1)
    return restored, size, first or restored.next_seq


def write(connection: sqlite3.Connection, batch: Batch) -> int:
    """Everything of a batch, within a transaction; by how much the segments grew. What is removed goes first, so that
    a key may be used again in the same batch; marks come last, because they may be for rows that it makes."""
    grown = 0
    if batch.drop_below:
        (dropped,) = connection.execute(
            "SELECT coalesce(sum(length(data)), 0) FROM segment WHERE seq < ?", (batch.drop_below,)
        ).fetchone()
        connection.execute("DELETE FROM segment WHERE seq < ?", (batch.drop_below,))
        grown -= dropped
    if batch.removed:
        keys = json.dumps(batch.removed)
        connection.execute(_DELETE_ACCOUNTS, (keys,))
        connection.execute(_DELETE_PACKED, (keys,))
    if batch.entries or batch.removed:
        data = encode_segment(batch.entries, batch.removed)
        connection.execute("INSERT OR REPLACE INTO segment VALUES (?, ?)", (batch.seq, data))
        grown += len(data)
    else:  # a failed commit may have left one under this number
        connection.execute("DELETE FROM segment WHERE seq = ?", (batch.seq,))
    if batch.cold:
        connection.executemany(
            _INSERT_PACKED,
            [
                (row.number, *row.summary.key, row.summary.chat_id, row.ended_at, row.summary.projected, batch.seq,
                 len(row.packed.data), _encode(row.summary), row.packed.sha, row.packed.text_sha, row.packed.data)
                for row in batch.cold
            ],
        )  # fmt: skip
        connection.executemany(
            "INSERT OR REPLACE INTO account VALUES (?, ?, ?)",
            [(row.number, account.term, _encode(account)) for row in batch.cold for account in row.accounts],
        )
    if batch.projected:
        connection.execute(_PROJECT, (json.dumps(batch.projected),))
    if batch.accounts:
        connection.executemany(
            "INSERT OR REPLACE INTO account SELECT number, ?, ? FROM packed"
            " WHERE tenant = ? AND user = ? AND request_id = ?",
            [(account.term, _encode(account), *key) for key, account in batch.accounts],
        )
    return grown


# -- reading -----------------------------------------------------------------------------------------------------


def find(connection: sqlite3.Connection, key: Key) -> Found | None:
    """The packed journal of this key."""
    row = connection.execute(
        "SELECT number, summary, projected, data, sha, text_sha FROM packed"
        " WHERE tenant = ? AND user = ? AND request_id = ?",
        key,
    ).fetchone()
    return None if row is None else Found(row[0], _row(row[1], row[2]), Packed(*row[3:]))


def head(connection: sqlite3.Connection, key: Key) -> Summary | None:
    """Its row alone: the blob's pages are not read."""
    row = connection.execute(
        "SELECT summary, projected FROM packed WHERE tenant = ? AND user = ? AND request_id = ?", key
    ).fetchone()
    return None if row is None else _row(*row)


def accounts(connection: sqlite3.Connection, key: Key) -> list[Account] | None:
    """Its accounts, by term."""
    rows = connection.execute(
        "SELECT account.data FROM packed LEFT JOIN account USING (number)"
        " WHERE tenant = ? AND user = ? AND request_id = ? ORDER BY term",
        key,
    ).fetchall()
    return [_account.decode(data) for (data,) in rows if data is not None] if rows else None


def page(
    connection: sqlite3.Connection, owner: Owner | None, chat_id: str | None, below: int | None, limit: int
) -> list[tuple[int, Summary]]:
    """Rows by falling number."""
    statement = {
        (False, False): _PAGE,
        (False, True): _PAGE_OF_CHAT,
        (True, False): _PAGE_OF_OWNER,
        (True, True): _PAGE_OF_OWNERS_CHAT,
    }[owner is not None, chat_id is not None]
    values = [
        *(owner or ()),
        *([chat_id] if chat_id is not None else []),
        below if below is not None else 2**62,
        limit,
    ]
    rows = connection.execute(statement, values)
    return [(number, _row(summary, projected)) for number, summary, projected in rows]


def unprojected(connection: sqlite3.Connection, limit: int) -> list[Key]:
    """Keys of those that the history has not taken."""
    rows = connection.execute(
        "SELECT tenant, user, request_id FROM packed WHERE projected = 0 AND chat_id IS NOT NULL"
        " ORDER BY number LIMIT ?",
        (limit,),
    )
    return [Key(*row) for row in rows]


def purgeable(connection: sqlite3.Connection, older_than_ms: int, over_bytes: int, limit: int) -> list[Key]:
    """Keys of those that may go, oldest end first."""
    rows: Sequence[tuple[str, str, str, int, int]] = connection.execute(
        "SELECT tenant, user, request_id, ended_at, size FROM packed WHERE projected = 1 OR chat_id IS NULL"
        " ORDER BY ended_at, number LIMIT ?",
        (limit,),
    ).fetchall()
    keys: list[Key] = []
    total = 0
    for tenant, user, request_id, ended_at, size in rows:
        if ended_at >= older_than_ms and total >= over_bytes:
            break
        keys.append(Key(tenant, user, request_id))
        total += size
    return keys


def packed_bytes(connection: sqlite3.Connection) -> int:
    """The size of all blobs."""
    (total,) = connection.execute("SELECT coalesce(sum(size), 0) FROM packed").fetchone()
    return int(total)


def _row(data: bytes, projected: int) -> Summary:
    try:
        return msgspec.structs.replace(_summary.decode(data), projected=bool(projected))
    except msgspec.DecodeError as error:
        raise Damaged("The row of a stored answer is damaged; restore it from a backup.") from error
