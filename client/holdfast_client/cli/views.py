"""Where an answer goes: plain text into a pipe, drawn Markdown onto a terminal, or one line of JSON per event.

A view is given the fold again and again and finds out by itself what is new; so it may be as slow as the terminal is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Protocol, Self

from holdfast_client.reading import Reader, Superseded
from holdfast_protocol.fold import Fold

from .running import complain

DRAW_EVERY_S: Final = 0.1
"""Ten drawings a second look fluent, and leave the processor to others."""


class View(Protocol):
    """Shows one answer: enter it, `show` it as it grows, leave it. `pace_s`: how long to pause between two looks."""

    pace_s: float

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, fold: Fold) -> None:
        """Show what is new."""

    def note(self, text: str | None) -> None:
        """Say what goes on (waiting, reconnecting), or None."""

    def queued(self, text: str | None) -> None:
        """Say what it waits for before it begins, where that can be said anew each time; None is nothing special."""


class PlainView:
    """Text only, on standard output, as it comes."""

    pace_s = 0.0

    def __init__(self) -> None:
        self._reader = Reader("text")
        self._last = "\n"
        self._status: Any = None
        self._said: str | None = "queued …"

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("waiting …", spinner="dots")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
        if self._last != "\n" and kind is not BrokenPipeError:
            sys.stdout.write("\n")
            sys.stdout.flush()

    def show(self, fold: Fold) -> None:
        wrote = False
        for piece in self._reader.read(fold):
            if isinstance(piece, Superseded):
                sys.stdout.write("" if self._last == "\n" else "\n")
                self._last = "\n"
                complain(
                    f"attempt {piece.attempt} begins; of the text above {piece.kept_chars} characters stand"
                )
            elif piece.text:
                sys.stdout.write(piece.text)
                self._last = piece.text[-1]
                wrote = True
        if wrote:
            sys.stdout.flush()

    def note(self, text: str | None) -> None:
        if self._status is not None:
            self._status.update(text or "answering …")
        elif text is not None and text != self._said:
            self._said = text
            complain(text)

    def queued(self, text: str | None) -> None:
        if self._status is not None and text is not None:
            self._status.update(text)


class DrawnView:
    """Markdown on a terminal: finished blocks once, the open one below them, at most ten times a second."""

    pace_s = DRAW_EVERY_S

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        from .story import Story

        self.console = Console()
        self._story = Story()
        self._note: str | None = "waiting …"
        self._queued: str | None = None
        self._fold: Fold | None = None
        self._live = Live(console=self.console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from rich.text import Text

        self._live.update(Text(""), refresh=True)
        self._live.stop()

    def show(self, fold: Fold) -> None:
        from .story import Block

        self._fold = fold
        for row in self._story.advance(fold):
            self.console.print(row, end="" if isinstance(row, Block) else "\n")
        self._draw()

    def note(self, text: str | None) -> None:
        if text == self._note:
            return
        self._note = text
        if self._live.is_started:
            # What is noted is mostly that nothing will come for a while: there may be no `show` to take it along.
            self._draw()

    def queued(self, text: str | None) -> None:
        self._queued = text

    def _draw(self) -> None:
        from rich.console import Group
        from rich.text import Text

        rows: list[Any] = []
        fold = self._fold
        drawing = self._story.drawing(max(3, self.console.height - 6))
        if drawing is not None and fold is not None and not fold.sealed:
            rows.append(drawing)
        if fold is not None and fold.status in ("new", "queued"):
            rows.append(Text(self._queued or "queued …", style="dim"))
        if self._note:
            rows.append(Text(self._note, style="dim"))
        self._live.update(Group(*rows), refresh=True)


def view_for_stdout() -> View:
    """Drawn where people look, plain elsewhere."""
    return DrawnView() if sys.stdout.isatty() else PlainView()


def print_json(values: Iterable[Any]) -> None:
    """One line of JSON each, at once."""
    import msgspec

    for value in values:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()
