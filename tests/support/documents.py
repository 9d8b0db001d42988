"""The pages of the project as tests read them: fenced blocks, links, and the names of tests.

A block that is a complete example says what it is in a comment above it, which no reader sees:

    <!-- run: agent -->     a file of agents: loaded, held against the suite of the port, and asked once
    <!-- run: client -->    a program that speaks to http://127.0.0.1:8080: run against a real server
    <!-- not run: why -->   a piece that is not complete

TOML needs no comment: it is a holdfast.toml, which is read, and its agents made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>(?:not )?run): (?P<what>[^\n]*?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_IMPLIED = {"toml": "config"}
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_TEST = re.compile(r"`(?P<path>tests/[\w/]+\.py)(?:::(?P<names>\w+(?:::\w+)?))?`")


class Block(NamedTuple):
    """A fenced block. `run`: what kind of example it is; `excuse`: why it is not run; both empty without a comment."""

    page: str
    line: int
    language: str
    run: str
    excuse: str
    text: str

    @property
    def name(self) -> str:
        """Where it is."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README.md, CHANGELOG.md and every page of docs/."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def title(page: Path) -> str:
    """The page's path from the root."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            page=title(page),
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            run=found["what"]
            if found["mark"] == "run"
            else _IMPLIED.get(found["language"], "")
            if not found["mark"]
            else "",
            excuse=found["what"] if found["mark"] == "not run" else "",
            text=found["text"],
        )
        for found in _FENCE.finditer(text)
    ]


def examples(kind: str) -> list[Block]:
    """Every block of that kind."""
    return [block for page in pages() for block in blocks(page) if block.run == kind]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[str]:
    """Where the page's links lead."""
    return [found["target"] for found in _LINK.finditer(prose(page))]


def named_tests(page: Path) -> list[tuple[str, str]]:
    """The tests that the page names, as (path, name); the name is empty where the whole file is meant."""
    return [(found["path"], found["names"] or "") for found in _TEST.finditer(page.read_text("utf-8"))]
