"""What is told of a log to those who poll: steps, percent, calls, sources and ends."""

from __future__ import annotations

from typing import Literal

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold
from holdfast_protocol.rewrite import events_of
from holdfast_server.projections.dialects import Story
from holdfast_server.projections.dialects.story import PROGRESS_MAX, iso
from tests.support.dialect_story import (
    ACCEPTED,
    ENDS,
    ERRORS,
    RESTARTED,
    STARTED,
    TEXT_ALONE,
    WHOLE,
    at,
    ended,
    stamp,
    story,
)


def kinds(told: Story) -> list[str]:
    return [entry["type"] for entry in told.progress]


def test_every_agents_log_tells_its_steps():
    """Created, loaded, called, each tool by its name and action, the agent's own steps, the end: with times."""
    assert story(WHOLE).progress == [
        {"timestamp": stamp(0), "type": "created", "message": "Chat session created"},
        {"timestamp": stamp(1), "type": "agent_loaded", "message": "Loaded agent: demo"},
        {"timestamp": stamp(1), "type": "llm_call_start", "message": "Calling LLM for response generation"},
        {"timestamp": stamp(2), "type": "reading", "message": "Processing step 2 of 4..."},
        {
            "timestamp": stamp(3),
            "type": "tool_execution",
            "message": "Executing tool: workflow_tool (create)",
        },
        {"timestamp": stamp(4), "type": "tool_result", "message": "Tool finished: workflow_tool"},
        {"timestamp": stamp(6), "type": "completed", "message": "Response is complete"},
    ]


def test_a_step_that_says_something_new_is_told_anew():
    """Its entry goes to the end with the new time, behind the tool that was called in between; it is never there twice."""
    steps = [
        ev.Progress(at=at(second), part=0, id="w", label=label, step=number, total=3)
        for second, label, number in ((2, "Loading", 1), (5, "Ranking", 2), (6, "Writing up", 3))
    ]
    tool = (
        ev.ToolCall(at=at(3), part=1, call_id="c1", name="search"), ev.PartDone(at=at(3), part=1),
        ev.ToolResult(at=at(4), part=1, output="found"),
    )  # fmt: skip
    told = story((ACCEPTED, STARTED, steps[0], *tool, steps[1]))
    assert told.progress[3:] == [
        {"timestamp": stamp(3), "type": "tool_execution", "message": "Executing tool: search"},
        {"timestamp": stamp(4), "type": "tool_result", "message": "Tool finished: search"},
        {"timestamp": stamp(5), "type": "step", "message": "Ranking"},
    ]
    assert told.saying == "Ranking"
    told.apply(steps[2])
    assert [entry["message"] for entry in told.progress[3:]] == [
        "Executing tool: search", "Tool finished: search", "Writing up",
    ]  # fmt: skip


def test_the_entry_that_goes_is_the_steps_own():
    """Of two steps that look the same, the one that says something new is told anew; the other stays where it is."""
    steps = [
        ev.Progress(at=at(2), part=part, id=str(part), label=label)
        for part, label in ((0, "Loading"), (1, "Waiting"), (2, "Loading"), (2, "Ranking"))
    ]
    told = story((ACCEPTED, STARTED, *steps))
    assert [entry["message"] for entry in told.progress[3:]] == ["Loading", "Waiting", "Ranking"]


def test_a_step_that_says_the_same_stays_where_it_is():
    """A later progress event with the same words changes the percent alone, and adds no entry."""
    steps = [
        ev.Progress(at=at(second), part=0, id="p", label="a", percent=percent)
        for second, percent in ((2, 10), (3, 30))
    ]
    told = story((ACCEPTED, STARTED, *steps))
    assert told.progress[3:] == [{"timestamp": stamp(2), "type": "step", "message": "a"}]
    assert told.percent == 30.0


def test_percent_is_what_was_measured_and_nothing_else():
    """None until the agent measures; 100 when it is whole; measured anew when the answer is begun again."""
    assert story((ACCEPTED, STARTED, *TEXT_ALONE)).percent is None
    assert story(WHOLE[:3]).percent == 25.0
    assert story((*WHOLE[:3], RESTARTED)).percent is None
    assert story(WHOLE).percent == 100.0


def test_a_step_that_is_being_taken_is_not_done():
    """Of three steps, the last one is 66.7 % while it runs, and where it fails; 100 only once it is done."""
    states: list[tuple[Literal["running", "failed", "done"], float]] = [
        ("running", 66.7),
        ("failed", 66.7),
        ("done", 100.0),
    ]
    for state, percent in states:
        step = ev.Progress(at=at(2), part=0, id="w", label="Writing up", step=3, total=3, state=state)
        told = story((ACCEPTED, STARTED, step)).percent
        assert told is not None
        assert round(told, 1) == percent
    first = ev.Progress(at=at(2), part=0, id="w", label="Loading", step=1, total=3)
    assert story((ACCEPTED, STARTED, first)).percent == 0.0


def test_a_restart_is_a_step_and_takes_the_text_back():
    """After a restart the text is what stands; the numbers of the parts are free for new steps."""
    again = ev.Progress(at=at(7), part=0, id="q", label="anew")
    told = story((*WHOLE[:3], RESTARTED, again))
    assert [entry["message"] for entry in told.progress][3:] == [
        "Processing step 2 of 4...", "Trying again (attempt 2)", "anew",
    ]  # fmt: skip
    assert story((ACCEPTED, STARTED, *TEXT_ALONE, RESTARTED)).text == ""


def test_going_on_takes_nothing_back():
    """A new term that keeps everything is told as going on, unless a server only handed over to the next."""
    ways: list[tuple[ev.Reason, str]] = [("recovered", "resumed"), ("handed_over", "llm_call_start")]
    for reason, step in ways:
        going_on = ev.Started(at=at(6), attempt=2, term=2, nonce="00facade", reason=reason)
        told = story((ACCEPTED, STARTED, *TEXT_ALONE, going_on))
        assert told.text == "I made "
        assert kinds(told)[-1] == step


def test_waiting_and_deciding_are_steps():
    """Who polls sees that a person is asked, and that the answer came."""
    waiting = ev.Waiting(at=at(2), part=0, wait_id="w", kind="approval")
    resumed = ev.Started(at=at(3), attempt=1, term=2, nonce="00facade", reason="resumed")
    decided = ev.Decided(at=at(3), part=0, wait_id="w", decision=True)
    told = story((ACCEPTED, STARTED, waiting, resumed, decided))
    assert kinds(told)[3:] == ["waiting", "resumed", "decided"]
    assert told.progress[3]["message"] == "Waiting for a decision: approval"


def test_tools_of_the_client_and_tools_that_fail_are_told_as_such():
    """A call that the client runs is requested, not executed; a failed one says so."""
    client = ev.ToolCall(at=at(2), part=0, call_id="c1", name="pick", where="client")
    server = ev.ToolCall(at=at(2), part=1, call_id="c2", name="find")
    told = story((
        ACCEPTED, STARTED, client, ev.PartDone(at=at(2), part=0), server, ev.Delta(at=at(2), part=1, text="not json"),
        ev.PartDone(at=at(2), part=1), ev.ToolResult(at=at(3), part=1, output="no", is_error=True),
    ))  # fmt: skip
    assert [entry["message"] for entry in told.progress[3:]] == [
        "Tool to be run by the client: pick", "Executing tool: find", "Tool failed: find",
    ]  # fmt: skip
    assert [(call["arguments"], call["status"], call["success"]) for call in told.tool_calls] == [
        ("", "called", False), ("not json", "failed", False),
    ]  # fmt: skip


def test_calls_sources_actions_and_values_are_listed():
    """Each as the agent gave it, with its arguments as a value."""
    told = story(WHOLE)
    assert told.tool_calls == [{
        "id": "c1", "name": "workflow_tool", "arguments": {"action": "create"}, "result": "made", "status": "done",
        "success": True,
    }]  # fmt: skip
    assert told.sources == [{"id": "s1", "url": "https://example.org/a", "title": "A"}]
    assert told.actions == [{"label": "Send"}]
    assert told.values["workflow_generated"] == {"steps": 2}


@pytest.mark.parametrize("status", ENDS)
def test_every_bad_end_has_its_words(status: str):
    """There is an error when there is no whole answer, and none otherwise."""
    assert ended(ENDS[status]).error == ERRORS[status]
    assert story(WHOLE).error is None
    assert story(WHOLE[:4]).error is None


def test_the_list_is_bounded():
    """However many steps there are, the latest are kept."""
    steps = [ev.Progress(at=at(2), part=n, id=str(n), label=str(n)) for n in range(PROGRESS_MAX + 50)]
    progress = story((ACCEPTED, STARTED, *steps)).progress
    assert len(progress) == PROGRESS_MAX
    assert progress[-1]["message"] == str(PROGRESS_MAX + 49)


def test_a_purged_log_tells_the_same_answer():
    """A log made of the transcript has the same text, calls, sources, values and end."""
    whole, purged = story(WHOLE), story(events_of(fold(WHOLE)))
    for name in (
        "text",
        "tool_calls",
        "sources",
        "actions",
        "values",
        "status",
        "error",
        "percent",
        "ended_at",
    ):
        assert getattr(purged, name) == getattr(whole, name), name


def test_what_a_newer_release_wrote_is_passed_over():
    """Events of unknown kinds, and events on parts that they opened, break nothing."""
    unknown = ev.Unknown(at=at(2), type="hologram", part=0)
    told = story(
        (
            ACCEPTED,
            STARTED,
            unknown,
            ev.PartDone(at=at(2), part=0),
            ev.Progress(at=at(2), part=0, id="p", label="x"),
        )
    )
    assert kinds(told) == ["created", "agent_loaded", "llm_call_start"]


def test_times_are_utc_with_milliseconds():
    """Every time that an event can have is shown, however far away."""
    assert iso(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
    assert iso(2**53 - 1) == "9999-12-31T23:59:59.999Z"
