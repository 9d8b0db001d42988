"""Any server that speaks OpenAI's chat completions: OpenAI itself, vLLM, Ollama, llama.cpp, LiteLLM and so on.

An answer is whole when the server gave a finish_reason, and only then; a stream that just ends is a failure, however
cleanly it does. The SDK's own retries are off: the runner owns them, knows what was shown, and waits visibly. Its models
of a chunk are left out too: making one takes longer than all that the server does with it, so the SDK reads the stream
and hands over plain values (`post` with `cast_to=object`). How much of it is ever kept is bounded in openai_wire.

Options that are passed on are named in openai_prompt.OPTIONS. A model that calls tools ends the answer as `tool_calls`:
whoever sent the tools along runs them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from . import openai_errors as errors
from .base import (
    AgentFailure,
    Context,
    End,
    Finish,
    Output,
    Profile,
    Reasoning,
    Text,
    Tokens,
    ToolArguments,
    ToolCallBegin,
    ToolReady,
)
from .openai_prompt import OPTIONS, estimate, options_of, prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

CONTEXT_TOKENS: Final = 16_000
"""What is sent of a conversation; most models of today take more, and cost more then."""

CONNECT_S: Final = 10.0
"""To reach the server. All other clocks are the runner's."""

TAIL_S: Final = 5.0
"""How long usage may come after the finish_reason: the answer is whole, and some servers keep the line open."""

LOCAL_KEY: Final = "none"
"""Servers without keys want some header all the same."""

_FINISHES: Final[dict[str, Finish]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAIChat:
    """See the module's text. `models`: which ones the option `model` may name (None: any). `count`: tokens of a text."""

    def __init__(
        self,
        profile: Profile,
        *,
        api_key: str = "",
        base_url: str | None = None,
        system: str = "",
        context_tokens: int = CONTEXT_TOKENS,
        models: Sequence[str] | None = None,
        count: Callable[[str], int] = estimate,
    ) -> None:
        self.profile = replace(profile, options=OPTIONS)
        self._api_key = api_key
        self._base_url = base_url
        self._system = system
        self._context_tokens = context_tokens
        self._models = models
        self._count = count
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()
        self._asks_usage = True

    def __repr__(self) -> str:
        return f"OpenAIChat({self.profile.name!r}, {self.profile.model!r}, {self._place})"

    @property
    def _place(self) -> str:
        return errors.address(self._base_url) if self._base_url else "the provider's address"

    def _masked(self, words: str) -> str:
        """The server's words without our key: gateways repeat what they were sent, and people are shown it."""
        return words.replace(self._api_key, "***") if self._api_key else words

    async def run(self, context: Context) -> AsyncIterator[Output]:
        """Stream one completion."""
        body = {"model": self.profile.model} | options_of(context.options, self._models)
        goes_on = self.profile.recovery == "continue" and context.reason != "first"
        body["messages"] = prompt(
            context, system=self._system, tokens_max=self._context_tokens, goes_on=goes_on, count=self._count
        )
        client = await self._connect()
        stream = await self._open(client, body, _headers(context))
        reading = _Reading()
        try:
            async with aclosing(self._chunks(stream, reading)) as chunks:
                async for chunk in chunks:
                    for output in reading.take(chunk):
                        yield output
        finally:
            # Also when somebody stopped the request: the server must notice, and stop computing.
            await stream.close()
        if reading.finish is None:
            raise errors.truncated()
        for output in reading.rest():
            yield output

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    async def _connect(self) -> AsyncOpenAI:
        async with self._making:
            if self._client is None:
                if not self._api_key and self._base_url is None:
                    raise AgentFailure(
                        "no_api_key", "No API key is configured for this agent; the operator must set one."
                    )
                # The package takes a second to import: not in the loop, where all others would wait.
                sdk = await asyncio.to_thread(import_module, "openai")
                from . import openai_wire as wire

                self._client = sdk.AsyncOpenAI(
                    api_key=self._api_key or LOCAL_KEY,
                    base_url=self._base_url,
                    max_retries=0,
                    timeout=sdk.Timeout(None, connect=CONNECT_S),
                    default_headers=wire.HEADERS,
                    http_client=sdk.DefaultAsyncHttpxClient(event_hooks={"response": [wire.bound]}),
                )
            return self._client

    async def _open(
        self, client: AsyncOpenAI, body: dict[str, Any], headers: dict[str, str]
    ) -> AsyncStream[object]:
        """Begin the stream; a server that does not know `stream_options` is asked without, once and for all.
        Raises: AgentFailure."""
        import openai

        while True:
            asked = body | {"stream": True}
            if self._asks_usage:
                asked["stream_options"] = {"include_usage": True}
            try:
                return await client.post(
                    "/chat/completions", body=asked, cast_to=object, options={"headers": headers},
                    stream=True, stream_cls=openai.AsyncStream[object],
                )  # fmt: skip
            except openai.APIStatusError as error:
                reason = self._masked(str(error.body or error.message))
                if self._asks_usage and error.status_code in (400, 422) and _is_about_usage(reason):
                    self._asks_usage = False
                    continue
                raise errors.of_status(
                    error.status_code,
                    error.response.headers,
                    reason,
                    model=str(body["model"]),
                    base_url=self._place,
                ) from error
            except openai.APIConnectionError as error:
                raise errors.unreachable(self._place) from error
            except (TypeError, openai.OpenAIError) as error:
                raise AgentFailure(
                    "bad_option", f"The options cannot be sent: {errors.shown(self._masked(str(error)))}"
                ) from error

    async def _chunks(self, stream: AsyncStream[object], reading: _Reading) -> AsyncGenerator[object, None]:
        """The chunks, up to the end or, once the answer is whole, up to its usage. Raises: AgentFailure."""
        import openai

        chunks = aiter(stream)
        while True:
            try:
                if reading.finish is None:
                    chunk = await anext(chunks)
                else:
                    async with asyncio.timeout(TAIL_S):
                        chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except (openai.OpenAIError, ValueError, TimeoutError) as error:
                if reading.finish is not None:
                    return  # the answer is whole; only its usage is missing
                raise self._mid_stream(error) from error
            yield chunk

    def _mid_stream(self, error: Exception) -> AgentFailure:
        import openai

        if isinstance(error, errors.Unreadable):
            return error.failure
        if isinstance(error, openai.APIConnectionError):
            return errors.broken_off()
        if isinstance(error, openai.APIError):
            return errors.of_error_object(error.body, error.message, self._masked)
        return errors.garbled()  # JSON or UTF-8 that is none


def _is_about_usage(reason: str) -> bool:
    return "stream_options" in reason or "include_usage" in reason


def _headers(context: Context) -> dict[str, str]:
    """So that the server can tell a repeated call from a new one. Request ids are the clients': two owners may use the
    same, and must not get each other's answer, so the key names the owner too."""
    owner = hashlib.sha256(f"{context.owner.tenant}\0{context.owner.user}".encode()).hexdigest()[:16]
    return {
        "x-request-id": context.request_id,
        "Idempotency-Key": f"{context.request_id}.{context.attempt}.{owner}",
    }


class _Reading:
    """Chunks in, outputs out. Tool calls are told apart by their index, for ids come with the first piece only."""

    def __init__(self) -> None:
        self.finish: Finish | None = None
        self._calls: dict[int, str] = {}
        self._ready: set[str] = set()
        self._usage: Tokens | None = None

    def take(self, chunk: object) -> list[Output]:
        """What this chunk adds. Raises: AgentFailure."""
        fields = _fields(chunk)
        if fields.get("usage"):
            self._usage = _tokens(_fields(fields["usage"]))
        out: list[Output] = []
        choices = map(_fields, fields.get("choices") or ())
        choice = next((choice for choice in choices if choice.get("index") in (0, None)), None)
        if choice is None:
            return out
        delta = _fields(choice.get("delta"))
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            out.append(Reasoning(reasoning))
        out += [Text(text) for text in (delta.get("content"), delta.get("refusal")) if text]
        for piece in delta.get("tool_calls") or ():
            self._tool(_fields(piece), out)
        reason = choice.get("finish_reason")
        if reason is not None:
            if reason not in _FINISHES and reason in ("error", "insufficient_system_resource"):
                raise errors.truncated()
            self.finish = "tool_calls" if self._calls and reason == "stop" else _FINISHES.get(reason, "stop")
            out += [ToolReady(call_id) for call_id in self._calls.values() if call_id not in self._ready]
            self._ready.update(self._calls.values())
        return out

    def rest(self) -> list[Output]:
        """What is said once the stream is over."""
        out: list[Output] = [self._usage] if self._usage is not None else []
        return [*out, End(self.finish or "stop")]

    def _tool(self, piece: Mapping[str, Any], out: list[Output]) -> None:
        function = _fields(piece.get("function"))
        index = piece.get("index")
        if index is None:
            index = len(self._calls)
        call_id = self._calls.get(index)
        if call_id is None:
            call_id = self._calls[index] = piece.get("id") or f"call_{index}"
            out.append(ToolCallBegin(call_id, function.get("name") or "", where="client"))
        if function.get("arguments"):
            out.append(ToolArguments(call_id, function["arguments"]))


def _fields(value: object) -> Mapping[str, Any]:
    """The fields of a JSON object; none where something else, or nothing, stands."""
    return value if isinstance(value, dict) else {}


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    outputs = _fields(usage.get("completion_tokens_details"))
    inputs = _fields(usage.get("prompt_tokens_details"))
    return Tokens(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        reasoning_tokens=outputs.get("reasoning_tokens") or 0,
        cached_tokens=inputs.get("cached_tokens") or 0,
    )
