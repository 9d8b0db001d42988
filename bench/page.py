"""What the page costs its visitor: a delta of a short and of a long answer, chats gone through, a chat of thousands of messages."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median

from tests.support.serving import Server

from . import page_visits
from .essays import FORMS
from .page_server import ask, essayist
from .report import Report, Scale, Table, spread, times
from .visitor import Cost, Visitor, missing, visitor

RATE = 25  # deltas a second: each gets a frame of its own
REACH_S = 60.0  # for an answer to reach its next stop, on a full machine too
WARM_WORDS = 1_000

METHOD = f"""Chromium without a window, the built page, `main.py serve`; one browser per round. An answer is on screen and its end is followed;
at so many words {RATE} deltas a second come for some seconds, a word each, and the CPU time of the page's main thread (script, style,
layout, paint: all of it) is divided by them. All stops of a row are of one and the same answer, which hurries on from stop to
stop; before it the page has shown another one, so that what runs is compiled. Process is all threads of the page's process,
raster too. The ratios are what counts: a cost that grew with the answer would be a hundredfold. A short answer has less to paint
than a screen holds, therefore the second ratio. Then a tab that goes through many chats, and back through them: what it holds
after its garbage was collected, and how much of the document. Then chats of few and of many messages, opened by turns: the time
until a message stands there, the main thread's part, and its work for each turn of the wheel, half a screen, in the middle of the
whole thread."""


async def run(scale: Scale) -> Report:
    """The whole scenario; where there is no browser or no page, only that."""
    report = Report("The page", METHOD)
    lacking = missing()
    if lacking:
        report.reading.append(f"Not measured: {', '.join(lacking)}.")
        return report
    await _deltas(report, scale)
    await page_visits.memory(report, scale)
    await page_visits.long_chats(report, scale)
    return report


async def _deltas(report: Report, scale: Scale) -> None:
    stops = (20, 40, 80) if scale.quick else (200, 2_000, 20_000)
    paced = scale.pick(75, 5)
    costs: dict[tuple[str, int], list[Cost]] = {}
    forms = FORMS[:2] if scale.quick else FORMS
    for _ in range(scale.pick(3, 1)):
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
            async with essayist(Path(made)) as server, visitor(f"http://127.0.0.1:{server.port}/") as tab:
                warm = scale.pick(WARM_WORDS, 20)
                await _stream(server, tab, Path(made), "prose", stops=(warm,), paced=paced, scale=scale)
                for form in forms:
                    found = await _stream(
                        server, tab, Path(made), form, stops=stops, paced=paced, scale=scale
                    )
                    for stop, cost in found.items():
                        costs.setdefault((form, stop), []).append(cost)
    low, middle, high = stops
    table = Table(
        "Main thread's CPU ms per delta; median and range",
        [
            "answer", f"at {low:,} words", f"at {middle:,}", f"at {high:,}", f"script at {high:,}", f"style, layout at {high:,}",
            f"process at {high:,}", f"{high:,} / {low:,}", f"{high:,} / {middle:,}",
        ],
    )  # fmt: skip
    ratios: dict[str, tuple[float, float]] = {}
    for form in forms:
        task = {stop: [cost.task for cost in costs[form, stop]] for stop in stops}
        last = costs[form, high]
        ratios[form] = (
            median(task[high]) / median(task[low]),
            median(task[high]) / median(task[middle]),
        )
        table.add(
            form,
            *(spread(task[stop], 2) for stop in stops),
            spread((cost.script for cost in last), 2),
            spread((cost.style + cost.layout for cost in last), 2),
            spread((cost.process for cost in last), 2),
            *(times(ratio) for ratio in ratios[form]),
        )
    report.tables.append(table)
    worst = max(ratios, key=lambda form: ratios[form][0])
    report.reading.append(
        f"A delta at {high:,} words costs {times(min(first for first, _ in ratios.values()))} to {times(ratios[worst][0])} "
        f"what it costs at {low:,} ({worst} the most), and {times(min(second for _, second in ratios.values()))} to "
        f"{times(max(second for _, second in ratios.values()))} what it costs at {middle:,}, where the screen is full."
    )


async def _stream(
    server: Server, tab: Visitor, folder: Path, form: str, *, stops: tuple[int, ...], paced: int, scale: Scale
) -> dict[int, Cost]:
    """One answer with its stops; what a delta cost at each.

    Raises: TimeoutError if it does not get on; RuntimeError if the page did not follow it.
    """
    gates = folder / uuid.uuid4().hex
    gates.mkdir()
    chat = await ask(
        server, "essay", f"An essay: {form}", form=form, stops=stops, paced=paced, rate=RATE, gates=str(gates)
    )
    await tab.go(f"/c/{chat}")
    found: dict[int, Cost] = {}
    for stop in stops:
        await _reached(gates / f"at-{stop}")
        await asyncio.sleep(2 * scale.settle_s)
        before = await tab.cost()
        (gates / f"go-{stop}").touch()
        await _reached(gates / f"done-{stop}")
        await asyncio.sleep(scale.settle_s / 2)
        found[stop] = (await tab.cost()).since(before, paced)
        words, below = await tab.shown()
        if words < stop or below > 50:
            raise RuntimeError(f"the page shows {words} words of {stop} of {form}, {below} px above the end")
        (gates / f"leave-{stop}").touch()
    return found


async def _reached(gate: Path) -> None:
    until = time.monotonic() + REACH_S
    while not gate.exists():  # noqa: ASYNC240 - a look at a folder in memory
        if time.monotonic() > until:
            raise TimeoutError(f"the answer did not come to {gate.name} within {REACH_S:.0f} s")
        await asyncio.sleep(0.02)
