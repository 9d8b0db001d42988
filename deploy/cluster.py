"""`make cluster`: all of Holdfast's parts on this machine, without containers, to try it and to break it.

    python -m deploy.cluster [--port 8080] [--data data/cluster] [--agent-file FILE] [--gateways 2] [--workers 2]

A real Redis and a real PostgreSQL with their data under `data/cluster`, two gateways, two workers, and nginx before them with
the configuration that compose.yaml uses. Ctrl-C ends everything, each by its own process id; what dies otherwise is started
again, so kill what you like: the ids are printed. Everything listens on loopback.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.programs import absence, find

from .part import LOOK_S, Part, Trouble, demand_free, free_port, program, say
from .stores import postgres_part, redis_part

ROOT: Final = Path(__file__).resolve().parents[1]
NODES_END_S: Final = 55.0  # a node drains for 25 s, and what does not let go has 30 s more
STORES_END_S: Final = 20.0  # they write what they have, and nobody is connected any more
RESTARTS_MAX: Final = 50  # of each part: more is a part that cannot run, which should be seen
NODES_MAX: Final = 8  # of each role: this is one machine
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
    command = [program("nginx"), "-e", str(place / "error.log"), "-p", str(place), "-c", str(written)]
    return Part("nginx", command, folder, port, end=signal.SIGQUIT)


# -- the whole -----------------------------------------------------------------------------------------------------


class Whole:
    """All parts, in the order in which they start; they end the other way round."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.parts: list[Part] = []
        self._agent_files: list[str] = []
        self.stopping = False

    def start(self) -> None:
        """Start everything. Raises: Trouble, before anything is started if it lies in the options."""
        options, folder = self._options, Path(self._options.data).resolve()
        self._agent_files = [str(agent_file(file)) for file in options.agent_file]
        if find("nginx") is not None:
            demand_free(options.port, "choose another: make cluster ARGS='--port 9000'")
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
        return self._start(node_part(f"{role}-{number}", role, folder, env, self._agent_files))

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
        stores, nodes = self.parts[:2], self.parts[2:]
        for group, end_s in ((nodes, NODES_END_S), (stores, STORES_END_S)):
            until = time.monotonic() + end_s
            for part in group:
                part.ask_to_end()
            for part in group:
                part.wait_for_end(until)


def agent_file(name: str) -> Path:
    """The file as the nodes find it, which run in another folder. Raises: Trouble if there is none."""
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise Trouble(f"there is no file {path}, which --agent-file names")
    return path


def _port(text: str) -> int:
    """A port that can be listened on. Raises: ValueError, which argparse makes a sentence of."""
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port; choose one from 1 to 65535")
    return port


def main(arguments: Sequence[str]) -> int:
    """Run until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=_port, default=8080, help="of nginx (8080)")
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
