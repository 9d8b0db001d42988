"""The protocol as TypeScript: web/src/sdk/wire.gen.ts, from the definitions that the server itself reads and writes.

What a client sends has optional fields where there is a default. What it receives is described as it is once decode.ts
has read it: every field is there, because that module fills in the defaults from SHAPES, the same definitions as
values. So a page neither trusts a frame nor asks whether a field was left out.
"""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import msgspec
from msgspec import inspect

from holdfast_protocol import commands, events, fold, limits, pushes, replies, schema, transcript
from holdfast_protocol.codec import CODECS, JSON, ServerMessage
from holdfast_protocol.errors import CLOSE_CODES, ERRORS
from holdfast_protocol.lifecycle import LIVE_STATUSES, OUTCOME_STATUSES, TRANSITIONS, Status

ALIASES: Final[dict[str, Any]] = {
    "Status": Status,
    "ResetReason": replies.ResetReason,
    "Reason": events.Reason,
    "ProbeState": replies.ProbeState,
}
"""Unions of strings that have a name of their own."""

_BY_VALUES: Final = {frozenset(get_args(alias)): name for name, alias in ALIASES.items()}
_COMMANDS: Final[tuple[type, ...]] = get_args(commands.Command)
_REPLIES: Final[tuple[type, ...]] = get_args(replies.Reply)
_PUSHES: Final[tuple[type, ...]] = get_args(pushes.Push)
_EVENTS: Final[tuple[type, ...]] = get_args(events.KnownEvent)
_PARTS: Final[tuple[type, ...]] = get_args(transcript.TranscriptPart)
_SUFFIXES: Final = ((_COMMANDS, "Command"), (_REPLIES, "Reply"), (_PUSHES, "Push"), (_EVENTS, "Event"))

_PLAIN: Final[dict[type, tuple[str, str]]] = {
    inspect.StrType: ("string", "s"),
    inspect.IntType: ("number", "i"),
    inspect.FloatType: ("number", "n"),
    inspect.BoolType: ("boolean", "b"),
    inspect.NoneType: ("null", "0"),
    inspect.AnyType: ("unknown", "a"),
}
"""Types without parts: in TypeScript, and as a shape."""

_TOLERANT: Final = {"Event": "event", "TranscriptPart": "part"}

HEADER: Final = """/**
 * The protocol's messages as TypeScript, written by docs/wire_types.py from the definitions that the server uses.
 *
 * Do not edit: `make docs` writes it anew, and the tests fail while it differs.
 */
/* eslint-disable */
"""

LATER: Final = """/** An event of a kind that this release does not know: it counts by its span, keeps the number of the part that it may
 * open, and is otherwise ignored. `kind` is what the server called it. */
export interface LaterEvent { readonly type: "later"; readonly kind: string; readonly at: number; readonly span: number; readonly part: number | null }
"""

SHAPE: Final = """/** How a value is checked and completed (see decode.ts): string, integer, number, boolean, null, anything, an event, a
 * part of a transcript (of these two, kinds of later releases do too); then, by their first entry, a list, an object of one sort of values, a row of fixed length, one of some strings, one of some
 * shapes, a structure, and one of some structures told apart by a field. */
export type Shape = "s" | "i" | "n" | "b" | "0" | "a" | "event" | "part" | readonly ["list", Shape] | readonly ["dict", Shape] | readonly ["tuple", ...Shape[]]
  | readonly ["enum", ...string[]] | readonly ["either", ...Shape[]] | readonly ["struct", string]
  | readonly ["tagged", string, Readonly<Record<string, string>>];

/** A structure's fields: each its shape and, unless it is required, its default. */
export interface StructShape { readonly tag: readonly [string, string] | null; readonly fields: Readonly<Record<string, readonly [Shape] | readonly [Shape, unknown]>> }
"""


def name_of(cls: type) -> str:
    """The TypeScript name: that of the class, with what it is where the bare name would hide one of the browser's."""
    for classes, suffix in _SUFFIXES:
        if cls in classes:
            return cls.__name__ + suffix
    return cls.__name__


def wire_types() -> str:
    """The whole module."""
    sent = _structs(_COMMANDS)
    received = [cls for cls in _structs(get_args(ServerMessage)) if cls not in sent]
    blocks = [HEADER, _constants()]
    blocks += [f"export type {name} = {_literals(get_args(alias))};\n" for name, alias in ALIASES.items()]
    blocks += [_interface(cls, complete=False) for cls in sent]
    blocks += [_interface(cls, complete=True) for cls in received]
    blocks += [LATER, _unions(), _pairs(), SHAPE, _shapes(received)]
    return "\n".join(blocks)


def _structs(roots: tuple[type, ...]) -> list[type]:
    """The structures that are reached from `roots`, themselves included, each once."""
    found: dict[type, None] = {}

    def visit(info: inspect.Type) -> None:
        match info:
            case inspect.StructType(cls=cls):
                if cls not in found:
                    found[cls] = None
                    for field in info.fields:
                        visit(field.type)
            case inspect.ListType(item_type=item) | inspect.DictType(value_type=item):
                visit(item)
            case inspect.TupleType(item_types=items) | inspect.UnionType(types=items):
                for each in items:
                    visit(each)
            case inspect.Metadata(type=inner):
                visit(inner)

    for root in roots:
        visit(inspect.type_info(root))
    return list(found)


def _struct(cls: type) -> inspect.StructType:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return info


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _literals(values: Any) -> str:
    return " | ".join(_written(each) for each in values)


# -- types -------------------------------------------------------------------------------------------------------


def _type(info: inspect.Type) -> str:
    """The TypeScript type of a value."""
    if type(info) in _PLAIN:
        return _PLAIN[type(info)][0]
    match info:
        case inspect.Metadata(type=inner):
            return _type(inner)
        case inspect.LiteralType(values=values):
            return _BY_VALUES.get(frozenset(values)) or _literals(values)
        case inspect.ListType(item_type=item):
            inner_type = _type(item)
            return f"readonly ({inner_type})[]" if " " in inner_type else f"readonly {inner_type}[]"
        case inspect.DictType(value_type=value):
            return f"Readonly<Record<string, {_type(value)}>>"
        case inspect.TupleType(item_types=items):
            return f"readonly [{', '.join(_type(item) for item in items)}]"
        case inspect.StructType(cls=cls):
            return name_of(cls)
        case inspect.UnionType(types=types):
            return _named_union(types) or " | ".join(dict.fromkeys(_type(each) for each in types))
    raise AssertionError(f"no TypeScript for {info}")


def _named_union(types: tuple[inspect.Type, ...]) -> str | None:
    """The name of a union of structures that has one, with null where that is allowed."""
    classes = {each.cls for each in types if isinstance(each, inspect.StructType)}
    for name, members in (("Event", _EVENTS), ("TranscriptPart", _PARTS), ("Outcome", events.OUTCOMES)):
        if classes == set(members):
            return name + (" | null" if any(isinstance(each, inspect.NoneType) for each in types) else "")
    return None


def _interface(cls: type, *, complete: bool) -> str:
    """An interface. `complete`: fields with a default are there, because reading fills them in."""
    info = _struct(cls)
    lines = [f"/** {schema_prose(cls)} */", f"export interface {name_of(cls)} {{"]
    if info.tag is not None:
        lines.append(f"  readonly {info.tag_field}: {_written(info.tag)};")
    for field in info.fields:
        if complete or field.required:
            lines.append(f"  readonly {field.encode_name}: {_type(field.type)};")
        else:
            lines.append(f"  readonly {field.encode_name}?: {_type(field.type)} | undefined;")
    return "\n".join([*lines, "}", ""])


def schema_prose(cls: type) -> str:
    """What a class says of itself, safe inside a comment."""
    return " ".join((cls.__doc__ or "").split()).replace("*/", "* /")


def _union(name: str, text: str, members: tuple[type, ...], *more: str) -> str:
    return (
        f"/** {text} */\nexport type {name} = {' | '.join([*(name_of(each) for each in members), *more])};\n"
    )


def _unions() -> str:
    return "\n".join(
        (
            _union("Command", "Whatever a client may ask.", _COMMANDS),
            _union("Reply", "Whatever a command may be answered with.", _REPLIES),
            _union("Push", "Whatever the server sends unasked.", _PUSHES),
            _union("KnownEvent", "An event of a kind that this release knows.", _EVENTS),
            "/** Whatever may happen to a request. */\nexport type Event = KnownEvent | LaterEvent;\n",
            _union("Outcome", "How a request can end.", events.OUTCOMES),
            _union("TranscriptPart", "A part of a transcript as it is on the wire.", _PARTS),
        )
    )


def _pairs() -> str:
    """Commands and their replies, as a type and as a value."""
    by_tag = {schema.tag_of(cls): cls for cls in _REPLIES}
    types, values = [], []
    for cls in _COMMANDS:
        reply = by_tag[schema.reply_of(cls)]
        types.append(f"  {schema.tag_of(cls)}: {{ command: {name_of(cls)}; reply: {name_of(reply)} }};")
        values.append(f"  {schema.tag_of(cls)}: {_written(schema.tag_of(reply))},")
    return "\n".join(
        (
            "/** Each command with its one reply. */\nexport interface Pairs {", *types, "}\n",
            "/** The wire name of a command. */\nexport type CommandType = keyof Pairs;\n",
            "/** What a command needs besides `type` and `ref`. */",
            'export type FieldsOf<K extends CommandType> = Omit<Pairs[K]["command"], "type" | "ref">;\n',
            '/** What a command is answered with, unless it is refused. */\nexport type ReplyOf<K extends CommandType> = Pairs[K]["reply"];\n',
            "/** The wire name of each command's reply. */\nexport const REPLIES = {", *values,
            "} as const satisfies Record<CommandType, string>;\n",
        )
    )  # fmt: skip


# -- values ------------------------------------------------------------------------------------------------------


def _constants() -> str:
    """Names and numbers that both ends must agree on."""
    own = {
        name.lower(): value
        for name, value in vars(limits).items()
        if name.isupper() and isinstance(value, int | float)
    }
    errors = {code: {"retryable": each.retryable, "advice": each.advice} for code, each in ERRORS.items()}
    closes = {
        str(code): {"reconnect": each.reconnect, "meaning": each.meaning}
        for code, each in CLOSE_CODES.items()
    }
    assert JSON.name in CODECS
    return "\n".join(
        (
            _constant("SUBPROTOCOL", "The WebSocket subprotocol that a browser speaks: JSON in text frames.", JSON.name),
            _constant("LIMITS", "Every bound the two ends must agree on; docs/protocol.md has the reasons.", own),
            _constant("ERRORS", "Error codes: whether the same command may succeed later, and what to do.", errors),
            "/** The code of an error that this release knows. */\nexport type ErrorCode = keyof typeof ERRORS;\n",
            _constant("CLOSE_CODES", "Close codes: whether to reconnect, and what they mean.", closes,
                      "Readonly<Record<string, { readonly reconnect: boolean; readonly meaning: string }>>"),
            _constant("TRANSITIONS", "Which event may follow in which status, and the status it leads to.", TRANSITIONS,
                      "Readonly<Record<Status, Readonly<Record<string, Status>>>>"),
            _constant("OUTCOME_STATUSES", "The statuses after which nothing follows.",
                      [each for each in TRANSITIONS if each in OUTCOME_STATUSES]),
            _constant("LIVE_STATUSES", "The statuses of a request without an outcome.",
                      [each for each in TRANSITIONS if each in LIVE_STATUSES]),
            _constant("COVERED", "The kinds of parts that the digest covers.", list(fold._COVERED)),
        )
    )  # fmt: skip


def _constant(name: str, text: str, value: Any, annotation: str = "") -> str:
    if annotation:
        return f"/** {text} */\nexport const {name}: {annotation} = {_lines(value)};\n"
    return f"/** {text} */\nexport const {name} = {_lines(value)} as const;\n"


def _lines(value: Any) -> str:
    """A value as TypeScript, one entry of an object per line."""
    if isinstance(value, dict):
        return "{\n" + "".join(f"  {_written(key)}: {_written(each)},\n" for key, each in value.items()) + "}"
    return _written(value)


def _shape(info: inspect.Type) -> Any:
    """The value that tells decode.ts how to read a value."""
    if type(info) in _PLAIN:
        return _PLAIN[type(info)][1]
    match info:
        case inspect.Metadata(type=inner):
            return _shape(inner)
        case inspect.LiteralType(values=values):
            return ["enum", *values]
        case inspect.ListType(item_type=item):
            return ["list", _shape(item)]
        case inspect.DictType(value_type=value):
            return ["dict", _shape(value)]
        case inspect.TupleType(item_types=items):
            return ["tuple", *(_shape(item) for item in items)]
        case inspect.StructType(cls=cls):
            return ["struct", name_of(cls)]
        case inspect.UnionType(types=types):
            return _shape_of_union(types)
    raise AssertionError(f"no shape for {info}")


def _shape_of_union(types: tuple[inspect.Type, ...]) -> Any:
    structs = [each for each in types if isinstance(each, inspect.StructType)]
    shapes = [_shape(each) for each in types if not isinstance(each, inspect.StructType)]
    tolerant = _TOLERANT.get(str(_named_union(types)))
    if tolerant:
        shapes.append(tolerant)
    elif len(structs) > 1:
        shapes.append(
            ["tagged", structs[0].tag_field, {str(each.tag): name_of(each.cls) for each in structs}]
        )
    elif structs:
        shapes.append(_shape(structs[0]))
    return shapes[0] if len(shapes) == 1 else ["either", *shapes]


def _default(field: inspect.Field) -> Any:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return msgspec.to_builtins(value)


def _shapes(classes: list[type]) -> str:
    rows = []
    for cls in classes:
        info = _struct(cls)
        fields = {
            field.encode_name: [_shape(field.type)]
            if field.required
            else [_shape(field.type), _default(field)]
            for field in info.fields
        }
        tag = None if info.tag is None else [info.tag_field, info.tag]
        rows.append(f"  {name_of(cls)}: {_written({'tag': tag, 'fields': fields})},")
    server = {schema.tag_of(cls): name_of(cls) for cls in get_args(ServerMessage)}
    return "\n".join(
        (
            "/** Everything that arrives, by its TypeScript name. */",
            "export const SHAPES: Readonly<Record<string, StructShape>> = {", *rows, "};\n",
            "/** The structure of each message of the server's, by the value of its `type`. */",
            f"export const SERVER_MESSAGES: Readonly<Record<string, string>> = {_lines(server)};\n",
            "/** The structure of each event, by the value of its `type`. */",
            f"export const EVENTS: Readonly<Record<string, string>> = {_lines({schema.tag_of(cls): name_of(cls) for cls in _EVENTS})};\n",
            "/** The structure of each part of a transcript, by the value of its `kind`. */",
            f"export const PARTS: Readonly<Record<string, string>> = {_lines({schema.tag_of(cls): name_of(cls) for cls in _PARTS})};\n",
        )
    )  # fmt: skip
