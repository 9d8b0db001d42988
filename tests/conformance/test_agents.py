"""Every agent that comes along, through the suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from holdfast_server.agents import (
    Agent,
    Context,
    DemoAgent,
    Mark,
    OpenAIChat,
    Output,
    Profile,
    Wait,
    agent,
)
from tests.conformance.agent_suite import AgentSuite
from tests.support.upstream import Script, ToolCall, Upstream, scripted

CONTINUES = Profile(name="demo", recovery="continue")
RESTARTS = Profile(name="demo", recovery="restart")


class TestDemo(AgentSuite):
    """The demo agent, going on with what stands."""

    async def make(self) -> Agent:
        return DemoAgent(CONTINUES, pace=0)


class TestDemoRestarting(AgentSuite):
    """The demo agent, configured to start again; it keeps what stands before its checkpoint."""

    async def make(self) -> Agent:
        return DemoAgent(RESTARTS, pace=0)


class TestDemoAsking(AgentSuite):
    """The demo agent that asks first, and is permitted."""

    prompt = "Please approve this."

    async def make(self) -> Agent:
        return DemoAgent(CONTINUES, pace=0)


class TestDemoDenied(TestDemoAsking):
    """The same, not permitted."""

    decision = False


class TestDemoWords(AgentSuite):
    """The demo agent with so many words."""

    options: ClassVar = {"words": 40, "pace": 5000}

    async def make(self) -> Agent:
        return DemoAgent(CONTINUES)


class TestDemoCalling(AgentSuite):
    """The demo agent with a tool that the client runs."""

    prompt = "Call get_time."
    options: ClassVar = {"tools": [{"type": "function", "function": {"name": "get_time"}}]}

    async def make(self) -> Agent:
        return DemoAgent(CONTINUES, pace=0)


class TestDemoBounded(AgentSuite):
    """The demo agent, cut off in the middle of what it shows."""

    options: ClassVar = {"max_tokens": 60}

    async def make(self) -> Agent:
        return DemoAgent(CONTINUES, pace=0)


class TestAuthored(AgentSuite):
    """A decorated generator with a checkpoint and a question."""

    async def make(self) -> Agent:
        @agent(name="asks")
        async def asks(context: Context) -> AsyncIterator[Output]:
            if "First." not in context.transcript.text:
                yield "First."
                yield Mark()
            if not context.inputs:
                yield Wait("w", "question", {"text": "Second?"})
                return
            yield "Second."

        return asks


class TestOpenAIChat(AgentSuite):
    """The chat-completions agent against a real HTTP server."""

    prompt = scripted("Hello", Script(deltas=9, reasoning_deltas=3))
    upstream: Upstream

    @pytest.fixture(autouse=True)
    async def _upstream(self) -> AsyncIterator[None]:
        async with Upstream() as self.upstream:
            yield

    async def make(self) -> Agent:
        profile = Profile(name="openai", model="scripted-1")
        return OpenAIChat(profile, api_key="any", base_url=self.upstream.base_url)


class TestOpenAIChatCalling(TestOpenAIChat):
    """The same, with a tool that the client runs."""

    prompt = scripted(
        "Hello", Script(text="", tool_calls=(ToolCall(id="c1", name="f", arguments='{"a":1}'),))
    )
