"""The examples of the pages are run as they are printed: agents, programs and configurations."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast_protocol.transcript import Transcript, WaitPart
from holdfast_server import config
from holdfast_server.agents import Agent, load_file
from holdfast_server.fleet import make_agents
from tests.conformance.agent_suite import AgentSuite
from tests.support.documents import Block, examples
from tests.support.process import Process
from tests.support.runs import Bench, simulate
from tests.support.serving import Server

PORT = "http://127.0.0.1:8080"
PROMISES = [name for name in dir(AgentSuite) if name.startswith("test_")]
ENVIRON = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": ""}


def by_name(block: Any) -> str | None:
    """A block is called by its place."""
    return block.name if isinstance(block, Block) else None


def agents_of(block: Block, folder: Path) -> list[Agent]:
    """The agents of the block, as `--agent-file` gets them."""
    file = folder / "example.py"
    file.write_text(block.text, "utf-8")
    return load_file(file)


class Documented(AgentSuite):
    """The suite of the port, over an agent that a page shows."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def make(self) -> Agent:
        return self.agent


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("block", examples("agent"), ids=by_name)
async def test_the_agents_of_the_pages_keep_the_promises_of_the_port(block, promise, tmp_path):
    """Whatever is copied from a page passes the suite that every agent passes."""
    for agent in agents_of(block, tmp_path):
        await getattr(Documented(agent), promise)()


@pytest.mark.parametrize("block", examples("agent"), ids=by_name)
def test_the_agents_of_the_pages_answer(block, tmp_path):
    """Run by the runner, and permitted what it asks for, each answers whole."""
    for agent in agents_of(block, tmp_path):

        async def main(bench: Bench) -> Transcript:
            key = await bench.submit("What is it?")
            log = await bench.log(key)
            while not log.sealed:
                await asyncio.sleep(1)
                asked = [
                    part
                    for part in log.fold().transcript().parts
                    if isinstance(part, WaitPart) and part.state == "open"
                ]
                for part in asked:
                    await bench.store.put_input(key, decision(part))
            return await bench.sealed(key)

        transcript = simulate(agent, main)
        assert transcript.status == "completed", (agent, transcript.outcome)
        assert transcript.text


def decision(part: WaitPart) -> Any:
    """A yes."""
    from holdfast_server.stores.base import InboxItem

    return InboxItem(kind="decision", id=part.wait_id, at=0, digest=part.digest, value=True)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with nothing but the demo agent, which is not asked to take its time."""
    toml = '[agents.demo]\nkind = "demo"\npace = 2000'
    async with Server(tmp_path / "server", toml=toml) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("block", examples("client"), ids=by_name)
async def test_the_programs_of_the_pages_run(block, server, tmp_path):
    """Each runs to its end against a real server, and has something to say."""
    assert PORT in block.text, "an example says where the server is"
    program = tmp_path / "program.py"
    program.write_text(block.text.replace(PORT, f"http://127.0.0.1:{server.port}"), "utf-8")
    async with Process([sys.executable, "-W", "error", program], output=tmp_path / "program.log") as process:
        assert await process.wait(30) == 0, process.tail()
        assert process.tail().strip()


@pytest.mark.parametrize("block", examples("config"), ids=by_name)
def test_the_configurations_of_the_pages_are_in_order(block, tmp_path):
    """Each is read without complaint, and the agents it names can be made."""
    file = tmp_path / "holdfast.toml"
    file.write_text(block.text, "utf-8")
    read = config.load(file, environ=ENVIRON)
    read.agent_files.clear()
    for section in read.agents.values():
        section.api_key = section.api_key or config.Secret("any")
    assert make_agents(read) or read.agents == {}
