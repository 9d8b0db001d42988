"""The servers of a run: real processes, each behind a proxy for its clients and, in a cluster, one before Redis.

    node = Node(0, folder, toml, planted="")
    async with node: await node.start()

Whatever was started is ended by its id when the run ends, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import Process, ProcessFailed
from tests.support.proxy import FaultProxy
from tests.support.serving import ROOT

from .plan import USERS
from .ports import steady_port

AGENTS = Path(__file__).with_name("agents_under_fire.py")
PLANTED = "HOLDFAST_CHAOS_PLANTED"  # read by tests.chaos.planted alone
START_TRIES = 5  # of a node whose Redis or PostgreSQL may be away just then
START_PAUSE_S = 0.5
DRAIN_S = 1.0
END_S = 20.0  # from SIGTERM to the end: draining, spreading of closes, and a busy machine
KEEP_ALIVE_S = 2.0


def token_of(user: str) -> str:
    """Everybody's token; they guard nothing."""
    return f"token-of-{user}-0123456789"


def toml_of(base_url: str, *, url: str = "", history: str = "", name: str = "", lease_s: float = 5.0) -> str:
    """A node's configuration; with `url` one of a cluster."""
    tokens = "\n".join(
        f'[[identity.tokens]]\ntoken = "{token_of(user)}"\nuser = "{user}"\n' for user in USERS
    )
    cluster = f'[cluster]\nname = "{name}"\nlease_s = {lease_s}\n' if url else ""
    store = f'[store]\nurl = "{url}"\nhistory = "{history}"\n' if url else ""
    return (
        f'default_agent = "model"\nagent_files = ["{AGENTS}"]\n'
        f"[server]\ndrain_s = {DRAIN_S}\nclose_spread_s = 0.5\npage = false\n{store}{cluster}"
        f"[doors]\nkeep_alive_s = {KEEP_ALIVE_S}\n"
        "[limits]\nuser_connections_max = 200\nanonymous_connections_max = 200\nuser_open_max = 1000\n"
        "user_calls_max = 400\nslots = 40\nuser_running_max = 20\ncommands_per_s = 500\n"
        f'[identity]\nkind = "tokens"\n{tokens}'
        f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nbase_url = "{base_url}"\n'
        'api_key = "unused"\nretries = 10\n'
    )


class Node:
    """One server process, the same ports at each start. `proxy`: what its clients connect to."""

    def __init__(
        self, number: int, folder: Path, toml: str, *, planted: str = "", link: FaultProxy | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.name = f"n{number}"
        self.port = steady_port()
        self.proxy = FaultProxy("127.0.0.1", self.port, seed=number)
        self.link = link  # to Redis
        self.starts = 0
        self.hands = asyncio.Lock()  # of whoever kills, stops or starts it
        self._folder = folder
        self._config = folder / "holdfast.toml"
        self._config.write_text(toml)
        self._planted = planted
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        await self.proxy.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self._process.__aexit__(kind, error, trace)
        await self.proxy.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where its clients find it: behind the proxy."""
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def direct(self) -> str:
        """Where a reader without faults finds it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        """The process that runs, or ran last."""
        assert self._process is not None, "start it first"
        return self._process

    @property
    def running(self) -> bool:
        """Whether its process is there, be it stopped."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it serves; what it needs may be away for a moment. Raises: ProcessFailed."""
        for attempt in range(1, START_TRIES + 1):
            try:
                await self._start()
                return
            except ProcessFailed:
                if attempt == START_TRIES:
                    raise
                await asyncio.sleep(START_PAUSE_S * attempt)

    async def _start(self) -> None:
        if self._process is not None:
            await self._process.__aexit__(None, None, None)
        self.starts += 1
        program = ["-m", "tests.chaos.planted"] if self._planted else ["main.py"]
        arguments = [
            sys.executable, *program, "serve", "--config", str(self._config), "--port", str(self.port),
            "--data", str(self._folder / "data"),
        ]  # fmt: skip
        environment = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", PLANTED: self._planted}
        output = self._folder / f"{self.name}-{self.starts}.log"
        self._process = await Process(arguments, output=output, env=environment, cwd=ROOT).__aenter__()
        await self._process.ready(lambda line: "ready on" in line)

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()

    async def terminate(self) -> int:
        """SIGTERM: a redeploy. Returns the exit code, or that of SIGKILL where it took too long."""
        with contextlib.suppress(ProcessFailed):
            return await self.process.terminate(END_S)
        return await self.process.kill()
