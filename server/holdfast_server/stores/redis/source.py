"""The functions that run inside Redis: the Lua files of this package, as one library whose names carry their version.

The library begins with lines made here, and then come the files in their order:

    #!lua name=holdfast_1_5f3a90c1
    local PREFIX = 'hf1_5f3a90c1_'

so that a file registers `redis.register_function(PREFIX .. 'open', ...)`, and Link.call("open", ...) finds it. The version is
that of the layout of the keys and a digest of the code: nodes of two releases that run at the same time load two libraries,
and neither takes the other's away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

LAYOUT = 1
"""Of the keys. Code of another layout must not touch them; code of the same may, whatever its release."""

ORDER = ("head", "publish", "queue", "nodes", "fleet", "journal", "restore", "inputs", "upkeep")
"""A file uses what the files before it define."""

DIGEST_CHARS = 8  # two releases of one layout with the same 32 bits do not happen


class Library(NamedTuple):
    """What is loaded: its name, and the whole source with its first lines."""

    name: str
    source: str


def prefix_of(library: str) -> str:
    """What the names of the functions of this library begin with."""
    return f"hf{library.removeprefix('holdfast_')}_"


def assembled(parts: Mapping[str, str]) -> Library:
    """The library made of these files (name without `.lua` to text); those that are missing are left out."""
    body = "\n".join(parts[name] for name in ORDER if name in parts)
    name = f"holdfast_{LAYOUT}_{hashlib.sha256(body.encode()).hexdigest()[:DIGEST_CHARS]}"
    # On one line: the line numbers in Redis' errors are those of head.lua, but for the two lines here.
    return Library(name, f"#!lua name={name}\nlocal PREFIX = '{prefix_of(name)}'\n{body}\n")


def library() -> Library:
    """The library of this release."""
    folder = files(__package__)
    found = {name: folder / f"{name}.lua" for name in ORDER}
    return assembled({name: place.read_text("utf-8") for name, place in found.items() if place.is_file()})
