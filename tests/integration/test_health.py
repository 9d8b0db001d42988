"""What a balancer, a person with a browser and a scanner see beside the WebSocket."""

import pytest
from aiohttp import web

from holdfast_server.doors import health


@pytest.fixture
def reasons():
    """What troubles the server; the test may change it."""
    return [None]


@pytest.fixture
async def client(aiohttp_client, reasons):
    """A client of a server with these routes."""
    app = web.Application()
    health.add_routes(app, lambda: reasons[0], "process")
    return await aiohttp_client(app)


async def test_ready_follows_trouble(client, reasons):
    """200 while work may come, 503 with the reason while not; alive either way."""
    assert (await client.get("/readyz")).status == 200
    reasons[0] = "draining"
    response = await client.get("/readyz")
    assert response.status == 503
    assert (await response.json())["reason"] == "draining"
    assert (await client.get("/healthz")).status == 200


async def test_root_says_what_this_is(client):
    """A person with a browser is told where to go on."""
    text = await (await client.get("/")).text()
    assert "/ws" in text
    assert "holdfast chat" in text


async def test_version_names_the_library_below(client):
    """What runs, and on which SQLite."""
    assert set(await (await client.get("/version")).json()) == {"version", "sqlite"}
