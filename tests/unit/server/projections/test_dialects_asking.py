"""What becomes of every field of a request in one of the five dialects."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import msgspec
import pytest

from holdfast_protocol.commands import Deadlines, InputMessage, Submission
from holdfast_server.projections.dialects import (
    CannotHonour,
    Terms,
    async_chat,
    chat_tasks,
    invoke,
    workflow_jobs,
    workflow_stream,
)
from holdfast_server.submissions import check_submission

BODIES: dict[ModuleType, type] = {
    async_chat: async_chat.AsyncChat,
    workflow_jobs: workflow_jobs.ChatSend,
    chat_tasks: chat_tasks.ChatMessage,
    invoke: invoke.Invocation,
    workflow_stream: workflow_stream.Execution,
}
SMALLEST: dict[ModuleType, dict[str, Any]] = {
    async_chat: {"message": "Hello"},
    workflow_jobs: {"message": "Hello"},
    chat_tasks: {"message": "Hello"},
    invoke: {"messages": [{"role": "user", "content": "Hello"}]},
    workflow_stream: {"deployment_name": "demo", "query": "Hello"},
}
TERMS = Terms()


def submitted(dialect: ModuleType, terms: Terms = TERMS, **fields: Any) -> tuple[Submission, dict[str, Any]]:
    """The smallest body with these fields, as it is submitted."""
    body: Any = msgspec.convert(SMALLEST[dialect] | fields, BODIES[dialect])
    submission, envelope = dialect.submission_of(body, terms)
    check_submission(submission)
    return submission, envelope["dialects"]


def name_of(dialect: ModuleType) -> str:
    return dialect.__name__.rpartition(".")[2]


def test_the_body_of_an_async_chat():
    """The agent, the message and the history reach the request as they are; no chat keeps them."""
    submission, envelope = submitted(
        async_chat, Terms(total_s=90), agent_id="writer",
        chat_history=[{"actor": "user", "content": "One"}, {"role": "assistant", "message": "Two"}],
    )  # fmt: skip
    assert submission == Submission(
        agent="writer", text="Hello", deadlines=Deadlines(total_s=90),
        messages=[InputMessage(role="user", text="One"), InputMessage(role="assistant", text="Two")],
    )  # fmt: skip
    assert envelope == {"dialect": "async_chat"}


def test_a_session_is_a_chat():
    """A session's name is the chat's id where it can be one, else an id made of it, always the same."""
    for dialect in (workflow_jobs, chat_tasks):
        submission, envelope = submitted(dialect, session_id="session-123")
        assert submission.chat_id == "session-123"
        assert envelope["session_id"] == "session-123"
        odd, again, other = (
            submitted(dialect, session_id=name)[0] for name in ("a b/\u00e9", "a b/\u00e9", "a b/e")
        )
        assert odd.chat_id == again.chat_id != other.chat_id


def test_permissions_go_to_an_agent_that_takes_them():
    """`actions` and `intelligent_rag` are options of an agent that has them, and neutral for any other."""
    fields: dict[str, Any] = {
        "async": True,
        "actions": True,
        "memory": True,
        "intelligent_rag": True,
        "session_id": "s",
    }
    assert submitted(workflow_jobs, **fields)[0].options == {"actions": True, "intelligent_rag": True}
    assert submitted(workflow_jobs, Terms(takes=frozenset({"actions"})), **fields)[0].options == {
        "actions": True
    }
    assert submitted(workflow_jobs, Terms(takes=frozenset()), **fields)[0].options == {}


def test_memory_decides_about_the_session():
    """Without memory the message stays out of the session; memory without a session is refused."""
    assert submitted(workflow_jobs, session_id="s", memory=False)[0].chat_id is None
    assert submitted(workflow_jobs, session_id="s", memory=True)[0].chat_id == "s"
    with pytest.raises(CannotHonour) as refused:
        submitted(workflow_jobs, memory=True)
    assert refused.value.param == "memory"


def test_async_is_asked_for_by_its_name():
    """The field is called `async` on the wire, and is off by default."""
    kind = workflow_jobs.ChatSend
    assert msgspec.convert({"message": "x", "async": True}, kind).asynchronous
    assert not msgspec.convert({"message": "x"}, kind).asynchronous


def test_a_message_without_a_session_begins_one():
    """The session's id comes from the door, and is shown."""
    submission, envelope = submitted(chat_tasks, Terms(new_session="new-1"))
    assert (submission.chat_id, envelope["session_id"]) == ("new-1", "new-1")


def test_a_role_is_neutral_handed_on_or_refused():
    """`user` says nothing; any other is for an agent that takes it."""
    assert submitted(chat_tasks, role="user")[0].options == {}
    assert submitted(chat_tasks, role="salon_owner")[0].options == {"role": "salon_owner"}
    with pytest.raises(CannotHonour) as refused:
        submitted(chat_tasks, Terms(takes=frozenset({"pace"})), role="salon_owner")
    assert refused.value.param == "role"
    assert "pace" in str(refused.value)


@pytest.mark.parametrize("media", [None, [], {}, ""])
def test_empty_media_are_accepted(media: Any):
    """A client that always sends the field can talk."""
    assert submitted(chat_tasks, media=media)[0].text == "Hello"


def test_media_are_refused():
    """What nobody looks at is not taken."""
    with pytest.raises(CannotHonour) as refused:
        submitted(chat_tasks, media=[{"url": "https://example.org/a.png"}])
    assert refused.value.param == "media"


def test_an_invocation_brings_its_conversation():
    """All messages are the agent's; the caller's name for the chat is kept to be shown."""
    messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Why?"}]
    submission, envelope = submitted(invoke, agent_id="writer", messages=messages, chat_id="my chat")
    assert submission.agent == "writer"
    assert submission.messages == [
        InputMessage(role="system", text="Be brief"), InputMessage(role="user", text="Why?"),
    ]  # fmt: skip
    assert submission.chat_id is None
    assert envelope == {"dialect": "invoke", "chat_id": "my chat"}


def test_an_execution_asks_a_deployment():
    """The deployment is the agent, and overrides are its options."""
    submission, envelope = submitted(
        workflow_stream, chat_history=[{"actor": "assistant", "content": "Hi"}],
        runtime_overrides={"temperature": 0.2},
    )  # fmt: skip
    assert (submission.agent, submission.text) == ("demo", "Hello")
    assert submission.messages == [InputMessage(role="assistant", text="Hi")]
    assert submission.options == {"temperature": 0.2}
    assert envelope == {"dialect": "workflow_stream", "deployment_name": "demo"}


def test_overrides_that_the_agent_does_not_take_are_refused():
    """None are neutral; one that cannot be honoured is named."""
    terms = Terms(takes=frozenset({"pace"}))
    assert submitted(workflow_stream, terms, runtime_overrides={})[0].options == {}
    with pytest.raises(CannotHonour, match="'model'"):
        submitted(workflow_stream, terms, runtime_overrides={"model": "m"})


@pytest.mark.parametrize("dialect", BODIES, ids=name_of)
def test_fields_that_nobody_knows_are_refused(dialect: ModuleType):
    """Nothing is dropped in silence."""
    with pytest.raises(msgspec.ValidationError, match="temprature"):
        submitted(dialect, temprature=1)


@pytest.mark.parametrize("dialect", BODIES, ids=name_of)
def test_deadlines_come_from_the_terms(dialect: ModuleType):
    """Each dialect's bound is the door's to set."""
    assert submitted(dialect, Terms(total_s=120))[0].deadlines == Deadlines(total_s=120)
    assert submitted(dialect)[0].deadlines == Deadlines()


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (async_chat, {"message": " "}),
        (workflow_jobs, {"message": ""}),
        (chat_tasks, {"message": "\n"}),
        (invoke, {"messages": []}),
        (invoke, {"messages": [{"role": "user", "content": " "}]}),
        (workflow_stream, {"query": ""}),
        (async_chat, {"chat_history": [{"role": "robot", "content": "x"}]}),
        (async_chat, {"chat_history": [{"content": "x"}]}),
        (workflow_stream, {"chat_history": [{"actor": "user"}]}),
    ],
)
def test_what_says_nothing_is_refused(dialect: ModuleType, fields: dict[str, Any]):
    """Empty questions, unknown speakers and messages without words name their field."""
    with pytest.raises(CannotHonour) as refused:
        submitted(dialect, **fields)
    assert refused.value.param.startswith(next(iter(fields)))
