"""Reading a fold as it grows: what is new since the last look, without a queue between writer and reader. Pure.

A Reader keeps a place in the transcript itself, so a reader who is slow costs nothing and misses nothing: it finds more
at its next look. Text comes in the order of the parts: a later text waits until the one before it is complete, so that
the pieces put together are the transcript's text. When an attempt superseded what was handed out already (or a snapshot
shows another text), a `Superseded` says how much of it still stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from holdfast_protocol.fold import Fold
from holdfast_protocol.live_part import LivePart

_TEXTS: Final = ("text", "reasoning")


@dataclass(frozen=True, slots=True)
class Superseded:
    """Text that was handed out has been taken back. Of all text so far the first `kept_chars` characters stand; cut
    there and go on. `reason` is why the new attempt began (retry, recovered, …)."""

    kept_chars: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to show of the part `index`: new `text` of a text or reasoning part (none where all that is new is that
    the part is complete), or another part's new state."""

    index: int
    part: LivePart
    text: str = ""

    @property
    def kind(self) -> str:
        """The kind of the part."""
        return self.part.kind


class _Seen:
    """How far one part has been read."""

    __slots__ = ("chars", "crc", "fields", "part", "state", "taken")

    def __init__(self, part: LivePart) -> None:
        self.part = part
        self.taken = self.chars = self.crc = 0
        self.state: str | None = None
        self.fields: dict[str, Any] | None = None


class Reader:
    """A place in a fold; `kinds` are the parts it is shown."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = frozenset(kinds or ("text",))
        self._fold: Fold | None = None
        self._seen: list[_Seen] = []
        self._front = 0
        self._unsettled: set[int] = set()

    def read(self, fold: Fold) -> list[Piece | Superseded]:
        """What is new, in the order in which it should be shown. Look again when the fold has changed."""
        out: list[Piece | Superseded] = []
        if self._reconcile(fold):
            started = fold.started
            kept = sum(seen.chars for seen in self._seen if seen.part.kind == "text")
            out.append(
                Superseded(kept, started.attempt if started else 0, started.reason if started else "snapshot")
            )
        self._seen += [_Seen(part) for part in fold.parts[len(self._seen) :]]
        for index in sorted(self._unsettled):
            self._state(index, out)
        while self._front < len(self._seen):
            seen = self._seen[self._front]
            if seen.part.kind in self._kinds:
                if seen.part.kind not in _TEXTS:
                    self._state(self._front, out)
                else:
                    text = self._more(seen)
                    if text or (not seen.part.open and seen.taken):
                        out.append(Piece(self._front, seen.part, text))
                    if seen.part.open:
                        break
            self._front += 1
        return out

    def _state(self, index: int, out: list[Piece | Superseded]) -> None:
        seen = self._seen[index]
        part = seen.part
        settled = not part.open and part.state != "running" and part.kind != "data"
        if part.state != seen.state or part.fields is not seen.fields:
            seen.state, seen.fields = part.state, part.fields
            out.append(Piece(index, part))
        if settled:
            self._unsettled.discard(index)
        else:
            self._unsettled.add(index)

    def _more(self, seen: _Seen) -> str:
        text = _tail(seen.part, seen.part.bytes - seen.taken)
        if text:
            raw = text.encode()
            seen.taken += len(raw)
            seen.chars += len(text)
            seen.crc = crc32(raw, seen.crc)
        return text

    def _reconcile(self, fold: Fold) -> bool:
        """Drop what no longer stands; tells whether text that was handed out is among it."""
        keep = self._common(fold)
        self._fold = fold
        gone = self._seen[keep:]
        if not gone:
            return False
        del self._seen[keep:]
        self._front = min(self._front, keep)
        self._unsettled = {index for index in self._unsettled if index < keep}
        return any(seen.taken for seen in gone)

    def _common(self, fold: Fold) -> int:
        """How many parts that were seen still stand."""
        keep = min(len(self._seen), len(fold.parts))
        if fold is self._fold:
            # Parts are cut off at the end only, and new ones are new objects: the last that is the same settles it.
            while keep and fold.parts[keep - 1] is not self._seen[keep - 1].part:
                keep -= 1
            return keep
        for index in range(keep):
            seen, part = self._seen[index], fold.parts[index]
            same = part.kind == seen.part.kind and part.bytes >= seen.taken
            if same and part.kind in _TEXTS:
                same = crc32(part.text.encode()[: seen.taken]) == seen.crc
            if not same:
                return index
            seen.part = part
        return keep


def _tail(part: LivePart, size: int) -> str:
    """The last `size` bytes of the part's text; costs what it returns, unless the pieces were joined meanwhile."""
    out: list[str] = []
    for chunk in reversed(part.chunks):
        if size <= 0:
            break
        length = len(chunk) if chunk.isascii() else len(chunk.encode())
        if length <= size:
            out.append(chunk)
        else:
            out.append(chunk[-size:] if chunk.isascii() else chunk.encode()[-size:].decode())
        size -= length
    return "".join(reversed(out))
