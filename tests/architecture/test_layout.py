"""The rules of the tree that no linter knows: sizes, names, what is packed, and what must not be in it."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"holdfast_protocol": "protocol", "holdfast_server": "server", "holdfast_client": "client"}

# What does not fit on a few screens hides a second noun.
FILE_LINES_MAX = 400

# Names that say nothing about what is inside.
EMPTY_NAMES = {
    "common",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "info",
    "manager",
    "managers",
    "util",
    "utils",
}

# A file speaks of the project, not of the folder on the machine where it was written.
FOREIGN = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w")

# Made by programs, or kept by the reader's own tools.
SKIPPED_DIRS = {
    ".git",
    ".venv",
    ".venv-lock",
    ".node",
    "build",
    "dist",
    "dist-sdk",
    "data",
    "node_modules",
    "__pycache__",
    ".hypothesis",
}
TEXT_SUFFIXES = {
    ".cfg",
    ".css",
    ".html",
    ".ini",
    ".js",
    ".json",
    ".lock",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".ts",
    ".tsx",
}
TEXT_NAMES = {"Dockerfile", "LICENSE", "Makefile", "run"}


def texts() -> Iterator[Path]:
    """Every text file of the project."""
    stack = [ROOT]
    while stack:
        for path in sorted(stack.pop().iterdir()):
            if path.is_symlink():
                continue
            if path.is_dir():
                skipped = path.name in SKIPPED_DIRS or path.name.endswith(("_cache", ".egg-info"))
                if not skipped:
                    stack.append(path)
            elif path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES:
                yield path


def sources() -> list[Path]:
    """Every Python file of the project."""
    return [path for path in texts() if path.suffix == ".py"]


def named(path: Path) -> str:
    """The path as a person would say it."""
    return str(path.relative_to(ROOT))


def test_files_are_short() -> None:
    """No Python file is longer than a few screens."""
    lines = {named(path): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert {name: n for name, n in lines.items() if n > FILE_LINES_MAX} == {}


def test_names_say_something() -> None:
    """No module or folder has a name that fits anything."""
    empty = [named(path) for path in sources() if EMPTY_NAMES & {path.stem, *path.relative_to(ROOT).parts}]
    assert empty == []


def test_modules_say_what_they_are_for() -> None:
    """Every module of the packages begins with a docstring."""
    silent = [
        named(path)
        for part in PARTS.values()
        for path in sources()
        if path.is_relative_to(ROOT / part) and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_tests_say_what_they_promise() -> None:
    """Every test has a docstring that says the behaviour it holds."""
    silent = [
        f"{named(path)}::{node.name}"
        for path in sources()
        if path.is_relative_to(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_project_speaks_only_of_itself() -> None:
    """No file names a folder of the machine it was written on."""
    found = [
        f"{named(path)}:{number}: {line.strip()[:80]}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert found == []


def test_every_package_is_packed() -> None:
    """The wheel holds every package that the tree holds, and names no other."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    listed = set(config["options"]["packages"].split())
    present = {
        ".".join(path.parent.relative_to(ROOT / part).parts)
        for part in PARTS.values()
        for path in (ROOT / part).rglob("__init__.py")
    }
    assert present == listed


@pytest.mark.parametrize("package", PARTS)
def test_packages_are_typed(package: str) -> None:
    """Every package tells type checkers of other projects that it is typed."""
    assert (ROOT / PARTS[package] / package / "py.typed").is_file()


def test_the_lock_holds_every_requirement_by_hash() -> None:
    """requirements.lock pins everything by hash, covers all that setup.cfg asks for, and names no address."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    groups = [
        config["options"]["install_requires"],
        *(config["options.extras_require"][x] for x in ("server", "dev")),
    ]
    wanted = {
        re.split(r"[\[<>=;]", line)[0].strip()
        for group in groups
        for line in group.splitlines()
        if line.strip()
    }
    pinned = set(re.findall(r"^([a-z0-9.-]+)==[^\s;]+(?: ; .*)? \\$", lock, re.MULTILINE))
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in wanted} <= pinned
    assert "://" not in lock


def test_the_public_face_defines_nothing() -> None:
    """`holdfast` forwards every name it promises, and knows where each lives."""
    import holdfast

    assert set(holdfast.__all__) == set(holdfast._HOMES)
    assert set(holdfast.__all__) <= set(dir(holdfast))
    with pytest.raises(AttributeError, match="no_such_name"):
        holdfast.__getattr__("no_such_name")
