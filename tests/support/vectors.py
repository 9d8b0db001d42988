"""The shared vectors in protocol/vectors/: short logs as they are on the wire, and what every client must make of them.

`python -m tests.support.vectors` writes them again from the Python fold; the tests check that they are up to date, so a
change of the fold shows up as a change of these files. Clients in other languages run the same files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from holdfast_protocol.codec import JSON
from holdfast_protocol.digest import digest_of
from holdfast_protocol.events import Event
from holdfast_protocol.fold import Fold
from holdfast_protocol.pushes import Page
from holdfast_protocol.rewrite import events_of

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "protocol" / "vectors"
Wire = dict[str, Any]

T0: Final = 1_760_000_000_000
"""The time of the first event; each later one is a millisecond after."""


def accepted() -> Wire:
    """Every log begins so."""
    return {"type": "accepted", "nonce": "0a0a0a0a", "agent": "demo", "chat_id": "c1", "message_id": "m1"}


def started(attempt: int = 1, term: int = 1, **more: Any) -> Wire:
    """A writer begins."""
    return {"type": "started", "attempt": attempt, "term": term, "nonce": f"{term:08x}", **more}


def opened(part: int, kind: str = "text") -> Wire:
    """A text part opens."""
    return {"type": "part_started", "part": part, "kind": kind}


def delta(part: int, text: str) -> Wire:
    """Text is added."""
    return {"type": "delta", "part": part, "text": text}


def done(part: int) -> Wire:
    """A part is complete."""
    return {"type": "part_done", "part": part}


def ends(kind: str = "completed", code: str = "stop") -> Wire:
    """The outcome."""
    return {"type": kind, "code": code}


def tool(part: int, where: str = "server") -> Wire:
    """A tool is called."""
    return {"type": "tool_call", "part": part, "call_id": f"call-{part}", "name": "look_up", "where": where}


def wait(part: int) -> Wire:
    """The request waits for a person."""
    return {
        "type": "waiting", "part": part, "wait_id": f"w{part}", "kind": "approval",
        "body": {"ask": "Send it?"}, "digest": "d1", "expires_at": T0 + 60_000,
    }  # fmt: skip


RUN: Final[list[Wire]] = [accepted(), started()]
CASES: Final[dict[str, list[Wire]]] = {
    "nothing but accepted": [accepted()],
    "one text": [*RUN, opened(0), delta(0, "Hello"), delta(0, ", world."), done(0), ends()],
    "an open text": [*RUN, opened(0), delta(0, "Hel")],
    "two bytes: é": [*RUN, opened(0), delta(0, "caf"), delta(0, "é"), done(0), ends()],
    "three bytes: 漢": [*RUN, opened(0), delta(0, "漢"), delta(0, "字"), done(0), ends()],
    "four bytes, cut between astral characters": [
        *RUN, opened(0), delta(0, "𝔘"), delta(0, "𝔫𝔦"), delta(0, "👩\u200d"), delta(0, "👧"), done(0), ends(),
    ],
    "a mark that combines comes in the next delta": [*RUN, opened(0), delta(0, "e"), delta(0, "\u0301"), done(0), ends()],
    "line separators, NUL, byte order mark": [*RUN, opened(0), delta(0, "a\u2028b\u2029c\x00d\ufeff\r\n"), done(0), ends()],
    "an empty part and an empty delta": [*RUN, opened(0), done(0), opened(1), delta(1, ""), done(1), ends()],
    "reasoning, then text": [*RUN, opened(0, "reasoning"), delta(0, "Hm."), done(0), opened(1), delta(1, "Yes."), done(1), ends()],
    "parts that grow in turns": [*RUN, opened(0), opened(1), delta(0, "a"), delta(1, "1"), delta(0, "b"), delta(1, "2"), done(0), done(1), ends()],
    "a tool on the server": [
        *RUN, tool(0), delta(0, '{"q":'), delta(0, '"漢"}'), done(0),
        {"type": "tool_result", "part": 0, "output": "ein Schriftzeichen é"}, ends(),
    ],
    "a tool that failed": [*RUN, tool(0), done(0), {"type": "tool_result", "part": 0, "output": "no", "is_error": True}, ends()],
    "a tool without a result at the end": [*RUN, tool(0), delta(0, "{}"), done(0), ends("cancelled", "user")],
    "a tool that the client runs": [*RUN, tool(0, "client"), delta(0, "{}"), done(0), ends("completed", "tool_calls")],
    "arguments cut off": [*RUN, tool(0, "client"), delta(0, '{"q'), ends("failed", "upstream")],
    "progress is replaced in place, and ends with the request": [
        *RUN, {"type": "progress", "part": 0, "id": "p", "label": "Reading", "step": 1, "total": 2},
        opened(1), delta(1, "x"),
        {"type": "progress", "part": 0, "id": "p", "label": "Read", "step": 2, "total": 2, "percent": 100.0},
        {"type": "progress", "part": 2, "id": "q", "label": "Failing", "state": "failed"}, ends(),
    ],
    "progress stops with the request": [*RUN, {"type": "progress", "part": 0, "id": "p", "label": "Reading"}, ends("timed_out", "stall")],
    "data is replaced in place": [
        *RUN, {"type": "data", "part": 0, "id": "d", "name": "chart", "data": {"a": [1, 2.5, None, True]}},
        {"type": "data", "part": 0, "id": "d", "name": "chart", "data": "é"}, ends(),
    ],
    "sources, files and input": [
        *RUN, {"type": "source", "part": 0, "id": "s", "url": "https://example.org/a", "title": "A"},
        {"type": "file", "part": 1, "id": "f", "url": "https://example.org/f", "media_type": "image/png", "name": "f.png"},
        {"type": "input", "part": 2, "id": "i", "text": "and in French: é"}, ends(),
    ],
    "a decision": [
        *RUN, wait(0), started(1, 2, reason="resumed"), {"type": "decided", "part": 0, "wait_id": "w0", "decision": {"ok": True}},
        opened(1), delta(1, "Sent."), done(1), ends(),
    ],
    "a wait that expired": [*RUN, wait(0), started(1, 2, reason="resumed"), {"type": "decided", "part": 0, "wait_id": "w0", "expired": True}, ends()],
    "waiting": [*RUN, opened(0), delta(0, "May I?"), done(0), wait(1)],
    "cancelled while waiting": [*RUN, wait(0), ends("cancelled", "user")],
    "completed with a wait left open": [*RUN, wait(0), started(1, 2, reason="resumed"), ends()],
    "a new attempt keeps nothing": [
        *RUN, opened(0), delta(0, "Wrong"), {"type": "usage", "input_tokens": 5, "output_tokens": 1},
        started(2, 1, keep="none", reason="retry"), opened(0), delta(0, "Right"), done(0), ends(),
    ],
    "a new attempt keeps what stood at a checkpoint": [
        *RUN, opened(0), delta(0, "Kept. "), done(0), {"type": "checkpoint"}, opened(1), delta(1, "Lost"), done(1),
        {"type": "checkpoint"}, opened(2), delta(2, "too"),
        started(2, 2, keep=5, reason="recovered"), opened(1), delta(1, "New."), done(1), ends(),
    ],
    "a new term keeps everything, the open part grows on": [
        *RUN, opened(0), delta(0, "Hal"), started(1, 2, reason="handed_over"), delta(0, "lo"), done(0), ends(),
    ],
    "the server died too often": [*RUN, opened(0), delta(0, "As far as"), ends("interrupted", "restarts")],
    "never begun": [accepted(), ends("timed_out", "queue")],
    "merged: spans count what is left out": [
        {**accepted(), "span": 0}, {**started(), "span": 0}, {**opened(0), "span": 0},
        {**delta(0, "All at once"), "span": 7}, done(0), ends(),
    ],
    "kinds and fields of a later release": [
        *RUN, {"type": "hologram", "part": 0, "depth": 3}, {"type": "mood", "glad": True}, {**opened(1), "font": "x"},
        delta(1, "Still here"), delta(0, "not for us"), done(1), ends(),
    ],
}  # fmt: skip


def timed(events: list[Wire]) -> list[Wire]:
    """The events with their times."""
    return [{"type": event["type"], "at": T0 + n, **event} for n, event in enumerate(events)]


def decoded(events: list[Wire]) -> list[Event]:
    """The events as a client reads them."""
    page = JSON.decode_server(
        json.dumps({"type": "page", "request_id": "r", "start": 0, "next": "", "events": events})
    )
    assert isinstance(page, Page)
    return list(page.events)


def wire(events: list[Event]) -> list[Wire]:
    """The events as a server writes them."""
    shown: Any = events
    page = json.loads(JSON.encode(Page(request_id="r", start=0, next="", events=shown)))
    found: list[Wire] = page["events"]
    return found


def folded(name: str, events: list[Wire]) -> Wire:
    """One vector: the events, the digest after each, what they fold to, and the snapshot that folds to the same."""
    fold, digests = Fold(), []
    for event in decoded(events):
        fold.apply(event)
        digests.append(fold.digest())
    transcript = fold.transcript()
    return {
        "name": name,
        "events": events,
        "transcript": msgspec.to_builtins(transcript),
        "digests": [[digest.parts, digest.bytes, digest.crc] for digest in digests],
        "snapshot": wire(events_of(transcript)),
    }


PARTS: Final[dict[str, list[tuple[str, list[str]]]]] = {
    "no part": [],
    "an empty text": [("text", [])],
    "one text": [("text", ["Hello, world."])],
    "the same text in pieces": [("text", ["Hel", "", "lo, ", "world."])],
    "é and 漢": [("text", ["é", "漢"])],
    "astral characters, cut between them": [("text", ["𝔘", "𝔫𝔦", "👩\u200d", "👧"])],
    "U+2028, NUL, a byte order mark": [("text", ["a\u2028b", "\x00", "\ufeff"])],
    "two parts": [("reasoning", ["Hm."]), ("text", ["Yes."])],
    "the same two in the other order": [("text", ["Yes."]), ("reasoning", ["Hm."])],
    "a tool: arguments, then result": [("tool", ['{"q":1}', "one"])],
    "what a person added": [("input", ["and in French"])],
}


def digested(name: str, parts: list[tuple[str, list[str]]]) -> Wire:
    """One vector: parts with the pieces they show, the line of each, and the digest."""
    rows = []
    for kind, pieces in parts:
        raw = "".join(pieces).encode()
        rows.append((kind, len(raw), crc32(raw)))
    digest = digest_of(rows)
    return {
        "name": name,
        "parts": [{"kind": kind, "pieces": pieces} for kind, pieces in parts],
        "lines": [f"{kind}:{size}:{crc:08x}" for kind, size, crc in rows],
        "digest": {"parts": digest.parts, "bytes": digest.bytes, "crc": digest.crc},
    }


def built() -> dict[Path, str]:
    """The files as they should be."""
    fold = [folded(name, timed(events)) for name, events in CASES.items()]
    digest = [digested(name, parts) for name, parts in PARTS.items()]
    return {
        FOLDER / "fold.json": json.dumps(fold, ensure_ascii=True, indent=1) + "\n",
        FOLDER / "digest.json": json.dumps(digest, ensure_ascii=True, indent=1) + "\n",
    }


def main() -> None:
    """Write them."""
    for path, text in built().items():
        path.write_text(text, "utf-8")
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
