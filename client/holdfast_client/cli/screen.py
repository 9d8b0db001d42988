"""The terminal of a conversation: a prompt at the bottom, above it what is being drawn, above that what was printed.

prompt_toolkit owns the terminal all the time; what rich renders is handed to it as text with colours. Without a terminal
lines are read from standard input and answers are printed as they are.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from rich.console import Console, RenderableType
from rich.text import Text

from .running import typed
from .story import Block

_KEEP_FREE_LINES: Final = 8
"""For the prompt, the line below it, and a question of a few lines."""


class Screen(Protocol):
    """Where a conversation is shown and typed."""

    interactive: bool

    async def read(self) -> str:
        """The next thing the person enters. Raises: EOFError, KeyboardInterrupt."""

    async def show(self, *rows: RenderableType) -> None:
        """Print for good."""

    def draw(self) -> None:
        """What is being drawn has changed."""


def width() -> int:
    """The terminal's width."""
    return max(20, shutil.get_terminal_size().columns)


def rendered(rows: tuple[RenderableType, ...], *, plain: bool = False) -> str:
    """Rows as text with colours; without, if `plain` or if NO_COLOR says so."""
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=not plain, width=width(), legacy_windows=False,
        color_system=None if plain else "standard",
    )  # fmt: skip
    for row in rows:
        end = "" if isinstance(row, Block) else "\n"
        if isinstance(row, Text) and not plain:
            # A console forgets what a Text says of its own wrapping.
            console.print(row, end=end, no_wrap=row.no_wrap, overflow=row.overflow)
        else:
            console.print(row, end=end, soft_wrap=plain)
    return out.getvalue()


class LineScreen:
    """Standard input and output, line by line."""

    interactive = False

    async def read(self) -> str:
        line: str = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            raise EOFError
        return typed(line.removesuffix("\n"))

    async def show(self, *rows: RenderableType) -> None:
        sys.stdout.write(rendered(rows, plain=True))
        sys.stdout.flush()

    def draw(self) -> None:
        pass


class PromptScreen:
    """A terminal. `drawing` gives what is being drawn, in so many lines at most; `status` the line at the bottom."""

    interactive = True

    def __init__(
        self,
        drawing: Callable[[int], RenderableType | None],
        status: Callable[[], str],
        interrupt: Callable[[], bool],
    ) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.formatted_text import ANSI
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.styles import Style

        self._drawing = drawing
        self._ansi = ANSI
        keys = KeyBindings()

        @keys.add("enter")
        def _(event: Any) -> None:
            event.current_buffer.validate_and_handle()

        @keys.add("escape", "enter")
        def _(event: Any) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c")
        def _(event: Any) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            elif not interrupt():
                event.app.exit(exception=KeyboardInterrupt(), style="class:aborting")

        # Colours only for the line at the bottom: dim, not inverse, so that it does not shout below every answer.
        style = Style.from_dict({"bottom-toolbar": "noreverse", "bottom-toolbar.text": "ansibrightblack"})
        self._session: Any = PromptSession(
            message=self._message, multiline=True, key_bindings=keys, bottom_toolbar=status, style=style,
            prompt_continuation="  ", erase_when_done=True,
        )  # fmt: skip

    def _message(self) -> Any:
        room = max(3, shutil.get_terminal_size().lines - _KEEP_FREE_LINES)
        drawing = self._drawing(room)
        above = ""
        if drawing is not None:
            lines = rendered((drawing,)).rstrip("\n").split("\n")
            above = "\n".join(lines[-room:]) + "\n\n"
        return self._ansi(f"{above}\x1b[1m>\x1b[0m ")

    async def read(self) -> str:
        from prompt_toolkit.patch_stdout import patch_stdout

        with patch_stdout(raw=True):
            text: str = await self._session.prompt_async()
        return typed(text)

    async def show(self, *rows: RenderableType) -> None:
        app = self._session.app
        if not app.is_running:
            sys.stdout.write(rendered(rows))
            sys.stdout.flush()
            return
        # prompt_toolkit's own way to print above the prompt leaves raw mode meanwhile; a key typed at that moment
        # would be read as a line's (Ctrl-D is swallowed). So: erase the prompt, write, let it be drawn again.
        app.renderer.erase()
        app.output.write_raw(rendered(rows).replace("\n", "\r\n"))
        app.output.flush()
        app.renderer.reset()
        app.renderer.request_absolute_cursor_position()
        app.invalidate()

    def draw(self) -> None:
        if self._session.app.is_running:
            self._session.app.invalidate()


def dim(text: str) -> Text:
    """A remark of ours, as against what was said."""
    return Text(text, style="dim")
