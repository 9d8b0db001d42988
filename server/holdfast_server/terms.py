"""What all runs of a node share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from .agents.base import Agent, Message
from .stores.base import Record, Store
from .tasks import Tasks

History = Callable[[Record], Awaitable[Sequence[Message]]]


@dataclass(frozen=True, slots=True)
class Terms:
    """Handed to every run by the runner. `history` gives the messages up to and with the one that is asked; `dice` draws
    evenly from [0, 1)."""

    store: Store
    agents: Mapping[str, Agent]
    history: History
    now_ms: Callable[[], int]
    tasks: Tasks
    dice: Callable[[], float]
    cancel_grace_s: float
    answer_bytes_max: int
    narrate: bool
