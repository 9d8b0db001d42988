"""The blocks of protocol.md: messages, the lifecycle, errors and limits, from the protocol's own definitions."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path
from typing import get_args

from blocks import block, described, prose, table

from holdfast_protocol import commands, digest, events, limits, pushes, replies, schema, transcript
from holdfast_protocol.codec import CODECS
from holdfast_protocol.errors import CLOSE_CODES, ERRORS
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, TRANSITIONS


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
    held = [commands.Submission, commands.InputMessage, commands.InputToolCall, commands.Deadlines]
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
