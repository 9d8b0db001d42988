"""What a simulated answer says: a pure function, so that the checker knows it without having been told.

An answer is sections of text. Each begins with a head that names the request, the section and the attempt that wrote it,
so that text of two attempts that got mixed, text of another request, or a gap shows at once. An attempt of 0 stands for
an agent that goes on where the text ends, whoever wrote it.
"""

from __future__ import annotations

import functools
import random
import re
from typing import Final, NamedTuple

_WORDS: Final = (
    "holds ", "fast ", "again, ", "and ", "é", "漢字 ", "ß", "😀", "👩\u200d👩\u200d👧", "e\u0301", "\u2028", "\n\n",
    '"', "\\", "{", "</p>", "`x` ", "\t",
)  # fmt: skip
_HEAD: Final = re.compile(r"\[(?P<key>[\w/-]+) s(?P<section>\d+) a(?P<attempt>\d+)\] ")


class Head(NamedTuple):
    """What a section says of itself."""

    key: str
    section: int
    attempt: int


@functools.lru_cache(maxsize=4096)
def section_text(key: str, section: int, attempt: int) -> str:
    """The whole text of one section; `key` is the owner and the request id."""
    dice = random.Random(f"words:{key}:{section}:{attempt}")
    words = "".join(dice.choices(_WORDS, k=dice.randint(2, 9)))
    return f"[{key} s{section} a{attempt}] {words}."


def head_of(text: str) -> Head | None:
    """What the text's head says; None if it has none (it may be cut within it)."""
    match = _HEAD.match(text)
    return None if match is None else Head(match["key"], int(match["section"]), int(match["attempt"]))
