"""Words of texts and queries for a database whose own tokenizer is not used: the same as SQLite's unicode61 finds.

A word is a run of letters and digits; case and the accents of Latin letters do not count. Each character of a script that
puts no spaces between words is a word of its own, and two of them beside each other are one more word, so that the index
alone finds the Chinese and Japanese words of two characters, and little else than what is looked for among longer ones. What
an index cannot tell, whether several words follow each other, is looked up in the words of the text in their order
(`folded`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .words import FOUND, FOUND_END, SEPARATOR, UNSPACED, plain, snippet_of

LEXEME_CHARS_MAX: Final = 80
"""Of a word in the index; a longer one is compared as a whole in the text's words."""

LEXEMES_BYTES_MAX: Final = 900_000
"""Different words of one message in the index; PostgreSQL's bound for one vector is 1 MiB. Beyond it words are not found."""

SNIPPET_LEAD_WORDS: Final = 6
"""Words before the first that was found."""

_PRIVATE: Final = "\ue000-\uf8ff\U000f0000-\U0010ffff"
_LETTER: Final = f"(?!{UNSPACED})(?:[^\\W_]|[{_PRIVATE}])"
_TOKEN: Final = re.compile(f"(?=[^\\W_]){UNSPACED}|{_LETTER}(?:{_LETTER}|[\u0300-\u036f])*")
_ASCII: Final = re.compile("[0-9A-Za-z]+")
_IS_UNSPACED: Final = re.compile(UNSPACED)


class Token(NamedTuple):
    """A word, folded, and where it is in the text."""

    word: str
    start: int
    end: int


class Phrase(NamedTuple):
    """Words of a query that must follow each other; the last may go on."""

    words: list[str]

    @property
    def text(self) -> str:
        """What the folded text then holds."""
        return " " + " ".join(self.words)

    @property
    def lexemes(self) -> list[tuple[str, bool]]:
        """What the index must hold: words, and whether more letters may follow."""
        out = [(word[:LEXEME_CHARS_MAX], False) for word in self.words[:-1]] + [
            (self.words[-1][:LEXEME_CHARS_MAX], True)
        ]
        pairs = [(a + b, False) for a, b in _pairs(self.words)]
        return pairs if pairs and len(pairs) == len(self.words) - 1 else pairs + out

    @property
    def exact(self) -> bool:
        """Whether the index alone knows."""
        if len(self.words) == 1:
            return len(self.words[0]) <= LEXEME_CHARS_MAX
        return len(self.words) == 2 and bool(_pairs(self.words))


def tokens(text: str) -> list[Token]:
    """The words of a text that went through `plain`, in their order."""
    if text.isascii():
        return [Token(found[0].lower(), found.start(), found.end()) for found in _ASCII.finditer(text)]
    return [Token(_fold(found[0]), found.start(), found.end()) for found in _TOKEN.finditer(text)]


def document(body: str) -> tuple[list[str], str]:
    """The lexemes of a text, each once, and its words in their order: `folded`."""
    words = [token.word for token in tokens(plain(body))]
    lexemes: dict[str, None] = {}
    size = 0
    for lexeme in _lexemes(words):
        if lexeme not in lexemes:
            size += len(lexeme.encode()) + 20  # the owner's mark, and what a vector adds
            if size > LEXEMES_BYTES_MAX:
                break
            lexemes[lexeme] = None
    return list(lexemes), f" {' '.join(words)}"


def phrases(words: Iterable[str]) -> list[Phrase]:
    """The words of a query (`words_of`), each as what must follow each other."""
    found = ([token.word for token in tokens(word.replace(SEPARATOR, ""))] for word in words)
    return [Phrase(one) for one in found if one]


def snippet(body: str, wanted: Sequence[Phrase], words_max: int) -> str:
    """The text around what was found: of at most so many words, with as much of what was looked for as it can hold."""
    text = plain(body)
    all_tokens = tokens(text)
    found = _found(all_tokens, wanted)
    begin = _best(found, words_max, len(all_tokens))
    end = begin + words_max
    cut_start = all_tokens[begin].start if begin > 0 else 0
    cut_end = all_tokens[end].start if end < len(all_tokens) else len(text)
    parts, place = ["…" if begin else ""], cut_start
    for first, last, _ in found:
        if first < begin or last > end or all_tokens[first].start < place:
            continue
        parts += [
            text[place : all_tokens[first].start],
            FOUND,
            text[all_tokens[first].start : all_tokens[last - 1].end],
        ]
        parts.append(FOUND_END)
        place = all_tokens[last - 1].end
    parts += [text[place:cut_end], "…" if end < len(all_tokens) else ""]
    return snippet_of("".join(parts))


def _found(all_tokens: Sequence[Token], wanted: Sequence[Phrase]) -> list[tuple[int, int, int]]:
    """Where phrases are: from this token, to before that one, and which phrase."""
    firsts: dict[str, list[int]] = {}
    prefixes: list[tuple[int, str]] = []
    for number, phrase in enumerate(wanted):
        if len(phrase.words) == 1:
            prefixes.append((number, phrase.words[0]))
        else:
            firsts.setdefault(phrase.words[0], []).append(number)
    out: list[tuple[int, int, int]] = []
    for index, token in enumerate(all_tokens):
        out += [(index, index + 1, number) for number, word in prefixes if token.word.startswith(word)]
        for number in firsts.get(token.word, ()):
            words = wanted[number].words
            there = [one.word for one in all_tokens[index : index + len(words)]]
            if there[:-1] == words[:-1] and len(there) == len(words) and there[-1].startswith(words[-1]):
                out.append((index, index + len(words), number))
    return out


def _best(found: Sequence[tuple[int, int, int]], words_max: int, count: int) -> int:
    """The token at which a snippet begins: where most of what is wanted is, the earliest such place."""
    if count <= words_max:
        return 0
    best, most = 0, 0
    for place, (first, _, _) in enumerate(found[:1_000]):
        begin = min(max(0, first - SNIPPET_LEAD_WORDS), count - words_max)
        inside = len(
            {
                number
                for a, b, number in found[place : place + words_max]
                if a >= begin and b <= begin + words_max
            }
        )
        if inside > most:
            best, most = begin, inside
    return best


def _lexemes(words: Sequence[str]) -> Iterable[str]:
    for word in words:
        yield word[:LEXEME_CHARS_MAX]
    for first, second in _pairs(words):
        yield first + second


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Characters that are words of their own and stand beside each other."""
    alone = [len(word) == 1 and _IS_UNSPACED.match(word) is not None for word in words]
    return [(a, b) for a, b, c, d in zip(words, words[1:], alone, alone[1:], strict=False) if c and d]


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    if len(word) == 1 and _IS_UNSPACED.match(word):
        return word
    return "".join(_letter(char) for char in word if not "\u0300" <= char <= "\u036f")


def _letter(char: str) -> str:
    base = unicodedata.normalize("NFD", char)[0]
    return (base if base.isascii() else char).lower()
