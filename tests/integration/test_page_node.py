"""The page as a node has it or has it not, beside its other doors."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from holdfast_server.app import Node
from holdfast_server.config import load
from holdfast_server.doors.page_files import read_page
from holdfast_server.listening import TAKEN_MS, listen
from tests.support.built_page import HTML, built_page, get, plain_client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built page, and a secret beside it."""
    return built_page(tmp_path)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that asks for nothing compressed and shows bytes as they came."""
    async with plain_client() as session:
        yield session


def test_what_is_no_page_is_not_served(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, no document in it, a folder without end, a file that cannot be read: the server has no page, and lives."""
    assert read_page(tmp_path / "nowhere") is None
    (tmp_path / "empty").mkdir()
    assert read_page(tmp_path / "empty") is None
    monkeypatch.setattr("holdfast_server.doors.page_files.BYTES_MAX", 1024)
    assert read_page(folder) is None
    monkeypatch.undo()
    monkeypatch.setattr("holdfast_server.doors.page_files.FILES_MAX", 3)
    assert read_page(folder) is None
    monkeypatch.undo()
    if os.geteuid() != 0:  # root reads everything
        (folder / "icon.svg").chmod(0)
        assert read_page(folder) is None


@pytest.mark.parametrize(("on", "says"), [(True, "make page"), (False, "server.page")])
async def test_a_server_without_its_page_says_how_to_get_it(
    tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, on: bool, says: str
) -> None:
    """Where none is built, or it is switched off, `/` says which in plain text, and everything else is as ever."""
    monkeypatch.setattr("holdfast_server.app.read_page", lambda: None)
    node = node_of(tmp_path, page=on)
    async for url in living(node):
        status, headers, body = await get(http, url, "/")
        assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert says in body.decode()
        assert (await get(http, url, "/readyz"))[0] == 200
        assert (await get(http, url, "/inbox"))[0] == 404


async def test_a_node_serves_the_page_beside_its_health(
    folder: Path, tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is built, `/` is the page, the health paths are what they were, and /ws is a WebSocket still."""
    monkeypatch.setattr("holdfast_server.app.read_page", lambda: read_page(folder))
    node = node_of(tmp_path, page=True)
    async for url in living(node):
        assert (await get(http, url, "/"))[2] == HTML
        for path in ("/healthz", "/readyz", "/version"):
            status, headers, _ = await get(http, url, path)
            assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        async with http.ws_connect(url.with_path("/ws"), protocols=["holdfast.v1.json"]) as ws:
            await ws.send_json({"type": "hello", "ref": 1})
            assert (await ws.receive_json(timeout=5))["type"] == "welcome"


def node_of(folder: Path, *, page: bool) -> Node:
    """A node with the demo agent on a free port."""
    settings = {
        "server.port": 0, "server.page": page, "server.drain_s": 0, "server.close_spread_s": 0,
        "store.folder": str(folder / "data"),
    }  # fmt: skip
    (folder / "holdfast.toml").touch()
    return Node(load(folder / "holdfast.toml", settings, environ={}))


async def living(node: Node) -> AsyncIterator[URL]:
    """The node, running."""
    await node.start()
    try:
        yield URL(f"http://127.0.0.1:{node.port}")
    finally:
        await node.stop()


def test_connections_inherit_how_long_bytes_may_lie_there() -> None:
    """Whatever door a connection comes through, the kernel ends it when what it was sent stays untaken."""
    with listen("127.0.0.1", 0) as door, socket.create_connection(door.getsockname()):
        select.select([door], [], [], 10)
        accepted, _ = door.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == TAKEN_MS
