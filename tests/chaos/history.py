"""The history of a run: one JSON object a line, written as it happens, so that a run that breaks off leaves all of it.

Every line has `t` (seconds since the start, monotonic) and `op`. An operation is an `invoke` line with an `id`, and later
one line with the same `id` and `phase`: `ok`, `fail` (refused: it did not happen), or `info` (no reply: it may have
happened, or happen yet). What readers are given is written as it came, events and all, so that the checker needs nothing
else; at the end the journals are written as well, as a reader without faults reads them from each node.

    run      seed, seconds, lease_s, within_s, wall, enabled (kinds of faults), poison (request ids), planted
    submit   invoke: id user request node door agent script chat; ok: named created status; fail: code
    cancel   invoke: id user request node; ok: won status
    decide   invoke: id user request node wait; ok
    open     reader user request node door cursor          a raw reader begins, at a cursor or anew
    page     reader user request start next events staged  `start` null: where the last one ended; `next` null: no place
    snapshot reader user request reason                    what follows replaces what it had
    caught_up reader user request cursor parts bytes digest sealed
    told_end                                               nothing follows what it has
    start_over, lost (reason), left (why), refused (code, since)
    fault    kind bit node lasted_s                        `bit`: how many connections or processes it hit
    quiet                                                  faults are over
    journal  user request node events sealed               read without faults
    row      user request node status text
    listed   user node requests
    call     key nth outcome started ended                 the upstream's own log
    gave_up, broke, unread                                 what went wrong with a client, the run, the last look
    over                                                   the run was carried to its end
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

Entry = dict[str, Any]

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


class History:
    """A file that grows. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._file = path.open("wb")
        self._ids = itertools.count(1)
        self.lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def at(self, monotonic_s: float) -> float:
        """The same for a time that was taken elsewhere."""
        return round(monotonic_s - self._began, 4)

    def add(self, op: str, **fields: Any) -> None:
        """Note what has happened now."""
        if self._file.closed:  # who is cancelled after the end has nothing to tell
            return
        self._file.write(_ENCODER.encode({"t": round(self.now_s, 4), "op": op, **fields}) + b"\n")
        self.lines += 1

    def invoke(self, op: str, **fields: Any) -> int:
        """Note that something is asked now; its reply is noted by `reply` under the returned id."""
        number = next(self._ids)
        self.add(op, phase="invoke", id=number, **fields)
        return number

    def reply(self, op: str, number: int, phase: str, **fields: Any) -> None:
        """Note the reply, or with `info` that none came."""
        self.add(op, phase=phase, id=number, **fields)

    def flush(self) -> None:
        """Everything so far is in the file."""
        if not self._file.closed:
            self._file.flush()


def read(path: Path) -> list[Entry]:
    """The lines of a saved history; a last one that is torn is left out. Raises: OSError, msgspec.DecodeError."""
    lines = path.read_bytes().split(b"\n")
    return [_DECODER.decode(line) for line in lines[:-1] if line]
