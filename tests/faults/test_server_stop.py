"""How a server ends and begins, as processes see it: drain, hand-over, the folder's lock, refusals in one line."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from holdfast_client import connect
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import ROOT, Server, free_port, openai_toml
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 60

STUBBORN = """
import asyncio, multiprocessing, os, threading, time
from concurrent.futures import ProcessPoolExecutor

from holdfast import agent

KEPT = []


async def deaf():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass


@agent
async def in_a_thread(context):
    yield "I think."
    await asyncio.to_thread(time.sleep, 3600)


@agent
async def in_a_thread_of_its_own(context):
    threading.Thread(target=time.sleep, args=(3600,), name="mine").start()
    yield "I think."


@agent
async def in_a_task(context):
    KEPT.append(asyncio.create_task(deaf(), name="deaf"))
    await asyncio.sleep(0)
    yield "I think."


@agent
async def in_a_process(context):
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,), name="child", daemon=True).start()
    yield "I think."


@agent
async def in_a_pool_of_processes(context):
    KEPT.append(ProcessPoolExecutor(1, multiprocessing.get_context("fork")))
    yield str(await asyncio.get_running_loop().run_in_executor(KEPT[-1], os.getpid))
"""


async def test_sigterm_lets_what_runs_end_and_exits_0(tmp_path):
    """An answer that fits into the grace is finished, its client has all of it, and the exit status is 0."""
    script = Script(seed=1, deltas=60, gap_ms=10)
    async with Upstream() as upstream, Server(tmp_path, toml=openai_toml(upstream.base_url)) as server:
        async with asyncio.timeout(BOUND_S), connect(server.url) as client:
            answer = await client.submit(scripted("Say it.", script))
            async for _ in answer:
                break
            assert await server.process.terminate() == 0
            assert "abandoned" not in server.process.tail()
            await server.start()
            assert (await answer.result()).text == expected_text(script, call=1)
            assert answer.transcript.attempt == 1
        assert len(upstream.log.calls) == 1


async def test_sigterm_hands_over_what_does_not_fit_without_a_new_attempt_number(tmp_path):
    """A run beyond the grace is handed over: the next process goes on with it, and the exit status is 0."""
    script = Script(seed=2, deltas=8, hold=3)
    extra = "[server]\ndrain_s = 0.2"
    async with (
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url, extra=extra)) as server,
        asyncio.timeout(BOUND_S),
        connect(server.url) as client,
    ):
        answer = await client.submit(scripted("Say it.", script), request_id="held")
        async for _ in answer:
            break
        assert await server.process.terminate() == 0
        upstream.release("held")
        await server.start()
        assert (await answer.result()).text == expected_text(script, call=2)
        assert (await answer.result()).status == "completed"


@pytest.mark.parametrize(
    ("agent", "named"),
    [("in_a_thread", "thread asyncio_"), ("in_a_thread_of_its_own", "thread mine"), ("in_a_task", "deaf")],
)
async def test_what_an_agent_left_running_keeps_no_process(tmp_path, agent, named):
    """A thread, or a task that takes no cancellation, is named in one line and abandoned: the process ends with 0."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    toml = f'agent_files = ["{tmp_path / "stubborn.py"}"]\n[server]\ndrain_s = 0.2'
    async with (
        Server(tmp_path / "server", toml=toml) as server,
        asyncio.timeout(BOUND_S),
        connect(server.url) as client,
    ):
        async for _ in await client.submit("Think.", agent=agent):
            break
        assert await server.process.terminate() == 0
        said = [
            json.loads(line) for line in server.process.output.read_text().splitlines() if line[:1] == "{"
        ]
    (line,) = [line for line in said if line["event"] == "what an agent left running is abandoned"]
    assert line["level"] == "warning"
    assert len(line["left"]) == 1
    assert line["left"][0].startswith(named)


@pytest.mark.parametrize("agent", ["in_a_process", "in_a_pool_of_processes"])
async def test_processes_of_an_agent_end_with_the_server_and_keep_no_port(tmp_path, agent):
    """What an agent forked, at work or idle, ends with the server: the next one takes the same port and folder. A pool of
    processes that is idle ends by itself, and is nothing to warn of."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    toml = (
        f'agent_files = ["{tmp_path / "stubborn.py"}"]\n[server]\ndrain_s = 0.2\n[store]\nlock_wait_s = 0.1'
    )
    async with Server(tmp_path / "server", toml=toml) as server, asyncio.timeout(BOUND_S):
        async with connect(server.url) as client:
            assert (await (await client.submit("Think.", agent=agent)).result()).status == "completed"
            assert await server.process.terminate() == 0
        abandoned = "abandoned" in server.process.tail()
        assert abandoned == (agent == "in_a_process")
        await server.start()


async def test_a_second_server_on_the_same_folder_is_refused_with_the_holders_pid(tmp_path):
    """Two processes never share a folder."""
    async with Server(tmp_path, toml="[store]\nlock_wait_s = 0.1") as server:
        environ = {**os.environ, "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "main.py", "serve", "--config", str(server.config), "--port", str(free_port()),
             "--data", str(server.folder / "data")],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert str(server.process.pid) in done.stderr


@pytest.mark.parametrize(
    ("toml", "arguments", "says"),
    [
        ("[server]\nprot = 1", [], "prot"),
        ('[agents.x]\nkind = "openai_chat"\nmodel = "m"', [], "OPENAI_API_KEY"),
        ('default_agent = "nobody"', [], "nobody"),
        ("", ["--host", "0.0.0.0"], "identity.kind"),
        ("", ["--data", "/proc/nowhere"], "/proc/nowhere"),
        ('agent_files = ["missing.py"]', [], "missing.py"),
        ('[identity]\nkind = "tokens"', [], "identity.tokens"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(tmp_path, toml, arguments, says):
    """A server that cannot start says why in one line that names what to change, without a stack trace."""
    config = tmp_path / "holdfast.toml"
    config.write_text(toml)
    if "--data" not in arguments:
        arguments = [*arguments, "--data", str(tmp_path / "data")]
    environ = {**os.environ, "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    done = subprocess.run(
        [sys.executable, "main.py", "serve", "--config", str(config), "--port", str(free_port()), *arguments],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert says in done.stderr


def test_a_start_that_fails_ends_though_an_agents_file_began_a_thread(tmp_path):
    """The refusal is told, and the process ends with it."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\n1 / 0\n"
    )
    done = subprocess.run(
        [sys.executable, "main.py", "serve", "--port", str(free_port()), "--agent-file", str(file)],
        cwd=ROOT, env={**os.environ, "HOLDFAST_STORE__FOLDER": str(tmp_path)}, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert str(file) in done.stderr


async def test_a_port_in_use_is_one_line(tmp_path):
    """The refusal names the port and what to do."""
    async with Server(tmp_path) as server:
        environ = {**os.environ, "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "main.py", "serve", "--port", str(server.port), "--data", str(tmp_path / "other")],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
        assert f"port {server.port} is in use" in done.stderr


async def test_a_kill_between_journal_and_history_is_made_good(tmp_path):
    """Killed right after an acknowledgement or an end was seen, before the history may have it: after the next start the
    chat is there with question and answer (I11)."""
    script = Script(seed=3, deltas=10)
    async with (
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url)) as server,
        asyncio.timeout(BOUND_S),
    ):
        for number, wait_for_end in enumerate([False, True, True]):
            async with connect(
                server.url
            ) as client:  # a new one: the old one is more patient after each kill
                answer = await client.submit(scripted("Say it.", script), chat_id=f"c{number}")
                if wait_for_end:
                    await answer.result()
                await server.kill()
                await server.start()
                await answer.result()
                rows = (await client.messages(f"c{number}")).messages
            assert [row.role for row in rows] == ["assistant", "user"]
            assert rows[0].message_id == answer.request_id
            assert rows[0].text == answer.transcript.text
            assert rows[0].parent_id == rows[1].message_id
