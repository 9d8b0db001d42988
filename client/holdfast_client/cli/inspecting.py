"""The command that looks into one request: its times, attempts, tokens and readers."""

from __future__ import annotations

import sys

from holdfast_protocol.events import Usage
from holdfast_protocol.replies import ReaderRow, RequestRow, TermRow

from .listing import printable, table, when
from .running import EXIT_OK, Settings, client_for
from .views import print_json


async def inspect(settings: Settings, request_id: str, *, owner: str | None, json: bool) -> int:
    """Print what is known: facts, then attempts, then readers."""
    async with client_for(settings) as client:
        found = await client.inspect(request_id, owner=owner)
    if json:
        print_json([found])
        return EXIT_OK
    facts(found.request)
    table("Attempts", ("attempt", "term", "from offset", "at", "why", "ran", "tokens"), terms(found.terms))
    table("Readers", ("connection", "client", "door", "since", "until", "offsets"), readers(found.readers))
    return EXIT_OK


def facts(row: RequestRow) -> None:
    """One line each; in a pipe with a tab between."""
    known = {
        "request": row.request_id,
        "owner": row.owner or "",
        "chat": row.chat_id or "",
        "about": printable(row.title),
        "agent": row.agent,
        "status": row.status if row.outcome is None else f"{row.status} ({row.outcome.code})",
        "asked": when(row.created_at),
        "waited": duration(row.created_at, row.started_at),
        "took": duration(row.started_at, row.ended_at),
        "tokens": tokens(row.usage),
        "tool calls": str(row.tools) if row.tools else "",
    }
    gap = "  " if sys.stdout.isatty() else "\t"
    for name, value in known.items():
        if value:
            print(f"{name.ljust(10) if gap != chr(9) else name}{gap}{value}")


def terms(rows: list[TermRow]) -> list[tuple[str, ...]]:
    """Cells of the times at which it was taken up."""
    return [
        (
            str(row.attempt), str(row.term), str(row.start), when(row.at), row.reason,
            duration(0, row.running_ms) if row.running_ms else "", tokens(row.usage),
        )
        for row in rows
    ]  # fmt: skip


def readers(rows: list[ReaderRow]) -> list[tuple[str, ...]]:
    """Cells of those who followed it."""
    return [
        (
            row.connection, row.client or "-", row.door, when(row.since),
            "now" if row.until is None else when(row.until), f"{row.start} to {row.end}",
        )
        for row in rows
    ]  # fmt: skip


def duration(start_ms: int | None, end_ms: int | None) -> str:
    """The time between, as people say it; empty if one end is not known."""
    if start_ms is None or end_ms is None:
        return ""
    seconds = max(0, end_ms - start_ms) / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def tokens(usage: Usage | None) -> str:
    """Tokens in and out."""
    if usage is None:
        return ""
    about = "about " if usage.estimated else ""
    return f"{about}{usage.input_tokens} in, {usage.output_tokens} out"
