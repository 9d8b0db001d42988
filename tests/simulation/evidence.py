"""What is left of a run, for the checker: what clients saw and were told, what the store holds, what upstream was asked.

Nothing here decides anything. A record is written at the moment something was seen, by whoever saw it; times are virtual.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from holdfast_protocol.digest import Digest
from holdfast_protocol.replies import ProbeRow
from holdfast_protocol.transcript import Transcript
from holdfast_server.stores.base import Key, Owner, key_of
from holdfast_server.stores.log import Log


class Saw(NamedTuple):
    """A client showed this much of an answer. `whole` is there where the server said that it is all."""

    client: str
    boot: int
    key: Key
    offset: int
    digest: Digest
    status: str
    whole: Transcript | None
    sealed: bool


class Told(NamedTuple):
    """A client got a reply. `what`: submit, cancel, decide, probe, lost (a following), refused, or the close code."""

    client: str
    boot: int
    key: Key | None
    what: str
    asked_at: float
    at: float
    value: Any


@dataclass(slots=True)
class Call:
    """The upstream was asked once."""

    key: Key
    attempt: int
    reason: str
    boot: int
    began_at: float
    ended_at: float | None = None
    how: Literal["open", "done", "failed", "bug", "waits", "cancelled"] = "open"
    outputs: int = 0
    seen: tuple[str, ...] = ()


@dataclass(slots=True)
class ClientEnd:
    """How a client ended."""

    name: str
    owner: Owner
    unanswered: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    starts_over: int = 0
    unreadable: int = 0
    backwards: list[str] = field(default_factory=list)
    rows: dict[str, tuple[int, str]] = field(default_factory=dict)

    def key(self, request_id: str) -> Key:
        """The key of its request."""
        return key_of(self.owner, request_id)


@dataclass(slots=True)
class Evidence:
    """Everything that one run left."""

    seed: int
    saw: list[Saw] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    ends: list[ClientEnd] = field(default_factory=list)
    logs: dict[Key, Log] = field(default_factory=dict)  # the last server's memory, at the end
    stored: dict[Key, Log] = field(default_factory=dict)  # what a start would find
    bodies: dict[Key, set[str | None]] = field(default_factory=dict)  # what the plan asks under each id
    erased: Key | None = None  # what was erased last of all
    history: dict[tuple[Key, str], tuple[str, str]] = field(
        default_factory=dict
    )  # (key, role) -> text, status
    zombies: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # what the server logged as an error
    left: dict[str, int] = field(default_factory=dict)  # what should have returned to nothing
    rolled_back_to: list[int] = field(default_factory=list)  # boots that began from an older disk
    broke: str = ""  # the run did not get to its end
    turns: int = 0

    @property
    def rolled_back_at(self) -> int:
        """The boot before which nothing that was acknowledged needs to hold; 0 if there is none."""
        return max(self.rolled_back_to, default=0)

    def probes(self) -> list[tuple[Told, ProbeRow]]:
        """Every row of every probe."""
        return [(told, row) for told in self.told if told.what == "probe" for row in told.value]
