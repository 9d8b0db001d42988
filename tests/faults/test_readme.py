"""The first demo of README.md, done as it is printed: asked, let go of, the server killed, started again, attached to."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.documents import ROOT, blocks
from tests.support.serving import Server

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 60
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


async def shell(line: str, folder: Path, port: int) -> str:
    """What the line prints, typed into a shell whose `holdfast` is this tree's and whose server has that port."""
    names = folder / "bin"
    names.mkdir(exist_ok=True)
    command = names / "holdfast"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "main.py"}" "$@"\n')
    command.chmod(0o755)
    environ = {
        **os.environ, "PATH": f"{names}:{os.environ['PATH']}", "HOLDFAST_URL": f"http://127.0.0.1:{port}"
    }  # fmt: skip
    process = await asyncio.create_subprocess_shell(
        line, cwd=folder, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (line, err.decode())
    return out.decode()


async def test_the_demo_does_what_it_says(tmp_path):
    """An answer that nobody follows outlives SIGKILL of its server: attached to, it is told from its beginning to its end."""
    demo = blocks(ROOT / "README.md")[0]
    assert demo.language == "console"
    lines = [
        line.removeprefix("$ ").partition("  #")[0].strip()
        for line in demo.text.splitlines()
        if line.startswith("$")
    ]
    printed = ID.findall(demo.text)[0]
    told, request_id = "", ""
    async with asyncio.timeout(BOUND_S), Server(tmp_path) as server:
        for line in lines[1:]:
            if line == "make run":
                assert await server.process.wait() == -9, "the line before has killed it"
                await server.start()
            elif line.startswith("holdfast"):
                told = await shell(line.replace(printed, request_id), tmp_path, server.port)
                if not request_id:
                    request_id = told.strip()
                    assert ID.fullmatch(request_id)
                    await shell(f"holdfast attach {request_id} | head -c 40", tmp_path, server.port)
            elif line.startswith("kill"):
                await shell(line, tmp_path, server.port)
            else:
                assert line == ". .venv/bin/activate"
        assert lines[0] == "make run"
        assert server.starts == 2
        events = await shell(f"holdfast tail --json {request_id}", tmp_path, server.port)
    assert told.startswith("## The demo answers")
    assert told.rstrip().endswith("however often you look away.")
    assert events.count('"type":"started"') == 2, "the kill came while it answered"
    assert events.count('"type":"completed"') == 1
