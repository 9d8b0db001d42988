"""A commit beside a busy loop: the writer's thread and the event loop share one interpreter lock."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Key, Record
from holdfast_server.stores.disk import Batch
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.sqlite import SqliteDisk
from tests.support.process import Process
from tests.support.serving import ROOT

from .paced import delta
from .report import Report, Scale, Table, quantile, times

LOAD = 0.9
TURN_S = 0.01
SLICE_S = 0.0003  # the loop works for LOAD of each turn, in callbacks so long, each with writes that let the lock go
PAUSE_S = 0.02
WHOLE, THREAD, ROWS = (
    "commit of 500 deltas",
    "commit of 500 deltas: the thread's part",
    "500 rows by executemany",
)
ALONE = "commit of 1 delta"
FILE = "timings.json"

METHOD = f"""One process with the SQLite store, not kept on one core: the lock is fought for when both threads can run. A commit of one delta, and one of 500 deltas of 500 answers, timed from
`put` to durable, while the loop is idle and while it works for {LOAD:.0%} of each {TURN_S * 1000:.0f} ms. The thread's part is what the loop waits for its
writer. Beside it, on the same kind of thread and file, what is usually done: a row per event through `executemany`. A call into SQLite gives the interpreter's lock away, and waits up to 5 ms to get it
back from a busy loop; so the number of calls in a commit must not depend on what is in it."""


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    report = Report("Commits beside a busy loop", METHOD)
    table = Table("Milliseconds from put to durable", ["what", "loop", "p50", "p99", "p50, busy / idle"])
    got: dict[tuple[str, float], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        for turn in range(scale.pick(2, 1)):
            for load in (0.0, LOAD):
                for what, took in (
                    await _child(Path(made) / f"{turn}-{load}", load, scale.pick(60, 5))
                ).items():
                    got.setdefault((what, load), []).extend(took)
    for what in dict.fromkeys(what for what, _ in got):
        idle, busy = got[what, 0.0], got[what, LOAD]
        ratio = quantile(busy, 0.5) / quantile(idle, 0.5)
        for name, series, shown in (("idle", idle, ""), (f"{LOAD:.0%} busy", busy, times(ratio))):
            table.add(what, name, f"{quantile(series, 0.5):.2f}", f"{quantile(series, 0.99):.2f}", shown)
    report.tables.append(table)
    ours, rows = got[THREAD, LOAD], got[ROWS, LOAD]
    report.reading.append(
        f"Beside a busy loop a commit of 500 deltas takes the thread {quantile(ours, 0.5):.1f} ms at the median "
        f"({times(quantile(ours, 0.5) / quantile(got[THREAD, 0.0], 0.5))} the idle one), a row for each {quantile(rows, 0.5):.1f} ms "
        f"({times(quantile(rows, 0.5) / quantile(ours, 0.5))} of ours)."
    )
    return report


async def _child(folder: Path, load: float, repeats: int) -> dict[str, list[float]]:
    """The timings, from a process of their own."""
    await asyncio.to_thread(folder.mkdir)
    line = [
        sys.executable,
        "-m",
        "bench.commits",
        str(folder),
        "--load",
        str(load),
        "--repeats",
        str(repeats),
    ]
    async with Process(line, output=folder / "output.log", cwd=ROOT) as process:
        await process.ready(lambda text: text.startswith("{"), wait_s=120)
    timings: dict[str, list[float]] = json.loads(await asyncio.to_thread((folder / FILE).read_text))
    return timings


class Load:
    """A loop that is busy for a share of its time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = 0
        self._null = os.open(os.devnull, os.O_WRONLY)
        if share:
            asyncio.get_running_loop().call_soon(self._slice)

    def _slice(self) -> None:
        """One callback among many; after those of a turn, a pause."""
        loop = asyncio.get_running_loop()
        end = time.perf_counter() + SLICE_S
        while time.perf_counter() < end:
            sum(range(1000))
            os.write(self._null, b"x" * 200)
        self._left -= 1
        if self._left > 0:
            loop.call_soon(self._slice)
        else:
            self._left = round(TURN_S * self._share / SLICE_S)
            loop.call_later(TURN_S * (1 - self._share), self._slice)


async def _measure(folder: Path, load: float, repeats: int) -> dict[str, list[float]]:
    disk = _TimedDisk(folder)
    store = EmbeddedStore(disk)
    await store.start()
    at = time.time_ns() // 1_000_000
    writers = []
    for number in range(500):
        record = Record(key=Key("", "local", str(number)), body_hash=b"", agent="a", created_at=at)
        await store.open(record, ev.Accepted(at=at, nonce="0", agent="a"))
        claim = await store.claim()
        assert claim is not None
        writer = store.writer(claim)
        writer.put(ev.Started(at=at, attempt=1, term=claim.term, nonce=claim.nonce))
        writer.put(ev.PartStarted(at=at, part=0, kind="text"))
        writers.append(writer)
    await writers[-1].flush()
    rows = _Rows(folder / "rows.db")
    await rows.start()
    text = delta(0.0)
    got: dict[str, list[float]] = {ALONE: [], WHOLE: [], THREAD: [], ROWS: []}
    dice = random.Random(1)
    Load(load)
    for _ in range(repeats):
        for name, count in ((ALONE, 1), (WHOLE, 500)):
            await asyncio.sleep(PAUSE_S + dice.uniform(0, TURN_S))  # anywhere in a turn
            began = time.perf_counter()
            for writer in writers[:count]:
                writer.put(ev.Delta(at=at, part=0, text=text))
            await writers[0].flush()
            got[name].append((time.perf_counter() - began) * 1000)
        got[THREAD].append(disk.took_s * 1000)
        await asyncio.sleep(PAUSE_S + dice.uniform(0, TURN_S))  # anywhere in a turn
        began = time.perf_counter()
        await rows.write([(number, at, text) for number in range(500)])
        got[ROWS].append((time.perf_counter() - began) * 1000)
    await store.close()
    return got


class _TimedDisk(SqliteDisk):
    """The store's disk, with the time of its last commit."""

    took_s = 0.0

    async def commit(self, batch: Batch) -> None:
        began = time.perf_counter()
        await super().commit(batch)
        self.took_s = time.perf_counter() - began


class _Rows:
    """A row per event, on a thread like the store's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1)
        self._connection: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Make the table."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._start)

    def _start(self) -> None:
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("CREATE TABLE event (answer INTEGER, at INTEGER, text TEXT)")

    async def write(self, rows: list[tuple[int, int, str]]) -> None:
        """Commit them."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, rows)

    def _write(self, rows: list[tuple[int, int, str]]) -> None:
        assert self._connection is not None
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO event VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.commits", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--load", type=float, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    asked = parser.parse_args()
    timings = asyncio.run(_measure(asked.folder, asked.load, asked.repeats))
    (asked.folder / FILE).write_text(json.dumps(timings))
    print(json.dumps({"file": FILE}), flush=True)
