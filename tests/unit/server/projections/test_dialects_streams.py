"""The frames of the dialects that stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_server.projections.dialects import Story
from holdfast_server.projections.dialects.workflow_jobs import JobStream
from holdfast_server.projections.dialects.workflow_stream import WorkflowStream
from tests.support.dialect_story import (
    ACCEPTED,
    ENDS,
    ERRORS,
    RESTARTED,
    STARTED,
    TEXT_ALONE,
    WHOLE,
    asked,
    at,
    stamp,
    story,
)


def chunks(events: Sequence[ev.Event], **fields: Any) -> list[dict[str, Any]]:
    stream = WorkflowStream(asked(**fields))
    return [chunk for event in events for chunk in stream.apply(event)]


def standing_text(seen: Sequence[dict[str, Any]]) -> str:
    """What a client that reads the documents has on its screen: a `started` begins anew with its data."""
    text = ""
    for chunk in seen:
        text = chunk["data"] if chunk["status"] == "started" else text + chunk["data"]
    return text


def job_frames(events: Sequence[ev.Event], skipped: int = 1) -> list[dict[str, Any]]:
    """The frames of a stream that opens after the first `skipped` events."""
    stream = JobStream(story(events[:skipped]))
    return [*stream.opening(), *(frame for event in events[skipped:] for frame in stream.apply(event))]


def test_a_workflow_streams_started_content_completed():
    """Every chunk has all fields of the dialect; the content is the text, piece by piece."""
    seen = chunks(WHOLE, envelope={"dialects": {"deployment_name": "my_deployment"}})
    every = {"deployment_name": "my_deployment", "workflow_id": "r1", "error": None}
    assert seen == [
        {"type": "status", "data": "", "status": "started", "timestamp": stamp(1), **every},
        {"type": "content", "data": "I made ", "status": None, "timestamp": stamp(5), **every},
        {"type": "content", "data": "it.", "status": None, "timestamp": stamp(5), **every},
        {"type": "status", "data": "", "status": "completed", "timestamp": stamp(6), **every},
    ]


@pytest.mark.parametrize("status", ENDS)
def test_a_workflow_with_a_bad_end_says_error(status: str):
    """One chunk, with the reason, is the last one."""
    stream = WorkflowStream(asked())
    for event in (ACCEPTED, STARTED, *TEXT_ALONE):
        stream.apply(event)
    assert not stream.ended
    (last,) = stream.apply(ENDS[status])
    assert (last["type"], last["status"], last["error"]) == ("status", "error", ERRORS[status])
    assert stream.ended


def test_a_workflow_that_begins_again_says_what_stands():
    """Another `started` voids the text before it."""
    events = (
        ACCEPTED, STARTED, *TEXT_ALONE, RESTARTED, ev.PartStarted(at=at(7), part=0, kind="text"),
        ev.Delta(at=at(7), part=0, text="New."),
    )  # fmt: skip
    seen = chunks(events)
    assert [chunk["status"] for chunk in seen] == ["started", None, "started", None]
    assert standing_text(seen) == "New." == story(events).text


def test_a_workflow_that_keeps_a_checkpoint_says_the_text_before_it():
    """What stands is in the data of the second `started`."""
    events = (
        ACCEPTED, STARTED, *TEXT_ALONE, ev.PartDone(at=at(5), part=0), ev.Checkpoint(at=at(5)),
        ev.PartStarted(at=at(5), part=1, kind="text"), ev.Delta(at=at(5), part=1, text="rubbish"),
        ev.Started(at=at(6), attempt=2, term=2, nonce="00facade", keep=5, reason="retry"),
    )  # fmt: skip
    seen = chunks(events)
    assert (seen[-1]["status"], seen[-1]["data"]) == ("started", "I made ")
    assert standing_text(seen) == story(events).text


def test_a_workflow_that_goes_on_says_nothing_new():
    """A restart that takes no text back is not told."""
    going_on = ev.Started(at=at(6), attempt=1, term=2, nonce="00facade", reason="handed_over")
    assert len(chunks((ACCEPTED, STARTED, *TEXT_ALONE, going_on))) == 2
    retried_early = (ACCEPTED, STARTED, RESTARTED)
    assert len(chunks(retried_early)) == 1


def test_a_job_streams_connected_then_each_step():
    """Connected, where it stands, every step with percent and words, the response at the end."""
    frames = job_frames(WHOLE)
    assert frames[0] == {
        "status": "connected", "progress": 0, "message": "Stream connected", "updated_at": stamp(0),
    }  # fmt: skip
    assert {
        "status": "processing", "progress": 25, "message": "Processing step 2 of 4...", "updated_at": stamp(2),
    } in frames  # fmt: skip
    assert [frame["status"] for frame in frames[1:-1]] == ["processing"] * (len(frames) - 2)
    assert [frame["message"] for frame in frames[1:]] == [
        "Chat session created", "Calling LLM for response generation", "Processing step 2 of 4...",
        "Executing tool: workflow_tool (create)", "Tool finished: workflow_tool", "Writing the response...",
        "Response is complete",
    ]  # fmt: skip
    assert frames[-1] == {
        "status": "completed", "progress": 100, "message": "Response is complete", "response": "I made it.",
        "actions": [{"label": "Send"}], "sources": [{"id": "s1", "url": "https://example.org/a", "title": "A"}],
        "updated_at": stamp(6),
    }  # fmt: skip


@pytest.mark.parametrize("status", ENDS)
def test_a_job_with_a_bad_end(status: str):
    """Timed out has a status of its own; every other bad end is failed; the reason is there."""
    last = job_frames((ACCEPTED, STARTED, *TEXT_ALONE, ENDS[status]))[-1]
    assert last["status"] == ("timeout" if status == "timed_out" else "failed")
    assert (last["error"], last["response"]) == (ERRORS[status], "I made ")


@pytest.mark.parametrize("skipped", range(1, len(WHOLE) + 1))
def test_a_job_can_be_joined_anywhere(skipped: int):
    """Whoever comes late is told where it stands, and gets the same last frame."""
    frames = job_frames(WHOLE, skipped)
    assert frames[0]["status"] == "connected"
    assert frames[-1] == job_frames(WHOLE)[-1]


def test_a_job_stream_does_not_grow_with_the_text():
    """A thousand deltas make one frame, so a long answer costs what a short one does."""
    deltas = [ev.Delta(at=at(5), part=0, text="word ") for _ in range(1_000)]
    stream = JobStream(story((ACCEPTED, STARTED, ev.PartStarted(at=at(5), part=0, kind="text"))))
    assert len([frame for event in deltas for frame in stream.apply(event)]) == 1


def test_streams_end_with_the_request():
    """Not before, and then for good."""
    job, told = JobStream(Story(asked())), WorkflowStream(asked())
    for event in WHOLE:
        assert not job.ended
        assert not told.ended
        job.apply(event)
        told.apply(event)
    assert job.ended
    assert told.ended
