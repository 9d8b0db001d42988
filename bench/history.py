"""How reading the history grows when there is ten times as much of it: listing, paging, a branch for the model, search."""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from holdfast_server.chats import Chats
from holdfast_server.history.tables import chats, keys, messages, place_of
from holdfast_server.stores.base import Owner

from .growth import Cost, grown
from .report import Report, Scale

OWNER = Owner("", "local")
CHAT_MESSAGES = 20
TEXT_WORDS = 40
COMMON, RARE = "common", "seldom"  # words in every tenth message, and in ten messages whatever there is
LONG_CHAT = "long"
BEGAN_MS = 1_700_000_000_000

METHOD = f"""The history of one user in SQLite, with so many messages of {TEXT_WORDS} words: half of them in one long chat, the others in
chats of {CHAT_MESSAGES}. The CPU time of this process, database included, per call: the first page of chats, the last page of the long chat
and one from its middle, the branch that a model is given, a search for a word that ten messages have, and for one that every tenth
has (its cost grows with what matches, because hits are ordered by time)."""

Call = Callable[[Chats], Awaitable[Any]]


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    size, calls = scale.pick(1_000, 60), scale.pick(20, 2)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        histories = {count: await fill(Path(made) / f"{count}.db", count) for count in (size, size * 10)}
        middle = {count: await _middle_mark(history, count) for count, history in histories.items()}

        def cost(call: Callable[[Chats, int], Awaitable[Any]]) -> Cost:
            async def measure(count: int) -> float:
                began = time.process_time()
                for _ in range(calls):
                    await call(histories[count], count)
                return (time.process_time() - began) / calls

            return measure

        last = {count: f"l{count // 2 - 1}" for count in histories}
        report = await grown(
            Report("Growth of the history", METHOD),
            {
                "messages: list chats": (cost(lambda h, _: h.list_chats(OWNER)), size),
                "messages: last page of a long chat": (cost(lambda h, _: h.list_messages(OWNER, LONG_CHAT)), size),
                "messages: a page from its middle": (
                    cost(lambda h, n: h.list_messages(OWNER, LONG_CHAT, before=middle[n])), size,
                ),
                "messages: branch for a model": (cost(lambda h, n: h.branch(OWNER, LONG_CHAT, last[n], 50)), size),
                "messages: search a rare word": (cost(lambda h, _: h.search(OWNER, RARE)), size),
                "messages: search a common word": (cost(lambda h, _: h.search(OWNER, COMMON)), size),
            },
            repeats=scale.pick(3, 1),
            unit="CPU ms per call",
        )  # fmt: skip
        for history in histories.values():
            await history.close()
    return report


async def _middle_mark(history: Chats, count: int) -> str | None:
    """The mark of the page in the middle of the long chat."""
    mark: str | None = None
    for _ in range(count // 4 // 50):
        _, mark = await history.list_messages(OWNER, LONG_CHAT, before=mark)
    return mark


async def fill(path: Path, count: int) -> Chats:
    """A history with so many messages, written in bulk and then indexed as an older one is."""
    url = f"sqlite+aiosqlite:///{path}"
    history = Chats(url, now_ms=lambda: BEGAN_MS)
    await history.start()
    await history.close()
    dice = random.Random(count)
    words = [
        f"{first}{second}" for first in "badegifolupymare" for second in ("lo", "rum", "nit", "ska", "ven")
    ]
    rare = set(dice.sample(range(count), 10))
    chat_rows, message_rows = [_chat(LONG_CHAT, 0)], []
    for number in range(count // 2):
        parent = f"l{number - 1}" if number else None
        message_rows.append(
            _message(LONG_CHAT, f"l{number}", parent, number, _text(dice, words, number, rare))
        )
    for number in range(count // 2, count):
        chat, place = divmod(number - count // 2, CHAT_MESSAGES)
        if place == 0:
            chat_rows.append(_chat(f"c{chat}", number))
        parent = f"m{number - 1}" if place else None
        message_rows.append(
            _message(f"c{chat}", f"m{number}", parent, number, _text(dice, words, number, rare))
        )
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(insert(chats), chat_rows)
        connection.execute(insert(messages), message_rows)
        connection.exec_driver_sql("PRAGMA user_version = 0")  # the index is older than these rows
    engine.dispose()
    history = Chats(url, now_ms=lambda: BEGAN_MS)
    await history.start()
    return history


def _text(dice: random.Random, words: list[str], number: int, rare: set[int]) -> str:
    said = dice.choices(words, k=TEXT_WORDS)
    if number % 10 == 0:
        said[0] = COMMON
    if number in rare:
        said[1] = RARE
    return " ".join(said)


def _chat(chat_id: str, number: int) -> dict[str, Any]:
    at = BEGAN_MS + number
    return keys(
        OWNER, chat_id=chat_id, title=f"Chat {chat_id}", title_given=True, agent=None, created_at=at, updated_at=at,
        seen_at=at, archived=False, deleted_at=None, erased=False, version=at,
    )  # fmt: skip


def _message(chat_id: str, message_id: str, parent_id: str | None, number: int, text: str) -> dict[str, Any]:
    at = BEGAN_MS + number
    return keys(
        OWNER, chat_id=chat_id, message_id=message_id, parent_id=parent_id, role="user", text=text,
        sha256=hashlib.sha256(text.encode()).digest(), transcript=None, status=None, created_at=at,
        place=place_of(at, answer=False), size=len(text), request_id=None, body_hash=None, agent=None,
    )  # fmt: skip
