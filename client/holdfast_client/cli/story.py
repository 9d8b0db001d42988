"""What a terminal shows of an answer: lines that are printed for good, and the part that is still being drawn.

Text becomes Markdown block by block; reasoning is shown while it lasts and leaves one dim line behind; tools, steps,
sources and what the answer waits for are a line each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Heading, Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from holdfast_client.reading import Piece, Reader, Superseded
from holdfast_protocol.fold import Fold
from holdfast_protocol.live_part import LivePart
from holdfast_protocol.transcript import permits

from .blocks import Blocks

SHOWN: Final = ("text", "reasoning", "tool", "progress", "source", "file", "input", "wait")
_REASONING_LINES: Final = 3


class _PlainHeading(Heading):
    """A heading at the left edge: in a conversation nothing is a title page."""

    def __rich_console__(self, console: Any, options: Any) -> Any:
        self.text.justify = "left"
        yield self.text


class AnswerMarkdown(Markdown):
    """Markdown as an answer has it."""

    elements = {**Markdown.elements, "heading_open": _PlainHeading}  # noqa: RUF012  (the base class has it so)


class Block:
    """A block as lines without padding (so that they copy well and survive a narrower window), and the empty line after
    it unless it is still open."""

    def __init__(self, source: str, *, verbatim: bool = False, open_: bool = False) -> None:
        self.source = source
        self.verbatim = verbatim
        self.open = open_

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.verbatim:
            yield Segment(self.source + "\n\n")
            return
        lines = console.render_lines(AnswerMarkdown(self.source, code_theme="ansi_dark"), options, pad=False)
        texts = ["".join(segment.text for segment in line).rstrip() for line in lines]
        shown = [number for number, text in enumerate(texts) if text]
        for number in range(shown[0], shown[-1] + 1) if shown else ():
            yield from Segment.adjust_line_length(lines[number], cell_len(texts[number]), pad=False)
            yield Segment.line()
        if not self.open:
            yield Segment.line()


def markdown(block: str) -> RenderableType:
    """A finished block, with the space that follows it."""
    return Block(block)


def whole(text: str, block: Callable[[str], RenderableType]) -> list[RenderableType]:
    """A text that is complete, block by block."""
    blocks = Blocks()
    return [block(source) for source in [*blocks.feed(text), *blocks.finish()]]


def verbatim(block: str) -> RenderableType:
    """A finished block as it was written, for those who do not look at a terminal."""
    return Block(block, verbatim=True)


class Story:
    """One answer as it is told. `advance(fold)` gives what to print for good; `drawing()` what to draw below it."""

    def __init__(self, block: Callable[[str], RenderableType] = markdown) -> None:
        self._reader = Reader(*SHOWN)
        self._block = block
        self._blocks = Blocks()
        self._thinking: list[str] = []
        self._steps: dict[int, LivePart] = {}
        self._words = 0
        self._after_line = False
        self._spinner = Spinner("dots", style="dim")

    def advance(self, fold: Fold) -> list[RenderableType]:
        """What is new and final."""
        out: list[RenderableType] = []
        for piece in self._reader.read(fold):
            if isinstance(piece, Superseded):
                out += self._settle()
                self._steps.clear()
                out.append(Text(_superseded(piece), style="yellow"))
            elif piece.kind == "text":
                out += self._end_thinking()
                out += [self._block(block) for block in self._blocks.feed(piece.text)]
                if not piece.part.open:
                    out += [self._block(block) for block in self._blocks.finish()]
            elif piece.kind == "reasoning":
                self._thinking.append(piece.text)
                self._words += piece.text.count(" ")
                if not piece.part.open:
                    out += self._end_thinking()
            else:
                out += self._other(piece)
        if fold.sealed:
            out += self._settle()
        return self._spaced(out)

    def _spaced(self, rows: list[RenderableType]) -> list[RenderableType]:
        """An empty line where lines about the work end and text begins."""
        out: list[RenderableType] = []
        for row in rows:
            if self._after_line and isinstance(row, Block):
                out.append(Text(""))
            self._after_line = not isinstance(row, Block)
            out.append(row)
        return out

    def _settle(self) -> list[RenderableType]:
        return [*self._end_thinking(), *(self._block(block) for block in self._blocks.finish())]

    def _end_thinking(self) -> list[RenderableType]:
        if not self._thinking:
            return []
        line = Text(f"· thought about it, {self._words + 1} words", style="dim")
        self._thinking, self._words = [], 0
        return [line]

    def _other(self, piece: Piece) -> list[RenderableType]:
        part, index = piece.part, piece.index
        running = part.open or part.state == "running"
        if running and part.kind != "wait":
            self._steps[index] = part
            return []
        self._steps.pop(index, None)
        text = line_of(part)
        return [Text(text, style="yellow" if part.kind == "wait" and part.open else "dim")] if text else []

    def drawing(self, lines_max: int) -> RenderableType | None:
        """The open block and what goes on, in at most about `lines_max` lines; None if there is nothing to draw."""
        rows: list[RenderableType] = []
        if tail := self._blocks.tail(lines_max):
            rows.append(Block(tail, open_=True))
        if self._thinking:
            self._thinking[:] = ["".join(self._thinking)[-2000:]]
            rows.append(
                Text("\n".join(self._thinking[0].split("\n")[-_REASONING_LINES:]), style="dim italic")
            )
        for part in list(self._steps.values())[-3:]:
            row = Table.grid(padding=(0, 1))
            row.add_row(self._spinner, Text(line_of(part), style="dim"))
            rows.append(row)
        return Group(*rows) if rows else None


def line_of(part: LivePart) -> str:
    """One line about a part that is not text."""
    fields = part.fields
    match part.kind:
        case "tool":
            end = {"done": "", "failed": ": failed", "unknown": ": unknown whether it ran"}.get(
                part.state, " …"
            )
            return f"▸ {fields['name']}({_short(part.text)}){end}"
        case "progress":
            of = f" {fields['step']}/{fields['total']}" if fields.get("total") else ""
            percent = f" {fields['percent']:.0f} %" if fields.get("percent") is not None else ""
            end = {"running": " …", "done": "", "failed": ": failed", "stopped": ": stopped"}[part.state]
            return f"· {fields['label']}{of}{percent}{end}"
        case "source":
            return f"· source: {fields['title'] or fields['url']} <{fields['url']}>"
        case "file":
            return f"· file: {fields['name'] or fields['id']} <{fields['url']}>"
        case "input":
            return f"> {part.text}"
        case "wait" if part.open:
            return f"? {fields['kind']}: {_asked(fields['body'])}"
        case "wait":
            decision = fields.get("decision")
            said = part.state if part.state != "decided" else "approved" if permits(decision) else "denied"
            return f"· {fields['kind']}: {said}"
    return ""


def ending(fold: Fold) -> str:
    """One line about an end that is not the usual one; empty for an answer that is complete."""
    outcome = fold.outcome
    if outcome is None or (fold.status == "completed" and outcome.code in ("stop", "")):
        return ""
    what = {"completed": "cut off", "timed_out": "timed out"}.get(fold.status, fold.status)
    return f"{what} [{outcome.code}]{': ' + outcome.message if outcome.message else ''}"


def _superseded(piece: Superseded) -> str:
    what = (
        "the text above is taken back" if not piece.kept_chars else "the end of the text above is taken back"
    )
    return f"↻ attempt {piece.attempt}: {what}"


def _asked(body: Any) -> str:
    """What is to be decided: its title first, and nothing of the rest left out that there is room for."""
    title = ""
    if isinstance(body, dict) and isinstance(body.get("title"), str):
        title = body["title"]
        body = {key: value for key, value in body.items() if key != "title"}
    rest = json.dumps(body, ensure_ascii=False) if body or not title else ""
    return _short(f"{title} {rest}".strip(), 300)


def _short(text: str, chars_max: int = 80) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= chars_max else flat[: chars_max - 1] + "…"
