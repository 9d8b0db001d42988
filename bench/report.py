"""What a scenario gives back: tables of what was measured, as text for a terminal and as Markdown, and how to read them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is. `quick` keeps a bench alive in tests: its figures mean nothing."""

    quick: bool = False

    def pick(self, full: int, quick: int) -> int:
        """One of the two."""
        return quick if self.quick else full

    @property
    def start_s(self) -> float:
        """Over which streams begin, so that they do not tick together."""
        return 0.1 if self.quick else 1.5

    @property
    def settle_s(self) -> float:
        """Before and after what is measured."""
        return 0.2 if self.quick else 0.7

    @property
    def measured_s(self) -> float:
        """How long a stretch is measured."""
        return 0.5 if self.quick else 3.0

    @property
    def streamed_s(self) -> float:
        """How long the streams must last for all this."""
        return self.start_s + 2 * self.settle_s + self.measured_s


@dataclass(slots=True)
class Table:
    """Rows under a head; the first column is left-aligned, the others are figures."""

    title: str
    head: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Another row."""
        self.rows.append(list(cells))

    def markdown(self) -> str:
        """As GitHub shows it."""
        lines = [self.head, ["---", *("---:" for _ in self.head[1:])], *self.rows]
        return f"{self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def text(self) -> str:
        """For a terminal."""
        widths = [max(len(row[index]) for row in [self.head, *self.rows]) for index in range(len(self.head))]
        lines = [
            "  ".join(
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in [self.head, *self.rows]
        ]
        return "\n".join([self.title, "", lines[0], "-" * len(lines[0]), *lines[1:]]) + "\n"


@dataclass(slots=True)
class Report:
    """One scenario's part of the results."""

    title: str
    method: str
    tables: list[Table] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Its section of RESULTS.md."""
        tables = "\n".join(table.markdown() for table in self.tables)
        reading = "\n".join(f"- {line}" for line in self.reading)
        return f"## {self.title}\n\n{textwrap.fill(self.method, 120)}\n\n{tables}\n{reading}\n"

    def text(self) -> str:
        """For a terminal."""
        tables = "\n".join(table.text() for table in self.tables)
        return f"== {self.title}\n\n{tables}\n" + "\n".join(f"* {line}" for line in self.reading) + "\n"


def spread(values: Iterable[float], digits: int = 1) -> str:
    """The median and the range of repetitions: `4.2 (3.9–5.0)`; the value alone where there is one."""
    known = sorted(values)
    if not known:
        return "–"
    middle = f"{median(known):,.{digits}f}"
    return middle if len(known) == 1 else f"{middle} ({known[0]:,.{digits}f}–{known[-1]:,.{digits}f})"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies; `values` need not be sorted."""
    known = sorted(values)
    return known[min(len(known) - 1, int(len(known) * share))] if known else float("nan")


def times(value: float) -> str:
    """A ratio."""
    return f"{value:,.2f}×" if value < 10 else f"{value:,.0f}×"
