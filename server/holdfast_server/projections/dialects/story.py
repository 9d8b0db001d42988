"""The story of a log: what the five dialects tell of a request, whichever door it came by and whichever agent answers.

    accepted                   created         "Chat session created"
    started, for the first     agent_loaded    "Loaded agent: demo"
     time                      llm_call_start  "Calling LLM for response generation"
    started again, other than  restarted, resumed
     by a hand-over
    a server's tool is called  tool_execution  "Executing tool: search (create)"; its argument `action` in brackets
    a client's tool is called  tool_requested
    the tool is back           tool_result, tool_failed
    progress of the agent      its kind, its label; where a later one of the same id says something else, it is told anew at
                               the end, and the entry before it goes
    waiting, decided           waiting, decided
    the outcome                completed, failed, cancelled, timeout, interrupted

Superseded steps stay in the list: they were made. A log made of a purged request's history tells the same in fewer entries.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol import transcript as tr
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import Status
from holdfast_server.projections.base import Asked

PROGRESS_MAX: Final = 200
"""Entries of a list that is sent anew every second: the latest; who wants every step reads the events."""

ACTION_BYTES_MAX: Final = 16 * 1024
"""Arguments that are looked into for the action they name; longer ones are shown by the tool's name alone."""

ACTION_CHARS_MAX: Final = 64
_TIME_MAX_MS: Final = 253_402_300_799_999
"""The end of the year 9999: no calendar goes further."""

TIMED_OUT: Final = "Request timed out"
_ENDS: Final[dict[Status, tuple[str, str]]] = {
    "completed": ("completed", "Response is complete"),
    "failed": ("failed", "The request failed"),
    "cancelled": ("cancelled", "The request was cancelled"),
    "timed_out": ("timeout", TIMED_OUT),
    "interrupted": ("interrupted", "The server was restarted too often; what was shown stands"),
}


def iso(at_ms: int) -> str:
    """A time as the dialects have it: UTC, whole milliseconds, Z."""
    seconds, millis = divmod(min(at_ms, _TIME_MAX_MS), 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03}Z"


class Story:
    """Fed the log's events in order; costs the same for each, however long the answer is."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.updated_at = asked.created_at
        self._fold = Fold()
        self._entries: deque[dict[str, str]] = deque(maxlen=PROGRESS_MAX)
        self._shown: dict[int, dict[str, str]] = {}
        self._measured: tuple[int, float] | None = None

    def apply(self, event: ev.Event) -> bool:
        """Take the next event; whether there is something new to tell beside text. Raises: IllegalEvent."""
        before = self._fold.started
        self._fold.apply(event)
        self.updated_at = max(self.updated_at, event.at)
        match event:
            case ev.Accepted():
                self._tell(event, "created", "Chat session created")
            case ev.Started():
                return self._started(event, first=before is None)
            case ev.PartDone():
                return self._called(event)
            case ev.ToolResult():
                name = self._fold.parts[event.part].fields.get("name", "")
                said = ("tool_failed", "Tool failed") if event.is_error else ("tool_result", "Tool finished")
                self._tell(event, said[0], f"{said[1]}: {name}")
            case ev.Progress():
                self._progress(event)
            case ev.Waiting():
                self._tell(event, "waiting", f"Waiting for a decision: {event.kind}")
            case ev.Decided():
                self._tell(event, "decided", "No decision came in time" if event.expired else "Decided")
            case ev.Completed() | ev.Failed() | ev.Cancelled() | ev.TimedOut() | ev.Interrupted():
                kind, words = _ENDS[self._fold.status]
                self._tell(event, kind, event.message or words)
            case _:
                return False
        return True

    # -- what it tells -----------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        return self._fold.status

    @property
    def ended(self) -> bool:
        """Whether the request has its outcome."""
        return self._fold.sealed

    @property
    def progress(self) -> list[dict[str, str]]:
        """The steps, oldest first: timestamp, type, message."""
        return [dict(entry) for entry in self._entries]

    @property
    def saying(self) -> str:
        """The latest step, in words."""
        return self._entries[-1]["message"] if self._entries else "Your request is being processed..."

    @property
    def percent(self) -> float | None:
        """How much of the work is done, 0 to 100, as the agent measured it last; None while it measured nothing. Where it
        counts its steps, the one that it takes now is not done."""
        if self.status == "completed":
            return 100.0
        return None if self._measured is None else self._measured[1]

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(part.text for part in self._fold.parts if part.kind == "text")

    @property
    def standing(self) -> int:
        """How many parts stand."""
        return len(self._fold.parts)

    @property
    def error(self) -> str | None:
        """Why there is no whole answer; None while there may be one, and if there is."""
        outcome = self._fold.outcome
        if outcome is None or isinstance(outcome, ev.Completed):
            return None
        if isinstance(outcome, ev.TimedOut):
            return TIMED_OUT  # the words that the dialects' clients compare with
        return outcome.message or _ENDS[self.status][1]

    @property
    def ended_at(self) -> str | None:
        """When it had its outcome."""
        outcome = self._fold.outcome
        return None if outcome is None else iso(outcome.at)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """Calls of tools that stand, in order: arguments as a value where they are JSON, else as they were written."""
        return [
            {
                "id": part.call_id, "name": part.name, "arguments": _value_of(part.arguments), "result": part.result or None,
                "status": part.state, "success": part.state == "done",
            }
            for part in self._parts()
            if isinstance(part, tr.ToolPart)
        ]  # fmt: skip

    @property
    def sources(self) -> list[dict[str, str]]:
        """What the answer cites."""
        return [
            {"id": part.id, "url": part.url, "title": part.title}
            for part in self._parts()
            if isinstance(part, tr.SourcePart)
        ]

    @property
    def values(self) -> dict[str, Any]:
        """The agent's values for the application by their names; of two with one name, the later."""
        return {part.name: part.data for part in self._parts() if isinstance(part, tr.DataPart)}

    @property
    def actions(self) -> list[Any]:
        """What the person may do next: the agent's values named `actions` (a list of them) and `action` (one)."""
        found: list[Any] = []
        for part in self._parts():
            if isinstance(part, tr.DataPart) and part.name == "actions" and isinstance(part.data, list):
                found.extend(part.data)
            elif isinstance(part, tr.DataPart) and part.name in ("action", "actions"):
                found.append(part.data)
        return found

    # -- how it is told ----------------------------------------------------------------------------------------

    def _parts(self) -> list[tr.TranscriptPart]:
        return [part.frozen() for part in self._fold.parts if part.kind in ("tool", "source", "data")]

    def _tell(self, event: ev.Event, kind: str, message: str) -> dict[str, str]:
        entry = {"timestamp": iso(event.at), "type": kind, "message": message}
        self._entries.append(entry)
        return entry

    def _take_out(self, entry: dict[str, str]) -> None:
        for number, one in enumerate(self._entries):
            if one is entry:  # another may look the same
                del self._entries[number]
                return

    def _started(self, event: ev.Started, *, first: bool) -> bool:
        standing = len(self._fold.parts)
        self._shown = {part: entry for part, entry in self._shown.items() if part < standing}
        if self._measured is not None and self._measured[0] >= standing:
            self._measured = None
        if first:
            self._tell(event, "agent_loaded", f"Loaded agent: {self.asked.agent}")
            self._tell(event, "llm_call_start", "Calling LLM for response generation")
        elif event.keep != "all":
            self._tell(event, "restarted", f"Trying again (attempt {event.attempt})")
        elif event.reason == "handed_over":
            return False  # by a server that stops to the next: nothing of it is to be seen
        else:
            self._tell(event, "resumed", "Going on where it stood")
        return True

    def _called(self, event: ev.PartDone) -> bool:
        part = self._fold.parts[event.part]
        if part.kind != "tool":
            return False
        name = part.fields["name"]
        if part.fields["where"] == "client":
            self._tell(event, "tool_requested", f"Tool to be run by the client: {name}")
        else:
            self._tell(event, "tool_execution", f"Executing tool: {name}{_action_of(part.text, part.bytes)}")
        return True

    def _progress(self, event: ev.Progress) -> None:
        if event.part >= len(self._fold.parts) or self._fold.parts[event.part].kind != "progress":
            return
        entry = self._shown.get(event.part)
        if entry is not None and entry["message"] == event.label:
            entry["type"] = event.kind
        else:
            if entry is not None:
                self._take_out(entry)
            self._shown[event.part] = self._tell(event, event.kind, event.label)
        measured = event.percent
        if measured is None and event.total and event.step is not None:
            # A step that is being taken is not done yet: nobody must be told 100 % of the last one.
            done = event.step if event.state == "done" else event.step - 1
            measured = 100.0 * done / event.total
        if measured is not None:
            self._measured = (event.part, min(100.0, max(0.0, measured)))


def _value_of(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return arguments


def _action_of(arguments: str, size: int) -> str:
    """The action that a call's arguments name, in brackets; nothing if they name none."""
    value = _value_of(arguments) if size <= ACTION_BYTES_MAX else None
    action = value.get("action") if isinstance(value, dict) else None
    return f" ({action[:ACTION_CHARS_MAX]})" if isinstance(action, str) and action else ""
