"""A real server process over a real folder, to be killed and started again on the same port."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import Process

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`python main.py serve`, as a user would start it; `kill` and `start` as often as one likes."""

    def __init__(self, folder: Path, *, toml: str = "", env: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.config = folder / "holdfast.toml"
        self.config.write_text(toml)
        self._env = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **(env or {})}
        self._process: Process | None = None
        self.starts = 0

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def process(self) -> Process:
        """The process that runs, or ran last."""
        assert self._process is not None
        return self._process

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self._process.__aexit__(kind, error, trace)

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        if self._process is not None:
            await self._process.__aexit__(None, None, None)
        self.starts += 1
        arguments = [
            sys.executable, "main.py", "serve", "--config", str(self.config), "--port", str(self.port),
            "--data", str(self.folder / "data"),
        ]  # fmt: skip
        output = self.folder / f"server-{self.starts}.log"
        self._process = await Process(arguments, output=output, env=self._env, cwd=ROOT).__aenter__()
        await self._process.ready(lambda line: "ready on" in line)

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()


def openai_toml(base_url: str, *, retries: int = 8, extra: str = "") -> str:
    """A configuration with one agent, `model`, that asks the scripted upstream."""
    return (
        f'default_agent = "model"\n{extra}\n'
        f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nbase_url = "{base_url}"\napi_key = "unused"\n'
        f"retries = {retries}\n"
    )
