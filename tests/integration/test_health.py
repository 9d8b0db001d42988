"""What a balancer, a person with a browser and a scanner see beside the WebSocket."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from holdfast_server.doors import health


@pytest.fixture
async def client():
    """A client of a server whose trouble can be set."""
    reasons: list[str | None] = [None]
    app = web.Application()
    health.add_routes(app, lambda: reasons[0], "process")
    async with TestClient(TestServer(app)) as client:
        client.reasons = reasons  # type: ignore[attr-defined]
        yield client


async def test_ready_follows_trouble(client):
    """200 while work may come, 503 with the reason while not; alive either way."""
    assert (await client.get("/readyz")).status == 200
    client.reasons[0] = "draining"
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
