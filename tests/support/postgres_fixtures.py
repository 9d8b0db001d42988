"""One PostgreSQL for all tests of a run (of a worker, where several run them); each test has a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.postgres_rig import PostgresServer


@pytest.fixture(scope="session")
def postgres_process() -> Iterator[PostgresServer]:
    """The server, running. Most want `postgres_server`."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_server(postgres_process: PostgresServer) -> PostgresServer:
    """The same, running: a test before may have stopped or killed it."""
    if postgres_process.running:
        postgres_process.cont()
    else:
        postgres_process.start_now()
    return postgres_process


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The address of a new database with the history's tables."""
    url = await postgres_server.database()
    yield url
    if postgres_server.running:
        postgres_server.cont()
        await postgres_server.drop(url)
