"""Recorded logs and the frames that a projection made of them when its version was new.

A folder `tests/golden/<projection>-v<version>` holds, per case, `<case>.log.json` (what the case is about, what was asked, the
events) and `<case>.frames.json` (what came of it). To record a case, write its log by hand and run

    python -m tests.support.golden

which makes the frames that are missing and never writes over any: what a reader has seen under a version stays as it was.
Where frames differ, make the next version of the projection beside this one, and record the logs for it in its own folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol.codec import decode_events
from holdfast_server.projections.base import Asked, Projection
from holdfast_server.projections.responses import ResponsesProjection

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden"

PROJECTIONS: Final[dict[str, Callable[[Asked], Projection]]] = {"responses-v1": ResponsesProjection}
"""What makes the frames of each folder."""


class Case:
    """One recorded log in the folder of a projection."""

    def __init__(self, folder: str, path: Path) -> None:
        self.folder: Final = folder
        self.name: Final = path.name.removesuffix(".log.json")
        self.frames_path: Final = path.with_name(f"{self.name}.frames.json")
        log = json.loads(path.read_text("utf-8"))
        self.about: Final[str] = log["about"]
        self.asked: Final = msgspec.convert(log["asked"], Asked)
        # As a store keeps them: this is also what lets a kind of event through that this release does not know.
        self.events: Final = decode_events(msgspec.msgpack.encode(log["events"]))

    def made(self) -> list[dict[str, Any]]:
        """The frames that the projection makes of the log now, as they are after a way over the wire."""
        return over_the_wire(frames_of(PROJECTIONS[self.folder](self.asked), self.events))

    def recorded(self) -> list[dict[str, Any]] | None:
        """The frames that it made once; None if they were never recorded."""
        if not self.frames_path.exists():
            return None
        frames: list[dict[str, Any]] = json.loads(self.frames_path.read_text("utf-8"))
        return frames

    def record(self) -> None:
        """Write what it makes now, one frame a line. Raises: FileExistsError."""
        lines = ",\n".join(json.dumps(frame, ensure_ascii=True) for frame in self.made())
        with self.frames_path.open("x", encoding="utf-8") as file:
            file.write(f"[\n{lines}\n]\n")


def frames_of(projection: Projection, events: Iterable[ev.Event]) -> list[dict[str, Any]]:
    """All frames of a log."""
    return [frame for event in events for frame in projection.apply(event)]


def over_the_wire(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As somebody reads them who got them as JSON."""
    read: list[dict[str, Any]] = json.loads(msgspec.json.encode(frames))
    return read


def cases() -> Iterator[Case]:
    """All that were recorded, by folder and name."""
    for folder in PROJECTIONS:
        for path in sorted((GOLDEN / folder).glob("*.log.json")):
            yield Case(folder, path)


def main() -> int:
    """Record what is missing. Returns 1 if something recorded would be made differently now."""
    changed = 0
    for case in cases():
        recorded = case.recorded()
        name = f"{case.folder}/{case.name}"
        if recorded is None:
            case.record()
            print(f"recorded {name}")  # noqa: T201 - says what it did
        elif recorded != case.made():
            changed += 1
            print(f"differs  {name}: make a new version of the projection; this file stays")  # noqa: T201 - says what it found
    return min(changed, 1)


if __name__ == "__main__":
    sys.exit(main())
