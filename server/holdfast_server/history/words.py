"""How text becomes words for the full-text index, and a query becomes an expression that cannot be wrong.

Scripts that put no spaces between words would be one endless word each. So a separator that nobody types goes around
every character of theirs, in the text and in the query alike: such a character is a word of its own, and a run of them
in a query is a phrase, which finds exactly the substring. Everything else is left to the database's tokenizer, which
folds case and accents. (docs/decisions/0003-search.md)
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from holdfast_protocol.limits import QUERY_CHARS_MAX

SEPARATOR: Final = "\x01"
FOUND: Final = "\x02"
FOUND_END: Final = "\x03"

INDEXED_CHARS_MAX: Final = 500_000
"""Characters of one message that can be found; the rest of a longer one is for reading, not for finding."""

WORDS_MAX: Final = 32
"""Words of a query that count; each is a look-up of its own."""

SNIPPET_CHARS_MAX: Final = 300
"""A snippet is cut to this even if its words are endless (base64, minified code)."""

_OURS: Final = re.compile("[\x00-\x03\ud800-\udfff]")
"""What must not reach the database: NUL ends a query early, the marks are ours, and a lone surrogate is no text."""

# Thai to Myanmar, Khmer, Hangul, CJK with kana and bopomofo, compatibility forms, half-width kana and Hangul, planes 2-3.
UNSPACED: Final = (
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u3131-\u318e"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff]"
)


_UNSPACED: Final = re.compile(UNSPACED)


def plain(text: str) -> str:
    """As much of the text as can be found, in one form of its letters, without what means something to us."""
    return unicodedata.normalize("NFC", _OURS.sub(" ", text[:INDEXED_CHARS_MAX]))


def indexed(text: str) -> str:
    """The text as FTS5 holds it."""
    text = plain(text)
    if text.isascii():
        return text
    return _UNSPACED.sub(f"{SEPARATOR}\\g<0>{SEPARATOR}", text).replace(SEPARATOR * 2, SEPARATOR)


def words_of(query: str) -> list[str]:
    """The query's words as the index holds them; what has neither letter nor digit is none, for it is not indexed."""
    words = indexed(query[:QUERY_CHARS_MAX]).split()
    return [word for word in words if any(_counts(char) for char in word)][:WORDS_MAX]


def _counts(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LN" or category == "Co"


def quoted(word: str) -> str:
    """The word as a phrase of the expression language, whose last part may be the beginning of a longer word."""
    doubled = word.replace('"', '""')
    return f'"{doubled}" *'


def snippet_of(raw: str) -> str:
    """A snippet as people see it: without separators, and around what was found."""
    text = " ".join(raw.replace(SEPARATOR, "").split())
    if len(text) <= SNIPPET_CHARS_MAX:
        return text
    found = max(text.find(FOUND), 0)
    start = max(0, min(found - SNIPPET_CHARS_MAX // 4, len(text) - SNIPPET_CHARS_MAX))
    end = start + SNIPPET_CHARS_MAX
    cut = text[start:end]
    if cut.rfind(FOUND) > cut.rfind(FOUND_END):
        cut = cut + FOUND_END if len(cut) > cut.rfind(FOUND) + 1 else cut[:-1]
    return ("…" if start else "") + cut + ("…" if end < len(text) else "")
