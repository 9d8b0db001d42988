"""The commands that have had no reply: each is held until it is answered, however many connections that takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast_protocol.commands import Command
from holdfast_protocol.limits import COMMAND_BYTES_MAX

from .errors import OutboxFull

OUTBOX_COMMANDS_MAX: Final = 1000
"""Commands that may wait for a reply; a program that has more in flight has lost count of them."""

OUTBOX_BYTES_MAX: Final = 16 * COMMAND_BYTES_MAX
"""Bytes of them; they are all held until answered, while there is no connection too."""


class Outbox:
    """Commands by their ref, in the order in which they were issued."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[Command, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, command: Command, frame_bytes: int) -> None:
        """Hold a command until `take`. Raises: OutboxFull, and then it is not held."""
        if len(self._held) >= OUTBOX_COMMANDS_MAX or self._bytes + frame_bytes > OUTBOX_BYTES_MAX:
            raise OutboxFull(f"{len(self._held)} commands wait for a reply; let some return first.")
        self._held[command.ref] = (command, frame_bytes)
        self._bytes += frame_bytes

    def take(self, ref: int) -> Command | None:
        """Let go of a command: it was answered, or nobody waits for that any more. None if it is not held."""
        entry = self._held.pop(ref, None)
        if entry is None:
            return None
        self._bytes -= entry[1]
        return entry[0]

    def commands(self) -> Iterable[Command]:
        """All of them, to be sent again."""
        return (command for command, _ in self._held.values())
