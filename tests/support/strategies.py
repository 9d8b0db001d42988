"""What Hypothesis draws from: texts that break careless code, values, legal histories of a request, commands.

`histories` walks lifecycle.TRANSITIONS: in each status it draws among the kinds of that row, and from a small model of
the parts only what may happen to them. It does not use the fold, so that what it draws is a witness against the fold.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, TRANSITIONS, Status
from holdfast_protocol.limits import OFFSET_MAX

TRAPS: Final = (
    "", "é", "漢字", "𝔘", "𝄞 clef", "\u2028", "\u2029", "a\x00b", "\r\n", "\ufeff", "e\u0301", '"\\', "👩\u200d👧", "</s>",
)  # fmt: skip
"""Texts of one to four bytes per code point, line ends of other alphabets, marks that combine, escapes, nothing."""

texts: Final = st.one_of(st.sampled_from(TRAPS), st.text(max_size=12))
times: Final = st.integers(0, OFFSET_MAX)
ids: Final = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
nonces: Final = st.text("0123456789abcdef", min_size=8, max_size=32)
numbers: Final = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False))
scalars: Final = st.one_of(st.none(), st.booleans(), numbers, texts)
values: Final[st.SearchStrategy[Any]] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""What both codecs can say."""

later_kinds: Final = st.sampled_from(["reaction", "image_started", "handover_note"])
"""Kinds that a later release might add."""


THEMES: Final[tuple[tuple[str, ...], ...]] = (
    ("part_started", "delta", "part_done"),
    ("tool_call", "delta", "part_done", "tool_result"),
    ("progress",),
    ("data",),
    ("waiting", "started", "decided"),
    ("checkpoint", "started"),
    ("started",),
    ("source", "file", "input"),
    ("usage",),
    ("later",),
)
"""What a history is about. Few themes at a time: the rare sequences come up where few other things can happen."""


class _Part:
    """What the walk knows of a part: its kind, whether it is open, whether a call's arguments are complete."""

    def __init__(self, kind: str, *, open_: bool = False, where: str = "server", wait_id: str = "") -> None:
        self.kind = kind
        self.open = open_
        self.where = where
        self.wait_id = wait_id
        self.called = False
        self.answered = False

    @property
    def grows(self) -> bool:
        """Whether a delta may name it; one for a part that nobody knows is ignored."""
        grows = self.kind in ("text", "reasoning", "tool") and self.open and not self.called
        return grows or self.kind == "unknown"


class _Walk:
    """A history in the making. Each `_<kind>` method draws that event, or gives None where it cannot happen now."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.status: Status = "new"
        self.events: list[ev.Event] = []
        self.parts: list[_Part] = []
        self.checkpoints: list[tuple[int, int]] = []
        self.attempt = 0
        self.term = 0

    def can(self, kind: str) -> bool:
        """Whether the parts allow this kind now."""
        match kind:
            case "checkpoint":
                return not any(part.open for part in self.parts)
            case "decided":
                return any(part.kind == "wait" and part.open for part in self.parts)
            case "delta":
                return any(part.grows for part in self.parts)
            case "part_done":
                return any(part.grows and part.kind != "unknown" for part in self.parts)
            case "tool_result":
                return any(part.called and not part.answered for part in self.parts)
        return True

    def step(self, wanted: set[str]) -> None:
        """Draw one event of the wanted kinds, or of any kind that the row has if none of them can happen."""
        row = [kind for kind in TRANSITIONS[self.status] if self.can(kind)]
        kinds = [kind for kind in [*row, "later"] if kind in wanted]
        if not kinds:
            kinds = [kind for kind in row if kind not in OUTCOME_STATUSES]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "later":
            self.events.append(self._later())
            return
        event = self._outcome(kind) if kind in OUTCOME_STATUSES else getattr(self, f"_{kind}")()
        self.events.append(event)
        self.status = TRANSITIONS[self.status][kind]

    def at(self) -> int:
        """A time; the writer's clock may jump."""
        at: int = self.draw(times)
        return at

    def pick(self, where: Callable[[_Part], bool]) -> int:
        """The number of a part for which `where` holds."""
        number: int = self.draw(st.sampled_from([n for n, part in enumerate(self.parts) if where(part)]))
        return number

    def open(self, part: _Part) -> int:
        """Its number."""
        self.parts.append(part)
        return len(self.parts) - 1

    # -- life ------------------------------------------------------------------------------------------------

    def _accepted(self) -> ev.Event:
        optional = st.none() | ids
        return ev.Accepted(
            at=self.at(), nonce=self.draw(nonces), agent=self.draw(texts), chat_id=self.draw(optional),
            message_id=self.draw(optional), parent_id=self.draw(optional), append_only=self.draw(st.booleans()),
            projections=self.draw(st.dictionaries(ids, st.integers(0, 9), max_size=2)),
        )  # fmt: skip

    def _started(self) -> ev.Event:
        keeps: list[ev.Keep] = ["all", "all", "none", *(offset for offset, _ in self.checkpoints)]
        keep: ev.Keep = self.draw(st.sampled_from(keeps)) if self.attempt else "all"
        if keep == "none":
            self.parts, self.checkpoints = [], []
        elif isinstance(keep, int):
            place = [offset for offset, _ in self.checkpoints].index(keep)
            self.parts = self.parts[: self.checkpoints[place][1]]
            self.checkpoints = self.checkpoints[: place + 1]
        reasons: list[ev.Reason] = ["retry", "recovered", "resumed", "handed_over"]
        reason: ev.Reason = self.draw(st.sampled_from(reasons)) if self.attempt else "first"
        self.attempt += reason in ("first", "retry", "recovered")
        self.term += reason != "retry"
        return ev.Started(
            at=self.at(),
            attempt=self.attempt,
            term=self.term,
            nonce=self.draw(nonces),
            keep=keep,
            reason=reason,
        )

    def _checkpoint(self) -> ev.Event:
        self.checkpoints.append((len(self.events), len(self.parts)))
        return ev.Checkpoint(at=self.at())

    def _waiting(self) -> ev.Event:
        wait_id = self.draw(ids)
        return ev.Waiting(
            at=self.at(), part=self.open(_Part("wait", open_=True, wait_id=wait_id)), wait_id=wait_id,
            kind=self.draw(texts), body=self.draw(values), digest=self.draw(nonces),
            expires_at=self.draw(st.none() | times),
        )  # fmt: skip

    def _decided(self) -> ev.Event:
        number = self.pick(lambda part: part.kind == "wait" and part.open)
        self.parts[number].open = False
        wait_id, expired = self.parts[number].wait_id, self.draw(st.booleans())
        return ev.Decided(
            at=self.at(), part=number, wait_id=wait_id, decision=self.draw(values), expired=expired
        )

    def _outcome(self, kind: str) -> ev.Event:
        cls = {ev.KINDS[cls]: cls for cls in ev.OUTCOMES}[kind]
        return cls(
            at=self.at(), code=self.draw(ids), message=self.draw(texts), retryable=self.draw(st.booleans())
        )

    def _later(self) -> ev.Event:
        kind, part = self.draw(later_kinds), self.draw(st.integers(0, 5))
        fields: dict[str, Any] = {"type": kind, "at": self.at(), "new": self.draw(values)}
        if self.draw(st.booleans()):
            fields["part"] = part = self.draw(st.sampled_from([part, len(self.parts)]))
            if part == len(self.parts) and self.status == "running":
                self.open(_Part("unknown"))
        raw = msgspec.msgpack.encode(fields)
        return ev.Unknown(at=fields["at"], type=kind, part=fields.get("part"), raw=raw)

    # -- output ----------------------------------------------------------------------------------------------

    def _part_started(self) -> ev.Event:
        kind = self.draw(st.sampled_from(["text", "reasoning"]))
        return ev.PartStarted(at=self.at(), part=self.open(_Part(kind, open_=True)), kind=kind)

    def _delta(self) -> ev.Event:
        return ev.Delta(at=self.at(), part=self.pick(lambda part: part.grows), text=self.draw(texts))

    def _part_done(self) -> ev.Event:
        number = self.pick(lambda part: part.grows and part.kind != "unknown")
        part = self.parts[number]
        part.called = part.kind == "tool"
        part.open = part.called and part.where == "server"
        return ev.PartDone(at=self.at(), part=number)

    def _tool_call(self) -> ev.Event:
        where = self.draw(st.sampled_from(["server", "client"]))
        number = self.open(_Part("tool", open_=True, where=where))
        return ev.ToolCall(
            at=self.at(), part=number, call_id=self.draw(ids), name=self.draw(texts), where=where
        )

    def _tool_result(self) -> ev.Event:
        number = self.pick(lambda part: part.called and not part.answered)
        self.parts[number].answered, self.parts[number].open = True, False
        return ev.ToolResult(
            at=self.at(), part=number, output=self.draw(texts), is_error=self.draw(st.booleans())
        )

    def _replaced(self, kind: str) -> int:
        if any(part.kind == kind for part in self.parts) and self.draw(st.booleans()):
            return self.pick(lambda part: part.kind == kind)
        return self.open(_Part(kind))

    def _progress(self) -> ev.Event:
        count = st.none() | st.integers(0, 99)
        return ev.Progress(
            at=self.at(), part=self._replaced("progress"), id=self.draw(ids), label=self.draw(texts),
            kind=self.draw(texts), step=self.draw(count), total=self.draw(count),
            percent=self.draw(st.none() | st.floats(0, 100)), state=self.draw(st.sampled_from(["running", "done", "failed"])),
        )  # fmt: skip

    def _data(self) -> ev.Event:
        number = self._replaced("data")
        return ev.Data(
            at=self.at(), part=number, id=self.draw(ids), name=self.draw(texts), data=self.draw(values)
        )

    def _source(self) -> ev.Event:
        number = self.open(_Part("source"))
        return ev.Source(
            at=self.at(), part=number, id=self.draw(ids), url=self.draw(texts), title=self.draw(texts)
        )

    def _file(self) -> ev.Event:
        number = self.open(_Part("file"))
        return ev.File(
            at=self.at(), part=number, id=self.draw(ids), url=self.draw(texts), name=self.draw(texts)
        )

    def _input(self) -> ev.Event:
        number = self.open(_Part("input"))
        return ev.Input(at=self.at(), part=number, id=self.draw(ids), text=self.draw(texts))

    def _usage(self) -> ev.Event:
        tokens = st.integers(0, 10**6)
        return ev.Usage(at=self.at(), input_tokens=self.draw(tokens), output_tokens=self.draw(tokens))


@st.composite
def histories(
    draw: Callable[[Any], Any], *, events_max: int = 40, ended: bool | None = None
) -> list[ev.Event]:
    """A log that a correct writer may have written, from offset 0; `ended`: with its outcome (None: either)."""
    walk = _Walk(draw)
    walk.step({"accepted"})
    themes = draw(st.lists(st.sampled_from(THEMES), min_size=1, max_size=4))
    wanted = {kind for theme in themes for kind in theme}
    for _ in range(draw(st.integers(0, events_max - 2))):
        walk.step(wanted)
    if draw(st.booleans()) if ended is None else ended:
        walk.step(set(OUTCOME_STATUSES))
    return walk.events


# -- commands ----------------------------------------------------------------------------------------------------

refs: Final = st.integers(0, OFFSET_MAX)
options: Final = st.dictionaries(texts, values, max_size=3)
deadlines: Final = st.builds(
    cmd.Deadlines,
    queue_s=st.none() | st.floats(0.001, 600_000),
    total_s=st.none() | st.floats(0.001, 600_000),
)
calls: Final = st.builds(
    cmd.InputToolCall, call_id=st.text(min_size=1, max_size=64), name=ids, arguments=texts
)
messages: Final = st.builds(
    cmd.InputMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    text=texts,
    tool_calls=st.lists(calls, max_size=2),
    call_id=st.none() | st.text(min_size=1, max_size=64),
)
submissions: Final = st.builds(
    cmd.Submission,
    request_id=st.none() | ids,
    chat_id=st.none() | ids,
    message_id=st.none() | ids,
    parent_id=st.none() | ids,
    text=st.none() | texts,
    messages=st.lists(messages, max_size=3),
    agent=st.none() | st.text(min_size=1, max_size=64),
    options=options,
    deadlines=deadlines,
    append_only=st.booleans(),
)
"""What somebody may ask; whether it makes sense is for the server to say."""

_SPECIAL: Final[dict[type, st.SearchStrategy[Any]]] = {
    cmd.Submit: st.builds(cmd.Submit, ref=refs, request=submissions, follow=st.booleans()),
    cmd.SubmitMany: st.builds(
        cmd.SubmitMany,
        ref=refs,
        requests=st.lists(submissions, min_size=1, max_size=3),
        follow=st.booleans(),
    ),
    cmd.Decide: st.builds(
        cmd.Decide, ref=refs, request_id=ids, wait_id=st.text(max_size=64), decision=values
    ),
    cmd.Probe: st.builds(cmd.Probe, ref=refs, request_ids=st.lists(ids, min_size=1, max_size=5)),
}


def _command(cls: type) -> st.SearchStrategy[Any]:
    if cls in _SPECIAL:
        return _SPECIAL[cls]
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name in cls.__struct_fields__:  # type: ignore[attr-defined]
        if name == "ref":
            fields[name] = refs
        elif name.endswith("_id"):
            fields[name] = ids
        elif name in ("limit", "start"):
            fields[name] = st.integers(1, 200)
        elif name in ("follow", "active", "archived", "seen", "everyone", "tools"):
            fields[name] = st.booleans()
        elif name == "status":
            fields[name] = st.lists(st.sampled_from(list(TRANSITIONS)), max_size=3)
        elif name in ("owner", "text"):
            fields[name] = st.none() | st.text(min_size=1, max_size=20)
        elif name in ("query", "title", "agent", "client", "token", "cursor", "before"):
            fields[name] = st.text(min_size=1, max_size=20)
        else:
            raise AssertionError(f"say what {cls.__name__}.{name} may be")
    return st.builds(cls, **fields)


commands: Final[st.SearchStrategy[Any]] = st.one_of(
    *(_command(cls) for cls in cmd.CommandBase.__subclasses__())
)
"""Every command."""
