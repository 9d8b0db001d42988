"""The pages are in step with the tree: links lead somewhere, tests that they name exist, what they list is all there is."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from holdfast_client.cli.program import app
from holdfast_protocol.errors import CLOSE_CODES, ERRORS
from tests.support.documents import ROOT, blocks, examples, links, named_tests, pages, prose, title

TESTS = ROOT / "tests"
TIERS = (
    "architecture",
    "unit",
    "conformance",
    "properties",
    "simulation",
    "integration",
    "faults",
    "browser",
)


def slug(heading: str) -> str:
    """The anchor of a heading, as it is made where the pages are read."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """The anchors of a page."""
    return {slug(found) for found in re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)}


@pytest.mark.parametrize("page", pages(), ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or folder that is there, and a heading that it has."""
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@cache
def functions(path: str) -> frozenset[str]:
    """The tests of a file: `test_x` and `TestX::test_x`, and the names of its classes."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
            inner = (n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}::{name}" for name in inner}
    return frozenset(found)


@pytest.mark.parametrize("page", pages(), ids=title)
def test_tests_that_are_named_exist(page: Path) -> None:
    """A page that says which test shows something names one that is there."""
    missing = [
        f"{path}::{name}"
        for path, name in named_tests(page)
        if not (ROOT / path).is_file() or (name and name not in functions(path))
    ]
    assert missing == []


def test_every_test_file_is_in_the_matrix() -> None:
    """docs/coverage.md names each file of tests, so that what is new finds its row."""
    named = {path for path, _ in named_tests(ROOT / "docs" / "coverage.md")}
    there = {
        str(path.relative_to(ROOT))
        for tier in TIERS
        for path in (TESTS / tier).rglob("test_*.py")
        if "support" not in path.parts  # the tests of what tests stand on are no promise of the product
    }
    assert sorted(there - named) == []


def commands(group: Any, before: str = "holdfast") -> set[str]:
    """Every command of the command line, as one types it."""
    found = set()
    for name, command in group.commands.items():
        found.add(f"{before} {name}")
        if hasattr(command, "commands"):
            found |= commands(command, f"{before} {name}")
    return found


def test_commands_in_the_readme_exist() -> None:
    """Whatever README.md and docs/ tell people to type is a command with these options."""
    group: Any = typer.main.get_command(app)
    known = commands(group)
    options = {"--help", "-h"} | {
        option
        for command in [group, *group.commands.values(), *group.commands["config"].commands.values()]
        for parameter in command.params
        for option in parameter.opts
    }
    wrong = []
    for page in pages():
        text = page.read_text("utf-8")
        for line in re.findall(r"(?:^\$ (?:.*\| )?|`)(holdfast [a-z][^`\n#]*)", text, re.MULTILINE):
            words = line.split()
            typed = " ".join(words[:3]) if words[1] == "config" and len(words) > 2 else " ".join(words[:2])
            if typed not in known or any(
                word.partition("=")[0] not in options for word in words if word.startswith("--")
            ):
                wrong.append(f"{title(page)}: {line}")
    assert wrong == []


def test_codes_are_documented() -> None:
    """Every error code and every close code has its place in docs/protocol.md."""
    text = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    assert [code for code in ERRORS if f"`{code}`" not in text] == []
    assert [code for code in CLOSE_CODES if not re.search(rf"^\| {code} ", text, re.MULTILINE)] == []


def test_python_on_the_pages_is_run() -> None:
    """A block of Python or TOML is run as a test, or says why it is not."""
    silent = [
        block.name
        for page in pages()
        for block in blocks(page)
        if block.language in ("python", "toml") and not (block.run or block.excuse)
    ]
    assert silent == []
    kinds = {block.run for page in pages() for block in blocks(page) if block.run}
    assert kinds <= {"agent", "client", "config"}
    assert all(examples(kind) for kind in kinds)
