"""Commands, replies and pushes as a family: names, refs, strictness, and that each is documented."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest

from holdfast_protocol import commands as cmd
from holdfast_protocol import pushes, replies
from holdfast_protocol.codec import JSON, check_depth, check_plain
from holdfast_protocol.errors import ProtocolError

COMMANDS: tuple[Any, ...] = get_args(cmd.Command)
REPLIES: tuple[Any, ...] = get_args(replies.Reply)
PUSHES: tuple[Any, ...] = get_args(pushes.Push)


def tag(cls: Any) -> str:
    """The wire name."""
    found: str = cls.__struct_config__.tag
    return found


def test_the_unions_are_whole() -> None:
    """No message is defined and then forgotten, and no two have one name."""
    assert set(COMMANDS) == set(cmd.CommandBase.__subclasses__())
    assert set(REPLIES) == {*replies.ReplyBase.__subclasses__(), replies.Error}
    assert set(PUSHES) == set(pushes.PushBase.__subclasses__())
    names = [tag(cls) for cls in (*REPLIES, *PUSHES)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("cls", COMMANDS, ids=tag)
def test_commands_name_their_reply(cls: Any) -> None:
    """Each command's text names the one reply it gets, and that reply exists."""
    found = re.search(r"Reply: (\w+)", cls.__doc__)
    assert found
    assert found[1] in {tag(reply) for reply in REPLIES}


@pytest.mark.parametrize("cls", COMMANDS, ids=tag)
def test_commands_are_strict_and_replies_are_not(cls: Any) -> None:
    """A field that a command does not have is an error that names it."""
    assert cls.__struct_config__.forbid_unknown_fields
    assert not any(reply.__struct_config__.forbid_unknown_fields for reply in (*REPLIES, *PUSHES))
    with pytest.raises(ProtocolError) as caught:
        JSON.decode_command(msgspec.json.encode({"type": tag(cls), "ref": 1, "typo": 1}))
    assert caught.value.code == "invalid"


@pytest.mark.parametrize("cls", PUSHES, ids=tag)
def test_pushes_carry_nothing_of_the_connection(cls: Any) -> None:
    """A push can be encoded once for everybody: no ref, no subscription number."""
    assert "ref" not in cls.__struct_fields__


def test_depth() -> None:
    """Sixteen levels are taken, seventeen are not, empty or full, lists or objects."""
    for leaf in ([], [1], {}, {"a": 1}):
        value: Any = leaf
        for _ in range(15):
            value = [value]
        check_depth(value)
        check_plain(value)
        for deeper in ([value], {"k": value}):
            with pytest.raises(ProtocolError) as caught:
                check_depth(deeper)
            assert caught.value.code == "too_deep"
    check_depth("scalar", 0)


@pytest.mark.parametrize("value", [None, True, 0, -(2**63), 2**64 - 1, 1.5, "é", [], {"a": [{"b": None}]}])
def test_plain_values(value: Any) -> None:
    """What both codecs can say is taken."""
    check_plain(value)


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, b"", float("nan"), [float("inf")], {1: 2}, {"a": {None: 1}}, (1,)]
)
def test_values_that_are_not_plain(value: Any) -> None:
    """What one of the codecs cannot say is refused."""
    with pytest.raises(ProtocolError) as caught:
        check_plain(value)
    assert caught.value.code == "invalid"
