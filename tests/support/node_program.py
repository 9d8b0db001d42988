"""Programs in JavaScript with other people's packages, as a test runs them: tests/support/js, each given a task, each saying lines.

    said = await run_program(tmp_path, "openai_responses.mjs", {"base_url": url, "do": "create", "input": "Hello"})
    said[-1]                                        # {"type": "end", ...}; a program says one JSON object a line

    async with NodeProgram(tmp_path, "ai_chat.mjs", task) as program:
        await program.said("cut")                   # the first line of that type, while it runs
        await server.kill()
        lines = await program.end()                 # all lines; it ended well

A program lies in a folder of its own beside a `node_modules` that is the one of web/, so that `import "openai"` is written as
anybody writes it. Where Node or that package is missing the test is skipped; with CI=true it fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.process import Process
from tests.support.web_package import NO_NODE, WEB, Failed, leave_out

JS = Path(__file__).resolve().parent / "js"
RUN_S = 60.0  # a program takes a second; a busy machine ten
OUTPUT_BYTES_MAX = 32 * 1024 * 1024  # of all lines: some thousand events, each with the whole answer so far
_IMPORTED = re.compile(r"""\b(?:from|import\()\s*["']((?:@[\w-]+/)?[\w-]+)""")


class NodeProgram:
    """One run of a program. An async context manager: entered it runs, left it is gone."""

    def __init__(
        self, folder: Path, name: str, task: Mapping[str, Any], *, env: Mapping[str, str] | None = None
    ) -> None:
        """`task` is its one argument, as JSON; what it is asked for is described at the top of the program."""
        self._folder = folder / f"{Path(name).stem}-js"
        self._name = name
        self._task = task
        self._env = env
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        _place(self._folder)
        number = sum(1 for _ in self._folder.glob("*.log"))
        # web/node.sh goes to web/ itself: the program runs where it lies.
        started: list[str | Path] = [
            "sh",
            WEB / "node.sh",
            "sh",
            "-c",
            'cd "$0" && exec node "$@"',
            self._folder,
        ]
        self._process = await Process(
            [*started, self._name, json.dumps(self._task)],
            output=self._folder / f"{number}.log",
            env={"NO_COLOR": "1", **(self._env or {})},
            output_bytes_max=OUTPUT_BYTES_MAX,
        ).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self._process.__aexit__(kind, error, trace)

    async def said(self, type_: str, wait_s: float = RUN_S) -> dict[str, Any]:
        """The first line of a type, as soon as it is there (among the first 64 KB of lines).

        Raises: ProcessFailed when the program ends or `wait_s` passes without it.
        """
        line = await self._running.ready(lambda line: (_read(line) or {}).get("type") == type_, wait_s)
        found = _read(line)
        assert found is not None
        return found

    async def end(self, wait_s: float = RUN_S) -> list[dict[str, Any]]:
        """Waits for its end; returns all that it said.

        Raises: Failed if it ended badly or said too much; ProcessFailed if it has not ended after `wait_s`.
        """
        process = self._running
        code = await process.wait(wait_s)
        output = process.output.read_text("utf-8", "replace")
        if code == NO_NODE and "web: needs Node" in output:
            leave_out("no recent Node with npm")
        if code or process.dropped_bytes:
            raise Failed(
                f"{self._name} ended with {code}, {process.dropped_bytes} B dropped:\n{process.tail()}"
            )
        # Line feeds alone end a line: JSON leaves U+2028 and the like as they are.
        return [said for line in output.split("\n") if (said := _read(line)) is not None]

    @property
    def _running(self) -> Process:
        assert self._process is not None, "enter it first"
        return self._process


async def run_program(
    folder: Path, name: str, task: Mapping[str, Any], *, wait_s: float = RUN_S
) -> list[dict[str, Any]]:
    """Runs a program to its end; returns what it said. Raises: Failed, ProcessFailed."""
    async with NodeProgram(folder, name, task) as program:
        return await program.end(wait_s)


def _place(folder: Path) -> None:
    """Puts the programs there, once, with the packages of web/ beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = WEB / "node_modules"
    for source in sorted(JS.glob("*.mjs")):
        text = source.read_text("utf-8")
        missing = [name for name in _IMPORTED.findall(text) if not (modules / name).is_dir()]
        if missing:
            leave_out(
                f"the packages of web/ are not installed (make test installs them): {', '.join(missing)}"
            )
        (folder / source.name).write_text(text, "utf-8")
    if not (folder / "node_modules").is_symlink():
        (folder / "node_modules").symlink_to(modules)


def _read(line: str) -> dict[str, Any] | None:
    """What a line says, or None where it is something else, such as a warning of Node's."""
    if not line.startswith("{"):
        return None
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return said
