"""Going through the page's chats: what stays in memory, and what a very long chat costs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from holdfast_server.app import HISTORY_FILE
from tests.support.serving import Server

from .history import LONG_CHAT, fill
from .page_server import ask, essayist
from .report import Report, Scale, Table, spread, times
from .visitor import Held, visitor

LONG_WORDS = 5_000
SHORT_WORDS = 50
WHEEL_PX = 400
WHEEL_S = 0.05
OPENED_S = 0.6  # what an opened chat still does after its messages stand there


async def memory(report: Report, scale: Scale) -> None:
    """Chats with finished answers, gone through again and again."""
    long, short, rounds = scale.pick(20, 2), scale.pick(10, 1), scale.pick(4, 2)
    table = Table(
        f"{long + short} chats gone through, {long} of them with {LONG_WORDS:,} words",
        ["round", "heap MiB", "nodes", "listeners"],
    )
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        async with essayist(Path(made)) as server, visitor(f"http://127.0.0.1:{server.port}/") as tab:
            words = [scale.pick(LONG_WORDS, 100)] * long + [SHORT_WORDS] * short
            chats = [await ask(server, "told", "Tell it", form="prose", words=count) for count in words]
            kept: list[Held] = [await tab.held()]
            for _ in range(rounds):
                for chat in chats:
                    await tab.go(f"/c/{chat}")
                await tab.go("/")
                kept.append(await tab.held())
    for number, held in enumerate(kept):
        table.add(
            f"{number}" if number else "before", f"{held.heap_bytes / 1024**2:.1f}", f"{held.nodes:,}", f"{held.listeners:,}"
        )  # fmt: skip
    report.tables.append(table)
    report.reading.append(
        f"After round {rounds} the heap is {times(kept[-1].heap_bytes / kept[1].heap_bytes)} and the nodes are "
        f"{times(kept[-1].nodes / kept[1].nodes)} what they were after the first."
    )


async def long_chats(report: Report, scale: Scale) -> None:
    """A chat of thousands of messages beside one of fifty, both loaded whole."""
    sizes = (20, 60) if scale.quick else (50, 2_000)
    turns, opens = scale.pick(40, 4), scale.pick(7, 1)
    opened: dict[int, list[float]] = {size: [] for size in sizes}
    work: dict[int, list[float]] = {size: [] for size in sizes}
    wheel: dict[int, list[float]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        for size in sizes:
            folder = Path(made) / str(size)
            (folder / "data").mkdir(parents=True)
            await (await fill(folder / "data" / HISTORY_FILE, size * 2)).close()
        for _ in range(scale.pick(3, 1)):
            for size in sizes:
                async with (
                    Server(Path(made) / str(size)) as server,
                    visitor(f"http://127.0.0.1:{server.port}/") as tab,
                ):
                    await tab.go(f"/c/{LONG_CHAT}")
                    await tab.load_all()
                    for _ in range(opens):
                        await tab.go("/")
                        before, began = await tab.cost(), time.monotonic()
                        await tab.go(f"/c/{LONG_CHAT}")
                        opened[size].append((time.monotonic() - began) * 1000)
                        await asyncio.sleep(OPENED_S)
                        work[size].append((await tab.cost()).since(before).task)
                    await tab.to_middle()
                    await asyncio.sleep(OPENED_S)
                    before = await tab.cost()
                    for turn in range(turns):
                        await tab.page.mouse.wheel(0, -WHEEL_PX if turn % 10 < 5 else WHEEL_PX)
                        await asyncio.sleep(WHEEL_S)
                    wheel[size].append((await tab.cost()).since(before, turns).task)
    few, many = sizes
    table = Table(
        "Milliseconds; median and range",
        ["what", f"{few:,} messages", f"{many:,} messages", "ratio"],
    )
    for name, found in (
        ("opened: until it stands there", opened),
        ("opened: main thread", work),
        ("a turn of the wheel: main thread", wheel),
    ):
        ratio = median(found[many]) / median(found[few])
        table.add(name, spread(found[few]), spread(found[many]), times(ratio))
        report.reading.append(
            f"{name[0].upper()}{name[1:]}: {many:,} messages take {times(ratio)} what {few} do."
        )
    report.tables.append(table)
