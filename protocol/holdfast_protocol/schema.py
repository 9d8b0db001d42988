"""The protocol as an AsyncAPI 3 document, made from the definitions themselves, so that it cannot say anything else.

Commands are operations that the server receives, each with its one reply (found in the command's own text, and matched
by `ref`) or an error; pushes are operations that it sends. JSON Schema describes both codecs: MessagePack carries the
same maps, lists, strings and numbers. The schemas keep to what draft 7 and 2020-12 both read alike, as AsyncAPI's own
dialect is a superset of draft 7. Events stay open to kinds of later releases; commands are closed.
"""

from __future__ import annotations

import re
from typing import Any, Final, get_args

import msgspec

from . import limits
from .codec import CODECS, ServerMessage
from .commands import Command
from .errors import CLOSE_CODES, ERRORS
from .events import KINDS
from .lifecycle import TRANSITIONS
from .limits import OFFSET_MAX
from .pushes import Push

ASYNCAPI_VERSION: Final = "3.0.0"
PATH: Final = "/ws"
CONTENT_TYPES: Final = {False: "application/json", True: "application/msgpack"}

_SCHEMAS: Final = "#/components/schemas/"
_REPLY: Final = re.compile(r"Reply: (\w+)")


def tag_of(message: type) -> str:
    """The wire name of a message, which is the value of its `type`."""
    tag = message.__struct_config__.tag  # type: ignore[attr-defined]
    assert isinstance(tag, str)
    return tag


def reply_of(command: type) -> str:
    """The wire name of a command's reply, as its own text gives it."""
    found = _REPLY.search(command.__doc__ or "")
    assert found, f"{command.__name__} does not say what its reply is"
    return found[1]


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (draft 7 and 2020-12 alike) of every message and of what they hold, by class name."""
    _, found = msgspec.json.schema_components([Command, ServerMessage], ref_template=_SCHEMAS + "{name}")
    known = list(KINDS.values())
    number = {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX}
    found["LaterEvent"] = {
        "title": "LaterEvent",
        "description": "An event of a kind that this document does not know: count its span, and ignore it.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "not": {"enum": known}},
            "at": number,
            "span": {**number, "default": 1},
            "part": {},
        },
        "required": ["type"],
    }
    for holder in ("Page", "Log"):
        found[holder]["properties"]["events"]["items"]["anyOf"].append({"$ref": _SCHEMAS + "LaterEvent"})
    _keep_to_both_drafts(found)
    return found


def _keep_to_both_drafts(value: Any) -> None:
    """Write in place what the two drafts write differently."""
    if isinstance(value, dict):
        if isinstance(value.get("discriminator"), dict):
            # OpenAPI's object; AsyncAPI wants a name there that the schema's own class has, and ours are told apart by
            # the one value that each permits for its tag.
            del value["discriminator"]
        if "prefixItems" in value:
            first, *others = value.pop("prefixItems")
            assert all(other == first for other in others), (
                "places of different types have no spelling in both"
            )
            value["items"] = first
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _keep_to_both_drafts(child)


def asyncapi(version: str) -> dict[str, Any]:
    """The document. `version` is that of the program."""
    commands: tuple[type, ...] = get_args(Command)
    pushes: tuple[type, ...] = get_args(Push)
    sent: tuple[type, ...] = get_args(ServerMessage)
    messages = {tag_of(cls): _message(cls, correlated=cls not in pushes) for cls in (*commands, *sent)}
    operations = {tag_of(cls): _receive(cls) for cls in commands}
    operations |= {f"push_{tag_of(cls)}": _send(cls) for cls in pushes}
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Holdfast",
            "version": version,
            "description": "Chats with language models over one WebSocket, whose answers survive disconnects, reloads and crashes. docs/protocol.md explains it.",
        },
        "defaultContentType": CONTENT_TYPES[False],
        "channels": {
            "ws": {
                "address": PATH,
                "description": "One connection carries any number of chats and requests. The subprotocol decides the codec.",
                "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in messages},
                "bindings": {"ws": {"method": "GET", "headers": _headers()}},
            }
        },
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas()},
        "x-subprotocols": [
            {
                "name": codec.name,
                "contentType": CONTENT_TYPES[codec.binary],
                "frames": "binary" if codec.binary else "text",
            }
            for codec in CODECS.values()
        ],
        "x-errors": {code: error._asdict() for code, error in ERRORS.items()},
        "x-close-codes": {str(code): close._asdict() for code, close in CLOSE_CODES.items()},
        "x-lifecycle": TRANSITIONS,
        "x-limits": {name.lower(): value for name, value in vars(limits).items() if name.isupper()},
    }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "Sec-WebSocket-Protocol": {"type": "string", "enum": list(CODECS)},
            "Authorization": {"type": "string", "pattern": "^Bearer "},
        },
    }


def _message(cls: type, *, correlated: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": tag_of(cls),
        "title": cls.__name__,
        "description": " ".join((cls.__doc__ or "").split()),
        "payload": {"$ref": _SCHEMAS + cls.__name__},
    }
    if correlated:
        message["correlationId"] = {"location": "$message.payload#/ref"}
    return message


def _receive(cls: type) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": {"$ref": "#/channels/ws"},
        "messages": [_in_channel(tag_of(cls))],
        "reply": {
            "channel": {"$ref": "#/channels/ws"},
            "messages": [_in_channel(reply_of(cls)), _in_channel("error")],
        },
    }


def _send(cls: type) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": "#/channels/ws"}, "messages": [_in_channel(tag_of(cls))]}


def _in_channel(tag: str) -> dict[str, str]:
    return {"$ref": f"#/channels/ws/messages/{tag}"}
