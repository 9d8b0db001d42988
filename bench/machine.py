"""The machine under the bench: its facts, its cores, and what a process has used of it."""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPUCLOCK_SCHED = 2
"""Linux: the kind of a process clock that counts the nanoseconds its threads ran, which /proc/PID/stat rounds to 10 ms."""

PACKAGES = ("aiohttp", "msgspec", "openai", "SQLAlchemy", "websockets")


def cpu_s(pid: int) -> float:
    """The CPU time of a process so far, user and system, all threads."""
    try:
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """The memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@functools.cache  # before this process keeps itself to some of them
def cores() -> tuple[set[int], set[int]]:
    """One core for what is measured, the others for what loads it; on one core both are the same."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, set(usable[1:]) or {usable[0]}


def pin(pid: int, to: set[int]) -> None:
    """Keep a process, with all its threads, on these cores; threads that it starts later stay there too."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), to)
        except OSError:
            continue  # it has just ended


def facts() -> list[str]:
    """What the figures depend on, read now."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    usable = len(os.sched_getaffinity(0))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{model}, {usable} core{'s' if usable > 1 else ''}, {total:.0f} GiB; {platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {sys.version.split()[0]}; "
        + ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        f"load average at the start: {load}"
        + (" (others were at work: read the ranges)" if os.getloadavg()[0] > 0.7 else ""),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "–"
