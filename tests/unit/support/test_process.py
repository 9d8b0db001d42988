"""Real processes: ready lines, signals, bounded output, certain ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.support.process import Process, ProcessFailed

ROOT = Path(__file__).resolve().parents[3]
# Without site and user packages an interpreter starts in some 20 ms.
PYTHON = [sys.executable, "-I", "-S", "-c"]
SERVE = "import signal, sys; print('noise'); print('ready', flush=True); signal.pause()"


def is_alive(pid: int) -> bool:
    """Whether it runs: one that waits for its parent to read its exit code does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_ready_then_killed(tmp_path: Path) -> None:
    """`ready` gives the line asked for; after `kill` the process is gone."""
    async with Process([*PYTHON, SERVE], output=tmp_path / "out") as process:
        assert await process.ready(lambda line: line.startswith("re")) == "ready"
        assert is_alive(process.pid)
        assert await process.kill() == -signal.SIGKILL
        assert not is_alive(process.pid)
        assert process.stdout_lines == ["noise", "ready"]


async def test_terminate_gives_the_exit_code(tmp_path: Path) -> None:
    """A process that handles SIGTERM ends with its own code."""
    code = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); {SERVE}"
    async with Process([*PYTHON, code], output=tmp_path / "out") as process:
        await process.ready()
        assert await process.terminate() == 7


async def test_a_process_that_ignores_sigterm_is_reported(tmp_path: Path) -> None:
    """`terminate` fails within its bound, and leaving the context ends the process all the same."""
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVE}"
    async with Process([*PYTHON, code], output=tmp_path / "out") as process:
        await process.ready()
        with pytest.raises(ProcessFailed, match="still running"):
            await process.terminate(wait_s=0.05)
        assert is_alive(process.pid)
    assert not is_alive(process.pid)


async def test_an_early_end_tells_the_output(tmp_path: Path) -> None:
    """A process that ends before its ready line is an error that shows its code and what it wrote to stderr."""
    async with Process([*PYTHON, "import sys; sys.exit('no port free')"], output=tmp_path / "out") as process:
        with pytest.raises(ProcessFailed, match=r"(?s)ended with 1 .*no port free"):
            await process.ready()


async def test_silence_is_bounded(tmp_path: Path) -> None:
    """A process without a ready line fails `ready` within its bound."""
    async with Process([*PYTHON, SERVE], output=tmp_path / "out") as process:
        with pytest.raises(ProcessFailed, match="no ready line"):
            await process.ready(lambda line: line == "never", wait_s=0.05)


async def test_stop_and_cont(tmp_path: Path) -> None:
    """A stopped process answers nothing and does not die; continued, it goes on."""
    code = """
import os, signal
def tick(*_): os.write(1, b"tick\\n")
signal.signal(signal.SIGUSR1, tick)
print("ready", flush=True)
while True: signal.pause()
"""
    async with Process([*PYTHON, code], output=tmp_path / "out") as process:
        await process.ready()
        process.stop()
        process.send(signal.SIGUSR1)
        with pytest.raises(ProcessFailed):
            await process.ready(lambda line: line == "tick", wait_s=0.05)
        assert process.returncode is None
        process.cont()
        assert await process.ready(lambda line: line == "tick") == "tick"


async def test_output_is_bounded(tmp_path: Path) -> None:
    """A chatty process never blocks on its pipe; the file keeps the first bytes and the rest is counted."""
    code = "import sys; sys.stdout.write(('z' * 999 + '\\n') * 1000); sys.stdout.flush()"
    async with Process([*PYTHON, code], output=tmp_path / "out", output_bytes_max=5000) as process:
        assert await process.wait() == 0
        assert (tmp_path / "out").stat().st_size == 5000
        assert process.dropped_bytes == 1_000_000 - 5000
        assert sum(len(line) for line in process.stdout_lines) <= 64 * 1024


@pytest.mark.parametrize("killed", [False, True], ids=["running", "killed"])
async def test_leaving_ends_children_too(tmp_path: Path, killed: bool) -> None:
    """The process and the child it started are gone after the context, also when it was killed and the test fails."""
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', WAIT]).pid); {SERVE}"
    code = code.replace("WAIT", repr("import signal; signal.pause()"))
    pids: list[int] = []

    async def fail() -> None:
        async with Process([*PYTHON, code], output=tmp_path / "out", env={"LC_ALL": "C"}) as process:
            pids.extend([process.pid, int(await process.ready(str.isdigit))])
            if killed:
                assert await process.kill() == -signal.SIGKILL
                assert is_alive(pids[1])
            raise RuntimeError("the test failed")

    with pytest.raises(RuntimeError, match="the test failed"):
        await fail()
    for _ in range(200):  # the child is reaped by init, which may take its time
        if not any(map(is_alive, pids)):
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("a process is still alive")


async def test_the_upstream_as_a_process(tmp_path: Path) -> None:
    """The scripted upstream runs as a process of its own, says its port, and ends with 0 on SIGTERM."""
    arguments = [sys.executable, "-m", "tests.support.upstream", "--port", "0"]
    async with Process(arguments, output=tmp_path / "out", cwd=ROOT) as process:
        line = json.loads(await process.ready())
        assert line["pid"] == process.pid
        async with aiohttp.ClientSession() as http:
            models = await (await http.get(f"{line['base_url']}/models")).json()
            assert models["data"]
        assert await process.terminate() == 0
