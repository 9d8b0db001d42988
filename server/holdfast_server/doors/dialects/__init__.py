"""Five older dialects of asynchronous chat: submit, poll and stream as other servers had it, over the same journals."""

from .door import DialectsDoor

__all__ = ["DialectsDoor"]
