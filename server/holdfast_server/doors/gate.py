"""How many connections, and how many commands: counts that derive from what is there, and a token bucket."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from holdfast_server.stores.base import Owner


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is not taken: the close code and a sentence."""

    code: int
    reason: str


FULL: Final = Refusal(1013, "This server has all the connections it can hold; try again later.")
TOO_MANY_OF_ADDRESS: Final = Refusal(4429, "Too many connections from your address have not said hello.")
TOO_MANY_OF_USER: Final = Refusal(4429, "You have too many connections; close one first.")


class Gate:
    """Connections in all, per address until it is known whose they are, and per user after that."""

    def __init__(self, total_max: int, anonymous_max: int, user_max: int) -> None:
        self._total_max = total_max
        self._anonymous_max = anonymous_max
        self._user_max = user_max
        self.total = 0
        self._anonymous: Counter[str] = Counter()
        self._users: Counter[Owner] = Counter()

    def enter(self, address: str | None) -> Refusal | Pass:
        """A connection came from that address; None: it is known whose it is, and strangers who share the address (behind
        a proxy, that may be all of them) do not keep it out. The pass counts it until it is given back."""
        if self.total >= self._total_max:
            return FULL
        if address is not None:
            if self._anonymous[address] >= self._anonymous_max:
                return TOO_MANY_OF_ADDRESS
            self._anonymous[address] += 1
        self.total += 1
        return Pass(self, address)


class Pass:
    """One connection's place in the counts."""

    def __init__(self, gate: Gate, address: str | None) -> None:
        self._gate = gate
        self._address = address
        self._owner: Owner | None = None
        self._held = True

    def known(self, owner: Owner) -> Refusal | None:
        """It is this user's: from now on it counts as such."""
        gate = self._gate
        if self._owner is not None:
            return None
        if gate._users[owner] >= gate._user_max:
            return TOO_MANY_OF_USER
        gate._users[owner] += 1
        self._owner = owner
        self._forget_address()
        return None

    def leave(self) -> None:
        """The connection has ended; harmless when repeated."""
        if not self._held:
            return
        self._held = False
        gate = self._gate
        gate.total -= 1
        self._forget_address()
        if self._owner is not None:
            gate._users[self._owner] -= 1
            if not gate._users[self._owner]:
                del gate._users[self._owner]

    def _forget_address(self) -> None:
        if self._address is not None:
            anonymous = self._gate._anonymous
            anonymous[self._address] -= 1
            if not anonymous[self._address]:
                del anonymous[self._address]
            self._address = None


class Bucket:
    """A token bucket: `rate` a second, and up to `burst` at once."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = now
        self.refused = 0  # since the last that was taken

    def take(self, now: float) -> bool:
        """Whether one more may pass now."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        self.refused = 0
        return True

    @property
    def wait_ms(self) -> int:
        """How long until the next may pass."""
        return max(1, round((1 - self._tokens) / self._rate * 1000))
