"""What people are told of a queued request: one sentence for each thing that it may wait for.

Clients in other languages say the same: protocol/vectors/queueing.json has an example of each.
"""

from __future__ import annotations

from typing import Final

WAITS_FOR: Final = {
    "user": "Waits for one of your own answers to end",
    "agent": "Waits for another answer of its agent to end",
    "after": "Waits for the answer before it in its chat",
    "not_before": "Waits for its time",
    "alone": "Waits for a server that runs nothing else",
    "no_worker": "Waits for a server that runs agents",
}
"""By reason; `slots`, and any reason that is not known, is told by the place."""


def waiting_sentence(place: int | None, reason: str | None = None, estimate_ms: int | None = None) -> str:
    """Why it waits and for about how long, as far as that is known."""
    said = WAITS_FOR.get(reason or "")
    if said is None:
        if place is None:
            said = "Waits for its turn"
        elif place == 0:
            said = "It is next"
        else:
            said = f"{place} {'is' if place == 1 else 'are'} before it"
    return f"{said}." if estimate_ms is None else f"{said}; about {about(estimate_ms)}."


def about(ms: int) -> str:
    """A time in round figures, never rounded down: nobody minds when it takes less."""
    seconds = max(1, -(-ms // 1000))
    if seconds > 10:
        seconds = -(-seconds // 10) * 10
    if seconds <= 90:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes <= 90 else f"{-(-minutes // 60)} h"
