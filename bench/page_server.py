"""The server that a bench's page belongs to, and what is asked there in the name of its visitor."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.serving import ROOT, Server

from .wire import Socket


@asynccontextmanager
async def essayist(folder: Path) -> AsyncIterator[Server]:
    """A server with the agents of bench/essays.py."""
    toml = f'default_agent = "essay"\nagent_files = ["{ROOT / "bench" / "essays.py"}"]\n'
    async with Server(folder / "server", toml=toml) as server:
        yield server


async def ask(server: Server, agent: str, text: str, **options: object) -> str:
    """Submit as the person whose page it is, in a chat of its own; the chat."""
    chat_id = str(uuid.uuid4())
    request = {
        "request_id": str(uuid.uuid4()),
        "chat_id": chat_id,
        "message_id": str(uuid.uuid4()),
        "text": text,
    }
    socket = await Socket.open(server.port)
    await socket.ask(
        {
            "type": "submit",
            "ref": 1,
            "request": {**request, "agent": agent, "options": options},
            "follow": False,
        },
        b'"submitted"',
    )
    socket.close()
    return chat_id
