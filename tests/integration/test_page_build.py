"""What the build of the page made: little enough to load first, complete, and in need of nobody else."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from holdfast_server.doors.page_files import COPIES, FOLDER, HASHED, INDEX, read_page

pytestmark = pytest.mark.needs("page")

FIRST_LOAD_BYTES_MAX = 250_000
"""Compressed JavaScript before the page can show a chat: a second on a slow phone's network."""

SCRIPT = re.compile(r'<script\b[^>]*\bsrc="/([^"]+)"|<link\b[^>]*\brel="modulepreload"[^>]*\bhref="/([^"]+)"')


def first_load() -> dict[str, int]:
    """Every script that the document and its static imports load, with what it weighs compressed."""
    manifest: dict[str, Any] = json.loads((FOLDER / ".vite" / "manifest.json").read_text("utf-8"))
    html = (FOLDER / INDEX).read_text("utf-8")
    names = {src or href for src, href in SCRIPT.findall(html)}
    chunks, reached = [manifest[INDEX]], set()
    while chunks:
        chunk = chunks.pop()
        if chunk["file"] not in reached:
            reached.add(chunk["file"])
            chunks += [manifest[name] for name in chunk.get("imports", ())]
    names |= {name for name in reached if name.endswith((".js", ".mjs"))}
    return {name: len(gzip.compress((FOLDER / name).read_bytes(), 9)) for name in names}


def test_the_first_load_is_within_its_budget() -> None:
    """What must arrive before anything is seen stays under the budget; the rest comes when it is wanted."""
    sizes = first_load()
    assert sizes
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    assert total <= FIRST_LOAD_BYTES_MAX, f"{total:,} bytes in {largest}"


def test_the_document_keeps_its_own_policy() -> None:
    """Neither document has anything inline or from elsewhere: it would be refused where it is served."""
    for name in (INDEX, "diagram.html"):
        html = (FOLDER / name).read_text("utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)", html), name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|(?:src|href)=\"(?:https?:)?//", html), name


def test_large_texts_have_their_copies() -> None:
    """Every script and style sheet worth it is there in both encodings, smaller than it is; fonts are not packed again."""
    bare = []
    for path in FOLDER.rglob("*"):
        if path.suffix in (".js", ".css") and path.stat().st_size > 4096:
            copies = [Path(f"{path}{suffix}") for suffix in COPIES]
            if not all(copy.is_file() and copy.stat().st_size < path.stat().st_size for copy in copies):
                bare.append(path.name)
        assert not path.name.endswith((".woff2.br", ".woff2.gz"))
    assert bare == []


def test_copies_are_copies() -> None:
    """A compressed copy unpacks to what it stands for."""
    page = read_page()
    assert page is not None
    packed = [file for file in page.values() if "gzip" in file.bodies]
    assert packed
    for file in packed:
        assert gzip.decompress(file.bodies["gzip"]) == file.bodies["identity"]


def test_names_that_are_kept_for_good_hold_their_hash() -> None:
    """Whatever browsers are told to keep for ever has a name that changes with its content."""
    page = read_page()
    assert page is not None
    kept = [name for name, file in page.items() if file.hashed]
    assert kept
    assert [name for name in kept if not re.search(r"-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$", name)] == []
    assert all(name.startswith(HASHED) for name in kept)
