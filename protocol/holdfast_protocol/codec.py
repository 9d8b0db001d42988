"""The two codecs: one definition of every message, as JSON text or as MessagePack binary, chosen by subprotocol.

Reading is total: any bytes give a message or a ProtocolError, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec

from .commands import Command, Decide, Submit, SubmitMany
from .errors import ProtocolError
from .events import Event, KnownEvent, Span, Time, Unknown
from .limits import OPTIONS_DEPTH_MAX, OPTIONS_VALUES_MAX
from .pushes import Page, Push
from .replies import Log, Messages, Reply
from .transcript import TranscriptPart

ServerMessage = Reply | Push
T = TypeVar("T")


ID_TEXT: Final = "an id: 1 to 64 of A-Z, a-z, 0-9, `_` and `-`"
_ID_PATTERN_TEXT: Final = re.compile(r"`str` matching regex '[^']*'")


class _Envelope(msgspec.Struct):
    """What is read of a frame that cannot be read whole: enough to answer it."""

    ref: Any = None
    type: Any = None


class _EventHead(msgspec.Struct):
    """What is read of an event of an unknown kind: enough to count it, and to keep the number of a part it may open."""

    type: str
    at: Time = 0
    span: Span = 1
    part: Any = None


class _RawEvents(msgspec.Struct, kw_only=True):
    """A Page or Log whose events are left unread."""

    type: str
    events: list[msgspec.Raw]


class _Tolerant(Generic[T]):
    """Reads events and messages that hold them; kinds that are not known become Unknown."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._event = module.Decoder(KnownEvent)
        self._head = module.Decoder(_EventHead)
        self._raws = module.Decoder(list[msgspec.Raw])
        self._known = module.Decoder(list[KnownEvent])

    def events(self, data: bytes) -> list[Event]:
        """A list of events. Raises: msgspec.DecodeError if it is not even that."""
        try:
            known: list[Event] = self._known.decode(data)
            return known
        except msgspec.ValidationError:
            return [self.event(bytes(raw)) for raw in self._raws.decode(data)]

    def event(self, raw: bytes) -> Event:
        """One event."""
        try:
            event: Event = self._event.decode(raw)
            return event
        except msgspec.ValidationError:
            head = self._head.decode(raw)
            part = head.part if type(head.part) is int else None
            if self._module is not msgspec.msgpack:
                raw = msgspec.msgpack.encode(self._module.decode(raw))
            return Unknown(at=head.at, span=head.span, type=head.type, part=part, raw=raw)

    def plain(self, event: Event) -> Any:
        """What to encode for an event: itself, or, for one that was not understood, what it was when it came."""
        if not isinstance(event, Unknown):
            return event
        if self._module is msgspec.msgpack:
            return msgspec.Raw(event.raw)
        return msgspec.msgpack.decode(event.raw)


class Codec:
    """One way of writing messages. `name` is the WebSocket subprotocol; `binary` tells which frames carry it."""

    def __init__(self, name: str, module: Any, *, binary: bool) -> None:
        self.name = name
        self.binary = binary
        self._module = module
        self._encoder = module.Encoder()
        self._command = module.Decoder(Command)
        self._envelope = module.Decoder(_Envelope)
        self._server = module.Decoder(ServerMessage)
        self._raw_events = module.Decoder(_RawEvents)
        self._tolerant: _Tolerant[Event] = _Tolerant(module)

    def __repr__(self) -> str:
        return f"Codec({self.name!r})"

    def encode(self, message: Any) -> bytes:
        """The frame's payload for a command, reply or push."""
        if isinstance(message, Page | Log) and any(isinstance(event, Unknown) for event in message.events):
            message = msgspec.structs.replace(
                message, events=[self._tolerant.plain(e) for e in message.events]
            )
        data: bytes = self._encoder.encode(message)
        return data

    def decode_command(self, data: bytes | str) -> Command:
        """Read what a client sent. Raises: ProtocolError, with the frame's ref where it has one."""
        try:
            command: Command = self._command.decode(data)
        except msgspec.ValidationError as error:
            raise self._refusal(data, error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            raise ProtocolError("malformed") from None
        except RecursionError:
            raise ProtocolError("too_deep") from None
        try:
            check_plain(_free_values(command), OPTIONS_DEPTH_MAX + 1)
        except ProtocolError as error:
            error.ref = command.ref
            raise
        return command

    def _refusal(self, data: bytes | str, error: msgspec.ValidationError) -> ProtocolError:
        try:
            envelope = self._envelope.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
            return ProtocolError("malformed")
        ref = envelope.ref if isinstance(envelope.ref, int) and not isinstance(envelope.ref, bool) else None
        if str(error).endswith("at `$.type`"):
            return ProtocolError("unknown_command", ref=ref)
        return ProtocolError("invalid", f"{_ID_PATTERN_TEXT.sub(ID_TEXT, str(error))}.", ref=ref)

    def decode_server(self, data: bytes | str) -> ServerMessage:
        """Read what a server sent; events of unknown kinds become Unknown, parts of unknown kinds an UnknownPart. Raises:
        ProtocolError."""
        try:
            return self._server.decode(data)  # type: ignore[no-any-return]
        except msgspec.ValidationError as error:
            return self._decode_with_unknown(data, error)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            raise ProtocolError("malformed") from None
        except RecursionError:
            raise ProtocolError("too_deep") from None

    def _decode_with_unknown(self, data: bytes | str, error: msgspec.ValidationError) -> ServerMessage:
        try:
            plain = self._module.decode(data)
            if isinstance(plain, dict) and plain.get("type") == "messages":
                return _messages(plain)
            raw = self._raw_events.decode(data)
            events = [self._tolerant.event(bytes(item)) for item in raw.events]
            plain["events"] = []
            message = msgspec.convert(plain, Page | Log)
        except RecursionError:
            raise ProtocolError("too_deep") from None
        except (msgspec.DecodeError, ValueError, TypeError, OverflowError):
            raise ProtocolError("invalid", f"{error}.") from None
        return msgspec.structs.replace(message, events=events)


JSON: Final = Codec("holdfast.v1.json", msgspec.json, binary=False)
MSGPACK: Final = Codec("holdfast.v1.msgpack", msgspec.msgpack, binary=True)
CODECS: Final[dict[str, Codec]] = {codec.name: codec for codec in (JSON, MSGPACK)}
"""In order of preference; the first is spoken where none is asked for."""

_STORED: Final[_Tolerant[Event]] = _Tolerant(msgspec.msgpack)
_STORED_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_events(events: Iterable[Event]) -> bytes:
    """The stored form: a MessagePack array of events."""
    return _STORED_ENCODER.encode([_STORED.plain(event) for event in events])


def decode_events(data: bytes) -> list[Event]:
    """Read the stored form. Raises: msgspec.DecodeError on damage."""
    return _STORED.events(data)


_PART_KINDS: Final = frozenset(part.__struct_config__.tag for part in get_args(TranscriptPart))


def _messages(plain: dict[str, Any]) -> Messages:
    """A page of messages in which parts of unknown kinds keep their place, and nothing else. Raises:
    msgspec.ValidationError for what is wrong otherwise, TypeError where that is not even looked for."""
    for row in plain.get("messages", ()):
        transcript = row.get("transcript") if isinstance(row, dict) else None
        parts = transcript.get("parts") if isinstance(transcript, dict) else None
        if isinstance(transcript, dict) and isinstance(parts, list):
            transcript["parts"] = [_part(part) for part in parts]
    return msgspec.convert(plain, Messages)


def _part(part: Any) -> Any:
    kind = part.get("kind") if isinstance(part, dict) else None
    if not isinstance(kind, str) or kind in _PART_KINDS:
        return part
    return {"kind": "unknown", "at": part.get("at", 0), "event": kind}


def _free_values(command: Command) -> list[Any]:
    """The values in a command that may be anything."""
    match command:
        case Submit():
            return [command.request.options]
        case SubmitMany():
            return [request.options for request in command.requests]
        case Decide():
            return [command.decision]
    return []


def check_depth(value: Any, depth_max: int = OPTIONS_DEPTH_MAX) -> None:
    """Refuse a free-form value whose lists and objects are nested more than `depth_max` deep, or hold more than
    OPTIONS_VALUES_MAX values. Raises: ProtocolError `too_deep` or `too_large`."""
    level: list[Any] = [value]
    count = 0
    for _ in range(depth_max + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return
        count += sum(map(len, level))
        if count > OPTIONS_VALUES_MAX:
            raise ProtocolError(
                "too_large", f"A free value may hold {OPTIONS_VALUES_MAX} values; send fewer."
            )
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    raise ProtocolError("too_deep")


def check_plain(value: Any, depth_max: int = OPTIONS_DEPTH_MAX) -> None:
    """Refuse a free-form value that is too deep, or that only one of the codecs can write: what one client sends in
    MessagePack another reads in JSON, and both are stored. Raises: ProtocolError `too_deep` or `invalid`."""
    check_depth(value, depth_max)
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                raise ProtocolError("invalid", "The keys of an object must be strings.")
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, bool | str) or item is None:
            continue
        elif isinstance(item, int):
            if not -(2**63) <= item < 2**64:
                raise ProtocolError("invalid", "Integers must fit into 64 bits; send larger ones as strings.")
        elif not isinstance(item, float) or not isfinite(item):
            raise ProtocolError(
                "invalid", "Values must be what JSON can say: no binary, time, NaN or infinity."
            )
