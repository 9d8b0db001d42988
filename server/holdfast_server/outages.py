"""What does not work and is tried again and again: said once, not at every try."""

from __future__ import annotations

from typing import Any, Final

REASONS_MAX: Final = 16
"""Reasons told of one outage: more than these say nothing new, and a text that is never the same twice must end too."""


class Outage:
    """One thing that is tried again until it works. Its first failure is logged, then every reason that was not told yet, and
    once that it is over; all between are at the level of debug. What carries no `is_outage` is a bug: an error with its
    stack (logs.py)."""

    def __init__(self, log: Any, begins: str, ends: str, **fields: Any) -> None:
        """`begins` and `ends` are the lines' events; `fields` go into each of them."""
        self._log = log
        self._begins = begins
        self._ends = ends
        self._fields = fields
        self._reasons: set[str] = set()
        self._failures = 0

    def failed(self, error: Exception | str, **fields: Any) -> None:
        """A try failed for this reason; `fields` say which one it was."""
        fields = {**self._fields, **fields}
        self._failures += 1
        reason = str(error)
        told = f"{type(error).__name__} {reason}"
        if told in self._reasons or len(self._reasons) >= REASONS_MAX:
            self._log.debug(self._begins, reason=reason, **fields)
            return
        self._reasons.add(told)
        if isinstance(error, str) or getattr(error, "is_outage", False):
            self._log.warning(self._begins, reason=reason, **fields)
        else:
            self._log.error(self._begins, exc_info=error, **fields)

    def over(self) -> None:
        """A try went well; harmless to say again."""
        if self._failures:
            self._log.info(self._ends, failures=self._failures, **self._fields)
            self._failures = 0
            self._reasons.clear()
