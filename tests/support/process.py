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
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tests.support.level import Level

READY_S = 20.0  # an interpreter with its imports on a busy machine takes 2 s; ten times that is a hang
EXIT_S = 10.0
LAST_OUTPUT_S = (
    0.5  # after the end: a child left behind may hold the pipes, so their end is not waited for long
)
OUTPUT_BYTES_MAX = 8 * 1024 * 1024  # the file keeps the first bytes; what follows is counted and dropped
LINES_BYTES_MAX = 64 * 1024  # of stdout, kept for ready lines
STDOUT, STDERR = 1, 2
TAIL_CHARS = 4000  # of the output, in an error's text


class ProcessFailed(AssertionError):
    """The process ended or stayed silent where it should not have; the text ends with its last output."""


class _Life(asyncio.SubprocessProtocol):
    """What the loop tells of the process, handed to its Process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._process.take(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._process.open_pipes.discard(fd)
        self._process.level.notify()

    def process_exited(self) -> None:
        self._process.level.notify()


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
        """`env` adds to this process's environment. `output` takes stdout and stderr as they come, appending."""
        self.output = output
        self.stdout_lines: list[str] = []  # so far, within LINES_BYTES_MAX in all
        self.dropped_bytes = 0  # of the output, over `output_bytes_max`
        self.open_pipes = {STDOUT, STDERR}
        self.level = Level()
        self._arguments = [str(argument) for argument in arguments]
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._bytes_left = output_bytes_max
        self._line_bytes_left = LINES_BYTES_MAX
        self._line = b""
        self._transport: asyncio.SubprocessTransport | None = None
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> Self:
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        self._file = self.output.open("ab", buffering=0)
        self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Life(self),
            *guard,
            *self._arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,  # a ^C at the test run is not a signal to the process
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Its group is its own. A pipe open after its end means a child that it left: the group's id is still taken.
        if self.returncode is None or self.open_pipes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self.wait()
        self._running.close()
        if self._file is not None:
            self._file.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.get_pid()

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the signal's number where a signal ended it."""
        return self._running.get_returncode()

    async def ready(self, is_ready: Callable[[str], bool] = bool, wait_s: float = READY_S) -> str:
        """Returns the first line of stdout for which `is_ready` is true (by default: the first that is not empty).

        Raises: ProcessFailed when the process ends or `wait_s` passes without such a line.
        """

        def line() -> str | None:
            return next((line for line in self.stdout_lines if is_ready(line)), None)

        def has_ended() -> bool:
            return self.returncode is not None and STDOUT not in self.open_pipes

        try:
            await self.level.until(lambda: line() is not None or has_ended(), wait_s)
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
            await self.level.until(lambda: self.returncode is not None, wait_s)
        except TimeoutError:
            raise self._failure(f"still running after {wait_s} s") from None
        with contextlib.suppress(TimeoutError):
            await self.level.until(lambda: not self.open_pipes, LAST_OUTPUT_S)
        assert self.returncode is not None
        return self.returncode

    async def kill(self) -> int:
        """SIGKILL; returns the exit code once the process is gone."""
        self.send(signal.SIGKILL)
        return await self.wait()

    async def terminate(self, wait_s: float = EXIT_S) -> int:
        """SIGTERM; returns the exit code.

        Raises: ProcessFailed when it has not ended within `wait_s`; it runs on then.
        """
        self.send(signal.SIGTERM)
        return await self.wait(wait_s)

    def stop(self) -> None:
        """SIGSTOP: the process stands still, its sockets stay open."""
        self.send(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, such as a second SIGTERM, and does not wait; nothing where the process has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def tail(self) -> str:
        """The end of its output so far."""
        return self.output.read_text("utf-8", "replace")[-TAIL_CHARS:]

    def take(self, fd: int, data: bytes) -> None:
        """Keeps what fits of the output. All of it is read, always: the process never blocks on a full pipe."""
        kept = data[: max(0, self._bytes_left)]
        self._bytes_left -= len(kept)
        self.dropped_bytes += len(data) - len(kept)
        if self._file is not None and kept:
            self._file.write(kept)
        if fd == STDOUT:
            *lines, rest = (self._line + data).split(b"\n")
            self._line = rest[-LINES_BYTES_MAX:]
            for line in lines:
                self._line_bytes_left -= len(line) + 1
                if self._line_bytes_left >= 0:
                    self.stdout_lines.append(line.decode("utf-8", "replace").rstrip("\r"))
        self.level.notify()

    @property
    def _running(self) -> asyncio.SubprocessTransport:
        if self._transport is None:
            raise RuntimeError("not started: enter it with `async with` first")
        return self._transport

    def _failure(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{' '.join(self._arguments)}: {what}\n--- its output ends with\n{self.tail()}")
