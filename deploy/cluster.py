"""`make cluster`: all of Holdfast's parts on this machine, without containers, to try it and to break it.

    python -m deploy.cluster [--port 8080] [--data data/cluster] [--agent-file FILE] [--gateways 2] [--workers 2]

A real Redis and a real PostgreSQL with their data under `data/cluster`, two gateways, two workers, and nginx before them with
the configuration that compose.yaml uses. Ctrl-C ends everything, each by its own process id; what dies otherwise is started
again, so kill what you like: the ids are printed. Everything listens on loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.support.programs import absence, find, surroundings

ROOT: Final = Path(__file__).resolve().parents[1]
LOOK_S: Final = 0.2
START_S: Final = 40.0  # a part that does not answer within this on a busy machine will not
END_S: Final = 40.0  # a node drains for 25 s, and closes its connections
RESTARTS_MAX: Final = 50  # of each part: more is a part that cannot run, which should be seen
PORTS: Final = (10_000, 32_000)  # below those of outgoing connections, on Linux from 32,768
PORT_TRIES: Final = 200
NODES_MAX: Final = 8  # of each role: this is one machine
TAIL_CHARS: Final = 2000
TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

NGINX: Final = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
  access_log off;
{temporary}
{gateways}
}}
"""


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
                if self._ready(self.port):
                    return
            time.sleep(LOOK_S)
        raise Trouble(f"{self.name} does not serve on port {self.port}; its log ends with\n{self.tail()}")

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


def _redis_answers(port: int) -> bool:
    """Whether Redis has read its data. Raises: OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
        line.sendall(b"PING\r\n")
        return line.recv(64).startswith(b"+PONG")


def _program(name: str) -> str:
    place = find(name)
    if place is None:
        raise Trouble(f"{absence(name)}: make programs fetches it, or your distribution has it")
    return place


# -- the parts -----------------------------------------------------------------------------------------------------


def redis_part(folder: Path) -> Part:
    """Redis, set up as Holdfast insists on."""
    data = folder / "redis"
    data.mkdir(exist_ok=True)
    port, program = free_port(), _program("redis-server")
    command = [
        program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data), "--appendonly", "yes", "--save", "",
        "--maxmemory-policy", "noeviction", "--client-output-buffer-limit", "pubsub 64mb 16mb 60",
    ]  # fmt: skip
    return Part("redis", command, folder, port, env=surroundings(program), ready=_redis_answers)


def postgres_part(folder: Path) -> tuple[Part, str]:
    """PostgreSQL and the address of its database. It refuses to be root: there it runs as `nobody`."""
    user, port = _unprivileged(), free_port()
    place = folder if user is None or _open_to_all(folder) else _elsewhere(folder)
    data, secret = place / "postgres", place / "postgres.password"
    program = str(Path(_program("postgres")).resolve())
    env = {"LC_ALL": "C", **surroundings(program)}
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(16))
        if user is not None:
            for path in (data, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        data.chmod(0o700)
        made = subprocess.run(  # noqa: S603 - as above
            [
                *_as(user), str(Path(program).with_name("initdb")), "-D", str(data), "-U", "holdfast", "-A",
                "scram-sha-256", "--pwfile", str(secret), "--encoding=UTF8", "--locale=C", "--no-instructions",
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=place, check=False,
            env={**os.environ, **env},
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise Trouble(f"PostgreSQL cannot be set up in {data}:\n{made.stdout}{made.stderr}")
    command = [
        *_as(user), program, "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c",
        "unix_socket_directories=", "-c", "max_connections=200",
    ]  # fmt: skip

    def serves(_: int) -> bool:
        """It writes so into its file, some time after it listens."""
        return (data / "postmaster.pid").read_bytes().splitlines()[-1].strip() == b"ready"

    part = Part("postgres", command, folder, port, env=env, end=signal.SIGINT, ready=serves)
    return part, f"postgresql://holdfast:{secret.read_text()}@127.0.0.1:{port}/postgres"


def _open_to_all(folder: Path) -> bool:
    """Whether anybody may go into it."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _elsewhere(folder: Path) -> Path:
    """Where PostgreSQL keeps its data if that folder is root's alone; the same at each start."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"holdfast-cluster-{name}"
    place.mkdir(mode=0o755, exist_ok=True)
    if place.stat().st_uid != os.geteuid() or place.is_symlink():
        raise Trouble(f"{place} is not yours; choose another folder with --data")
    say(f"({folder} is root's alone, and PostgreSQL is not root: its data is in {place})")
    return place


def _unprivileged() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as(user: pwd.struct_passwd | None) -> list[str]:
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Trouble("PostgreSQL refuses to run as root: run this as another user, or install util-linux")
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--pdeathsig",
        "INT",
        "--",
    ]


def node_part(name: str, role: str, folder: Path, env: dict[str, str], agent_files: Sequence[str]) -> Part:
    """A gateway or a worker: the program that everybody runs."""
    port = free_port()
    command = [
        sys.executable, str(ROOT / "main.py"), "serve", "--port", str(port), "--role", role,
        "--data", str(folder / name), *(word for file in agent_files for word in ("--agent-file", file)),
    ]  # fmt: skip
    return Part(name, command, folder, port, env={**env, "HOLDFAST_CLUSTER__NAME": name})


def nginx_part(folder: Path, port: int, gateways: Sequence[Part]) -> Part:
    """nginx, with the file that compose.yaml uses."""
    place = folder / "nginx"
    place.mkdir(exist_ok=True)
    servers = " ".join(f"server 127.0.0.1:{each.port} max_fails=1 fail_timeout=2s;" for each in gateways)
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    text = text.replace("${HOLDFAST_LISTEN}", f"127.0.0.1:{port}").replace("${HOLDFAST_GATEWAYS}", servers)
    written = place / "nginx.conf"
    temporary = "\n".join(f"  {name}_temp_path {place}/{name};" for name in TEMPORARY)
    written.write_text(NGINX.format(folder=place, temporary=temporary, gateways=text))
    command = [_program("nginx"), "-e", str(place / "error.log"), "-p", str(place), "-c", str(written)]
    return Part("nginx", command, folder, port, end=signal.SIGQUIT)


# -- the whole -----------------------------------------------------------------------------------------------------


class Whole:
    """All parts, in the order in which they start; they end the other way round."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.parts: list[Part] = []
        self.stopping = False

    def start(self) -> None:
        """Start everything. Raises: Trouble."""
        options, folder = self._options, Path(self._options.data).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        redis = self._start(redis_part(folder))
        postgres, history = postgres_part(folder)
        self._start(postgres)
        address = f"http://127.0.0.1:{options.port}"
        env = {
            "HOLDFAST_STORE__URL": f"redis://127.0.0.1:{redis.port}/0",
            "HOLDFAST_STORE__HISTORY": history,
            "HOLDFAST_SERVER__PUBLIC_URL": address,
            "HOLDFAST_SERVER__TRUSTED_PROXIES": '["127.0.0.1"]',
        }
        gateways = [self._node("gateway", number, folder, env) for number in range(1, options.gateways + 1)]
        for number in range(1, options.workers + 1):
            self._node("worker", number, folder, env)
        if find("nginx") is not None:
            self._start(nginx_part(folder, options.port, gateways))
            addresses = [address]
        else:
            say(f"({absence('nginx')}: make programs fetches it; until then take a gateway's own address)")
            addresses = [f"http://127.0.0.1:{gateway.port}" for gateway in gateways]
        for part in self.parts:
            say(f"  {part.name:<12} pid {part.pid:<8} port {part.port:<6} {part.log}")
        say(f"cluster ready on {' '.join(addresses)}  (Ctrl-C ends it; kill any of the above, and see)")

    def _node(self, role: str, number: int, folder: Path, env: dict[str, str]) -> Part:
        return self._start(node_part(f"{role}-{number}", role, folder, env, self._options.agent_file))

    def _start(self, part: Part) -> Part:
        self.parts.append(part)
        part.start()
        return part

    def watch(self) -> None:
        """Start again what ends, until this is to stop. Raises: Trouble when something will not stay."""
        while not self.stopping:
            time.sleep(LOOK_S)
            for part in self.parts:
                code = part.code
                if code is None or self.stopping:
                    continue
                if part.starts > RESTARTS_MAX:
                    raise Trouble(f"{part.name} ended {part.starts} times; its log ends with\n{part.tail()}")
                part.start()
                say(f"  {part.name:<12} ended ({code}); started again with pid {part.pid}")

    def stop(self) -> None:
        """End everything: nginx and nodes together, then the stores that they write to."""
        until = time.monotonic() + END_S
        stores, nodes = self.parts[:2], self.parts[2:]
        for group in (nodes, stores):
            for part in group:
                part.ask_to_end()
            for part in group:
                part.wait_for_end(until)


def main(arguments: Sequence[str]) -> int:
    """Run until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8080, help="of nginx (8080)")
    parser.add_argument("--data", default=str(ROOT / "data" / "cluster"), help="where everything is kept")
    parser.add_argument("--gateways", type=int, default=2, choices=range(1, NODES_MAX + 1), metavar="N")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, NODES_MAX + 1), metavar="N")
    parser.add_argument(
        "--agent-file", action="append", default=[], metavar="FILE", help="agents of your own"
    )
    whole = Whole(parser.parse_args(arguments))

    def stop(*_: object) -> None:
        if whole.stopping:
            raise KeyboardInterrupt  # a second Ctrl-C waits for nobody
        whole.stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    code = 0
    try:
        whole.start()
        whole.watch()
        say("Stopping: answers that run have 25 seconds to end ...")
    except Trouble as error:
        say(f"cluster: {error}")
        code = 1
    finally:
        whole.stop()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
