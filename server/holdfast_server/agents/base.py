"""The agent port: what produces output, and what it may count on.

The life of a run. The runner claims a request and calls `run(context)` once; the agent yields outputs, in order, until
it returns. It may be cancelled at any `await` (somebody stopped the request, a deadline passed, the node drains): it
closes what it has open and lets the cancellation through. It raises `AgentFailure` for what a person should be told, and
anything else is a bug that ends the request as failed.

An agent is *entered again, never suspended*. To wait for a person it yields `Wait` and returns; when the decision is
there, `run` is called anew, with the transcript so far, the inputs, and the reason. After a crash the same happens, as
the agent's `recovery` says: `restart` (a new attempt, shown output is dropped), `continue` (the output stands and the
agent goes on from `context.transcript`), or `interrupt` (no second try: the request ends, what was shown stands).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from holdfast_protocol.events import Reason
from holdfast_protocol.transcript import Transcript
from holdfast_server.stores.base import InboxItem, Owner

Recovery = Literal["restart", "continue", "interrupt"]
Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class AgentFailure(Exception):
    """The answer cannot be given; `message` is for people, `code` for programs. `retryable`: trying again may help (the
    runner does so by itself within its budget, after `retry_after_s` if given)."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


# -- what an agent yields; a plain str is Text -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer's text. `new_part` closes the open part first."""

    text: str
    new_part: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of what the model thinks."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallBegin:
    """A tool is called; arguments follow. `where` = client: the caller runs it, the request completes with the call."""

    call_id: str
    name: str
    where: Literal["server", "client"] = "server"


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """More of a call's arguments (JSON text)."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolReady:
    """The call's arguments are complete; the tool runs from here on (the stall clock rests)."""

    call_id: str


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the tool gave back."""

    call_id: str
    output: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Progress: step n of total, or a percentage; the same id updates in place."""

    id: str
    label: str
    kind: str = "step"
    step: int | None = None
    total: int | None = None
    percent: float | None = None
    state: Literal["running", "done", "failed"] = "running"


@dataclass(frozen=True, slots=True)
class Value:
    """A value for the application; the same id updates in place."""

    id: str
    name: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class Cite:
    """Something the answer cites."""

    id: str
    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Attach:
    """A file the answer made, by reference."""

    id: str
    url: str
    media_type: str = "application/octet-stream"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens used by this run so far; each replaces the one before."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkpoint: closes the open text; what stands now can be kept by a later attempt."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask a person (or the client's tool) and return; `run` is called anew with the decision in `context.inputs`. The
    digest of (kind, body) is made by the runner."""

    id: str
    kind: str
    body: Any = None
    expires_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Why the answer ends; without it, `stop`."""

    finish: Finish = "stop"


Output = (
    str | Text | Reasoning | ToolCallBegin | ToolArguments | ToolReady | ToolOutput | Step | Value | Cite | Attach
    | Tokens | Mark | Wait | End
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call in the conversation so far; `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the conversation so far, oldest first; the last one is what is asked. `tool_calls` are an assistant's,
    in conversations that a request brought along; a message of the role tool is the result of the call `call_id` before
    it. An answer of a chat has its calls and results in its transcript."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    transcript: Transcript | None = None
    tool_calls: Sequence[ToolCall] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a run gets. `transcript` is what stands of the output so far; `inputs` what came into the inbox; `step(name,
    fn)` runs `fn` once and returns what it returned then, also after a crash (the value must be plain data)."""

    request_id: str
    owner: Owner
    chat_id: str | None
    messages: Sequence[Message]
    options: dict[str, Any]
    attempt: int
    reason: Reason
    transcript: Transcript
    inputs: Sequence[InboxItem]
    step: Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Clocks:
    """Deadlines in seconds; None: none. Defaults as documented in docs/configuration.md."""

    first_output_s: float | None = 60.0
    stall_s: float | None = 90.0
    total_s: float | None = 600.0
    queue_s: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What the runner and the doors know about an agent. `retries`: extra attempts that failures and crashes may cost
    together. `resumable`: may be entered again after a Wait. `options`: the names of those it takes; None: any."""

    name: str
    description: str = ""
    model: str = ""
    recovery: Recovery = "restart"
    resumable: bool = True
    retries: int = 2
    clocks: Clocks = field(default_factory=Clocks)
    options: frozenset[str] | None = None


def unknown_options(profile: Profile, options: Iterable[str]) -> list[str]:
    """Those of these options, in order, that the agent says it does not take."""
    return [] if profile.options is None else sorted(set(options) - profile.options)


@runtime_checkable
class Agent(Protocol):
    """What the runner runs. Every implementation passes tests/conformance/agent_suite.py."""

    profile: Profile

    def run(self, context: Context) -> AsyncIterator[Output]:
        """Yield outputs until the answer is whole, or until a Wait. Raises: AgentFailure."""

    async def close(self) -> None:
        """Let go of what the agent holds; called once, when the server stops."""
