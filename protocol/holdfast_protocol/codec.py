"""The two codecs: one definition of every message, as JSON text or as MessagePack binary, chosen by subprotocol.

Reading is total: any bytes give a message or a ProtocolError, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

import msgspec

from .commands import Command
from .errors import ProtocolError
from .events import Event, KnownEvent, Unknown
from .limits import OPTIONS_DEPTH_MAX
from .pushes import Page, Push
from .replies import Log, Reply

ServerMessage = Reply | Push
T = TypeVar("T")


class _Envelope(msgspec.Struct):
    """What is read of a frame that cannot be read whole: enough to answer it."""

    ref: Any = None
    type: Any = None


class _EventHead(msgspec.Struct):
    """What is read of an event of an unknown kind: enough to count it."""

    at: int = 0
    span: int = 1
    type: str = ""


class _RawEvents(msgspec.Struct, kw_only=True):
    """A Page or Log whose events are left unread."""

    type: str
    events: list[msgspec.Raw]


class _Tolerant(Generic[T]):
    """Reads events and messages that hold them; kinds that are not known become Unknown."""

    def __init__(self, module: Any) -> None:
        self._encode = module.Encoder().encode
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
            return Unknown(at=head.at, span=head.span, type=head.type, raw=raw)

    def plain(self, event: Event) -> Any:
        """What to encode for an event: itself, or the bytes of one that was not understood."""
        return msgspec.Raw(event.raw) if isinstance(event, Unknown) else event


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
        return command

    def _refusal(self, data: bytes | str, error: msgspec.ValidationError) -> ProtocolError:
        try:
            envelope = self._envelope.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
            return ProtocolError("malformed")
        ref = envelope.ref if isinstance(envelope.ref, int) and not isinstance(envelope.ref, bool) else None
        if str(error).endswith("at `$.type`"):
            return ProtocolError("unknown_command", ref=ref)
        return ProtocolError("invalid", f"{error}.", ref=ref)

    def decode_server(self, data: bytes | str) -> ServerMessage:
        """Read what a server sent; events of unknown kinds become Unknown. Raises: ProtocolError."""
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
            raw = self._raw_events.decode(data)
            plain = self._module.decode(data)
            events = [self._tolerant.event(bytes(item)) for item in raw.events]
            plain["events"] = []
            message = msgspec.convert(plain, Page | Log)
        except (msgspec.DecodeError, RecursionError):
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


def check_depth(value: Any, depth_max: int = OPTIONS_DEPTH_MAX) -> None:
    """Refuse a free-form value that is nested deeper than `depth_max`. Raises: ProtocolError `too_deep`."""
    level: list[Any] = [value]
    for _ in range(depth_max + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise ProtocolError("too_deep")
