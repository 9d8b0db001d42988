"""Commands that list: ls, agents, search."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from holdfast_protocol.queueing import waiting_sentence

from .running import EXIT_OK, Settings, client_for
from .views import print_json

if TYPE_CHECKING:
    from holdfast_protocol.replies import HitRow, RequestRow

_GAP: Final = 2
_SHORT_CELLS: Final = 16
"""A date's width: what is no longer is never cut."""

_LONG_CELLS_MIN: Final = 10
"""Less of a title would tell nothing."""


async def ls(settings: Settings, *, json: bool) -> int:
    """The chats, and the requests that run."""
    async with client_for(settings) as client:
        chats = (await client.chats()).chats
        running = (await client.requests(active=True)).requests
    if json:
        print_json([{"type": "chat", **_plain(row)} for row in chats])
        print_json([{"type": "request", **_plain(row)} for row in running])
        return EXIT_OK
    busy = {row.chat_id for row in running}
    table(
        "Chats",
        ("id", "title", "changed", ""),
        [
            (c.chat_id, c.title or "-", when(c.updated_at), "answering" if c.chat_id in busy else "")
            for c in chats
        ],
    )
    table(
        "Running requests",
        ("id", "status", "agent", "about"),
        [(r.request_id, r.status, r.agent, r.title or "-") for r in running],
        beneath=[_waits_for(r) for r in running],
    )
    return EXIT_OK


def _waits_for(row: RequestRow) -> str:
    """What a queued request waits for."""
    if row.status != "queued" or row.place is None:
        return ""
    return waiting_sentence(row.place, row.queue_reason, row.estimate_ms)


async def everyones(settings: Settings, *, json: bool) -> int:
    """The latest requests of all users."""
    async with client_for(settings) as client:
        rows = (await client.requests(everyone=True)).requests
    if json:
        print_json([{"type": "request", **_plain(row)} for row in rows])
        return EXIT_OK
    table(
        "Everybody's requests",
        ("id", "owner", "status", "agent", "asked", "about"),
        [(r.request_id, r.owner or "-", r.status, r.agent, when(r.created_at), r.title or "-") for r in rows],
    )
    return EXIT_OK


async def agents(settings: Settings, *, json: bool) -> int:
    """The agents that requests may name."""
    async with client_for(settings) as client:
        rows = await client.agents()
    if json:
        print_json(rows)
        return EXIT_OK
    table(
        "Agents",
        ("name", "model", "", ""),
        [(row.name + (" (default)" if row.default else ""), row.model, row.description, "") for row in rows],
    )
    return EXIT_OK


async def search(settings: Settings, query: str, *, json: bool) -> int:
    """Full-text search over titles and messages."""
    async with client_for(settings) as client:
        hits = (await client.search(query)).hits
    if json:
        print_json(hits)
    else:
        table(
            "Found",
            ("chat", "title", "in", "text"),
            [(h.chat_id, h.title, said_in(h), snippet(h.snippet)) for h in hits],
        )
    return EXIT_OK


def when(at_ms: int) -> str:
    """A time as people read it, in their own zone."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def said_in(hit: HitRow) -> str:
    """Where a hit was found: a chat's title, a question, an answer."""
    return {None: "title", "user": "question", "assistant": "answer"}.get(hit.role, hit.role or "")


def snippet(text: str) -> str:
    """A hit's snippet with its marks made visible."""
    return " ".join(text.replace("\x02", "«").replace("\x03", "»").split())


def printable(text: str) -> str:
    """On one line, and without anything that a terminal obeys: what is listed may be somebody else's."""
    return "".join(char if char.isprintable() else " " for char in text)


def _plain(row: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(row)
    return plain


def table(
    title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]], *, beneath: list[str] | None = None
) -> None:
    """A table on a terminal, with whole ids, two lines a row if it is narrow; tab-separated lines in a pipe. `beneath`: what
    else there is to say of each row, if anything; it stands in its last column, on a line of its own."""
    rows = [tuple(map(printable, row)) for row in rows]
    more = beneath or [""] * len(rows)
    if not sys.stdout.isatty():
        for row, text in zip(rows, more, strict=True):
            print("\t".join((*row, text)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not rows:
        console.print(f"{title}: none", style="dim")
        return
    shown = [n for n in range(len(heads)) if any(row[n] for row in rows)]
    columns = [[heads[n], *(row[n] for row in rows)] for n in shown]
    columns[-1] += more
    widths = _widths(columns, console.width)
    if widths is None:
        console.print(Text(title, style="bold"))
        for row, text in zip(rows, more, strict=True):
            console.print(Text(row[0], style="cyan"), soft_wrap=True)
            room = console.width - _GAP
            for line in (*_lines([row[n] for n in shown[1:] if row[n]], room), *_lines([text], room)):
                console.print(Text(" " * _GAP + line), no_wrap=True)
        return
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
    )
    for n, width in zip(shown, widths, strict=True):
        drawn.add_column(heads[n], no_wrap=True, overflow="ellipsis", width=width, style="" if n else "cyan")
    for row, text in zip(rows, more, strict=True):
        drawn.add_row(*(Text(row[n]) for n in shown))
        if text:
            drawn.add_row(*([""] * (len(shown) - 1)), Text(text, style="dim"))
    console.print(drawn)


def _lines(cells: list[str], room: int) -> list[str]:
    """A row's cells in lines of at most `room`: what is long is shortened until all of them stand on one; where that is not
    enough, others begin the next line."""
    from rich.cells import cell_len
    from rich.text import Text

    def cut(cell: str, width: int) -> str:
        text = Text(cell)
        text.truncate(max(1, width), overflow="ellipsis")
        return text.plain

    cells = [cell for cell in cells if cell]
    wanted = [cell_len(cell) for cell in cells]
    long = [n for n, width in enumerate(wanted) if width > _SHORT_CELLS]
    spare = room - _GAP * (len(cells) - 1) - sum(width for n, width in enumerate(wanted) if n not in long)
    if long and spare >= _LONG_CELLS_MIN * len(long):
        # The shorter ones first: what they do not need is left to the longer ones.
        for done, n in enumerate(sorted(long, key=lambda n: wanted[n])):
            cells[n] = cut(cells[n], spare // (len(long) - done))
            spare -= cell_len(cells[n])
    lines: list[str] = []
    for cell in cells:
        joined = f"{lines[-1]}{' ' * _GAP}{cell}" if lines else cell
        if lines and cell_len(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(cut(cell, room))
    return lines


def _widths(columns: list[list[str]], room: int) -> list[int] | None:
    """How wide each column is: whole ids and dates, and what is left for longer texts. None if that is too little."""
    from rich.cells import cell_len

    wanted = [max(map(cell_len, cells)) for cells in columns]
    long = [n for n, width in enumerate(wanted) if n and width > _SHORT_CELLS]
    spare = room - _GAP * (len(columns) - 1) - sum(width for n, width in enumerate(wanted) if n not in long)
    if spare < _LONG_CELLS_MIN * len(long):
        return None
    return [min(width, spare // len(long)) if n in long else width for n, width in enumerate(wanted)]
