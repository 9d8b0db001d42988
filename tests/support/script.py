"""What a scripted model says and how it fails: pure values, and the text a test may expect.

A `Script` is the whole behaviour of one request at the upstream. It travels inside the prompt, as a JSON object after a
line `#script:` in the last user message, so that any process can script the model without another channel; or it is
set in advance for a key. The same pure functions make the stream and tell the test what it was: `expected_text` is the
third oracle, beside what clients saw and what the log holds.

A call's deltas come in a fixed order: reasoning, text, tool calls. Faults are counted in deltas: `cut=3` sends three
and cuts. A fault bites in the first `faulty_calls` calls of a key (null: in every call), so that a retry gets through.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import random
from typing import Any, Literal, NamedTuple

import msgspec

MARK = "#script:"

# What breaks readers of streams: UTF-8 of 2, 3 and 4 bytes, joined emoji, a combining accent, what str.splitlines takes
# for a line's end (U+2028, U+2029, U+0085), quotes, backslashes, line ends, and text that looks like the wire itself.
_WORDS = (
    *(
        "the ",
        "answer ",
        "holds ",
        "fast ",
        "again, ",
        "and ",
        "é",
        "漢",
        "字",
        "ß",
        "😀",
        "👩\u200d👩\u200d👧",
        "e\u0301",
    ),
    *(
        "\u2028",
        "\u2029",
        "\u0085",
        '"',
        "'",
        "\\",
        "\\n",
        "\n",
        "\n\n",
        "\t",
        "data: ",
        "[DONE]",
        "{",
        "}",
        "</p>",
        "`",
    ),
)

Fault = Literal["stall", "cut", "eof", "half_line", "garbage", "error_object"]
FAULTS: tuple[Fault, ...] = ("stall", "cut", "eof", "half_line", "garbage", "error_object")


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool call: announced with its id and name, then its arguments in `fragments` pieces."""

    id: str
    name: str
    arguments: str = "{}"
    fragments: int = 2


class Script(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The behaviour of one request. Every field is a verb with a harmless default.

    Raises: ValueError (msgspec.ValidationError when decoded) for a script that contradicts itself.
    """

    text: str | None = None  # None: `deltas` * `delta_chars` characters drawn from `seed`
    seed: int = 0
    reseed: bool = (
        False  # each call of a key says another text, so that a superseded attempt can be told apart
    )
    deltas: int = 8  # of a drawn text; a given text is cut into deltas of `delta_chars`
    delta_chars: int = 12
    gap_ms: float = 0  # between two deltas
    slow_first_ms: float = 0  # before the answer's first byte, the headers included
    hold: int | None = None  # after so many deltas, wait until the test releases
    reasoning: str | None = None  # None: `reasoning_deltas` * `delta_chars` characters drawn from `seed`
    reasoning_deltas: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Literal["asked", "always", "never"] = "asked"
    finish_reason: str | None = None  # None: "tool_calls" where there are any, else "stop"
    escaped: bool = False  # \\uXXXX (surrogate pairs) in place of UTF-8 on the wire
    write_bytes: int = 0  # each write carries at most so many bytes; 0: a whole frame
    split_utf8: bool = False  # every frame is cut in the middle of each multi-byte character
    stamp: bool = False  # note the time of each delta in the call log, for latency
    # Faults: at most one; the number is the deltas sent before it.
    stall: int | None = None  # silent for ever, until the client goes
    cut: int | None = None  # the connection ends by `cut_by`
    eof: int | None = None  # a clean end of the HTTP body, without finish_reason and [DONE]
    half_line: int | None = None  # half of the next SSE line, then the end by `cut_by`
    garbage: int | None = None  # `data:` that is not JSON; the rest follows
    error_object: int | None = None  # `data: {"error": …}`, then a clean end
    status: int | None = None  # an HTTP error in place of the answer
    cut_by: Literal["rst", "fin", "eof"] = "rst"  # fin: without the last HTTP chunk; eof: with it
    retry_after_s: float | None = None
    retry_after_ms: float | None = None
    faulty_calls: int | None = 1  # the fault bites in the first n calls of a key; None: always

    def __post_init__(self) -> None:
        given = [name for name in (*FAULTS, "status") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"a script has at most one fault, this one has {', '.join(given)}")
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError("status is an HTTP error: 400 to 599")
        if self.delta_chars < 1 or self.deltas < 0 or self.reasoning_deltas < 0 or self.write_bytes < 0:
            raise ValueError(
                "delta_chars is at least 1; deltas, reasoning_deltas and write_bytes are not negative"
            )
        if any(call.fragments < 1 for call in self.tool_calls):
            raise ValueError("a tool call has at least one fragment of arguments")


class Delta(NamedTuple):
    """One delta: its kind, the text it adds, and what stands under `choices[0].delta`."""

    kind: Literal["reasoning", "text", "tool"]
    text: str
    wire: dict[str, Any]


@functools.lru_cache(maxsize=64)
def drawn_text(seed: int, chars: int) -> str:
    """`chars` code points drawn from `seed`: the same in every process and Python version."""
    dice = random.Random(seed)  # only random() is stable between versions
    words: list[str] = []
    size = 0
    while size < chars:
        words.append(_WORDS[int(dice.random() * len(_WORDS))])
        size += len(words[-1])
    return "".join(words)[:chars]


def _seed(script: Script, call: int) -> int:
    return script.seed + (call - 1) * 1_000_003 if script.reseed else script.seed


def expected_text(script: Script, call: int = 1) -> str:
    """The whole text of the answer that call number `call` of a key (from 1) gives when no fault bites."""
    if script.text is not None:
        return script.text
    return drawn_text(_seed(script, call), script.deltas * script.delta_chars)


def expected_reasoning(script: Script, call: int = 1) -> str:
    """The whole reasoning that call number `call` of a key gives when no fault bites."""
    if script.reasoning is not None:
        return script.reasoning
    return drawn_text(_seed(script, call) + 500_009, script.reasoning_deltas * script.delta_chars)


def deltas_of(script: Script, call: int = 1) -> list[Delta]:
    """Every delta of a clean call, in order."""
    deltas = [
        Delta("reasoning", piece, {"reasoning_content": piece})
        for piece in _pieces(expected_reasoning(script, call), script.delta_chars)
    ]
    deltas += [
        Delta("text", piece, {"content": piece})
        for piece in _pieces(expected_text(script, call), script.delta_chars)
    ]
    for index, tool in enumerate(script.tool_calls):
        opening = {
            "index": index,
            "id": tool.id,
            "type": "function",
            "function": {"name": tool.name, "arguments": ""},
        }
        deltas.append(Delta("tool", "", {"tool_calls": [opening]}))
        chars = max(1, -(-len(tool.arguments) // tool.fragments))
        deltas += [
            Delta("tool", piece, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in _pieces(tool.arguments, chars)
        ]
    return deltas


def fault_of(script: Script, call: int = 1) -> tuple[Fault, int] | None:
    """The fault of the stream that bites in call number `call`, and after how many deltas; None when it is clean.

    A script whose answer has fewer deltas than that fails after its last one.
    """
    if not is_faulty(script, call):
        return None
    for name in FAULTS:
        after = getattr(script, name)
        if after is not None:
            return name, int(after)
    return None


def is_faulty(script: Script, call: int) -> bool:
    """Whether the script's fault, if it has one, bites in call number `call`."""
    return script.faulty_calls is None or call <= script.faulty_calls


def text_sent(script: Script, call: int = 1) -> str:
    """The text that call number `call` sends before its fault; all of it when no fault bites, none on `status`.

    A reader of a connection cut by RST may have a shorter prefix: what was on its way is lost with it.
    """
    if script.status is not None and is_faulty(script, call):
        return ""
    fault = fault_of(script, call)
    deltas = deltas_of(script, call)
    return "".join(delta.text for delta in (deltas[: fault[1]] if fault else deltas) if delta.kind == "text")


def finish_reason_of(script: Script) -> str:
    """The finish_reason of a clean call."""
    return script.finish_reason or ("tool_calls" if script.tool_calls else "stop")


def scripted(prompt: str, script: Script) -> str:
    """The prompt that carries the script: send it as a user message."""
    return f"{prompt}\n{MARK}\n{msgspec.json.encode(script).decode()}"


def script_in(prompt: str) -> Script | None:
    """The script that a prompt carries; None where it carries none.

    Raises: ValueError when what follows the mark is not a script; the sentence says what is wrong with it.
    """
    start = 0 if prompt.startswith(MARK) else prompt.find("\n" + MARK) + 1
    if start == 0 and not prompt.startswith(MARK):
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(prompt[start + len(MARK) :].lstrip())
        return msgspec.convert(value, Script)
    except ValueError as error:  # json.JSONDecodeError and msgspec.ValidationError are ValueErrors
        raise ValueError(f"no script after {MARK!r}: {error}") from error


def content_text(message: dict[str, Any]) -> str:
    """The text of a chat message, whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def last_prompt(messages: list[dict[str, Any]]) -> str:
    """The text of the last user message; empty where there is none."""
    return next(
        (content_text(message) for message in reversed(messages) if message.get("role") == "user"), ""
    )


def sha256_of(messages: list[dict[str, Any]]) -> str:
    """The SHA-256 of what the model was asked: the messages as sorted JSON."""
    return hashlib.sha256(json.dumps(messages, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def writes_of(frame: bytes, script: Script) -> list[bytes]:
    """The writes in which a frame goes out."""
    cuts = {0, len(frame)}
    if script.split_utf8:
        cuts |= {
            index for index, byte in enumerate(frame) if 0x80 <= byte < 0xC0
        }  # before a continuation byte
    if script.write_bytes:
        cuts |= set(range(0, len(frame), script.write_bytes))
    edges = sorted(cuts)
    return [frame[start:end] for start, end in itertools.pairwise(edges)]


def _pieces(text: str, chars: int) -> list[str]:
    return [text[start : start + chars] for start in range(0, len(text), chars)]
