"""One process of the whole: started, waited for, asked to end, and certainly gone at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.support.programs import absence, find

LOOK_S: Final = 0.2
START_S: Final = 40.0  # a part that does not answer within this on a busy machine will not
PORTS: Final = (10_000, 32_000)  # below those of outgoing connections, on Linux from 32,768
PORT_TRIES: Final = 200
TAIL_CHARS: Final = 2000


class Trouble(Exception):
    """It cannot go on; the text says what to do."""


def say(text: str) -> None:
    """A line for whoever looks."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port of the loopback address that nobody listens on: of those that the kernel gives to no connection, since a part that
    dies comes back to its port. Raises: Trouble."""
    for _ in range(PORT_TRIES):
        port = PORTS[0] + secrets.randbelow(PORTS[1] - PORTS[0])
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Trouble("no free port was found on the loopback address")


def demand_free(port: int, otherwise: str) -> None:
    """Make sure that nobody listens there on the loopback address; `otherwise`: what to do then. Raises: Trouble."""
    with socket.socket() as probe:
        # As whoever listens there next: what only remembers connections that are over is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be taken ({error.strerror})"
            raise Trouble(f"port {port} {why}; {otherwise}") from None


class Part:
    """One process, which is started again when it ends by itself. `end`: the signal that it ends in order by; `ready`: whether it
    serves on its port, where to be connected to is not enough."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, port: int, *,
        env: dict[str, str] | None = None, end: signal.Signals = signal.SIGTERM, ready: Callable[[int], bool] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.port = port
        self.starts = 0
        self.log = folder / f"{name}.log"
        self._command = [*_guarded(), *command]
        self._folder = folder
        self._env = {**os.environ, **(env or {})}
        self._end = end
        self._ready = ready or _listens
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid if self._process is not None else 0

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll() if self._process is not None else 0

    def start(self) -> None:
        """Start it, and wait until it takes connections. Raises: Trouble."""
        self._end_the_rest()
        self.starts += 1
        with self.log.open("ab") as log:
            # A session of its own: the terminal's Ctrl-C is for us, who end the parts in their order.
            self._process = subprocess.Popen(  # noqa: S603 - the parts' own programs, in commands made here
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, env=self._env,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.code is None:
            with contextlib.suppress(OSError):
                # Somebody else may answer on its port, so it has to be there itself.
                if self._ready(self.port) and self.code is None:
                    return
            time.sleep(LOOK_S)
        raise Trouble(f"{self.name} does not serve on port {self.port}; its log ends with\n{self.tail()}")

    def _end_the_rest(self) -> None:
        """What one that was killed left of its own session, nginx's workers say, still listens: end that too."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def ask_to_end(self) -> None:
        """Ask it to end; do not wait."""
        if self.code is None and self._process is not None:
            self._process.send_signal(self._end)

    def wait_for_end(self, until: float) -> None:
        """Wait until it has ended; kill it when the time is up."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-TAIL_CHARS:]


def _guarded() -> list[str]:
    """What has a process ended when this one is gone without a word."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv is not None else []


def _listens(port: int) -> bool:
    """Whether connections are taken. Raises: OSError if not."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def redis_answers(port: int) -> bool:
    """Whether Redis has read its data. Raises: OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
        line.sendall(b"PING\r\n")
        return line.recv(64).startswith(b"+PONG")


def program(name: str) -> str:
    """Where a program is. Raises: Trouble if it is nowhere."""
    place = find(name)
    if place is None:
        raise Trouble(f"{absence(name)}: make programs fetches it, or your distribution has it")
    return place
