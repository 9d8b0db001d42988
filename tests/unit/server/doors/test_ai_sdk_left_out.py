"""What loading a chat leaves to the return: told once, to its owner, for a while."""

from holdfast_server.doors.ai_sdk import left_out
from holdfast_server.doors.ai_sdk.left_out import LEFT_OUT_S, LeftOut
from tests.support.journals import ANN, BOB


def test_it_is_told_once_to_its_owner_for_a_while() -> None:
    """Not to another, not twice, not too late, and not after a load that had everything."""
    chats = LeftOut()
    chats.put(ANN, "c", "r", 0.0)
    assert chats.take(BOB, "c", 1.0) is None
    assert chats.take(ANN, "c", 1.0) == "r"
    assert chats.take(ANN, "c", 1.0) is None
    chats.put(ANN, "c", "r", 0.0)
    assert chats.take(ANN, "c", LEFT_OUT_S + 1) is None
    chats.put(ANN, "c", "r", 0.0)
    chats.put(ANN, "c", None, 1.0)
    assert chats.take(ANN, "c", 2.0) is None


def test_the_oldest_is_forgotten(monkeypatch) -> None:
    """It is bounded."""
    monkeypatch.setattr(left_out, "LEFT_OUT_MAX", 2)
    chats = LeftOut()
    for name in ("a", "b", "c"):
        chats.put(ANN, name, "r", 0.0)
    assert [chats.take(ANN, name, 1.0) for name in ("a", "b", "c")] == [None, "r", "r"]
