"""An agent of one's own: one decorated asynchronous generator function in a file.

    @agent(name="echo", description="Says it again.")
    async def echo(context):
        for word in context.messages[-1].text.split():
            yield word + " "

`tool` makes a described function out of an asynchronous one; calling it through `use` shows the call, its arguments and
its result in the answer.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints, overload

import msgspec

from .base import (
    Agent,
    AgentFailure,
    Clocks,
    Context,
    Output,
    Profile,
    Recovery,
    ToolArguments,
    ToolCallBegin,
    ToolOutput,
    ToolReady,
    unknown_options,
)

Function = Callable[[Context], AsyncIterator[Output]]
F = TypeVar("F", bound=Function)

CLOCKS: Final = Clocks()


class AgentFileError(Exception):
    """A file of agents that cannot be used; the text is one line that says why."""


class AuthoredAgent:
    """A decorated function as an agent; the function itself stays at `function`, to be tested."""

    def __init__(self, profile: Profile, function: Function) -> None:
        self.profile = profile
        self.function = function

    def __repr__(self) -> str:
        return f"AuthoredAgent({self.profile.name!r})"

    def run(self, context: Context) -> AsyncIterator[Output]:
        unknown = unknown_options(self.profile, context.options)
        return _Refused(self.profile, unknown[0]) if unknown else self.function(context)

    async def close(self) -> None:
        """Holds nothing."""


class _Refused:
    """A run that ends before its first output."""

    def __init__(self, profile: Profile, option: str) -> None:
        names = ", ".join(sorted(profile.options or ())) or "none"
        self._why = f"This agent has no option {option!r}; it has {names}."

    def __aiter__(self) -> _Refused:
        return self

    async def __anext__(self) -> Output:
        raise AgentFailure("bad_option", self._why)

    async def aclose(self) -> None:
        """Holds nothing."""


@overload
def agent(function: Function, /) -> AuthoredAgent: ...


@overload
def agent(
    *,
    name: str | None = None,
    description: str | None = None,
    model: str = "",
    recovery: Recovery = "restart",
    resumable: bool = True,
    retries: int = 2,
    first_output_s: float | None = CLOCKS.first_output_s,
    stall_s: float | None = CLOCKS.stall_s,
    total_s: float | None = CLOCKS.total_s,
    queue_s: float | None = CLOCKS.queue_s,
    options: Collection[str] | None = None,
) -> Callable[[Function], AuthoredAgent]: ...


def agent(
    function: Function | None = None, /, **settings: Any
) -> AuthoredAgent | Callable[[Function], AuthoredAgent]:
    """Make an agent of an asynchronous generator function of one argument, the Context. Without `name` it has the
    function's; without `description`, the first line of its docstring. `options` names those that a request may set, all
    others are then refused. Raises: TypeError for another kind of function, or for options that are no list of names."""

    def decorate(function: Function) -> AuthoredAgent:
        if not inspect.isasyncgenfunction(function):
            raise TypeError("an agent is an asynchronous generator: `async def` with a `yield` in it")
        given = dict(settings)
        if (options := given.get("options")) is not None:
            if isinstance(options, str):
                raise TypeError("`options` are several names: a list or a set")
            given["options"] = frozenset(options)
        clocks = Clocks(**{key: given.pop(key) for key in Clocks.__slots__ if key in given})
        given["name"] = given.get("name") or function.__name__
        if given.get("description") is None:
            given["description"] = (inspect.getdoc(function) or "").partition("\n")[0]
        return AuthoredAgent(Profile(**given, clocks=clocks), function)

    return decorate if function is None else decorate(function)


class Tool:
    """A described asynchronous function. Calling it is calling the function."""

    def __init__(
        self, function: Callable[..., Awaitable[Any]], name: str | None, description: str | None
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError("a tool is an `async def` function")
        hints = get_type_hints(function)
        fields: list[Any] = []
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"a tool's parameters have names; {parameter} has none of its own")
            field: tuple[Any, ...] = (parameter.name, hints.get(parameter.name, Any))
            fields.append(field if parameter.default is parameter.empty else (*field, parameter.default))
        self.function = function
        self.name = name or function.__name__
        self.description = description or inspect.getdoc(function) or ""
        self.arguments = msgspec.defstruct(self.name, fields, kw_only=True, forbid_unknown_fields=True)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    async def __call__(self, *values: Any, **named: Any) -> Any:
        return await self.function(*values, **named)

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments as JSON Schema."""
        schema = msgspec.json.schema(self.arguments)
        definitions: dict[str, Any] = schema["$defs"]
        own: dict[str, Any] = definitions.pop(self.arguments.__name__)
        return own | ({"$defs": definitions} if definitions else {})

    def use(self, call_id: str, arguments: str | dict[str, Any]) -> Use:
        """A call to be shown: iterate it and yield what it gives, then read its `result`. `arguments` is JSON text as a
        model writes it, or a dict."""
        return Use(self, call_id, arguments)


class Use:
    """One call of a tool. What the tool raises, and arguments that do not fit, are its result, with `failed` set: a model
    can read them and try otherwise."""

    def __init__(self, tool_: Tool, call_id: str, arguments: str | dict[str, Any]) -> None:
        self._tool = tool_
        self._call_id = call_id
        self._text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        self.result = ""
        self.failed = False

    async def __aiter__(self) -> AsyncIterator[Output]:
        call_id = self._call_id
        yield ToolCallBegin(call_id, self._tool.name)
        yield ToolArguments(call_id, self._text)
        yield ToolReady(call_id)
        try:
            values = msgspec.json.decode(self._text, type=self._tool.arguments)
            value = await self._tool.function(**msgspec.structs.asdict(values))
            self.result = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        except AgentFailure:
            raise
        except Exception as error:  # noqa: BLE001 - a tool that fails is something to tell the model, not the end
            self.result, self.failed = f"{type(error).__name__}: {error}", True
        yield ToolOutput(call_id, self.result, is_error=self.failed)


@overload
def tool(function: Callable[..., Awaitable[Any]], /) -> Tool: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[..., Awaitable[Any]]], Tool]: ...


def tool(
    function: Callable[..., Awaitable[Any]] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Tool | Callable[[Callable[..., Awaitable[Any]]], Tool]:
    """Make a tool of an `async def` function; its annotations become its JSON Schema. Raises: TypeError."""
    if function is not None:
        return Tool(function, name, description)
    return lambda function: Tool(function, name, description)


def load_file(path: str | Path) -> list[Agent]:
    """The agents that a Python file defines, in order. The file is run. Raises: AgentFileError, one line for people."""
    file = Path(path)
    if not file.is_file():
        raise AgentFileError(f"{file}: there is no such file")
    module_name = "holdfast_agents_" + "".join(
        char if char.isalnum() else "_" for char in str(file.resolve())
    )
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise AgentFileError(f"{file}: not a Python file; its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # somebody else's file: whatever it raises is told in one line
        del sys.modules[module_name]
        raise AgentFileError(_one_line(file, error)) from error
    agents: list[Agent] = []
    for value in vars(module).values():
        if (
            isinstance(value, Agent)
            and not isinstance(value, type)
            and not any(value is known for known in agents)
        ):
            agents.append(value)
    if not agents:
        raise AgentFileError(f"{file}: no agent in it; decorate an asynchronous generator with @agent")
    names = [one.profile.name for one in agents]
    for name in names:
        if names.count(name) > 1:
            raise AgentFileError(f"{file}: two agents are called {name!r}")
    return agents


def _one_line(file: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename or file}:{error.lineno}: {error.msg}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file
    ]
    text = " ".join(str(error).split())
    return f"{file}:{lines[-1] if lines else 1}: {type(error).__name__}: {text}"
