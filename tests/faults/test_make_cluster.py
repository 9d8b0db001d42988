"""`make cluster`: everything on one machine behind one address, which is still there when a worker is killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploy.cluster import NODES_END_S, agent_file
from deploy.part import Part, Trouble
from holdfast_client import connect
from holdfast_server.config import ServerSection
from tests.support.process import Process
from tests.support.serving import ROOT, free_port

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.needs("redis-server", "postgres", "nginx"),
]

READY_S = 90.0
END_S = 60.0
BOUND_S = 150
PART = re.compile(r"^\s+(\S+)\s+pid (\d+)\s+port (\d+)")
ADDRESS = re.compile(r"cluster ready on (\S+)")


def running(pid: int) -> bool:
    """Whether that process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def restarted(name: str) -> Callable[[str], bool]:
    """Whether a line says that this part was started again."""
    return lambda line: line.split()[:1] == [name] and "started again" in line


async def test_an_answer_outlives_its_worker(tmp_path):
    """Asked through nginx, an answer goes on while one worker after the other is killed; Ctrl-C then ends every process."""
    arguments = [
        sys.executable, "-m", "deploy.cluster", "--port", str(free_port()), "--data", str(tmp_path / "data"),
    ]  # fmt: skip
    async with (
        asyncio.timeout(BOUND_S),
        Process(arguments, output=tmp_path / "cluster.log", cwd=ROOT) as cluster,
    ):
        line = await cluster.ready(lambda line: "cluster ready on" in line, READY_S)
        parts = [found for found in map(PART.match, cluster.stdout_lines) if found]
        pids = {part[1]: int(part[2]) for part in parts}
        assert set(pids) == {
            "redis", "postgres", "gateway-1", "gateway-2", "worker-1", "worker-2", "nginx",
        }  # fmt: skip
        address = ADDRESS.search(line)
        assert address is not None
        async with connect(address[1]) as client:
            answer = await client.submit("Go on.", options={"words": 120, "pace": 20})
            for worker in ("worker-1", "worker-2"):
                while answer.fold.offset < 10:  # noqa: ASYNC110 - the answer is the process's own
                    await asyncio.sleep(0.05)
                os.kill(pids[worker], signal.SIGKILL)
                await cluster.ready(restarted(worker), READY_S)
            transcript = await answer.result()
        assert transcript.status == "completed"
        assert len(transcript.text.split()) == 120
        assert transcript.attempt > 1, "no kill has bitten"
        again = re.findall(r"started again with pid (\d+)", "\n".join(cluster.stdout_lines))
        cluster.send(signal.SIGINT)
        assert await cluster.wait(END_S) == 0
        assert not [pid for pid in (*pids.values(), *map(int, again)) if running(pid)]


def cluster_refuses(*arguments: str, data: Path) -> str:
    """What the program says that ends at once because of its options."""
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.cluster", "--data", str(data), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert not data.exists(), "something was started"
    return ended.stdout


def test_a_port_that_is_taken_is_refused_at_once(tmp_path):
    """Where somebody else listens nothing is started, and it is said what to do; no other server passes for the cluster."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = cluster_refuses("--port", str(port), data=tmp_path / "data")
    assert said == f"cluster: port {port} is in use; choose another: make cluster ARGS='--port 9000'\n"


def test_an_agent_file_that_is_not_there_is_refused_at_once(tmp_path):
    """The file is looked for before anything starts, from where the person is."""
    said = cluster_refuses("--port", str(free_port()), "--agent-file", "no_agents.py", data=tmp_path / "data")
    assert said == f"cluster: there is no file {ROOT / 'no_agents.py'}, which --agent-file names\n"


def test_an_agent_file_is_named_from_where_the_person_is(tmp_path, monkeypatch):
    """Nodes, which run elsewhere, get the whole path."""
    (tmp_path / "mine.py").touch()
    monkeypatch.chdir(tmp_path)
    assert agent_file("mine.py") == tmp_path / "mine.py"


def test_a_part_that_has_ended_does_not_serve(tmp_path):
    """A part whose process is gone has not started, whoever answers on its port."""

    def answered_after_its_end(_port: int) -> bool:
        while part.code is None:
            time.sleep(0.01)
        return True

    part = Part("part", [sys.executable, "-c", "print('gone')"], tmp_path, 1, ready=answered_after_its_end)
    with pytest.raises(Trouble, match="part does not serve on port 1; its log ends with\ngone"):
        part.start()


def test_how_long_to_wait_before_a_kill_is_one_figure():
    """Whoever writes of it gives a server the same time to end, and a node's cluster too."""
    more_s = 30
    whole_s = int(ServerSection().drain_s) + more_s
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    graces = {service["stop_grace_period"] for service in services.values() if "stop_grace_period" in service}
    assert graces == {f"{whole_s}s"}
    assert whole_s == NODES_END_S
    assert f"--stop-timeout {whole_s} " in (ROOT / "README.md").read_text()
    for page in ("docs/operations.md", "docs/guarantees.md"):
        assert f"`drain_s` and {more_s} seconds more" in (ROOT / page).read_text()


def test_compose_has_the_same_parts():
    """compose.yaml has nginx with the same configuration, two gateways, two workers and both stores; only nginx is
    published, nobody starts before what it needs is healthy, and secrets come from the environment."""
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = composed["services"]
    assert set(services) == {
        "nginx", "gateway-1", "gateway-2", "worker-1", "worker-2", "redis", "postgres",
    }  # fmt: skip
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert all("healthcheck" in service for service in services.values())
    for name in ("gateway-1", "gateway-2", "worker-1", "worker-2"):
        service = services[name]
        assert service["environment"]["HOLDFAST_CLUSTER__ROLES"] == f'["{name[:-2]}"]'
        assert service["depends_on"]["redis"] == {"condition": "service_healthy"}
    written = (ROOT / "deploy" / "nginx.conf").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", written)) <= set(services["nginx"]["environment"])
    options = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in options
    assert "--maxmemory-policy noeviction" in options
    secret = re.compile(r"\$\{(?:REDIS_PASSWORD|POSTGRES_PASSWORD|HOLDFAST_TOKENS):\?")
    assert len(secret.findall((ROOT / "compose.yaml").read_text())) == 5
    example = (ROOT / "deploy" / "example.env").read_text()
    named = set(re.findall(r"\$\{(\w+)[:}]", (ROOT / "compose.yaml").read_text()))
    assert named == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
