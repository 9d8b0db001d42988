"""Writes what in docs/ comes from the code: `make docs`. With `--check` it only says what is out of date, and exits 1.

A page takes a generated block by naming it between two marks, each on a line of its own:

    <!-- begin:errors -->
    <!-- end:errors -->

To add a block, write a function that returns its Markdown and mark it `@block("name")`, in the module of its page
(protocol_blocks.py, configuration_blocks.py, http_blocks.py). To add a whole file, mark a function here that returns its text
`@file("docs/name.json")`. tests/architecture/test_docs.py fails when anything is out of date, when a page names a block
that is not there, and when a block is on no page.
"""

from __future__ import annotations

import configparser
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import configuration_blocks  # noqa: F401  (it marks its blocks)
import http_blocks  # noqa: F401  (as above)
import protocol_blocks  # noqa: F401  (as above)
import wire_types
from blocks import BLOCKS, Text

from holdfast_protocol import schema
from holdfast_server.doors.http.openapi import document
from holdfast_server.doors.http.table import OPERATIONS

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
MARKS: Final = re.compile(
    r"^<!-- begin:(?P<name>[a-z-]+) -->\n(?P<body>.*?)^<!-- end:(?P=name) -->$", re.MULTILINE | re.DOTALL
)

FILES: Final[dict[str, Text]] = {}


def file(path: str) -> Callable[[Text], Text]:
    """Mark a function as the source of a whole file."""

    def mark(function: Text) -> Text:
        FILES[path] = function
        return function

    return mark


@file("docs/asyncapi.json")
def asyncapi() -> str:
    """The AsyncAPI document."""
    return json.dumps(schema.asyncapi(version()), indent=2, ensure_ascii=False) + "\n"


@file("docs/openapi.json")
def openapi() -> str:
    """The OpenAPI document of the native HTTP API."""
    return json.dumps(document(OPERATIONS, version()), indent=2, ensure_ascii=False) + "\n"


def version() -> str:
    """The program's, as it is packed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    return setup["metadata"]["version"]


@file("web/src/sdk/wire.gen.ts")
def wire() -> str:
    """The protocol as the browser's client reads it."""
    return wire_types.wire_types()


def filled(text: str) -> str:
    """A page with its blocks as they should be. Raises: KeyError for a block that is not there."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- begin:{name} -->\n\n{BLOCKS[name]().strip()}\n\n<!-- end:{name} -->"

    return MARKS.sub(fill, text)


def wanted() -> dict[Path, str]:
    """Every file that is or holds something generated, as it should be."""
    out = {ROOT / path: text() for path, text in FILES.items()}
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text("utf-8")
        if MARKS.search(text):
            out[path] = filled(text)
    return out


def outdated() -> list[Path]:
    """The files that are not as they should be."""
    return [path for path, text in wanted().items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write them, or with `--check` name them."""
    stale = outdated()
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: make docs", file=sys.stderr)
        return 1 if stale else 0
    texts = wanted()
    for path in stale:
        path.write_text(texts[path], "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
