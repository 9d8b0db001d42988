"""What loading a chat leaves to the return: told once, to its owner, for a while."""

from holdfast_server.doors.ai_sdk import left_out
from holdfast_server.doors.ai_sdk.left_out import LEFT_OUT_S, LeftOut
from tests.support.journals import ANN, BOB


async def test_it_is_told_once_to_its_owner_for_a_while() -> None:
    """Not to another, not twice, not too late, and not after a load that had everything."""
    chats = LeftOut()
    await chats.put(ANN, "c", "r", 0.0)
    assert await chats.take(BOB, "c", 1.0) is None
    assert await chats.take(ANN, "c", 1.0) == "r"
    assert await chats.take(ANN, "c", 1.0) is None
    await chats.put(ANN, "c", "r", 0.0)
    assert await chats.take(ANN, "c", LEFT_OUT_S + 1) is None
    await chats.put(ANN, "c", "r", 0.0)
    await chats.put(ANN, "c", None, 1.0)
    assert await chats.take(ANN, "c", 2.0) is None


async def test_the_oldest_is_forgotten(monkeypatch) -> None:
    """It is bounded."""
    monkeypatch.setattr(left_out, "LEFT_OUT_MAX", 2)
    chats = LeftOut()
    for name in ("a", "b", "c"):
        await chats.put(ANN, name, "r", 0.0)
    assert [await chats.take(ANN, name, 1.0) for name in ("a", "b", "c")] == [None, "r", "r"]
