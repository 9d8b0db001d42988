"""A stored answer as the AI SDK's message: what its chunks come to."""

from hypothesis import given

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold
from holdfast_protocol.replies import MessageRow
from holdfast_protocol.transcript import TextPart
from holdfast_server.doors.ai_sdk.loading import message_of
from tests.support.strategies import histories

BEGIN: list[ev.Event] = [
    ev.Accepted(at=1, nonce="a" * 8, agent="demo"),
    ev.Started(at=2, attempt=1, term=1, nonce="b" * 8),
]


def row(events: list[ev.Event]) -> MessageRow:
    """An answer as the history has it."""
    return MessageRow(
        message_id="r", chat_id="c", role="assistant", transcript=fold(events), status="completed"
    )


def test_an_answer_with_a_tool_a_thought_and_data() -> None:
    """Each part once, with its last state."""
    events: list[ev.Event] = [
        *BEGIN,
        ev.PartStarted(at=3, part=0, kind="reasoning"),
        ev.Delta(at=3, part=0, text="Hm"),
        ev.PartDone(at=3, part=0),
        ev.ToolCall(at=4, part=1, call_id="c1", name="look", where="server"),
        ev.Delta(at=4, part=1, text='{"q":1}'),
        ev.PartDone(at=4, part=1),
        ev.ToolResult(at=5, part=1, output='{"found":2}'),
        ev.Data(at=6, part=2, id="d", name="chart", data={"y": 1}),
        ev.Completed(at=7, code="stop"),
    ]
    message = message_of(row(events))
    assert message is not None
    assert message["metadata"]["status"] == "completed"
    step, thought, tool, data = message["parts"]
    assert step == {"type": "step-start"}
    assert thought == {"type": "reasoning", "text": "Hm", "state": "done"}
    assert tool == {
        "type": "dynamic-tool", "toolCallId": "c1", "toolName": "look", "providerExecuted": True,
        "state": "output-available", "input": {"q": 1}, "output": {"found": 2},
    }  # fmt: skip
    assert (data["type"], data["data"]) == ("data-chart", {"y": 1})


def test_a_persons_message_and_one_that_has_not_ended() -> None:
    """The first is its text; the second is left to the stream."""
    asked = MessageRow(message_id="m", chat_id="c", role="user", text="Hi")
    assert message_of(asked) == {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    assert message_of(MessageRow(message_id="r", chat_id="c", role="assistant", status="running")) is None
    erased = message_of(MessageRow(message_id="r", chat_id="c", role="assistant", status="failed"))
    assert erased is not None
    assert erased["parts"] == []


@given(histories())
def test_whatever_was_answered_can_be_loaded(events: list[ev.Event]) -> None:
    """Any log gives a message whose texts are those that stand."""
    message = message_of(row(events))
    assert message is not None
    stands = [part.text for part in fold(events).parts if isinstance(part, TextPart)]
    assert [part["text"] for part in message["parts"] if part["type"] == "text"] == stands
