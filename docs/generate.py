"""Writes what in docs/ comes from the code: `make docs`. With `--check` it only says what is out of date, and exits 1.

A page takes a generated block by naming it between two marks, each on a line of its own:

    <!-- begin:errors -->
    <!-- end:errors -->

To add a block, write a function that returns its Markdown and mark it `@block("name")`. To add a whole file, mark a
function that returns its text `@file("docs/name.json")`. tests/architecture/test_docs.py fails when anything is out of
date, when a page names a block that is not there, and when a block is on no page.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from holdfast_protocol import commands, digest, events, limits, pushes, replies, schema, transcript
from holdfast_protocol.codec import CODECS
from holdfast_protocol.errors import CLOSE_CODES, ERRORS
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, TRANSITIONS
from holdfast_server import config

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
MARKS: Final = re.compile(
    r"^<!-- begin:(?P<name>[a-z-]+) -->\n(?P<body>.*?)^<!-- end:(?P=name) -->$", re.MULTILINE | re.DOTALL
)

Text = Callable[[], str]
BLOCKS: Final[dict[str, Text]] = {}
FILES: Final[dict[str, Text]] = {}


def block(name: str) -> Callable[[Text], Text]:
    """Mark a function as the source of the block `name`."""

    def mark(function: Text) -> Text:
        BLOCKS[name] = function
        return function

    return mark


def file(path: str) -> Callable[[Text], Text]:
    """Mark a function as the source of a whole file."""

    def mark(function: Text) -> Text:
        FILES[path] = function
        return function

    return mark


# -- Markdown ----------------------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def prose(cls: type) -> str:
    """What a class says of itself, on one line."""
    return " ".join((cls.__doc__ or "").split())


SCHEMAS: Final = schema.schemas()


def shape(spec: dict[str, Any]) -> str:
    """A JSON Schema in few words."""
    if "$ref" in spec:
        return f"`{spec['$ref'].rsplit('/', 1)[1]}`"
    if "anyOf" in spec:
        parts = [shape(each) for each in spec["anyOf"]]
        return "event" if len(parts) > 12 else " or ".join(dict.fromkeys(parts))
    if "enum" in spec:
        return ", ".join(f"`{json.dumps(value)}`" for value in spec["enum"])
    kind = spec.get("type")
    if kind == "array":
        if "prefixItems" in spec:
            return "[" + ", ".join(shape(each) for each in spec["prefixItems"]) + "]"
        return "list of " + shape(spec.get("items", {})) + bounds(spec)
    if kind == "object":
        values = spec.get("additionalProperties")
        return "object" + (f" of {shape(values)}" if isinstance(values, dict) and values else "")
    return (str(kind) if kind else "any value") + bounds(spec)


def bounds(spec: dict[str, Any]) -> str:
    """The limits that a schema sets, in few words."""
    if spec.get("pattern") == limits.ID_PATTERN:
        return " (id)"
    said = []
    low, high, above = spec.get("minimum"), spec.get("maximum"), spec.get("exclusiveMinimum")
    if above is not None:
        said.append(f"> {above:g}")
    if low is not None:
        said.append(f"≥ {low:g}")
    if high is not None and high != limits.OFFSET_MAX:
        said.append(f"≤ {high:g}")
    for key, unit in (("maxLength", "characters"), ("maxItems", "items")):
        if key in spec:
            said.append(f"at most {spec[key]} {unit}")
    return f" ({', '.join(said)})" if said else ""


def fields(cls: type, *, without: Iterable[str] = ()) -> str:
    """The table of a message's fields."""
    spec = SCHEMAS[cls.__name__]
    required = set(spec.get("required", []))
    rows = []
    for name, field in spec["properties"].items():
        if name in without:
            continue
        default = (
            "required" if name in required else f"`{json.dumps(field.get('default'), ensure_ascii=False)}`"
        )
        rows.append((f"`{name}`", shape(field), default))
    return table(("field", "value", "default"), rows) if rows else ""


def described(classes: Iterable[type], *, without: Iterable[str], tag: str = "type") -> str:
    """A heading, what it says of itself, and its fields, for each of the classes."""
    out = []
    for cls in classes:
        names = f"`{schema.tag_of(cls)}`" if tag else f"`{cls.__name__}`"
        own = fields(cls, without=without)
        out.append(f"#### {names}\n\n{prose(cls)}\n" + (f"\n{own}" if own else ""))
    return "\n".join(out)


# -- protocol.md -------------------------------------------------------------------------------------------------


@block("subprotocols")
def subprotocols() -> str:
    """How messages may be written."""
    rows = [
        (f"`{codec.name}`", "binary" if codec.binary else "text", schema.CONTENT_TYPES[codec.binary])
        for codec in CODECS.values()
    ]
    return table(("subprotocol", "frames", "content"), rows)


@block("commands")
def commands_table() -> str:
    """Every command and its reply."""
    rows = [
        (f"`{schema.tag_of(cls)}`", f"`{schema.reply_of(cls)}`", prose(cls).split(" Reply:")[0])
        for cls in get_args(commands.Command)
    ]
    return table(("command", "reply", "what it is for"), rows)


@block("command-fields")
def command_fields() -> str:
    """The fields of every command, and of what they hold."""
    held = [commands.Submission, commands.InputMessage, commands.Deadlines]
    return (
        described(get_args(commands.Command), without=("type", "ref"))
        + "\n"
        + described(held, without=(), tag="")
    )


@block("replies")
def replies_fields() -> str:
    """The fields of every reply."""
    return described(get_args(replies.Reply), without=("type",))


@block("rows")
def rows_fields() -> str:
    """The fields of what replies and the feed carry."""
    return described([*replies.Row.__subclasses__(), pushes.FeedChat, pushes.FeedRequest], without=(), tag="")


@block("pushes")
def pushes_fields() -> str:
    """The fields of every push."""
    return described(get_args(pushes.Push), without=("type",))


@block("events")
def events_fields() -> str:
    """The fields of every event."""
    return described(events.KINDS, without=("type", "at", "span"))


@block("parts")
def parts_fields() -> str:
    """The fields of every part of a transcript, and of the transcript."""
    parts = described(get_args(transcript.TranscriptPart), without=("kind", "at"))
    return parts + "\n" + described([transcript.Transcript], without=(), tag="")


def steps() -> list[tuple[str, str, list[str]]]:
    """The lifecycle as (status, next status, kinds that lead there)."""
    out = []
    for status, row in TRANSITIONS.items():
        by_next: dict[str, list[str]] = {}
        for kind, following in row.items():
            by_next.setdefault(following, []).append(kind)
        out += [(str(status), following, kinds) for following, kinds in by_next.items()]
    return out


@block("lifecycle")
def lifecycle_table() -> str:
    """The table of statuses and events."""
    rows = [
        (f"`{status}`", ", ".join(f"`{kind}`" for kind in kinds), f"`{following}`")
        for status, following, kinds in steps()
    ]
    ended = ", ".join(f"`{status}`" for status, row in TRANSITIONS.items() if not row)
    rows.append((ended, "nothing: the log is sealed", ""))
    return table(("in status", "these events may follow", "and lead to"), rows)


@block("lifecycle-diagram")
def lifecycle_diagram() -> str:
    """The same, drawn."""
    lines = ["stateDiagram-v2", "    [*] --> new"]
    for status, following, kinds in steps():
        label = kinds[0] if len(kinds) == 1 else "output, checkpoint, started, …"
        lines.append(f"    {status} --> {following}: {label}")
    lines += [f"    {status} --> [*]" for status in TRANSITIONS if status in OUTCOME_STATUSES]
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


@block("errors")
def errors_table() -> str:
    """Every error code."""
    rows = [(f"`{code}`", "yes" if error.retryable else "no", error.advice) for code, error in ERRORS.items()]
    return table(("code", "retryable", "what to do"), rows)


@block("close-codes")
def close_codes_table() -> str:
    """Every close code."""
    rows = [
        (str(code), "yes" if close.reconnect else "no", close.meaning) for code, close in CLOSE_CODES.items()
    ]
    return table(("code", "reconnect", "meaning"), rows)


@block("limits")
def limits_table() -> str:
    """Every limit with its reason."""
    reasons = reasons_of(Path(limits.__file__))
    rows = []
    for name, value in vars(limits).items():
        if name.isupper() and name != "ID_PATTERN":
            rows.append((f"`{name.lower()}`", f"{value:,}".replace(",", " "), reasons.get(name, "")))
    return table(("limit", "value", "why"), rows)


def reasons_of(path: Path) -> dict[str, str]:
    """The text under each name of a module."""
    body = ast.parse(path.read_text("utf-8")).body
    found = {}
    for node, after in pairwise(body):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[node.target.id] = " ".join(str(after.value.value).split())
    return found


@block("digest-example")
def digest_example() -> str:
    """The digest of two parts, step by step."""
    from zlib import crc32

    parts = [("reasoning", "Hm."), ("text", "Voilà, 漢字.")]
    rows, lines = [], []
    for kind, text in parts:
        raw = text.encode()
        rows.append((kind, len(raw), crc32(raw)))
        lines.append(f'{kind} part showing "{text}": {len(raw)} bytes, CRC-32 {crc32(raw):08x}')
    result = digest.digest_of(rows)
    joined = "".join(f"{kind}:{size}:{crc:08x}\\n" for kind, size, crc in rows)
    lines.append(f'CRC-32 of "{joined}": {result.crc}')
    lines.append(f"so caught_up has parts {result.parts}, bytes {result.bytes}, digest {result.crc}")
    return "```text\n" + "\n".join(lines) + "\n```\n"


# -- configuration.md --------------------------------------------------------------------------------------------


def settings(section: type, path: str, *, environment: bool = True) -> str:
    """The table of a section: key, environment name, value, default."""
    rows = []
    for field in msgspec.structs.fields(section):
        key = f"{path}.{field.encode_name}" if path else field.encode_name
        spec = msgspec.json.schema(field.type, schema_hook=lambda _: {"type": "string"})
        if "$ref" in spec:
            continue  # a section of its own
        if field.default is not msgspec.NODEFAULT:
            default = f"`{json.dumps(field.default)}`"
        elif field.default_factory is not msgspec.NODEFAULT:
            default = f"`{json.dumps(field.default_factory())}`"
        else:
            default = "required"
        name = f"`{config.PREFIX}{key.replace('.', '__').upper()}`"
        rows.append((f"`{key}`", *([name] if environment else []), shape(spec), default))
    return table(("key", *(["environment"] if environment else []), "value", "default"), rows)


def section_block(name: str, section: type, path: str, *, environment: bool = True) -> None:
    """A block for a section of the configuration."""
    BLOCKS[f"settings-{name}"] = lambda: "\n\n".join(
        (prose(section), settings(section, path, environment=environment))
    )


for _name, _section, _path in (
    ("top", config.Config, ""),
    ("server", config.ServerSection, "server"),
    ("store", config.StoreSection, "store"),
    ("identity", config.IdentitySection, "identity"),
    ("limits", config.LimitsSection, "limits"),
    ("agent", config.AgentSection, "agents.NAME"),
    ("clocks", config.ClocksSection, "agents.NAME.clocks"),
):
    section_block(_name, _section, _path)
section_block(
    "tokens", config.Token, "", environment=False
)  # rows of a list have no names of their own there


# -- files -------------------------------------------------------------------------------------------------------


@file("docs/asyncapi.json")
def asyncapi() -> str:
    """The AsyncAPI document."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    return json.dumps(schema.asyncapi(setup["metadata"]["version"]), indent=2, ensure_ascii=False) + "\n"


def filled(text: str) -> str:
    """A page with its blocks as they should be. Raises: KeyError for a block that is not there."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- begin:{name} -->\n\n{BLOCKS[name]().strip()}\n\n<!-- end:{name} -->"

    return MARKS.sub(fill, text)


def wanted() -> dict[Path, str]:
    """Every file that is or holds something generated, as it should be."""
    out = {ROOT / path: text() for path, text in FILES.items()}
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text("utf-8")
        if MARKS.search(text):
            out[path] = filled(text)
    return out


def outdated() -> list[Path]:
    """The files that are not as they should be."""
    return [path for path, text in wanted().items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write them, or with `--check` name them."""
    stale = outdated()
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: make docs", file=sys.stderr)
        return 1 if stale else 0
    texts = wanted()
    for path in stale:
        path.write_text(texts[path], "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
