"""The bodies of the dialects that are polled, field by field."""

from __future__ import annotations

import pytest

from holdfast_server.projections.dialects import (
    Terms,
    async_chat,
    chat_tasks,
    invoke,
    workflow_jobs,
    workflow_stream,
)
from holdfast_server.projections.dialects.asking import Told
from tests.support.dialect_story import (
    ACCEPTED,
    ENDS,
    ERRORS,
    STARTED,
    TEXT_ALONE,
    WHOLE,
    asked,
    ended,
    stamp,
    story,
)

SESSION = {"dialects": {"session_id": "my session"}}
QUEUED = story((ACCEPTED,))
RUNNING = story((ACCEPTED, STARTED, *TEXT_ALONE))


def test_async_chat_begins():
    """The id to ask with is the request's."""
    assert async_chat.begun(asked()) == {
        "chat_id": "r1", "status": "pending", "message": "Chat processing started in background",
    }  # fmt: skip


def test_async_chat_while_it_runs():
    """Pending, then processing; no result and no error yet."""
    assert async_chat.status(QUEUED)["status"] == "pending"
    body = async_chat.status(RUNNING)
    assert body == {
        "chat_id": "r1", "status": "processing", "progress": RUNNING.progress, "result": None, "error": None,
        "created_at": stamp(0), "updated_at": stamp(5),
    }  # fmt: skip


def test_async_chat_when_it_is_whole():
    """The message, the calls, success, and what the agent made under its own name."""
    body = async_chat.status(story(WHOLE))
    assert body["status"] == "completed"
    assert body["error"] is None
    assert body["updated_at"] == stamp(6)
    result = body["result"]
    assert result["message"] == "I made it."
    assert result["success"] is True
    assert result["workflow_generated"] == {"steps": 2}
    assert [call["name"] for call in result["tool_calls"]] == ["workflow_tool"]


@pytest.mark.parametrize("status", ENDS)
def test_async_chat_with_a_bad_end(status: str):
    """Every bad end is `failed`, for who polls knows no other; what was shown stands, without success."""
    body = async_chat.status(ended(ENDS[status]))
    assert (body["status"], body["error"], body["result"]) == ("failed", ERRORS[status], None)
    shown = async_chat.status(ended(ENDS[status], text=True))["result"]
    assert shown == {"message": "I made ", "tool_calls": [], "success": False}


def test_async_chat_is_deleted():
    """The reply names what is gone."""
    assert async_chat.deleted(asked()) == {
        "chat_id": "r1", "status": "deleted", "message": "Chat session deleted",
    }  # fmt: skip


def test_a_job_begins():
    """The reply has both addresses, in full."""
    assert workflow_jobs.begun(asked(), "https://api.example.org/chat") == {
        "success": True, "async": True, "job_id": "workflow_r1", "status": "processing",
        "message": "Your request is being processed...",
        "stream_url": "https://api.example.org/chat/ai-demo/workflow/stream/workflow_r1",
        "status_url": "https://api.example.org/chat/ai-demo/workflow/status/workflow_r1",
    }  # fmt: skip


def test_a_jobs_id_leads_back_to_its_request():
    """What is named otherwise is no job."""
    assert workflow_jobs.request_of(workflow_jobs.job_of("workflow_x")) == "workflow_x"
    assert workflow_jobs.request_of("r1") is None
    assert workflow_jobs.request_of("workflow_") is None


def test_a_message_that_is_answered_at_once():
    """The response, with actions and sources; empty lists where there are none."""
    body = workflow_jobs.answered(story(WHOLE))
    assert body == {
        "success": True, "response": "I made it.", "actions": [{"label": "Send"}],
        "sources": [{"id": "s1", "url": "https://example.org/a", "title": "A"}],
    }  # fmt: skip
    assert workflow_jobs.answered(ended(ENDS["failed"])) == {
        "success": False, "response": "", "actions": [], "sources": [], "error": ERRORS["failed"],
    }  # fmt: skip


def test_a_job_that_is_polled():
    """All lies in `data`: percent and words on the way, the response at the end."""
    assert workflow_jobs.status(story(WHOLE[:3])) == {"success": True, "data": {
        "job_id": "workflow_r1", "status": "processing", "progress": 25, "message": "Processing step 2 of 4...",
        "updated_at": stamp(2),
    }}  # fmt: skip
    assert workflow_jobs.status(QUEUED)["data"]["status"] == "processing"
    data = workflow_jobs.status(story(WHOLE))["data"]
    assert (data["status"], data["progress"], data["response"]) == ("completed", 100, "I made it.")
    assert (data["actions"], len(data["sources"])) == ([{"label": "Send"}], 1)


@pytest.mark.parametrize("status", ENDS)
def test_a_job_with_a_bad_end(status: str):
    """`failed`, so that a client that polls ends, with the reason."""
    data = workflow_jobs.status(ended(ENDS[status], text=True))["data"]
    assert (data["status"], data["error"], data["response"]) == ("failed", ERRORS[status], "I made ")


def test_a_task_begins():
    """The reply is a chat's, with the task's id."""
    assert chat_tasks.begun(asked(envelope=SESSION)) == {
        "session_id": "my session", "message": "Processing...", "data": None, "draft": None, "task_id": "r1",
    }  # fmt: skip


def test_a_chat_that_is_answered_at_once():
    """The same fields, filled; `data` are the agent's values but the draft."""
    assert chat_tasks.answered(story(WHOLE, chat_id="c", envelope=SESSION)) == {
        "session_id": "my session", "message": "I made it.",
        "data": {"workflow_generated": {"steps": 2}, "actions": [{"label": "Send"}]}, "draft": {"body": "Dear"},
        "task_id": None,
    }  # fmt: skip
    assert chat_tasks.answered(ended(ENDS["failed"]))["error"] == ERRORS["failed"]


def test_a_task_that_is_polled():
    """PENDING, STARTED, SUCCESS; a request of another door is in the session that its chat is."""
    assert chat_tasks.status(QUEUED) == {
        "task_id": "r1", "status": "PENDING", "result": None, "error": None, "progress": None,
    }  # fmt: skip
    assert chat_tasks.status(story(WHOLE[:3])) == {
        "task_id": "r1", "status": "STARTED", "result": None, "error": None, "progress": 25.0,
    }  # fmt: skip
    body = chat_tasks.status(story(WHOLE, chat_id="c"))
    assert (body["status"], body["error"], body["progress"]) == ("SUCCESS", None, 100.0)
    assert body["result"] == {
        "session_id": "c", "message": "I made it.",
        "data": {"workflow_generated": {"steps": 2}, "actions": [{"label": "Send"}]}, "draft": {"body": "Dear"},
    }  # fmt: skip


@pytest.mark.parametrize("status", ENDS)
def test_a_task_with_a_bad_end(status: str):
    """FAILURE, with the reason and without a result."""
    body = chat_tasks.status(ended(ENDS[status], text=True))
    assert (body["status"], body["error"], body["result"]) == ("FAILURE", ERRORS[status], None)


def test_an_invocation_begins():
    """Processing, with the id to ask with."""
    assert invoke.begun(asked()) == {"request_id": "r1", "status": "processing"}


def test_an_invocation_while_it_runs():
    """Queued, then streaming with all of the text so far under both of its names."""
    assert invoke.snapshot(QUEUED)["status"] == "queued"
    assert invoke.snapshot(QUEUED)["partial_content"] is None
    running = story((ACCEPTED, STARTED, *TEXT_ALONE), envelope={"dialects": {"chat_id": "my chat"}})
    assert invoke.snapshot(running) == {
        "id": "r1", "request_id": "r1", "chat_id": "my chat", "user_message": "Hello?", "status": "streaming",
        "partial_content": "I made ", "partial_response": "I made ", "content": None, "final_response": None,
        "trace_id": "r1", "error": None, "created_at": stamp(0), "completed_at": None,
    }  # fmt: skip


def test_an_invocation_when_it_is_whole():
    """The whole answer under both of its names, and when it was."""
    submission, _ = invoke.submission_of(
        invoke.Invocation(messages=[Told(role="user", content="Why?")]), Terms()
    )
    body = invoke.snapshot(story(WHOLE, text=None, messages=submission.messages))
    assert (body["status"], body["content"], body["final_response"]) == (
        "completed",
        "I made it.",
        "I made it.",
    )
    assert (body["user_message"], body["completed_at"]) == ("Why?", stamp(6))


@pytest.mark.parametrize("status", ENDS)
def test_an_invocation_with_a_bad_end(status: str):
    """Cancelled is a status here; every other bad end is failed. What was shown stands as partial."""
    body = invoke.snapshot(ended(ENDS[status], text=True))
    assert body["status"] == ("cancelled" if status == "cancelled" else "failed")
    assert (body["error"], body["completed_at"]) == (ERRORS[status], stamp(6))
    assert (body["partial_content"], body["final_response"]) == ("I made ", None)


def test_dialects_have_names_of_their_own():
    """The envelope says which one took a request."""
    dialects = (async_chat, workflow_jobs, chat_tasks, invoke, workflow_stream)
    assert len({dialect.DIALECT for dialect in dialects}) == 5
