"""A log in which everything happens that the five dialects tell of, and stories of parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast_protocol import events as ev
from holdfast_server.projections.base import Asked
from holdfast_server.projections.dialects import Story

T0 = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def stamp(seconds: int) -> str:
    """The time that many seconds after the request came, as the dialects have it."""
    return f"2023-11-14T22:13:{20 + seconds:02}.000Z"


def asked(**fields: Any) -> Asked:
    """A request of the demo agent."""
    values: dict[str, Any] = {"request_id": "r1", "agent": "demo", "created_at": T0, "text": "Hello?"}
    return Asked(**(values | fields))


def at(seconds: int) -> int:
    """That many seconds after the request came."""
    return T0 + seconds * 1000


ACCEPTED = ev.Accepted(at=T0, nonce="00c0ffee", agent="demo")
STARTED = ev.Started(at=at(1), attempt=1, term=1, nonce="0badcafe")
WORK: Sequence[ev.Event] = (
    ev.Progress(at=at(2), part=0, id="p", label="Processing step 2 of 4...", kind="reading", step=2, total=4),
    ev.PartStarted(at=at(2), part=1, kind="reasoning"),
    ev.Delta(at=at(2), part=1, text="Hm."),
    ev.PartDone(at=at(2), part=1),
    ev.ToolCall(at=at(3), part=2, call_id="c1", name="workflow_tool"),
    ev.Delta(at=at(3), part=2, text='{"action":"create"}'),
    ev.PartDone(at=at(3), part=2),
    ev.ToolResult(at=at(4), part=2, output="made"),
    ev.Source(at=at(4), part=3, id="s1", url="https://example.org/a", title="A"),
    ev.Data(at=at(4), part=4, id="d1", name="workflow_generated", data={"steps": 2}),
    ev.Data(at=at(4), part=5, id="d2", name="actions", data=[{"label": "Send"}]),
    ev.Data(at=at(4), part=6, id="d3", name="draft", data={"body": "Dear"}),
)
TEXT: Sequence[ev.Event] = (
    ev.PartStarted(at=at(5), part=7, kind="text"),
    ev.Delta(at=at(5), part=7, text="I made "),
    ev.Delta(at=at(5), part=7, text="it."),
    ev.PartDone(at=at(5), part=7),
)
COMPLETED = ev.Completed(at=at(6), code="stop")
WHOLE: Sequence[ev.Event] = (ACCEPTED, STARTED, *WORK, *TEXT, COMPLETED)

ENDS: dict[str, ev.Outcome] = {
    "failed": ev.Failed(at=at(6), code="upstream", message="The model did not answer."),
    "cancelled": ev.Cancelled(at=at(6), code="user"),
    "timed_out": ev.TimedOut(at=at(6), code="total", message="It took longer than 90 s in all."),
    "interrupted": ev.Interrupted(at=at(6), code="crashes", message="The server died under it."),
}
"""The bad ends."""

ERRORS = {
    "failed": "The model did not answer.",
    "cancelled": "The request was cancelled",
    "timed_out": "Request timed out",
    "interrupted": "The server died under it.",
}
"""What the dialects say of them."""

RESTARTED = ev.Started(at=at(6), attempt=2, term=2, nonce="00facade", keep="none", reason="retry")


def story(events: Sequence[ev.Event], **fields: Any) -> Story:
    """What is told after these events."""
    told = Story(asked(**fields))
    for event in events:
        told.apply(event)
    return told


def ended(outcome: ev.Outcome, *, text: bool = False) -> Story:
    """What is told of a request that ended so."""
    return story((ACCEPTED, STARTED, *(TEXT_ALONE if text else ()), outcome))


TEXT_ALONE: Sequence[ev.Event] = (
    ev.PartStarted(at=at(5), part=0, kind="text"),
    ev.Delta(at=at(5), part=0, text="I made "),
)
