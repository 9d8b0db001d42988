"""Filters of the list of requests: what fits, and how far one command looks."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_protocol.lifecycle import Status
from holdfast_server.filters import EVERY, SCANNED_ROWS_MAX, Filter, Page, filtered
from holdfast_server.stores.base import Key, Summary


def row(number: int, **fields: Any) -> Summary:
    given: dict[str, Any] = {"agent": "demo", "status": "completed", "text": f"question {number}"} | fields
    return Summary(
        key=Key("", "ann", f"r{number}"), chat_id=None, message_id=None, parent_id=None, created_at=number,
        updated_at=number, attempt=1, version=1, number=number, **given,
    )  # fmt: skip


class Store:
    """Rows by falling number."""

    def __init__(self, rows: list[Summary]) -> None:
        self.rows = sorted(rows, key=lambda row: -row.number)
        self.read_rows = 0

    async def read(self, limit: int, before: str | None) -> Page:
        left = [row for row in self.rows if before is None or row.number < int(before)]
        page = left[:limit]
        self.read_rows += len(page)
        return page, str(page[-1].number) if len(left) > limit else None


@pytest.mark.parametrize(
    ("which", "fits"),
    [
        (Filter(), True),
        (Filter(status=frozenset({"completed", "failed"})), True),
        (Filter(status=frozenset({"failed"})), False),
        (Filter(agent="demo"), True),
        (Filter(agent="dem"), False),
        (Filter(text="GRÜSSE"), True),
        (Filter(text="second line"), False),
        (Filter(tools=True), True),
    ],
)
def test_what_fits(which: Filter, fits: bool) -> None:
    """Any of the statuses, the very agent, the text anywhere in the title whatever its case, at least one tool call."""
    assert which.fits(row(1, text="Viele Grüße!\nsecond line", tools=2)) is fits


def test_no_tools_is_no_tool_call() -> None:
    """`tools` leaves out what called none."""
    assert not Filter(tools=True).fits(row(1))


@pytest.mark.parametrize(
    ("status", "live"),
    [((), False), (("running", "waiting"), True), (("running", "failed"), False), (("failed",), False)],
)
def test_live_statuses_are_looked_for_among_the_living(status: tuple[Status, ...], live: bool) -> None:
    """Only where every status that is asked for is one without an outcome."""
    assert Filter(status=frozenset(status)).live is live


@pytest.mark.parametrize("limit", [1, 3, 7, 200])
async def test_pages_together_are_what_fits(limit: int) -> None:
    """Whatever the limit, going on with the marks gives each row that fits once, in order."""
    store = Store([row(number, tools=number % 3 == 0) for number in range(1, 700)])
    which, got, mark = Filter(tools=True), [], None
    while True:
        rows, mark = await filtered(store.read, which, limit, mark)
        assert len(rows) <= limit
        got += [found.number for found in rows]
        if mark is None:
            break
    assert got == [number for number in range(699, 0, -1) if number % 3 == 0]


async def test_one_command_looks_at_so_many_rows() -> None:
    """Where nothing fits, it stops at the bound and tells where to go on; at the end there is nothing to go on to."""
    store = Store([row(number) for number in range(1, 2 * SCANNED_ROWS_MAX + 2)])
    which = Filter(agent="none")
    rows, mark = await filtered(store.read, which, 50, None)
    assert (rows, store.read_rows) == ([], SCANNED_ROWS_MAX)
    _, mark = await filtered(store.read, which, 50, mark)
    assert mark is not None
    assert await filtered(store.read, which, 50, mark) == ([], None)


async def test_without_a_filter_a_page_is_the_stores() -> None:
    """Nothing more is read than is shown."""
    store = Store([row(number) for number in range(1, 500)])
    rows, mark = await filtered(store.read, EVERY, 5, None)
    assert ([found.number for found in rows], mark) == ([499, 498, 497, 496, 495], "495")
    assert store.read_rows == 5
