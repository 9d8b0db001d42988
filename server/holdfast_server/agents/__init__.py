"""Agents: the port and its values, what one needs to write an agent, and those that come along.

The bundled agents are fetched when they are first used: they bring packages that take a while to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .authored import AgentFileError, AuthoredAgent, Tool, Use, agent, load_file, tool
from .base import (
    Agent,
    AgentFailure,
    Attach,
    Cite,
    Clocks,
    Context,
    End,
    Mark,
    Message,
    Output,
    Profile,
    Reasoning,
    Step,
    Text,
    Tokens,
    ToolArguments,
    ToolCall,
    ToolCallBegin,
    ToolOutput,
    ToolReady,
    Value,
    Wait,
    unknown_options,
)

if TYPE_CHECKING:
    from .demo import DemoAgent
    from .openai_chat import OpenAIChat

__all__ = [
    "Agent",
    "AgentFailure",
    "AgentFileError",
    "Attach",
    "AuthoredAgent",
    "Cite",
    "Clocks",
    "Context",
    "DemoAgent",
    "End",
    "Mark",
    "Message",
    "OpenAIChat",
    "Output",
    "Profile",
    "Reasoning",
    "Step",
    "Text",
    "Tokens",
    "Tool",
    "ToolArguments",
    "ToolCall",
    "ToolCallBegin",
    "ToolOutput",
    "ToolReady",
    "Use",
    "Value",
    "Wait",
    "agent",
    "load_file",
    "tool",
    "unknown_options",
]

_HOMES: Final = {"DemoAgent": "demo", "OpenAIChat": "openai_chat"}


def __getattr__(name: str) -> object:
    """A bundled agent, from its module. Raises: AttributeError; ImportError if a package that it needs is missing."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
