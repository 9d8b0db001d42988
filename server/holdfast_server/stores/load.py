"""What runs, by whose it is and by its agent, and how fast it ends: what the limits and the order of claims rest on.

Every figure derives from leases: whoever gives or takes one says so here, in the stage that does it, and takes it back if
that stage comes to nothing. So none of them can leak (I10).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from .base import Owner

FLOW_MS: Final = 60_000
"""How far back the ends are counted that an estimate rests on: some answers long, and soon out of date."""

FLOW_ENDS_MIN: Final = 3
FLOW_MS_MIN: Final = 1_000
"""Ends, and time since the queue began to stand, before anything is estimated."""

FLOW_ENDS_MAX: Final = 4_096
"""Ends that are remembered; of a faster flow a shorter time is looked at."""


class Load:
    """Leases held: of each owner and each agent."""

    def __init__(self, owner_max: int | None, agents_max: Mapping[str, int]) -> None:
        self.owner_max = owner_max
        self.agents_max = {agent: most for agent, most in agents_max.items() if most > 0}
        self.owners: Counter[Owner] = Counter()
        self.agents: Counter[str] = Counter()

    def limited(self, agent: str) -> str | None:
        """The agent, if it has a limit."""
        return agent if agent in self.agents_max else None

    def has_slot(self, owner: Owner, more: int = 0) -> bool:
        """Whether one more of the owner's may run after `more` that do not yet."""
        return self.owner_max is None or self.owners[owner] + more < self.owner_max

    def agent_has_slot(self, agent: str | None, more: int = 0) -> bool:
        """Whether one more of the agent's may run after `more` that do not yet; None is one without a limit."""
        return agent is None or self.agents[agent] + more < self.agents_max[agent]

    def change(self, owner: Owner, agent: str, more: int) -> None:
        """`more` leases than before are held of this owner and agent."""
        self.owners[owner] += more
        if not self.owners[owner]:
            del self.owners[owner]
        self.agents[agent] += more
        if not self.agents[agent]:
            del self.agents[agent]


class Flow:
    """How many leases end in a second while somebody waits."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._ends: deque[int] = deque(maxlen=FLOW_ENDS_MAX)

    def standing(self, now: int, *, waits: bool) -> None:
        """Whether anything waits now. What ended while nothing waited says nothing about a queue."""
        if not waits:
            self._since = None
            self._ends.clear()
        elif self._since is None:
            self._since = now

    def ended(self, now: int) -> None:
        """A lease has ended."""
        if self._since is not None:
            self._ends.append(now)

    def per_s(self, now: int) -> float | None:
        """The rate; None if too little was seen."""
        ends = self._ends
        while ends and ends[0] < now - FLOW_MS:
            ends.popleft()
        if self._since is None or len(ends) < FLOW_ENDS_MIN:
            return None
        begun = ends[0] if len(ends) == FLOW_ENDS_MAX else max(self._since, now - FLOW_MS)
        return len(ends) * 1000 / max(FLOW_MS_MIN, now - begun) if now - begun >= FLOW_MS_MIN else None
