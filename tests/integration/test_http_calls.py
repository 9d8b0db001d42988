"""Calls as they come in, on a real port: what is no HTTP, has no path, says a thing twice, or asks for the head alone."""

import asyncio
import json

import pytest
from aiohttp import ClientSession

from holdfast_server.doors.headers import STRICT
from tests.integration.test_reception import ANNS, Hall, error_of
from tests.support.journals import BOB


@pytest.fixture
async def http():
    """A client without a memory."""
    async with ClientSession() as session:
        yield session


@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("line", ["OPTIONS *", "CONNECT a:1", "OPTIONS http://localhost"])
async def test_a_call_without_a_path_is_no_bug(line, tokens, caplog):
    """What asks for no path at all is told that it is not there, as all else is, and nothing is logged."""
    async with Hall(tokens=tokens) as hall:
        status, _, body = await hall.raw(f"{line} HTTP/1.1")
    assert status == 404
    assert json.loads(body)["error"]["code"] == "not_found"
    assert not caplog.records


UNREADABLE = [
    (["GET /v1/who?swordfish=" + "x" * 9000 + " HTTP/1.1"], b"", 414, "too_large"),
    (["GET /v1/who HTTP/1.1", "X-A: swordfish" + "x" * 9000], b"", 431, "too_large"),
    (["GET /v1/who HTTP/1.1", *["X-A: swordfish"] * 200], b"", 431, "too_large"),
    (["POST /v1/who HTTP/1.1", "Content-Length: swordfish"], b"", 400, "malformed"),
    (["POST /v1/who HTTP/1.1", "Transfer-Encoding: chunked"], b"swordfish\r\n", 400, "malformed"),
    (["SWORDFISH /v1/who HTTP/1.1"], b"", 400, "malformed"),
    (["GET /v1/who HTTP/1.1", "Expect: swordfish"], b"", 417, "invalid"),
]


@pytest.mark.parametrize(("lines", "body", "status", "code"), UNREADABLE, ids=range(len(UNREADABLE)))
async def test_what_cannot_be_read_has_the_same_shape(lines, body, status, code, caplog):
    """A call that is no HTTP, or too long, is refused as all else is; nothing of it is said again, and nothing logged."""
    async with Hall() as hall:
        found, headers, said = await hall.raw(*lines, body=body)
    error = json.loads(said)["error"]
    assert (found, error["code"], headers["Content-Type"]) == (status, code, "application/json")
    assert headers["x-should-retry"] == "false"
    assert headers["Cache-Control"] == "no-store"
    assert {**STRICT, "Server": "holdfast"}.items() <= headers.items()
    assert b"swordfish" not in said.lower()
    assert not caplog.records


async def test_two_tokens_are_no_token(http):
    """Authorization that is there twice is refused, whichever is good, and a ticket beside it is not used up."""
    async with Hall() as hall:
        ticket = await hall.reception.tickets.issue(BOB, False, asyncio.get_running_loop().time())
        for query in ("", f"?ticket={ticket}"):
            for first, second in (("ann-token", "bob-token"), ("ann-token", "other"), ("ann-token",) * 2):
                twice = [("Authorization", f"Bearer {first}"), ("Authorization", f"Bearer {second}")]
                async with http.get(f"{hall.url}/v1/who{query}", headers=twice) as response:
                    assert (response.status, await error_of(response)) == (400, "malformed")
        async with http.get(f"{hall.url}/v1/who?ticket={ticket}") as response:
            assert (await response.json())["user"] == "bob"


async def test_head_is_asked_for_like_get(http):
    """HEAD has the status and headers of GET and no body, behind the same checks; where it is not served it is 405."""
    async with Hall() as hall:
        for headers in (ANNS, {}, {**ANNS, "Origin": "https://evil.example"}):
            async with http.get(f"{hall.url}/v1/head", headers=headers) as got:
                whole = await got.read()
            async with http.head(f"{hall.url}/v1/head", headers=headers) as response:
                assert response.status == got.status
                assert {**response.headers, "Date": ""} == {**got.headers, "Date": ""}
                assert response.headers["Content-Length"] == str(len(whole))
        status, _, body = await hall.raw("HEAD /v1/head HTTP/1.1", "Authorization: Bearer ann-token")
        assert (status, body) == (200, b"")
        async with http.head(f"{hall.url}/v1/who", headers=ANNS) as response:
            assert response.status == 405
        async with http.options(f"{hall.url}/v1/head") as response:
            assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"


async def test_head_costs_what_get_does(http):
    """A HEAD counts among the calls of its user."""
    async with Hall(calls_per_s=0.001, calls_burst=1) as hall:
        for status in (200, 429):
            async with http.head(f"{hall.url}/v1/head", headers=ANNS) as response:
                assert response.status == status
