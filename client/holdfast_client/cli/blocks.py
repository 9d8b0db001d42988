"""Markdown in a stream: which blocks are finished, and what the open one looks like so far. Pure.

A finished block never changes again, so it is rendered once; only the open one is rendered anew. A block ends at a blank
line; code between fences ends at its closing fence, a heading at its own line, a list where something begins that does
not belong to it. The cost is linear in the text: every character is looked at once, and `tail` looks at so many lines.
"""

from __future__ import annotations

import re
from typing import Final

TAIL_CHARS_MAX: Final = 4000
"""Of an open block that is one endless line, no more than this is worth drawing ten times a second."""

_FENCE: Final = re.compile(r" *(`{3,}|~{3,})[^`]*$")
_HEADING: Final = re.compile(r" {0,3}#{1,6}(\s|$)")
_ITEM: Final = re.compile(r" {0,3}([-*+]|\d{1,9}[.)])(\s|$)")


class Blocks:
    """Splits a growing Markdown text. Feed it, print what it gives back, draw `tail()`, and `finish()` at the end."""

    def __init__(self) -> None:
        self._line: list[str] = []  # pieces of the line that has no end yet
        self._lines: list[str] = []  # whole lines of the open block
        self._fence = ""  # the opening fence, while inside
        self._in_list = False

    def feed(self, text: str) -> list[str]:
        """The blocks that `text` has finished."""
        first, *more = text.split("\n")
        self._line.append(first)
        done: list[str] = []
        for rest in more:
            self._take("".join(self._line), done)
            self._line = [rest]
        return done

    def finish(self) -> list[str]:
        """The last block; afterwards the splitter is as new."""
        done: list[str] = []
        if any(self._line):
            self._take("".join(self._line), done)
        self._flush(done)
        self._line.clear()
        return done

    def tail(self, lines_max: int) -> str:
        """The open block, or its last lines if it is longer; inside a fence, with the opening one."""
        pieces: list[str] = []
        room = TAIL_CHARS_MAX
        for piece in reversed(self._line):
            pieces.append(piece[-room:])
            room -= len(piece)
            if room <= 0:
                break
        line = "".join(reversed(pieces))
        lines = self._lines[-lines_max:]
        if self._fence and len(self._lines) > lines_max:
            lines[0] = self._lines[0]
        return "\n".join([*lines, line] if line else lines)

    def _take(self, line: str, done: list[str]) -> None:
        if self._fence:
            self._lines.append(line)
            bare = line.strip()
            if len(bare) >= len(self._fence) and not bare.strip(self._fence[0]):
                self._fence = ""
                if not self._in_list:
                    self._flush(done)
            return
        if self._in_list:
            if self._belongs(line):
                self._lines.append(line)
                if fence := _FENCE.match(line):
                    self._fence = fence[1]
                return
            self._flush(done)
        if not line.strip():
            self._flush(done)
        elif fence := _FENCE.match(line):
            self._flush(done)
            self._lines.append(line)
            self._fence = fence[1]
        elif _HEADING.match(line):
            self._flush(done)
            done.append(line)
        else:
            if _ITEM.match(line):
                self._flush(done)
                self._in_list = True
            self._lines.append(line)

    def _belongs(self, line: str) -> bool:
        """Whether a line goes on with the open list."""
        if not line.strip() or line.startswith(("  ", "\t")) or _ITEM.match(line):
            return True
        after_blank = not self._lines[-1].strip()
        return not (after_blank or _FENCE.match(line) or _HEADING.match(line))

    def _flush(self, done: list[str]) -> None:
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        if self._lines:
            done.append("\n".join(self._lines))
        self._lines = []
        self._fence, self._in_list = "", False
