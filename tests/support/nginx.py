"""A real nginx before a server of ours, with the proxy settings that nginx has when nobody sets any.

    async with Nginx(tmp_path / "nginx", server.port) as nginx:
        ...                          # the server behind it: f"http://127.0.0.1:{nginx.port}/…", /ws as a socket
        assert nginx.errors() == []

Its configuration is what a first how-to shows: `listen`, `proxy_pass`, and the two headers without which no WebSocket gets
through. All else is nginx's own default: answers are buffered, read for 60 seconds, and asked for in HTTP/1.0. Everything
that it writes is in its folder; it listens on loopback, stays in the foreground and is gone at the end. Mark the test
`@pytest.mark.needs("nginx")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import Process, ProcessFailed
from tests.support.programs import absence, find
from tests.support.serving import free_port

SOCKETS = ("/ws",)  # the paths whose requests may become WebSockets
START_S = 20.0  # it listens within 50 ms; a busy machine gets far more
LOOK_S = 0.01  # between two looks whether it listens
STARTS = 3  # how often another port is tried where somebody else took the free one

# One process, so that none is left behind when the test run itself is killed.
CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
{temporary}
{servers}
}}
"""
PLAIN = """\
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
    }}
{sockets}{more}
  }}
"""
SOCKET = """\
    location {path} {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_SAID = re.compile(r"\[(?:warn|error|crit|alert|emerg)\] (.*)")


class Nginx:
    """One nginx. An async context manager: entered it listens on `port`, left it is gone."""

    def __init__(
        self,
        folder: Path,
        upstream_port: int,
        conf: str = "",
        *,
        sockets: Sequence[str] = SOCKETS,
        servers: str | None = None,
    ) -> None:
        """`conf` are further lines for the `server` block, such as another `location`; `sockets` are locations with the
        upgrade headers, in nginx's own words (`/ws`, `= /v1/responses`). `servers`: what is in the `http` block in place of all that, with PORT and
        UPSTREAM where the ports belong."""
        self.folder = folder
        self.port = 0
        self._upstream_port = upstream_port
        self._more = conf
        self._sockets = sockets
        self._servers = servers
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(STARTS):
            try:
                await self._start(attempt)
            except ProcessFailed:
                # Between `free_port` and nginx somebody else may have taken it; anything else is said at once.
                if "Address already in use" not in self._log() or attempt + 1 == STARTS:
                    raise
            else:
                return self
        raise AssertionError("not reached")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self._process.__aexit__(kind, error, trace)
            self._process = None

    async def restart(self) -> None:
        """End it, with all connections through it, and start it again on the same port."""
        await self.__aexit__(None, None, None)
        await self._start(STARTS, self.port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def errors(self) -> list[str]:
        """What it complained about so far: warnings and worse."""
        return _SAID.findall(self._log())

    def _log(self) -> str:
        path = self.folder / "error.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    async def _start(self, attempt: int, port: int | None = None) -> None:
        program = find("nginx")
        if program is None:
            raise ProcessFailed(absence("nginx"))
        self.port = port or free_port()
        written = self.folder / "nginx.conf"
        written.write_text(self._configuration())
        (self.folder / "error.log").unlink(missing_ok=True)
        # `-e`: before it has read its configuration it would write to the system's log.
        command: list[str | Path] = [
            program,
            "-e",
            self.folder / "error.log",
            "-p",
            self.folder,
            "-c",
            written,
        ]
        process = Process(command, output=self.folder / f"nginx-{attempt}.log")
        self._process = await process.__aenter__()
        try:
            await self._listens(process)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def _listens(self, process: Process) -> None:
        """Waits until a connection is taken. nginx says nothing when it is ready. Raises: ProcessFailed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while process.returncode is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        await writer.wait_closed()
                        return
                    await asyncio.sleep(LOOK_S)
        raise ProcessFailed(f"nginx does not listen\n{process.tail()}{self._log()}")

    def _configuration(self) -> str:
        sockets = "".join(SOCKET.format(path=path, upstream=self._upstream_port) for path in self._sockets)
        if self._servers is None:
            servers = PLAIN.format(
                port=self.port, upstream=self._upstream_port, sockets=sockets, more=self._more
            )
        else:
            servers = self._servers.replace("PORT", str(self.port)).replace(
                "UPSTREAM", str(self._upstream_port)
            )
        return CONFIGURATION.format(
            folder=self.folder,
            temporary="\n".join(f"  {name}_temp_path {self.folder}/{name};" for name in TEMPORARY),
            servers=servers,
        )
