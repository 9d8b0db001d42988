"""The blocks of docs/http.md that come from the code."""

from __future__ import annotations

from blocks import block, table

from holdfast_protocol.errors import ERRORS
from holdfast_server.doors.http.table import OPERATIONS
from holdfast_server.doors.refusal import ADVICE, STATUSES


@block("http-operations")
def operations() -> str:
    """Every operation, in the order of the table."""
    rows = [(f"`{one.method}`", f"`{one.path}`", one.summary) for one in OPERATIONS]
    return table(("method", "path", ""), rows)


@block("http-errors")
def errors() -> str:
    """Every code of the protocol that comes over HTTP, with its status."""
    rows = [
        (f"`{code}`", str(STATUSES[code]), "yes" if ERRORS[code].retryable else "no", advice)
        for code, advice in ADVICE.items()
    ]
    return table(("code", "status", "again?", "what to do"), rows)
