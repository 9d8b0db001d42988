"""What webhooks are made of: the settings, a webhook with its tries, and the two ports (where rows are kept, what sends).

A webhook is `armed` when somebody asks for it, before its request is opened; `due` once the request has its outcome, and
tried again and again from then on; and ends as `delivered`, `gone` (the receiver said 410: it wants no more) or
`given_up` (the last try failed too).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from .stores.base import Key

State = Literal["armed", "due", "delivered", "gone", "given_up"]

ENDED: Final[tuple[State, ...]] = ("delivered", "gone", "given_up")

SENDING_MAX: Final = 20
"""Tries at once: each holds a socket and a body in memory, and waits mostly."""

HOST_SENDING_MAX: Final = 4
"""Tries at once to one host: enough for one that answers, and a fifth of all for one that does not."""

FAILING_HOST_SENDING_MAX: Final = 1
"""The same while the last try to it failed: a dead receiver holds one place until it answers again."""

TRIES_KEPT_MAX: Final = 30
"""Tries kept of one webhook, the latest: the whole schedule, twice repeated by hand."""

RETRY_AFTER_MAX_S: Final = 86_400.0
"""What a receiver may put off the next try by: as long as the schedule's own longest wait."""

JITTER: Final = 0.2
"""A wait is longer by up to this part of it, so that what failed together does not come back together."""

REASON_CHARS_MAX: Final = 200
"""Of why a try failed, or what the receiver said: one line in a list."""

RETRY_S: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Waits after the first try, the second, ...: a blink, a restart, a deployment, a night, a weekend; ten tries in all."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What an operator decides. `secrets` are texts `whsec_<base64>`: every try is signed with each, so that receivers can
    change over; without one there are no webhooks. `base_url` is where readers reach this server, for links in bodies;
    without it they are paths. `text_bytes_max` is what a body carries of the answer (UTF-8 bytes): receivers often take
    no more than some hundred kB, and the rest can be fetched. `keep_days`: how long one that has ended is shown. `undo_s`: how long the deletion of a chat can be taken back."""

    secrets: Sequence[str] = ()
    allow_private: bool = False
    allowed_hosts: Collection[str] = ()
    retry_s: Sequence[float] = RETRY_S
    timeout_s: float = 15.0
    text_bytes_max: int = 128 * 1024
    base_url: str = ""
    keep_days: float = 30.0
    undo_s: float = 30.0


class Try(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try: the status that came back, or the error; and what the receiver said, on one line. `at` is its beginning."""

    at: int
    duration_ms: int
    status: int | None = None
    error: str = ""
    said: str = ""

    @property
    def good(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of one request. `delivery_id` is the same in every try, so a receiver can tell a repetition; `tried` counts
    the tries since it was last made due, and `next_at` is when the next one is, while it is due. Times are in ms."""

    key: Key
    url: str
    host: str
    delivery_id: str
    state: State
    created_at: int
    updated_at: int
    next_at: int
    tried: int = 0
    tries: list[Try] = []


class Answer(NamedTuple):
    """What a receiver answered."""

    status: int
    retry_after: str | None = None  # the header as it came
    said: str = ""


class SendFailed(Exception):
    """Nothing came back; the text says why, without naming more than the receiver's owner knows."""


class Sender(Protocol):
    """Posts a body. Whoever calls it bounds its time."""

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post it, follow nothing. Raises: SendFailed."""


class Rows(Protocol):
    """Where webhooks are kept. Every call may raise Unavailable. Keys that are not there are passed over."""

    async def put(self, hook: Hook) -> None:
        """Keep it, in the place of one that is there."""

    async def of(self, key: Key) -> Hook | None:
        """The webhook of a request."""

    async def armed(self, after: Key | None, limit: int) -> list[tuple[Key, int]]:
        """The keys of armed ones in their order, each with when it was made."""

    async def make_due(self, keys: Collection[Key], at: int) -> None:
        """Those of them that are armed are due."""

    async def due(self, now: int, limit: int, without_hosts: Collection[str]) -> list[Hook]:
        """Those that are due, the longest waiting first; none of these hosts."""

    async def next_at(self, after: int) -> int | None:
        """When the next one is due, later than `after`."""

    async def take(self, hook: Hook, until: int) -> bool:
        """Put off the next try of a due one until then; False if it is not as it was read any more."""

    async def settle(self, hook: Hook) -> None:
        """Write what became of a due one, if it is the same delivery still."""

    async def again(self, key: Key, at: int) -> bool:
        """Make it due anew, unless it is armed; False if there is none to deliver."""

    async def remove(self, keys: Collection[Key]) -> None:
        """Forget them."""

    async def remove_unopened(self, keys: Collection[Key], before: int) -> None:
        """Forget those of them that are armed and were made before then."""

    async def remove_ended(self, before: int) -> None:
        """Forget those that ended before then."""


def wait_ms(settings: WebhookSettings, tried: int, retry_after_s: float | None, dice: float) -> int | None:
    """How long to wait after the `tried`-th try failed, or None if it was the last. `dice` is in [0, 1)."""
    if tried > len(settings.retry_s):
        return None
    own_s = settings.retry_s[tried - 1] * (1 + JITTER * dice)
    return round(1000 * max(own_s, min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)))


def retry_after_s(text: str | None, now_ms: int) -> float | None:
    """A Retry-After header in seconds from now; None if there is none, or none that can be read."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - now_ms / 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def one_line(text: str) -> str:
    """What somebody else wrote, short, on one line, without anything that a terminal obeys."""
    plain = "".join(char if char.isprintable() else " " for char in text[: 4 * REASON_CHARS_MAX])
    return " ".join(plain.split())[:REASON_CHARS_MAX].encode("utf-8", "replace").decode()
