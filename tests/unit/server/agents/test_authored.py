"""Agents and tools of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast_server.agents import (
    Agent,
    AgentFailure,
    AgentFileError,
    Clocks,
    Context,
    Output,
    Profile,
    ToolArguments,
    ToolCallBegin,
    ToolOutput,
    ToolReady,
    agent,
    load_file,
    tool,
    unknown_options,
)

GOOD = '''
from holdfast_server.agents import agent

@agent
async def echo(context):
    """Says it again.

    At length.
    """
    yield context.messages[-1].text

@agent(name="second", stall_s=5)
async def other(context):
    yield "x"

alias = echo
'''


def test_a_decorated_generator_is_an_agent():
    """Its name and description come from the function, its clocks from the decorator."""

    @agent(recovery="interrupt", retries=0, total_s=7, queue_s=3)
    async def mine(context: Context) -> AsyncIterator[Output]:
        """Does it.

        More.
        """
        yield "x"

    assert isinstance(mine, Agent)
    profile = mine.profile
    assert (profile.name, profile.description, profile.recovery) == ("mine", "Does it.", "interrupt")
    assert profile.clocks == Clocks(total_s=7, queue_s=3)


def test_what_is_no_generator_is_refused_at_once():
    """The mistake is told where it is made, not at the first request."""

    async def no_yield(context: Context) -> str:
        return "x"

    with pytest.raises(TypeError, match="generator"):
        agent(no_yield)  # type: ignore[arg-type]


def test_a_file_gives_its_agents_in_order(tmp_path: Path):
    """Each once, also where two names point to it; loading it again gives new ones."""
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    agents = load_file(file)
    assert [one.profile.name for one in agents] == ["echo", "second"]
    assert agents[1].profile.clocks.stall_s == 5
    assert load_file(str(file))[0] is not agents[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no such file"),
        ("x = 1\n", "no agent in it"),
        ("x = 1\ny =\n", ":2: "),
        ("import nothing_of_that_name\n", ":1: ModuleNotFoundError"),
        ("x = 1\nx.y\n", ":2: AttributeError"),
        (
            GOOD + "\n@agent(name='echo')\nasync def again(context):\n    yield 'x'\n",
            "two agents are called 'echo'",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, text: str | None, says: str):
    """The line names the file, where in it, and what is wrong."""
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(AgentFileError) as caught:
        load_file(file)
    line = str(caught.value)
    assert line.startswith(str(file))
    assert says in line
    assert "\n" not in line


@tool
async def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    return a + b


async def used(use: Any) -> list[Output]:
    return [output async for output in use]


def test_a_tool_describes_itself():
    """The signature is its JSON Schema."""
    assert (add.name, add.description) == ("add", "Adds two numbers.")
    schema = add.parameters
    assert schema["properties"] == {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}}
    assert schema["required"] == ["a"]
    assert schema["additionalProperties"] is False
    msgspec.json.encode(schema)


async def test_a_tool_is_a_function_and_can_be_shown():
    """Called it is the function; used it is also seen in the answer, from its call to its result."""
    assert await add(1, b=3) == 4
    use = add.use("c1", '{"a": 40}')
    assert await used(use) == [
        ToolCallBegin("c1", "add"), ToolArguments("c1", '{"a": 40}'), ToolReady("c1"), ToolOutput("c1", "42"),
    ]  # fmt: skip
    assert (use.result, use.failed) == ("42", False)


@pytest.mark.parametrize("arguments", ['{"a": "x"}', "{", '{"a": 1, "c": 1}', "{}"])
async def test_arguments_that_do_not_fit_are_the_tools_result(arguments: str):
    """A model reads what was wrong and may try otherwise; the answer goes on."""
    use = add.use("c1", arguments)
    outputs = await used(use)
    assert use.failed
    assert isinstance(outputs[-1], ToolOutput)
    assert outputs[-1].is_error


async def test_what_a_tool_raises_is_its_result():
    """So is an exception of the tool's own."""

    @tool(name="bad", description="Fails.")
    async def fails() -> None:
        raise ValueError("no")

    use = fails.use("c1", {})
    await used(use)
    assert (use.result, use.failed) == ("ValueError: no", True)


def test_a_tool_needs_names_and_async():
    """What cannot be described is refused."""

    async def many(*values: int) -> int:
        return sum(values)

    def plain() -> int:
        return 1

    for function in (many, plain):
        with pytest.raises(TypeError):
            tool(function)  # type: ignore[arg-type]


async def test_options_that_are_not_named_are_refused():
    """An agent that names its options is not entered with another one; one that names none takes any."""

    @agent(options=["tone"])
    async def polite(context: Context) -> AsyncIterator[Output]:
        yield str(context.options)

    profile = polite.profile
    assert unknown_options(profile, ["tone"]) == []
    assert unknown_options(profile, ["tone", "b", "a"]) == ["a", "b"]
    assert unknown_options(Profile("any"), ["a"]) == []
    fields: dict[str, Any] = dict.fromkeys(Context.__slots__)
    assert [output async for output in polite.run(Context(**fields | {"options": {"tone": 1}}))]
    with pytest.raises(AgentFailure, match="no option 'a'; it has tone") as caught:
        await anext(aiter(polite.run(Context(**fields | {"options": {"a": 1}}))))
    assert caught.value.code == "bad_option"
    with pytest.raises(TypeError, match="several names"):
        agent(options="tone")(polite.function)
