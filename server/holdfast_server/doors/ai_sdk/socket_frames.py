"""The frames of the AI SDK's WebSocket transport, read strictly: what cannot be read names its stream if it can."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol.errors import ProtocolError
from holdfast_server.doors.bodies import convert, decode
from holdfast_server.doors.refusal import Refused

from .shapes import Abort, Extras, Frame, Question, Resume, Send

_KINDS: Final[dict[Any, type[Frame]]] = {"send": Send, "resume": Resume, "abort": Abort}


class Unreadable(Exception):
    """No frame of this protocol. `request_id`: the stream that it names, if it names one."""

    def __init__(self, message: str, request_id: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id


def read_frame(text: str) -> Frame:
    """A frame of the client's. Raises: Unreadable."""
    request_id: str | None = None
    try:
        plain = decode(text, dict[str, Any])
        if isinstance(named := plain.get("requestId"), str):
            request_id = named
        kind = _KINDS.get(str(plain.get("type")))
        if kind is None:
            raise Refused(400, "invalid", "A frame's `type` is send, resume or abort.")
        frame = convert(plain, kind)
        if isinstance(frame, Resume) and frame.last_sequence is not None:
            # A stream is told anew each time, from what stands: its numbers are its own.
            raise Refused(400, "invalid", "`lastSequence` is not known here; leave it out.")
    except Refused as refused:
        raise Unreadable(refused.message, request_id) from None
    except ProtocolError as error:
        raise Unreadable(str(error), request_id) from None
    return frame


def question_of(frame: Send) -> Question:
    """What a `send` asks; its `body` says what the HTTP body says beside the messages. Raises: Refused."""
    extras = convert(frame.body, Extras)
    return Question(
        **{name: getattr(extras, name) for name in Extras.__struct_fields__},
        id=frame.id,
        messages=frame.messages,
        trigger=frame.trigger,
        message_id=frame.message_id,
    )


def last_of(frame: Resume) -> str | None:
    """The last message that the page has. Raises: Refused."""
    return convert(frame.body, Extras).last


encode = msgspec.json.Encoder().encode
