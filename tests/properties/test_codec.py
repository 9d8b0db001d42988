"""The codecs: what one end writes the other reads, in both, and nothing that anybody can send does more than be refused."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it ships no types
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol.codec import CODECS, JSON, MSGPACK, Codec, ServerMessage, decode_events, encode_events
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.pushes import CaughtUp, Page
from holdfast_protocol.replies import Error, Log, Messages, Subscribed
from holdfast_protocol.transcript import TextPart, UnknownPart
from tests.support.strategies import commands, histories, values

BOTH = pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)


def command_or_refusal(codec: Codec, data: bytes | str) -> cmd.Command | ProtocolError:
    """What the frame is; anything else than these two is the failure that the tests look for."""
    try:
        return codec.decode_command(data)
    except ProtocolError as error:
        return error


def message_or_refusal(codec: Codec, data: bytes | str) -> ServerMessage | ProtocolError:
    """As command_or_refusal, for what a server sends."""
    try:
        return codec.decode_server(data)
    except ProtocolError as error:
        return error


def plain(codec: Codec, data: bytes) -> Any:
    """The frame as a reader of another make sees it."""
    return msgpack.unpackb(data, strict_map_key=False) if codec.binary else json.loads(data)


# -- both ways ---------------------------------------------------------------------------------------------------


@given(commands)
def test_commands_come_back(command: cmd.Command) -> None:
    """Every command is read as it was written, in both codecs, and both say the same to an independent reader."""
    for codec in CODECS.values():
        assert codec.decode_command(codec.encode(command)) == command
    assert plain(JSON, JSON.encode(command)) == plain(MSGPACK, MSGPACK.encode(command))


@given(commands)
def test_commands_of_others_are_read(command: cmd.Command) -> None:
    """What the json and msgpack packages write is read as the same command."""
    tree = msgspec.to_builtins(command)
    assert JSON.decode_command(json.dumps(tree)) == command
    assert JSON.decode_command(json.dumps(tree, ensure_ascii=False).encode()) == command
    assert MSGPACK.decode_command(msgpack.packb(tree)) == command


@given(histories(), st.integers(0, 2**53 - 1))
def test_pages_come_back(log: list[ev.Event], start: int) -> None:
    """Events in pages and logs are read as they were written, unknown kinds included, and both codecs agree."""
    shown: Any = log
    for message in (
        Page(request_id="r", start=start, next="1-1.00000000", events=shown),
        Log(ref=1, request_id="r", start=start, next=start, events=shown),
    ):
        for codec in CODECS.values():
            assert codec.decode_server(codec.encode(message)) == message
        assert plain(JSON, JSON.encode(message)) == plain(MSGPACK, MSGPACK.encode(message))


@given(histories())
def test_stored_events_come_back(log: list[ev.Event]) -> None:
    """The stored form keeps every event, and those of unknown kinds byte for byte, however often it is written again."""
    stored = encode_events(log)
    again = decode_events(stored)
    assert again == log
    assert encode_events(again) == stored
    for event in again:
        if isinstance(event, ev.Unknown):
            assert event.raw in stored


# -- anything at all ---------------------------------------------------------------------------------------------


@BOTH
@given(data=st.binary(max_size=200))
@example(data=b"")
@example(
    data=b'{"type":"page","request_id":"a","start":0,"next":"","events":[{"type":"x","at":1,"u":"\xff"}]}'
)
@example(data=b"\xc1")
@example(data=b"\xdf\xff\xff\xff\xff")
@example(data=b"\x81\x91\x81\x01\x01\x01")
def test_any_bytes_are_a_message_or_refused(codec: Codec, data: bytes) -> None:
    """Any bytes give a message or a ProtocolError, to a server and to a client."""
    command_or_refusal(codec, data)
    message_or_refusal(codec, data)


@BOTH
@given(command=commands, data=st.data())
def test_damaged_commands_are_commands_or_refused(
    codec: Codec, command: cmd.Command, data: st.DataObject
) -> None:
    """A frame with bytes changed, cut out or put in gives a command or a ProtocolError."""
    command_or_refusal(codec, damaged(codec.encode(command), data))


@BOTH
@given(log=histories(events_max=8), data=st.data())
def test_damaged_pages_are_messages_or_refused(
    codec: Codec, log: list[ev.Event], data: st.DataObject
) -> None:
    """A damaged page gives a message or a ProtocolError, and no span that counts backwards."""
    shown: Any = log
    frame = codec.encode(Page(request_id="r", start=0, next="", events=shown))
    got = message_or_refusal(codec, damaged(frame, data))
    if isinstance(got, Page):
        assert all(event.span >= 0 for event in got.events)


def damaged(frame: bytes, data: st.DataObject) -> bytes:
    """The frame with a stretch of it replaced by other bytes."""
    first = data.draw(st.integers(0, len(frame)))
    stop = min(len(frame), first + data.draw(st.integers(0, 4)))
    return frame[:first] + data.draw(st.binary(max_size=4)) + frame[stop:]


trees: Any = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "ref", "at", "span", "part", "events", "request_id", "request", "start", "next"]) | st.text(max_size=3),
        inner, max_size=4), max_leaves=8,
)  # fmt: skip
names = st.sampled_from(
    [msgspec.inspect.type_info(cls).tag for cls in cmd.CommandBase.__subclasses__()]  # type: ignore[attr-defined]
    + ["page", "log", "caught_up", "snapshot", "error", "welcome", "delta", "later"]
)


@BOTH
@given(name=names, tree=st.dictionaries(st.text(max_size=10), trees, max_size=3), events=trees)
def test_any_tree_is_a_message_or_refused(codec: Codec, name: str, tree: dict[str, Any], events: Any) -> None:
    """Well-formed nonsense under a real name gives a message or a ProtocolError."""
    whole = {**tree, "type": name, "ref": 1, "request_id": "r", "start": 0, "next": "", "events": [events]}
    frame = msgpack.packb(whole) if codec.binary else json.dumps(whole).encode()
    command_or_refusal(codec, frame)
    message_or_refusal(codec, frame)


# -- bombs -------------------------------------------------------------------------------------------------------


def decide(decision: bytes) -> bytes:
    """A JSON decide with this decision."""
    return b'{"type":"decide","ref":7,"request_id":"r","wait_id":"w","decision":%s}' % decision


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (decide(b"[" * 100_000), "too_deep"),
        (decide(b"[" * 17 + b"]" * 17), "too_deep"),
        (decide(b'{"a":' * 17 + b"1" + b"}" * 17), "too_deep"),
        (decide(b"[" * 900 + b"]" * 900), "too_deep"),
        (b"[" * 100_000, "malformed"),
        (b'{"type":"ping","ref":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed"),
        (decide(b"NaN"), "malformed"),
        (decide(b"Infinity"), "malformed"),
        (decide(b"1e400"), "invalid"),
        (decide(b"9" * 5000), "invalid"),
        (decide(b"18446744073709551616"), "invalid"),
        (decide(b"-9223372036854775809"), "invalid"),
        (decide(b'"\\ud800"'), "malformed"),
        (decide(b'"\\udc00 x"'), "malformed"),
        (decide(b'"\xed\xa0\x80"'), "malformed"),
        (decide(b'"\xff"'), "malformed"),
        (b'{"type":"ping","ref":9007199254740992}', "invalid"),
        (b'{"type":"ping","ref":-1}', "invalid"),
        (b'{"type":"ping","ref":1.5}', "invalid"),
        (b'{"type":"ping","ref":true}', "invalid"),
        (b'{"type":"ping","ref":"1"}', "invalid"),
        (b'{"type":"ping"}', "invalid"),
        (b'{"ref":1}', "invalid"),
        (b'{"type":"pling","ref":1}', "unknown_command"),
        (b'{"type":5,"ref":1}', "unknown_command"),
        (b'{"type":"ping","ref":1,"speed":2}', "invalid"),
        (b'{"type":"ping","ref":1} {}', "malformed"),
        (b'["ping",1]', "malformed"),
        (b"", "malformed"),
        (b'{"type":"cancel","ref":1,"request_id":"a\\n"}', "invalid"),
        (b'{"type":"cancel","ref":1,"request_id":"a b"}', "invalid"),
        (b'{"type":"cancel","ref":1,"request_id":""}', "invalid"),
        (b'{"type":"cancel","ref":1,"request_id":"%s"}' % (b"a" * 65), "invalid"),
    ],
)
def test_what_a_bad_json_frame_gets(frame: bytes, code: str) -> None:
    """Each kind of bad frame has its code, and the text says something."""
    refusal = command_or_refusal(JSON, frame)
    assert isinstance(refusal, ProtocolError)
    assert refusal.code == code
    assert str(refusal)


@pytest.mark.parametrize(
    "value",
    [
        msgpack.ExtType(5, b"abc"), msgpack.Timestamp(1, 2), b"bytes", {1: 2}, {"a": {b"k": 1}}, [{None: 1}],
        math.nan, [math.inf], {"deep": [-math.inf]}, dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    ],
    ids=repr,
)  # fmt: skip
def test_values_that_only_msgpack_can_say_are_refused(value: Any) -> None:
    """What a JSON reader could not be shown is refused at the door, with the ref of its command."""
    frames = [
        {"type": "decide", "ref": 7, "request_id": "r", "wait_id": "w", "decision": value},
        {"type": "submit", "ref": 7, "request": {"options": {"o": value}}},
        {"type": "submit_many", "ref": 7, "requests": [{}, {"options": {"o": [value]}}]},
    ]
    for frame in frames:
        refusal = command_or_refusal(MSGPACK, msgpack.packb(frame, datetime=True))
        assert isinstance(refusal, ProtocolError)
        assert (refusal.code, refusal.ref) == ("invalid", 7)


def test_depth_of_msgpack_is_bounded_too() -> None:
    """A nest of arrays does not exhaust the stack."""
    head = b"\x85\xa4type\xa6decide\xa3ref\x01\xaarequest_id\xa1a\xa7wait_id\xa1w\xa8decision"
    refusal = command_or_refusal(MSGPACK, head + b"\x91" * 100_000 + b"\x01")
    assert isinstance(refusal, ProtocolError)
    assert refusal.code == "too_deep"
    assert isinstance(message_or_refusal(MSGPACK, b"\x84\xa4type\xa4pong\xa3ref\x01\xa2at\x01\xa1x" + b"\x91" * 100_000), ProtocolError)  # fmt: skip


def test_of_two_keys_the_last_holds() -> None:
    """A key that comes twice does not make a frame ambiguous: the last one holds."""
    assert JSON.decode_command(b'{"type":"ping","ref":2,"ref":1}') == cmd.Ping(ref=1)


def test_lone_surrogates_in_a_text_frame_are_refused() -> None:
    """A text that no UTF-8 can carry is malformed, not an exception."""
    refusal = command_or_refusal(JSON, '{"type":"hello","ref":1,"client":"\ud800"}')
    assert isinstance(refusal, ProtocolError)
    assert refusal.code == "malformed"


def test_refusals_carry_the_ref_where_there_is_one() -> None:
    """The ref of a frame that cannot be obeyed is in its error, unless it is no ref itself."""
    for frame, ref in ((b'{"type":"x","ref":5}', 5), (b'{"type":"ping","ref":5,"y":1}', 5), (b'{"type":"x"}', None), (b'{"type":"x","ref":true}', None), (b'{"type":"x","ref":[]}', None)):  # fmt: skip
        refusal = command_or_refusal(JSON, frame)
        assert isinstance(refusal, ProtocolError)
        assert refusal.ref == ref


# -- other releases ----------------------------------------------------------------------------------------------


@BOTH
def test_later_kinds_are_kept_and_later_fields_ignored(codec: Codec) -> None:
    """Events of kinds that a later release added are kept whole, and fields that it added are ignored."""
    events = [
        {"type": "delta", "at": 1, "part": 0, "text": "a", "mood": "glad"},
        {"type": "hologram", "at": 2, "span": 3, "part": 1, "depth": 4},
        {"type": "part_started", "at": 3, "part": 2, "kind": "smell"},
    ]
    page = {"type": "page", "request_id": "r", "start": 0, "next": "", "events": events, "colour": "red"}
    got = codec.decode_server(msgpack.packb(page) if codec.binary else json.dumps(page))
    assert isinstance(got, Page)
    assert got.events[0] == ev.Delta(at=1, part=0, text="a")
    later: Any = got.events[1]
    assert (later.type, later.span, later.part, msgpack.unpackb(later.raw)) == ("hologram", 3, 1, events[1])
    assert isinstance(got.events[2], ev.Unknown)
    assert plain(codec, codec.encode(got))["events"][1:] == events[1:]


@BOTH
@pytest.mark.parametrize(
    "event",
    [
        {"at": 1},
        {"type": "x", "at": -1},
        {"type": "x", "span": -1},
        {"type": "x", "span": 2**60},
        5,
        [],
        None,
    ],
)
def test_what_is_no_event_is_refused(codec: Codec, event: Any) -> None:
    """An event without a type, or with a time or span that cannot be, is a damaged page and not an unknown kind."""
    page = {"type": "page", "request_id": "r", "start": 0, "next": "", "events": [event]}
    frame = msgpack.packb(page) if codec.binary else json.dumps(page).encode()
    refusal = message_or_refusal(codec, frame)
    assert isinstance(refusal, ProtocolError)


@BOTH
def test_server_messages_come_back(codec: Codec) -> None:
    """Replies and pushes are read as they were written, and fields of a later release are ignored."""
    for message in (
        Error(code="invalid", message="No.", ref=3),
        Subscribed(ref=1, request_id="r", status="running", reset="start"),
        CaughtUp(request_id="r", cursor="1-1.00000000", parts=0, bytes=0, digest="00000000", sealed=True),
    ):
        assert codec.decode_server(codec.encode(message)) == message
        later = {**msgspec.to_builtins(message), "later": 1}
        frame = msgpack.packb(later) if codec.binary else json.dumps(later).encode()
        assert codec.decode_server(frame) == message


@BOTH
@pytest.mark.parametrize("part", [{"kind": "hologram", "at": 5, "data": [1]}, {"kind": "hologram"}])
def test_a_part_of_a_later_release_costs_nobody_the_page(codec: Codec, part: dict[str, Any]) -> None:
    """A message with a part of an unknown kind is read, the part keeps its place and shows nothing; its neighbours and
    the other messages are as they were written."""
    text = {"kind": "text", "at": 1, "text": "said"}
    rows = [
        {"message_id": "a", "chat_id": "c", "role": "assistant", "transcript": {"parts": [text, part, text]}},
        {"message_id": "q", "chat_id": "c", "role": "user", "text": "asked"},
    ]
    page = {"type": "messages", "ref": 1, "messages": rows, "next": "n"}
    frame = msgpack.packb(page) if codec.binary else json.dumps(page).encode()
    read = codec.decode_server(frame)
    assert isinstance(read, Messages)
    transcript = read.messages[0].transcript
    assert transcript is not None
    said = TextPart(at=1, text="said")
    assert transcript.parts == [said, UnknownPart(at=part.get("at", 0), event="hologram"), said]
    assert (read.messages[1].text, read.next) == ("asked", "n")


@BOTH
@pytest.mark.parametrize(
    "messages",
    [5, None, [5], [{"message_id": "a"}], [{"transcript": 5}], [{"transcript": {"parts": 5}}],
     [{"message_id": "a", "chat_id": "c", "role": "user", "transcript": {"parts": [{"kind": 5}]}}]],
)  # fmt: skip
def test_what_is_no_page_of_messages_is_refused(codec: Codec, messages: Any) -> None:
    """Tolerance is for unknown kinds: a page that is wrong otherwise gives the one error."""
    page = {"type": "messages", "ref": 1, "messages": messages}
    frame = msgpack.packb(page) if codec.binary else json.dumps(page).encode()
    assert isinstance(message_or_refusal(codec, frame), ProtocolError)


@pytest.mark.parametrize("codec", CODECS.values(), ids=str)
def test_a_command_of_nothing_but_brackets_is_refused(codec):
    """Free values are bounded in number, all those of a command together, before anything looks at each of them."""
    many: list[Any] = [[] for _ in range(60_000)]
    requests = [{"text": "x", "options": {"a": many}} for _ in range(2)]
    frame = codec._module.encode({"type": "submit_many", "ref": 7, "requests": requests})
    with pytest.raises(ProtocolError) as refused:
        codec.decode_command(frame)
    assert (refused.value.code, refused.value.ref) == ("too_large", 7)
    del requests[1]
    codec.decode_command(codec._module.encode({"type": "submit_many", "ref": 7, "requests": requests}))
