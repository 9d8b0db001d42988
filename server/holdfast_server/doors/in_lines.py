"""Many requests opened at once: those of one chat in their order, all others side by side, so that they share commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from holdfast_server.tasks import Tasks


async def in_lines(chat_ids: Iterable[str | None], open_one: Callable[[int], Awaitable[None]]) -> None:
    """Call `open_one` with the number of each, and return when all are done. `chat_ids` tells whose chat each is. Raises: what
    `open_one` does."""
    lines: dict[str | int, list[int]] = {}
    for number, chat_id in enumerate(chat_ids):
        lines.setdefault(number if chat_id is None else chat_id, []).append(number)

    async def in_order(numbers: list[int]) -> None:
        for number in numbers:
            await open_one(number)

    tasks = Tasks("in_lines")
    try:
        started = [tasks.start(in_order(numbers), "line") for numbers in lines.values()]
        await asyncio.wait(started)
        for task in started:
            task.result()
    finally:
        await tasks.close()
