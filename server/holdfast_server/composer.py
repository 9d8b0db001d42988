"""Turns what an agent yields into events of the journal.

A composer holds the writer's side of one journal: what stands of its answer (standing.py), and how each output adds to
that. It is pure: the time is passed in, and what it returns has not been written anywhere. Everything it returns was first
taken by a fold that holds no text (`fold`), so that an event which the lifecycle forbids is found at its writer, before any
reader can see it.

Offsets are the store's: neighbouring deltas are merged on their way into the log, so this fold's `offset` is true only
right after the composer was made from a log. Whoever needs a checkpoint's offset flushes, and makes a new composer.

What an agent yields is made fit on the way (plain.py); what cannot be is refused with an `AgentFailure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal

from holdfast_protocol import events as ev
from holdfast_protocol.limits import EVENT_BYTES_MAX

from .agents import base
from .plain import (
    NAME_BYTES_MAX,
    checked,
    cut,
    encoded_bytes,
    label,
    measured,
    name,
    plain,
    refused,
    wait_digest,
)
from .standing import ANSWER_BYTES_MAX, Standing
from .stores.base import InboxItem
from .usage import add_usage, usage_of


class Composer:
    """The writer's view of one journal. `events`: what the log holds. `shown`: whether the present attempt has put out
    anything but progress and usage. `tokens`: what the present run of the agent has reported."""

    def __init__(self, events: Iterable[ev.Event], *, answer_bytes_max: int = ANSWER_BYTES_MAX) -> None:
        self._standing = Standing(events, answer_bytes_max)
        self.fold = self._standing.fold
        self.shown = False
        self.tokens: ev.Usage | None = None
        self._usage_before = self.fold.usage

    # -- the request's life ----------------------------------------------------------------------------------

    def started(
        self, at: int, *, attempt: int, term: int, nonce: str, keep: ev.Keep, reason: ev.Reason
    ) -> list[ev.Event]:
        """A term or an attempt begins."""
        event = ev.Started(at=at, attempt=attempt, term=term, nonce=nonce, keep=keep, reason=reason)
        self.fold.apply(event)
        self.shown = False
        self._standing.read()
        return [event]

    def entered(self) -> None:
        """The agent is about to be run: tokens that it reports from here on add to those reported so far."""
        self.tokens = None
        self._usage_before = self.fold.usage

    def decided(self, inbox: Sequence[InboxItem], at: int) -> list[ev.Event]:
        """The decisions on what waits: those that the inbox holds, and that of time, where it has passed."""
        decisions = {item.id: item for item in inbox if item.kind == "decision"}
        out: list[ev.Event] = []
        for number, part in enumerate(self.fold.parts):
            if part.kind != "wait" or not part.open:
                continue
            wait_id, expires_at = part.fields["wait_id"], part.fields["expires_at"]
            item = decisions.get(wait_id)
            if item is not None and item.digest not in ("", part.fields["digest"]):
                item = None
            expired = expires_at is not None and (at if item is None else item.at) >= expires_at
            if item is not None or expired:
                decision = None if item is None or expired else item.value
                event = ev.Decided(at=at, part=number, wait_id=wait_id, decision=decision, expired=expired)
                self._standing.put(out, event)
        return out

    def waiting(self, output: base.Wait, at: int) -> tuple[list[ev.Event], ev.Waiting]:
        """What closes the open text, and the event to park with; that one is not taken yet. Raises: AgentFailure."""
        for part in self.fold.parts:
            if part.kind == "wait" and not part.open and part.fields["wait_id"] == output.id:
                raise refused(f"a second wait {output.id!r}, which was decided before")
        out: list[ev.Event] = []
        self._close_text(out, at)
        body = plain(output.body)
        expires_at = None if output.expires_in_s is None else at + max(0, round(output.expires_in_s * 1000))
        event = ev.Waiting(
            at=at, part=len(self.fold.parts), wait_id=name(output.id), kind=name(output.kind), body=body,
            digest=wait_digest(output.kind, body), expires_at=expires_at,
        )  # fmt: skip
        if checked(event)[1] > EVENT_BYTES_MAX:
            raise refused(f"a question of more than {EVENT_BYTES_MAX} bytes")
        return out, event

    def ended(self, outcome: ev.Outcome) -> list[ev.Event]:
        """The terminal event, put last (I2); a call that a client is to run is complete with a completed answer."""
        out: list[ev.Event] = []
        if isinstance(outcome, ev.Completed):
            for number, part in enumerate(self.fold.parts):
                if part.kind == "tool" and part.state == "input" and part.open:
                    self._standing.put(out, ev.PartDone(at=outcome.at, part=number))
        self._standing.put(out, outcome)
        return out

    # -- output ----------------------------------------------------------------------------------------------

    def compose(self, output: base.Output, at: int, *, own: bool = False) -> list[ev.Event]:
        """The events for one output; `own`: it is the runner's, not the agent's. Raises: AgentFailure for what cannot be
        written, and then nothing of it is; the answer's size is among the reasons."""
        out: list[ev.Event] = []
        step = _COMPOSE.get(type(output))
        if step is None:
            raise refused(f"a {type(output).__name__}, which is no output")
        step(self, output, at, out)
        if out and not own and not isinstance(output, base.Step | base.Tokens):
            self.shown = True
        return out

    def tool_runs(self, call_id: str) -> bool:
        """Whether this call is complete and its result is not there: the server runs it."""
        return self._standing.tool_runs(call_id)

    @property
    def bytes(self) -> int:
        """What the answer weighs so far."""
        return self._standing.bytes

    def _text(self, output: str | base.Text, at: int, out: list[ev.Event]) -> None:
        if isinstance(output, str):
            self._grow("text", output, at, out)
            return
        if output.new_part:
            self._close_text(out, at)
        self._grow("text", output.text, at, out)

    def _reasoning(self, output: base.Reasoning, at: int, out: list[ev.Event]) -> None:
        self._grow("reasoning", output.text, at, out)

    def _grow(self, kind: Literal["text", "reasoning"], text: str, at: int, out: list[ev.Event]) -> None:
        if not text:
            return
        text, size = measured(text)
        self._standing.charge(size)
        if self._standing.open is None or self.fold.parts[self._standing.open].kind != kind:
            number = self._standing.next_part()
            self._close_text(out, at)
            self._standing.put(out, ev.PartStarted(at=at, part=number, kind=kind))
            self._standing.open = number
        self._standing.put(out, ev.Delta(at=at, part=self._standing.open, text=text))

    def _close_text(self, out: list[ev.Event], at: int) -> None:
        if self._standing.open is not None:
            self._standing.put(out, ev.PartDone(at=at, part=self._standing.open))
            self._standing.open = None

    def _tool_begin(self, output: base.ToolCallBegin, at: int, out: list[ev.Event]) -> None:
        before = self._standing.tools.get(output.call_id)
        if before is not None and self.fold.parts[before].state in ("input", "called"):
            raise refused(f"a second tool call {output.call_id!r} while the first is open")
        number = self._standing.next_part()
        event, size = checked(
            ev.ToolCall(
                at=at, part=number, call_id=name(output.call_id), name=name(output.name), where=output.where
            )
        )
        self._standing.charge(size)
        self._close_text(out, at)
        self._standing.put(out, event)
        self._standing.tools[output.call_id] = number

    def _tool_arguments(self, output: base.ToolArguments, at: int, out: list[ev.Event]) -> None:
        number, _ = self._standing.tool(output.call_id, "input")
        if output.text:
            text, size = measured(output.text)
            self._standing.charge(size)
            self._standing.put(out, ev.Delta(at=at, part=number, text=text))

    def _tool_ready(self, output: base.ToolReady, at: int, out: list[ev.Event]) -> None:
        number, _ = self._standing.tool(output.call_id, "input")
        self._standing.put(out, ev.PartDone(at=at, part=number))

    def _tool_output(self, output: base.ToolOutput, at: int, out: list[ev.Event]) -> None:
        number, part = self._standing.tool(output.call_id, "input", "called")
        text = cut(output.output, EVENT_BYTES_MAX - NAME_BYTES_MAX)
        event, size = checked(ev.ToolResult(at=at, part=number, output=text, is_error=output.is_error))
        self._standing.charge(size)
        if part.state == "input":
            self._standing.put(out, ev.PartDone(at=at, part=number))
        self._standing.put(out, event)

    def _replace(self, kind: str, id_: str, make: Callable[[int], ev.Event], out: list[ev.Event]) -> None:
        """The first of an id opens a part, later ones replace what it shows. Every one is in the log: each is charged."""
        number = self._standing.replaced.get((kind, id_))
        opened = number is None
        event, size = checked(make(self._standing.next_part() if number is None else number))
        self._standing.charge(size)
        if opened:
            self._standing.replaced[kind, id_] = len(self.fold.parts)
        self._standing.put(out, event)

    def _progress(self, output: base.Step, at: int, out: list[ev.Event]) -> None:
        percent = output.percent
        if percent is not None:
            percent = min(100.0, max(0.0, percent)) if percent == percent else None  # noqa: PLR0124 - false for NaN only
        self._replace(
            "progress",
            output.id,
            lambda number: ev.Progress(
                at=at, part=number, id=name(output.id), label=label(output.label),
                kind=name(output.kind), step=output.step, total=output.total, percent=percent, state=output.state,
            ),
            out,
        )  # fmt: skip

    def _value(self, output: base.Value, at: int, out: list[ev.Event]) -> None:
        data = plain(output.data)
        size = encoded_bytes(data)
        if size > EVENT_BYTES_MAX - NAME_BYTES_MAX * 2:
            data = {
                "cut": True,
                "bytes": size,
                "message": f"The value has {size} bytes, which is too much to keep.",
            }
        self._replace(
            "data",
            output.id,
            lambda number: ev.Data(at=at, part=number, id=name(output.id), name=name(output.name), data=data),
            out,
        )

    def _cite(self, output: base.Cite, at: int, out: list[ev.Event]) -> None:
        event = ev.Source(
            at=at,
            part=self._standing.next_part(),
            id=name(output.id),
            url=name(output.url),
            title=label(output.title),
        )
        self._once("source", output.id, event, out)

    def _attach(self, output: base.Attach, at: int, out: list[ev.Event]) -> None:
        event = ev.File(
            at=at, part=self._standing.next_part(), id=name(output.id), url=name(output.url),
            media_type=name(output.media_type), name=label(output.name),
        )  # fmt: skip
        self._once("file", output.id, event, out)

    def _once(self, kind: str, id_: str, event: ev.Event, out: list[ev.Event]) -> None:
        if (kind, id_) in self._standing.seen:
            return
        event, size = checked(event)
        self._standing.charge(size)
        self._standing.seen.add((kind, id_))
        self._standing.put(out, event)

    def _tokens(self, output: base.Tokens, at: int, out: list[ev.Event]) -> None:
        event, _ = checked(usage_of(output, at))
        self.tokens = event
        self._standing.put(out, add_usage(self._usage_before, event))

    def _mark(self, _: base.Mark, at: int, out: list[ev.Event]) -> None:
        if any(part.open for number, part in enumerate(self.fold.parts) if number != self._standing.open):
            raise refused("a checkpoint while a tool call or a wait is open")
        self._close_text(out, at)
        self._standing.put(out, ev.Checkpoint(at=at))


_COMPOSE: Final[dict[type, Callable[[Composer, Any, int, list[ev.Event]], None]]] = {
    str: Composer._text,
    base.Text: Composer._text,
    base.Reasoning: Composer._reasoning,
    base.ToolCallBegin: Composer._tool_begin,
    base.ToolArguments: Composer._tool_arguments,
    base.ToolReady: Composer._tool_ready,
    base.ToolOutput: Composer._tool_output,
    base.Step: Composer._progress,
    base.Value: Composer._value,
    base.Cite: Composer._cite,
    base.Attach: Composer._attach,
    base.Tokens: Composer._tokens,
    base.Mark: Composer._mark,
}
