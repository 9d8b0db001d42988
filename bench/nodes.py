"""The processes of a bench: the server as users start it, the peer, the floor, the scripted model; each on its core."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import Process
from tests.support.serving import ROOT, Server

from . import machine

LIMITS = """
[limits]
slots = 10000
user_running_max = 10000
user_open_max = 10000
open_max = 10000
user_connections_max = 10000
anonymous_connections_max = 10000
commands_per_s = 1000000
commands_burst = 1000000
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A process that serves: where, and which."""

    port: int
    pid: int

    @property
    def cpu_s(self) -> float:
        """What it has used so far."""
        return machine.cpu_s(self.pid)

    @property
    def rss_bytes(self) -> int:
        """What it holds now."""
        return machine.rss_bytes(self.pid)


@asynccontextmanager
async def holdfast(
    *, base_url: str | None = None, folder: Path | None = None, store: str = ""
) -> AsyncIterator[Node]:
    """Our server: SQLite, every per-user bound out of the way, pinned to one core. Agents `paced` and `quiet`, and
    `model` where `base_url` says whom to ask. `folder` holds data that is there already; `store` adds settings."""
    toml = f'agent_files = ["{ROOT / "bench" / "paced.py"}"]\n{LIMITS}'
    if store:
        toml += f"[store]\n{store}\n"
    if base_url is not None:
        toml += f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nbase_url = "{base_url}"\napi_key = "none"\n'
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        async with Server(folder or Path(made), toml=toml) as server:
            machine.pin(server.process.pid, machine.cores()[0])
            yield Node(server.port, server.process.pid)


@asynccontextmanager
async def program(module: str, *arguments: object, measured: bool) -> AsyncIterator[Node]:
    """`python -m module`, which prints its port as JSON when it is ready; on the measured core, or on the others."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        line = [sys.executable, "-m", module, *map(str, arguments)]
        async with Process(line, output=Path(made) / "output.log", cwd=ROOT) as process:
            ready = json.loads(await process.ready(lambda text: text.startswith("{")))
            machine.pin(process.pid, machine.cores()[0 if measured else 1])
            yield Node(ready["port"], process.pid)


@contextmanager
def quiet_client() -> Iterator[None]:
    """This process is the client: away from the measured core, and without pauses of its own."""
    machine.pin(os.getpid(), machine.cores()[1])
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
