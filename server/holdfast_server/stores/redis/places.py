"""Where queued requests stand, asked of their shards and told with what this node knows of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from holdfast_server.stores.base import Key, Spot, StoreError

from .keys import prefix_of, tag_of
from .link import Call, Link
from .looks import Looks
from .nodes import Member
from .spots import Conditions, spot, waiting_of
from .tokens import Tokens


class Places:
    """Tells them. `most`: how many may run of one owner (0: any number)."""

    def __init__(
        self,
        link: Link,
        tokens: Tokens,
        looks: Looks,
        *,
        most: int,
        terms: Callable[[], list[str | int]],
        members: Callable[[], list[Member]],
        now_ms: Callable[[], int] | None,
    ) -> None:
        self._link = link
        self._tokens = tokens
        self._looks = looks
        self._most = most
        self._terms = terms
        self._members = members
        self._now_ms = now_ms

    async def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        """Where these stand; those that do not wait are left out, and those whose server is away while others answer. Raises:
        Unavailable."""
        by_tag: dict[str, list[Key]] = {}
        for key in keys:
            by_tag.setdefault(tag_of(key.owner), []).append(key)
        shut = await self._tokens.shut()
        conditions = self._conditions(shut)
        terms = self._terms()[:3]
        answers = await self._link.call_many(
            [
                Call("spots", tag, ("\n".join(sorted(shut)), *terms, *(prefix_of(key) for key in its)))
                for tag, its in by_tag.items()
            ]
        )
        found: dict[Key, Spot] = {}
        failures = [answer for answer in answers if isinstance(answer, StoreError)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        for its, answer in zip(by_tag.values(), answers, strict=True):
            if isinstance(answer, StoreError):
                continue
            owners = waiting_of(answer[0])
            for key, row in zip(its, answer[1], strict=True):
                if row:
                    found[key] = spot(owners, row, conditions)
        return found

    def _conditions(self, shut: frozenset[str]) -> Conditions:
        members = self._members()
        workers = [member for member in members if "worker" in member.roles]
        rate = sum(member.rate for member in members)
        busy = max(1, self._looks.busy)
        return Conditions(
            shut=shut, most=self._most, workers=bool(workers),
            free=sum(max(0, member.slots - member.running) for member in workers),
            rate=rate / busy if rate else None,
            now=self._now_ms() if self._now_ms is not None else time.time_ns() // 1_000_000,
        )  # fmt: skip
