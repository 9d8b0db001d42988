"""A long chat in the history before a server starts, written by the server's own code in one transaction.

It is what a server has kept of answers whose logs were purged long ago.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.app import HISTORY_FILE
from holdfast_server.history import projection
from holdfast_server.history.database import Database
from holdfast_server.history.search import index_for
from holdfast_server.stores.base import Owner
from tests.support.journals import answered, asked

ANYBODY = Owner("", "local")  # who asks where nobody needs a token
BEGAN_MS = 1_700_000_000_000
TURN_MS = 10_000


def question(turn: int) -> str:
    """What is asked at a turn (from 0)."""
    return f"Question {turn} about kestrel{turn:04}"


def reply(turn: int) -> str:
    """What is answered: of many lengths, some with a list or code in it."""
    words = f"Answer {turn}. " + "It is so, and so it stays. " * (1 + turn * 7 % 23)
    if turn % 5 == 0:
        words += "\n\n" + "\n".join(f"- point {point}" for point in range(1 + turn % 4))
    if turn % 7 == 0:
        words += "\n\n```python\n" + "\n".join(f"x{line} = {line}" for line in range(1 + turn % 6)) + "\n```"
    return words


async def long_chat(folder: Path, chat_id: str, turns: int) -> None:
    """Write a chat of so many turns into a server's data folder, which is there; the server is not to run."""
    database, index = Database(f"sqlite+aiosqlite:///{folder / HISTORY_FILE}"), index_for("sqlite")
    await database.start(index.prepare)

    async def work(connection: AsyncConnection) -> None:
        for turn in range(turns):
            record = asked(
                f"{chat_id}-{turn}", question(turn), owner=ANYBODY, chat_id=chat_id, at=BEGAN_MS + turn * TURN_MS,
                parent_id=f"{chat_id}-{turn - 1}" if turn else None,
            )  # fmt: skip
            await projection.sealed(connection, index, answered(record, reply(turn)), BEGAN_MS)

    await database.write(work)
    await database.close()
