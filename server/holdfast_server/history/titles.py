"""A chat's title from its first message: one line, without Markdown's marks, short enough for a sidebar."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

TITLE_FROM_TEXT_CHARS: Final = 60
"""What a sidebar shows of a title; longer ones only a person gives."""

READ_CHARS: Final = 4_000
"""How much of a message is looked at: its first line that says something is near its beginning."""

_BLOCK: Final = re.compile(r"^\s*(?:(?:#{1,6}|>|[-*+]|\d{1,9}[.)]|\[[ xX]\])\s+|>)+")
_LINK: Final = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_STRONG: Final = re.compile(r"(\*{1,3}|~~|`{1,3})(?=\S)(.+?)(?<=\S)\1")
_UNDERLINED: Final = re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)")
_NOTHING: Final = re.compile(r"^[\s#>*+\-_=~`|.:]*$")


def title_from(text: str) -> str:
    """The first line that says something, at most TITLE_FROM_TEXT_CHARS, cut at a word; empty if none does."""
    for line in text[:READ_CHARS].splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            continue
        plain = _plain(line)
        if not _NOTHING.match(plain):
            return _cut(plain)
    return ""


def _plain(line: str) -> str:
    line = _BLOCK.sub("", line)
    for pattern, kept in ((_LINK, r"\1"), (_STRONG, r"\2"), (_UNDERLINED, r"\2")):
        line = pattern.sub(kept, line)
    line = "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in line)
    return " ".join(line.split())


def _cut(line: str) -> str:
    if len(line) <= TITLE_FROM_TEXT_CHARS:
        return line
    end = TITLE_FROM_TEXT_CHARS - 1  # room for the ellipsis
    space = line.rfind(" ", 0, end + 1)
    if space >= TITLE_FROM_TEXT_CHARS // 2:
        end = space
    else:
        # No word ends in reach (a long word, or a script without spaces): at least cut no letter from its accents.
        while end > 1 and (unicodedata.combining(line[end]) or "\u200d" in line[end - 1 : end + 1]):
            end -= 1
    return line[:end].rstrip(" ,;:–—-") + "…"
