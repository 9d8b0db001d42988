"""A small build of a page to be served, and a server with the doors that show it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from holdfast_server.doors import health
from holdfast_server.doors.headers import secure
from holdfast_server.doors.page import PageDoor
from holdfast_server.doors.page_files import read_page
from holdfast_server.listening import listen

SCRIPT = b"export const greeting = 'hello';\n" * 40
BR = b"these bytes stand for brotli's"
GZ = gzip.compress(SCRIPT, mtime=0)
HTML = b"<!doctype html><title>Holdfast</title>\n"


def built_page(tmp_path: Path) -> Path:
    """A built page, and a secret beside it."""
    page = tmp_path / "page"
    (page / "assets" / "fonts").mkdir(parents=True)
    (page / ".vite").mkdir()
    for name, body in {
        "index.html": HTML,
        "index.html.gz": gzip.compress(HTML, mtime=0),
        "diagram.html": b"<!doctype html><title>Diagram</title>\n",
        "icon.svg": b"<svg/>",
        "app.webmanifest": b"{}",
        ".vite/manifest.json": b"{}",
        "assets/app-0a1b2c3d.js": SCRIPT,
        "assets/app-0a1b2c3d.js.br": BR,
        "assets/app-0a1b2c3d.js.gz": GZ,
        "assets/worker-0a1b2c3d.mjs": SCRIPT,
        "assets/app-0a1b2c3d.css": b"p{}",
        "assets/mark-0a1b2c3d.wasm": b"\0asm",
        "assets/fonts/serif-0a1b2c3d.woff2": b"wOF2",
        "assets/big-0a1b2c3d.js": bytes(8 * 1024 * 1024),
    }.items():
        (page / name).write_bytes(body)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return page


async def serving(folder: Path, **options: float) -> AsyncIterator[URL]:
    """A server with the doors that a node has, but for the WebSocket."""
    files = read_page(folder)
    assert files is not None
    app = web.Application()
    secure(app)
    health.add_routes(app, lambda: None, "process", None)
    PageDoor(files, **options).add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listen("127.0.0.1", 0)).start()
    try:
        yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


def plain_client() -> aiohttp.ClientSession:
    """A client that asks for nothing compressed and shows bytes as they came."""
    return aiohttp.ClientSession(auto_decompress=False, headers={"Accept-Encoding": "identity"})


async def get(http: aiohttp.ClientSession, url: URL, path: str, **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of a path, which is sent as it stands."""
    place = URL(f"{url}".rstrip("/") + path, encoded=True)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.get(place, headers=names, allow_redirects=False) as response:
        return response.status, response.headers, await response.read()
