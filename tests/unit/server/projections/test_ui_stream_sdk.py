"""The UI message stream in the AI SDK's own hands: its schema takes every chunk, and its reader makes of them what stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold
from holdfast_protocol.rewrite import events_of
from holdfast_protocol.transcript import DataPart, ReasoningPart, TextPart, ToolPart, Transcript
from holdfast_server.projections.base import Asked
from holdfast_server.projections.ui_parts import NO_RESULT, NOT_JSON, NOT_WHOLE, parsed
from holdfast_server.projections.ui_stream import UiStreamProjection
from tests.support.strategies import histories
from tests.support.web_package import WEB, leave_out, run

pytestmark = pytest.mark.slow

HISTORIES_N = 150
"""Logs that one run of Node reads; it starts in a second and reads a hundred logs in as long."""

READER = """
import { readFileSync } from "node:fs";
import { readUIMessageStream, uiMessageChunkSchema } from "ai";
const schema = uiMessageChunkSchema();
const read = [];
for (const chunks of JSON.parse(readFileSync(process.argv[1], "utf8"))) {
  const errors = [];
  for (const chunk of chunks) {
    const checked = await schema.validate(chunk);
    if (!checked.success) errors.push(`${JSON.stringify(chunk)}: ${checked.error}`);
  }
  const stream = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  let message = null;
  const onError = (error) => errors.push(error.message);
  for await (const state of readUIMessageStream({ stream, onError })) message = state;
  read.push({ message, errors });
}
console.log(JSON.stringify(read));
"""


DRAWN = settings(
    max_examples=HISTORIES_N,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


def has_tool(log: list[ev.Event]) -> bool:
    """Whether a tool call stands in it."""
    return any(isinstance(part, ToolPart) for part in fold(log).parts)


def takes_back(log: list[ev.Event]) -> bool:
    """Whether a later attempt dropped something that a reader had been shown."""
    return any(chunk["type"] == "reset-step" for chunk in chunks_of(log, reset_steps=True))


def logs() -> list[list[ev.Event]]:
    """The same legal logs in every run."""
    drawn: list[list[ev.Event]] = []

    @DRAWN
    @given(histories())
    def draw(log: list[ev.Event]) -> None:
        drawn.append(log)

    draw()
    # What is drawn may change with the modules that are loaded, so what the tests are about is asked for.
    return [
        *drawn,
        *(
            find(histories(), holds, settings=settings(DRAWN, max_examples=5_000))
            for holds in (has_tool, takes_back)
        ),
    ]


def chunks_of(log: list[ev.Event], *, reset_steps: bool) -> list[dict[str, Any]]:
    """What the projection makes of a log."""
    asked = Asked(request_id="r-1", agent="demo", created_at=1)
    projection = UiStreamProjection(asked, reset_steps=reset_steps)
    return [chunk for event in log for chunk in projection.apply(event)]


def read(tmp_path: Path, streams: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the AI SDK makes of each stream: its last message, and what it objected to."""
    if not (WEB / "node_modules" / "ai").is_dir():
        leave_out("the packages of web/ are not installed (make test installs them)")
    file = tmp_path / "streams.json"
    file.write_bytes(msgspec.json.encode(streams))
    said: list[dict[str, Any]] = msgspec.json.decode(
        run(WEB, "node", "--input-type=module", "-e", READER, file)
    )
    return said


def errors_of(value: Transcript) -> list[str]:
    """The error with which the stream of this answer ends, if it does."""
    outcome = value.outcome
    if outcome is None or isinstance(outcome, (ev.Completed, ev.Cancelled)):
        return []
    return [outcome.message or f"The request ended as {ev.KINDS[type(outcome)]}."]


def tool_of(part: ToolPart) -> dict[str, Any]:
    """A call as the AI SDK has it, without its id and without the input of one whose arguments still come."""
    value, is_json = parsed(part.arguments or "{}")
    seen: dict[str, Any] = {"toolName": part.name}
    if part.state == "input":
        return {**seen, "state": "input-streaming"}
    seen["input"] = value
    if part.state == "done":
        return {**seen, "state": "output-available", "output": parsed(part.result)[0]}
    if part.state == "failed":
        return {**seen, "state": "output-error", "errorText": part.result}
    if part.state == "unknown":
        text = NO_RESULT if part.where == "server" else NOT_WHOLE
        return {**seen, "state": "output-error", "errorText": text}
    if not is_json:
        return {**seen, "state": "output-error", "errorText": NOT_JSON}
    return {**seen, "state": "input-available"}


def plain(value: Any) -> Any:
    """A value as JavaScript has it: every number is a float."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def agree(message: dict[str, Any], value: Transcript) -> None:
    """Asserts that the message shows what the transcript has."""
    assert message["id"] == "r-1"
    parts = message["parts"]
    for kind, cls in (("text", TextPart), ("reasoning", ReasoningPart)):
        said = [(part["text"], part["state"] == "streaming") for part in parts if part["type"] == kind]
        assert said == [(part.text, part.open) for part in value.parts if isinstance(part, cls)]
    tools = [
        {key: part[key] for key in ("toolName", "state", "input", "output", "errorText") if key in part}
        for part in parts
        if part["type"] == "dynamic-tool"
    ]
    for tool in tools:
        if tool["state"] == "input-streaming":
            tool.pop("input", None)
    assert plain(tools) == [plain(tool_of(part)) for part in value.parts if isinstance(part, ToolPart)]
    named = {f"data-{part.name}" for part in value.parts if isinstance(part, DataPart)}
    data = [(part["type"], plain(part["data"])) for part in parts if part["type"] in named]
    assert data == [
        (f"data-{part.name}", plain(msgspec.json.decode(msgspec.json.encode(part.data))))
        for part in value.parts
        if isinstance(part, DataPart)
    ]


def test_the_sdk_reads_what_stands(tmp_path: Path) -> None:
    """For many logs, and for the snapshot of each: every chunk is valid, and the message that the AI SDK puts together has the
    transcript's texts, reasoning, tool calls and values, after supersedes too."""
    drawn = logs()
    values = [fold(log) for log in drawn]
    assert any(isinstance(part, ToolPart) for value in values for part in value.parts)
    streams = [chunks_of(log, reset_steps=True) for log in drawn]
    assert any(chunk["type"] == "reset-step" for stream in streams for chunk in stream)
    streams += [chunks_of(events_of(value), reset_steps=True) for value in values]
    for found, value in zip(read(tmp_path, streams), values * 2, strict=True):
        assert found["errors"] == errors_of(value)
        agree(found["message"], value)


def test_the_sdk_reads_streams_without_resets(tmp_path: Path) -> None:
    """Where nothing can be taken back every chunk is valid all the same, and the reader trips over none."""
    streams = [chunks_of(log, reset_steps=False) for log in logs()]
    for found, stream in zip(read(tmp_path, streams), streams, strict=True):
        assert found["errors"] == [chunk["errorText"] for chunk in stream if chunk["type"] == "error"]
