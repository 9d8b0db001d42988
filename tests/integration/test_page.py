"""The page over HTTP: what is sent, in which encoding, with which headers; and that nothing but the build can be reached."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from holdfast_server.doors.headers import STRICT
from tests.support.built_page import BR, GZ, HTML, SCRIPT, built_page, get, plain_client, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built page, and a secret beside it."""
    return built_page(tmp_path)


@pytest.fixture
async def url(folder: Path) -> AsyncIterator[URL]:
    """Where the page is served."""
    async for place in serving(folder):
        yield place


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that asks for nothing compressed and shows bytes as they came."""
    async with plain_client() as session:
        yield session


@pytest.mark.parametrize(
    "path", ["/", "/c/01a1fb4d-cf5d-7e98-874d-6b413c26f18e", "/inbox", "/activity", "/activity/r-1?owner=ann"]
)
async def test_every_path_of_the_app_is_the_page(url: URL, http: aiohttp.ClientSession, path: str) -> None:
    """A reload of whatever the app shows gives the app again."""
    status, headers, body = await get(http, url, path)
    assert (status, body) == (200, HTML)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"


async def test_the_document_is_not_sent_twice(url: URL, http: aiohttp.ClientSession) -> None:
    """Who has the document as it is gets 304 without a body, and another encoding of it is another document."""
    _, headers, _ = await get(http, url, "/")
    status, again, body = await get(http, url, "/", If_None_Match=f'"x", W/{headers["ETag"]}')
    assert (status, body) == (304, b"")
    assert again["ETag"] == headers["ETag"]
    assert again["Content-Security-Policy"] == headers["Content-Security-Policy"]
    status, packed, _ = await get(http, url, "/", If_None_Match=headers["ETag"], Accept_Encoding="gzip")
    assert (status, packed["Content-Encoding"]) == (200, "gzip")
    assert packed["ETag"] != headers["ETag"]
    assert (await get(http, url, "/", If_None_Match="*"))[0] == 304
    assert (await get(http, url, "/", If_None_Match='no tag, "'))[0] == 200


@pytest.mark.parametrize(
    ("accept", "encoding", "expected"),
    [
        ("gzip, deflate, br, zstd", "br", BR),
        ("br;q=0, gzip;q=0.5", "gzip", GZ),
        ("GZIP", "gzip", GZ),
        ("br;q=0.000,gzip; q=0", None, SCRIPT),
        ("brave, gzipped", None, SCRIPT),
        ("*", None, SCRIPT),
        ("", None, SCRIPT),
    ],
)
async def test_the_best_encoding_that_is_permitted(
    url: URL, http: aiohttp.ClientSession, accept: str, encoding: str | None, expected: bytes
) -> None:
    """Precompressed copies go to who takes them, by whole names and weights; and caches are told that it depends."""
    status, headers, body = await get(http, url, "/assets/app-0a1b2c3d.js", Accept_Encoding=accept)
    assert (status, body) == (200, expected)
    assert headers.get("Content-Encoding") == encoding
    assert headers["Content-Length"] == str(len(expected))
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"


async def test_hashed_files_are_kept_for_good(url: URL, http: aiohttp.ClientSession) -> None:
    """What has its hash in its name is never asked for again; what has none is asked for each time."""
    assert "immutable" in (await get(http, url, "/assets/app-0a1b2c3d.js"))[1]["Cache-Control"]
    assert (await get(http, url, "/icon.svg"))[1]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/assets/worker-0a1b2c3d.mjs", "text/javascript; charset=utf-8"),
        ("/assets/app-0a1b2c3d.css", "text/css; charset=utf-8"),
        ("/assets/mark-0a1b2c3d.wasm", "application/wasm"),
        ("/assets/fonts/serif-0a1b2c3d.woff2", "font/woff2"),
        ("/app.webmanifest", "application/manifest+json"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
async def test_files_say_what_they_are(
    url: URL, http: aiohttp.ClientSession, path: str, media_type: str
) -> None:
    """Media types do not depend on the machine, and nothing is sniffed."""
    status, headers, _ = await get(http, url, path)
    assert (status, headers["Content-Type"]) == (200, media_type)
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_head_is_get_without_the_body(url: URL, http: aiohttp.ClientSession) -> None:
    """HEAD tells the length and the encoding, and sends nothing."""
    for path in ("/", "/assets/app-0a1b2c3d.js"):
        async with http.head(url.with_path(path), headers={"Accept-Encoding": "gzip"}) as response:
            _, headers, body = await get(http, url, path, Accept_Encoding="gzip")
            assert response.status == 200
            assert response.headers["Content-Length"] == str(len(body))
            assert response.headers["ETag"] == headers["ETag"]
            assert await response.read() == b""


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt", "/assets/..%2f..%2fsecret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/....//secret.txt", "/assets//etc/passwd", "/assets/%2fetc%2fpasswd", "/../secret.txt", "/assets", "/assets/",
        "/assets/fonts", "/assets/app-0a1b2c3d.js/", "/assets/app-0a1b2c3d.js.br", "/assets/app-0a1b2c3d.js%00",
        "/.vite/manifest.json", "/page/index.html", "/index.html", "/index.html.gz", "/nothing", "/c/", "/c/a/b",
        "/assets/app-ffffffff.js", "/assets/%ff", "/assets/..%5c..%5csecret.txt",
    ],
)  # fmt: skip
async def test_only_the_build_is_there(url: URL, http: aiohttp.ClientSession, path: str) -> None:
    """No other path leads anywhere: no folder above, no list of a folder, no build's leftovers; it is 404 in plain text."""
    status, headers, body = await get(http, url, path)
    assert status in (400, 404)
    assert headers["Content-Type"].startswith("text/plain")
    assert b"secret" not in body
    assert b"root:" not in body


LOST = ("/nothing", "/c/", "/c/a/b", "/inbox/old", "/index.html", "/.vite/manifest.json", "/activity/a/b")
NAVIGATES = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", LOST)
async def test_a_browser_at_an_unknown_path_gets_the_page(
    url: URL, http: aiohttp.ClientSession, path: str
) -> None:
    """A person who follows a broken link is told so by the page; the status is 404, and nobody keeps it."""
    status, headers, body = await get(http, url, path, Accept=NAVIGATES, If_None_Match="*")
    assert (status, body) == (404, HTML)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert "ETag" not in headers
    assert headers["Content-Security-Policy"] == (await get(http, url, "/"))[1]["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        *((path, NAVIGATES) for path in ("/assets/", "/assets/app-ffffffff.js", "/ws/x", "/healthz/x", "/v1/x", "/api")),
        ("/nothing", "*/*"),
        ("/nothing", "application/json"),
    ],
)  # fmt: skip
async def test_programs_at_an_unknown_path_get_plain_text(
    url: URL, http: aiohttp.ClientSession, path: str, accept: str
) -> None:
    """What asks for no document, or asks where programs ask, gets a few bytes that are no document."""
    status, headers, _ = await get(http, url, path, Accept=accept)
    assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    async with http.post(url.with_path("/nothing"), headers={"Accept": NAVIGATES}) as response:
        assert (response.status, response.content_type) == (404, "text/plain")


async def test_lost_files_are_not_remembered(url: URL, http: aiohttp.ClientSession) -> None:
    """That a file is not there (yet, in a rollout) is kept by no cache, and the text says what to do."""
    _, headers, body = await get(http, url, "/assets/app-ffffffff.js")
    assert headers["Cache-Control"] == "no-store"
    assert b"reload" in body


async def test_every_response_is_locked_down(url: URL, http: aiohttp.ClientSession) -> None:
    """Page, files, health and refusals carry all the headers that keep a browser from doing more than it must."""
    for path in (
        "/",
        "/diagram.html",
        "/icon.svg",
        "/assets/app-0a1b2c3d.js",
        "/healthz",
        "/version",
        "/nothing",
    ):
        _, headers, _ = await get(http, url, path)
        assert set(STRICT) <= set(headers), path
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert headers["Server"] == "holdfast", path
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "unsafe-eval" not in headers["Content-Security-Policy"]
        assert "camera=()" in headers["Permissions-Policy"]


async def test_the_page_may_use_its_own_server_only(url: URL, http: aiohttp.ClientSession) -> None:
    """The page's policy: nothing inline, nothing from elsewhere, no frame around it, no HTML made of strings."""
    policy = (await get(http, url, "/"))[1]["Content-Security-Policy"].split("; ")
    rules = {name: sources for name, _, sources in (rule.partition(" ") for rule in policy)}
    assert rules.pop("img-src") == "'self' data: blob:"
    assert rules.pop("require-trusted-types-for") == "'script'"
    for closed in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert rules.pop(closed) == "'none'"
    assert set(rules.values()) == {"'self'"}


async def test_diagrams_are_drawn_in_a_sandbox(url: URL, http: aiohttp.ClientSession) -> None:
    """The frame for diagrams has no origin and no network; the files it loads may be read without one; the page may not."""
    _, frame, _ = await get(http, url, "/diagram.html")
    policy = frame["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert "frame-ancestors 'self'" in policy
    _, asset, _ = await get(http, url, "/assets/app-0a1b2c3d.js", Origin="null")
    assert asset["Access-Control-Allow-Origin"] == "*"
    assert asset["Cross-Origin-Resource-Policy"] == "cross-origin"
    for path in ("/", "/diagram.html", "/version"):
        assert "Access-Control-Allow-Origin" not in (await get(http, url, path))[1]


async def test_who_reads_too_slowly_is_cut_off(folder: Path, http: aiohttp.ClientSession) -> None:
    """A reader that takes nothing of a large file loses its connection after its time, and others read meanwhile."""
    async for url in serving(folder, piece_s=0.2):
        with socket.create_connection((str(url.host), url.port or 0)) as idle:
            idle.send(b"GET /assets/big-0a1b2c3d.js HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await get(http, url, "/"))[0] == 200
            waiting = select.poll()
            waiting.register(
                idle, 0
            )  # tells of nothing but the end, which a reset makes known without a read
            assert await asyncio.to_thread(waiting.poll, 10_000), "still connected"


async def test_who_asks_on_and_reads_nothing_is_cut_off(folder: Path) -> None:
    """Files do not pile up for who asks for many on one connection and takes none: the connection ends."""
    (folder / "assets" / "app-0a1b2c3d.js").write_bytes(bytes(60_000))
    async for url in serving(folder, piece_s=0.2):
        with socket.socket() as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.connect((str(url.host), url.port or 0))
            asked = b"GET /assets/app-0a1b2c3d.js HTTP/1.1\r\nHost: x\r\n\r\n" * 200
            idle.sendall(asked)
            waiting = select.poll()
            waiting.register(idle, 0)
            assert await asyncio.to_thread(waiting.poll, 10_000), "still connected"


async def test_the_end_of_a_file_is_not_kept_for_who_does_not_take_it(folder: Path) -> None:
    """Also when all of a file that is left fits into what the connection buffers, who takes none of it is cut off."""
    (folder / "assets" / "app-0a1b2c3d.js").write_bytes(bytes(150_000))
    async for url in serving(folder, piece_s=0.1):
        with socket.socket() as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.connect((str(url.host), url.port or 0))
            idle.send(b"GET /assets/app-0a1b2c3d.js HTTP/1.1\r\nHost: x\r\n\r\n")
            waiting = select.poll()
            waiting.register(idle, 0)
            assert await asyncio.to_thread(waiting.poll, 10_000), "still connected"


async def test_a_full_house_says_so(folder: Path, http: aiohttp.ClientSession, monkeypatch) -> None:
    """When every place is taken for too long the answer is 503 with a sentence; when one is free again it is the file."""
    monkeypatch.setattr("holdfast_server.doors.page.SENDING_MAX", 1)
    async for url in serving(folder, place_s=0.1):
        _, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
        writer.write(b"GET /assets/big-0a1b2c3d.js HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        while (await get(http, url, "/"))[0] == 200:  # the server reads the other request when it comes to it
            pass
        status, headers, body = await get(http, url, "/")
        assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "5", "no-store")
        assert b"try again" in body
        writer.transport.abort()
        while (await get(http, url, "/"))[0] != 200:
            pass
