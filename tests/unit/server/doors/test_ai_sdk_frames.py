"""The frames of the AI SDK's socket: what is read, and that anything else is told as unreadable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_server.doors.ai_sdk.shapes import Abort, Resume, Send
from holdfast_server.doors.ai_sdk.socket_frames import Unreadable, question_of, read_frame

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["type", "requestId", "id", "messages", "body", "trigger", "messageId", "lastSequence"]
FRAMES = st.fixed_dictionaries({
    "type": st.sampled_from(["send", "resume", "abort", "other"]) | VALUES
}, optional=dict.fromkeys(NAMES[1:], VALUES))  # fmt: skip


def test_a_question_says_what_the_body_says() -> None:
    """The fields of the application's body are those of POST /api/chat."""
    asked = {
        "type": "send", "requestId": "s", "id": "c", "trigger": "regenerate-message", "messageId": "m", "headers": {"a": "b"},
        "messages": [{"id": "m", "role": "user", "parts": [], "metadata": {}}], "metadata": None,
        "body": {"agent": "demo", "requestId": "mine", "aiSdk": 7, "mine": [1], "id": "not this"},
    }  # fmt: skip
    frame = read_frame(json.dumps(asked))
    assert isinstance(frame, Send)
    question = question_of(frame)
    assert (question.id, question.message_id, question.trigger) == ("c", "m", "regenerate-message")
    assert (question.agent, question.request_id, question.ai_sdk) == ("demo", "mine", 7)


def test_what_cannot_be_read_names_its_stream_if_it_can() -> None:
    """The stream is told; without a name nobody can be."""
    for text, name in (
        ('{"type":"send","requestId":"s"}', "s"),
        ("{}", None),
        ("[", None),
        ('{"requestId":5}', None),
    ):
        with pytest.raises(Unreadable) as unreadable:
            read_frame(text)
        assert unreadable.value.request_id == name
        assert unreadable.value.message


@given(st.text() | FRAMES.map(json.dumps) | VALUES.map(json.dumps))
def test_anything_is_a_frame_or_unreadable(text: str) -> None:
    """Nothing else comes of any text."""
    try:
        frame = read_frame(text)
    except Unreadable:
        return
    assert isinstance(frame, Send | Resume | Abort)
