"""What a seed is about: who asks what and when, and which faults are meant to bite.

Everything is drawn before the run from dice of its own, so that a change in the core does not change the plan.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from holdfast_protocol.commands import Submission

RATES: Final = {
    "disk.refused": 0.04, "disk.reply_lost": 0.04, "disk.full": 0.02, "disk.kill_before_write": 0.01,
    "disk.kill_after_write": 0.015, "race.cancel": 0.1, "upstream.refuses": 0.12, "upstream.refuses_late": 0.004, "upstream.breaks": 0.02,
    "upstream.stalls": 0.006, "upstream.garbage": 0.004, "upstream.bug": 0.004, "history.unavailable": 0.06,
    "link.cut": 0.05, "link.half_open": 0.012, "link.stall": 0.03, "reader.stops": 0.03, "server.kill": 0.04,
    "server.drain": 0.02, "store.compacts": 0.06, "clock.jumps": 0.02, "zombie.claims": 0.05,
}  # fmt: skip
"""Places, and how often each goes wrong when asked."""

DELAYS: Final = {
    "disk.write": (0.0, 0.04), "disk.reply": (0.0, 0.03), "disk.full_for": (0.05, 1.5), "upstream.first": (0.0, 1.0),
    "upstream.chunk": (0.0, 0.4), "upstream.tool": (0.0, 1.0), "history.answers": (0.0, 0.05),
}  # fmt: skip

SWARM: Final = 0.6
"""The share of places that a seed leaves able to bite: what hides behind another fault is found by the seeds without."""

ROLLBACK_RATE: Final = 0.15
"""Runs in which the disk is once put back to an older state, as a restored backup would be."""


@dataclass(slots=True)
class Act:
    """At this time, this client does this."""

    at_s: float
    client: int
    verb: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """One run."""

    clients: list[str]  # their users
    acts: list[Act]
    steers: list[tuple[float, str, str]]  # when, whose, which request
    requests: list[tuple[str, str]]  # user, request id
    chaos_s: float
    slots: int
    user_open_max: int
    owner_running_max: int | None
    rollback_at_s: float | None


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(f"plan:{seed}")
    two = dice.random() < 0.35
    users = (
        ["ann", "ann", "bob", "bob"][: dice.choice([3, 4])] if two else ["ann"] * dice.choice([1, 2, 2, 3])
    )
    chaos_s = dice.uniform(1.0, 3.5)
    plan = Plan(
        clients=users, acts=[], steers=[], requests=[], chaos_s=chaos_s, slots=dice.choice([1, 2, 4]),
        user_open_max=dice.choice([1, 2, 100, 100]), owner_running_max=dice.choice([None, None, 1]), rollback_at_s=None,
    )  # fmt: skip
    if dice.random() < ROLLBACK_RATE:
        plan.rollback_at_s = dice.uniform(0.3, chaos_s)
    for user in dict.fromkeys(users):
        tabs = [number for number, of in enumerate(users) if of == user]
        _requests(plan, dice, user, tabs)
        for tab in tabs:
            if dice.random() < 0.5:
                plan.acts.append(Act(dice.uniform(0, chaos_s / 2), tab, "watch"))
    return plan


def _requests(plan: Plan, dice: random.Random, user: str, tabs: list[int]) -> None:
    ids = [f"r{number}" for number in range(dice.choice([1, 1, 2, 3]))]
    batch: list[Submission] = []
    for request_id in ids:
        plan.requests.append((user, request_id))
        submission = _submission(dice, user, request_id)
        if len(ids) > 1 and dice.random() < 0.3:
            batch.append(submission)
        else:
            _submits(plan, dice, tabs, submission)
        _around(plan, dice, user, tabs, submission)
    if batch:
        plan.acts.append(
            Act(dice.uniform(0, plan.chaos_s / 2), dice.choice(tabs), "submit", {"submissions": batch})
        )


def _submission(dice: random.Random, user: str, request_id: str) -> Submission:
    wait = dice.choice([None, None, None, "person", "steer"])
    options: dict[str, Any] = {"sections": dice.randint(2 if wait else 1, 3)}
    agent = dice.choice(["restart", "restart", "continues", "once"])
    if wait is not None:
        options["wait"] = wait
        if wait == "person" and dice.random() < 0.3:
            options["expires"] = dice.choice([0.5, 2.0])
    options |= {name: True for name in ("tool", "think") if dice.random() < 0.25}
    if agent != "continues" and dice.random() < 0.4:
        options["mark"] = True
    return Submission(
        request_id=request_id, text=f"{user} asks {request_id}", agent=agent, options=options,
        chat_id=dice.choice([None, None, "c1"]), append_only=agent == "restart" and dice.random() < 0.1,
    )  # fmt: skip


def _submits(plan: Plan, dice: random.Random, tabs: list[int], submission: Submission) -> None:
    """Once, or as impatient people and lost replies make it: several times, from several tabs."""
    at_s = dice.uniform(0, plan.chaos_s * 0.6)
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        follow = dice.random() < 0.85
        tab = dice.choice(tabs)
        plan.acts.append(Act(at_s, tab, "submit", {"submissions": [submission], "follow": follow}))
        at_s += dice.choice([0.0, 0.01, 0.3])


def _around(plan: Plan, dice: random.Random, user: str, tabs: list[int], submission: Submission) -> None:
    """What others do about it meanwhile."""
    request_id = submission.request_id or ""

    def act(rate: float, verb: str, **fields: Any) -> None:
        if dice.random() < rate:
            at_s = dice.uniform(0, plan.chaos_s)
            plan.acts.append(Act(at_s, dice.choice(tabs), verb, {"request_id": request_id, **fields}))

    for _ in tabs:
        act(0.6, "follow")
    act(0.2, "cancel")
    act(0.1, "cancel")
    act(0.15, "unfollow")
    act(0.2, "probe")
    act(0.15, "read")
    if dice.random() < 0.06:
        other = Submission(
            request_id=request_id, text=f"{user} asks something else", agent="once", options={"sections": 1}
        )
        plan.acts.append(
            Act(dice.uniform(0, plan.chaos_s), dice.choice(tabs), "submit", {"submissions": [other]})
        )
    if submission.options.get("wait") == "steer":
        plan.steers.append((dice.uniform(0, plan.chaos_s), user, request_id))
