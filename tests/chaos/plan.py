"""What a run asks, drawn from its seed: who asks what, when, through which doors, who reads along, who stops it."""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

import msgspec

from tests.support.script import Script

Kind = Literal["model", "waiter", "deadly"]
Door = Literal["ws", "http"]
Way = Literal["ws", "sse", "poll"]

USERS = ("ann", "ben", "cho")
DEVICES = 2  # of each user
PER_S = (
    2.5  # requests a second: what two cores stream beside three servers, without being busy with nothing else
)
LAST_S = 2.0  # nothing new is asked so shortly before the end of the faults
FAULTS_OF_MODEL = ("status", "cut", "eof", "garbage", "half_line", "error_object")


class Item(NamedTuple):
    """One request and what happens around it."""

    number: int
    at_s: float
    user: str
    request: str
    kind: Kind
    door: Door
    device: int
    chat: str | None
    script: Script | None
    priority: str
    readers: tuple[Way, ...]
    cancel_after_s: float | None
    twice: bool  # the same submit goes through two nodes at once
    slow: bool  # one of the readers reads in small pieces


def script_of(dice: random.Random, number: int) -> Script:
    """What the model says: another text at each call, so that mixed attempts are seen; a third of them go wrong once."""
    fault = dice.choice(FAULTS_OF_MODEL) if dice.random() < 0.3 else None
    deltas = dice.randint(15, 90)
    place = dice.randrange(deltas)
    values: dict[str, object] = {
        "seed": number + 1, "reseed": True, "deltas": deltas, "gap_ms": dice.choice([5, 20, 50]),
        "reasoning_deltas": dice.choice([0, 0, 4]), "split_utf8": dice.random() < 0.2,
    }  # fmt: skip
    if fault is not None:
        values[fault] = dice.choice([500, 502, 503]) if fault == "status" else place
    return msgspec.convert(values, Script)


def plan_of(seed: int, seconds: float, *, poison: bool) -> list[Item]:
    """The run's requests, in order of time. Shorter runs begin as longer ones do not: the times depend on `seconds`."""
    dice = random.Random(f"{seed}:plan")
    count = max(12, int(seconds * PER_S))
    last_s = max(1.0, seconds - LAST_S)
    times = sorted(dice.uniform(0, last_s) for _ in range(count))
    items = [_item(seed, number, at_s, dice) for number, at_s in enumerate(times)]
    if poison:
        middle = count // 4
        items[middle] = items[middle]._replace(
            kind="deadly", script=None, chat=None, cancel_after_s=None, twice=False
        )
    return items


def _item(seed: int, number: int, at_s: float, dice: random.Random) -> Item:
    user = USERS[int(len(USERS) * dice.random() ** 1.7)]  # the first asks most: fairness has something to do
    kind: Kind = "waiter" if dice.random() < 0.08 else "model"
    request = f"r{seed}-{number}"
    every: tuple[Way, ...] = ("ws", "sse", "poll")
    ways = [way for way in every if dice.random() < 0.55]
    return Item(
        number=number,
        at_s=at_s,
        user=user,
        request=request,
        kind=kind,
        door="ws" if dice.random() < 0.5 else "http",
        device=dice.randrange(DEVICES),
        chat=f"c{seed}-{number}" if dice.random() < 0.3 else None,
        script=script_of(dice, number) if kind == "model" else None,
        priority=dice.choice(["high", "low"]) if dice.random() < 0.3 else "normal",
        readers=tuple(ways),
        cancel_after_s=dice.uniform(0.0, 3.0) if kind == "model" and dice.random() < 0.12 else None,
        twice=dice.random() < 0.15,
        slow=dice.random() < 0.2,
    )
