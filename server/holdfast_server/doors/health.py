"""Health: is the process alive, and may it be given work? And, where no page is served, what this is.

`/healthz` answers while the loop turns; `/readyz` refuses while the server starts, drains, or its store is in trouble, so
that a balancer sends nobody there; `/version` tells what runs. `/` is the page's where there is one; else it says in plain
text how one gets it, and what there is beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from aiohttp import web

ROOT_TEXT: Final = """Holdfast is running.

The page:        {page}
Talk to it:      holdfast chat
From a program:  WebSocket /ws  (docs/protocol.md)
Health:          /healthz  /readyz  /version
"""
NOT_BUILT: Final = "not built yet; `make page` in the project's folder builds it, then start again"
NO_GATEWAY: Final = "this node only runs requests; ask a gateway"
SWITCHED_OFF: Final = "switched off (server.page)"


def version_text() -> str:
    """The version that runs."""
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "0+unknown"


def add_routes(
    app: web.Application, trouble: Callable[[], str | None], durability: str, no_page: str | None = NOT_BUILT
) -> None:
    """Serve /healthz, /readyz and /version. `trouble` says why no work should come here, or None. `no_page` says why there is
    no page; None: there is one, and `/` is its own."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        reason = trouble()
        body = {
            "status": "ready" if reason is None else "not ready",
            "reason": reason,
            "durability": durability,
        }
        return web.json_response(body, status=200 if reason is None else 503)

    async def version_(_: web.Request) -> web.Response:
        return web.json_response({"version": version_text(), "sqlite": sqlite3.sqlite_version})

    async def root(_: web.Request) -> web.Response:
        return web.Response(text=ROOT_TEXT.format(page=no_page))

    if no_page is not None:
        app.router.add_get("/", root)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/version", version_)
