"""A real process under test: started, waited for, killed, stopped, and certainly gone at the end.

    async with Process([sys.executable, "main.py", "serve"], output=tmp_path / "server.log") as server:
        await server.ready()            # its first line on stdout
        await server.kill()             # SIGKILL: nothing of it runs any more when this returns

Signals go to the process that was started, by its id. Where `setpriv` is installed (util-linux) the kernel kills the
process when the test run itself dies, so that a killed run leaves no server on its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from tests.support.level import Level

READY_S = 20.0  # an interpreter with its imports on a busy machine takes 2 s; ten times that is a hang
EXIT_S = 10.0
OUTPUT_BYTES_MAX = 8 * 1024 * 1024  # the file keeps the first bytes; what follows is counted and dropped
LINE_BYTES_MAX = 64 * 1024
TAIL_CHARS = 4000  # of the output, in an error's text


class ProcessFailed(AssertionError):
    """The process ended or stayed silent where it should not have; the text ends with its last output."""


class Process:
    """One process. An async context manager: entered it runs, left it is gone, whatever happened between."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        output: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output_bytes_max: int = OUTPUT_BYTES_MAX,
    ) -> None:
        """`env` adds to this process's environment. `output` takes stdout and stderr, line by line, appending."""
        self.output = output
        self.dropped_bytes = 0
        self._arguments = [str(argument) for argument in arguments]
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._bytes_left = output_bytes_max
        self._process: asyncio.subprocess.Process | None = None
        self._lines: list[str] = []
        self._line_bytes_left = LINE_BYTES_MAX
        self._level = Level()
        self._pumps: list[asyncio.Task[None]] = []
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> Self:
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        self._file = self.output.open("ab")
        self._process = await asyncio.create_subprocess_exec(
            *guard,
            *self._arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,  # a ^C at the test run is not a signal to the process
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._pumps = [
            _spawn(self._pump(self._process.stdout, self._take), f"stdout-{self.pid}"),
            _spawn(self._pump(self._process.stderr, None), f"stderr-{self.pid}"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # its own session: the process, and children it left
            await self._running.wait()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.wait(self._pumps)
        if self._file is not None:
            self._file.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the signal's number where a signal ended it."""
        return self._running.returncode

    @property
    def stdout_lines(self) -> list[str]:
        """The lines of stdout so far, within LINE_BYTES_MAX in all."""
        return list(self._lines)

    async def ready(self, is_ready: Callable[[str], bool] = bool, wait_s: float = READY_S) -> str:
        """Returns the first line of stdout for which `is_ready` is true (by default: the first that is not empty).

        Raises: ProcessFailed when the process ends or `wait_s` passes without such a line.
        """

        def line() -> str | None:
            return next((line for line in self._lines if is_ready(line)), None)

        def ended() -> bool:
            return all(pump.done() for pump in self._pumps)

        try:
            await self._level.until(lambda: line() is not None or ended(), wait_s)
        except TimeoutError:
            raise self._failure(f"no ready line within {wait_s} s") from None
        found = line()
        if found is None:
            await self.wait()
            raise self._failure(f"ended with {self.returncode} before its ready line")
        return found

    async def wait(self, wait_s: float = EXIT_S) -> int:
        """Waits for the end and for the rest of the output; returns the exit code.

        Raises: ProcessFailed after `wait_s`.
        """
        try:
            async with asyncio.timeout(wait_s):
                code = await self._running.wait()
        except TimeoutError:
            raise self._failure(f"still running after {wait_s} s") from None
        # A child that it left may hold the pipes open: the rest of the output is waited for, but not for long.
        await asyncio.wait(self._pumps, timeout=1.0)
        return code

    async def kill(self) -> int:
        """SIGKILL; returns the exit code once the process is gone."""
        self._signal(signal.SIGKILL)
        return await self.wait()

    async def terminate(self, wait_s: float = EXIT_S) -> int:
        """SIGTERM; returns the exit code.

        Raises: ProcessFailed when it has not ended within `wait_s`; it runs on then.
        """
        self._signal(signal.SIGTERM)
        return await self.wait(wait_s)

    def send(self, number: signal.Signals) -> None:
        """Sends any other signal, such as a second SIGTERM, and does not wait."""
        self._signal(number)

    def stop(self) -> None:
        """SIGSTOP: the process stands still, its sockets stay open."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self._signal(signal.SIGCONT)

    def tail(self) -> str:
        """The end of its output so far."""
        return self.output.read_text("utf-8", "replace")[-TAIL_CHARS:]

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("not started: enter it with `async with` first")
        return self._process

    def _signal(self, number: signal.Signals) -> None:
        if self._running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _pump(self, pipe: asyncio.StreamReader, take: Callable[[bytes], None] | None) -> None:
        """Reads to the end, always, so that the process never blocks on a full pipe; keeps what fits."""
        try:
            rest = b""
            while data := await pipe.read(LINE_BYTES_MAX):
                kept = data[: max(0, self._bytes_left)]
                self._bytes_left -= len(kept)
                self.dropped_bytes += len(data) - len(kept)
                if self._file is not None and kept:
                    self._file.write(kept)
                    self._file.flush()
                if take is not None:
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        take(line)
                    rest = rest[-LINE_BYTES_MAX:]
        finally:
            asyncio.get_running_loop().call_soon(self._level.notify)  # once this task is done

    def _take(self, line: bytes) -> None:
        self._line_bytes_left -= len(line)
        if self._line_bytes_left >= 0:
            self._lines.append(line.decode("utf-8", "replace").rstrip("\r"))
            self._level.notify()

    def _failure(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{' '.join(self._arguments)}: {what}\n--- its output ends with\n{self.tail()}")


def _spawn(life: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(life, name=name)
