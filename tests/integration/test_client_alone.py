"""The client without the server's packages: `pip install holdfast` brings no more than it needs."""

import asyncio
import subprocess
import sys

from tests.support.serving import ROOT, Server

BLOCKED = """
import sys
GONE = {"aiohttp", "aiosqlite", "alembic", "httpx2", "openai", "sqlalchemy", "structlog"}
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
"""

CHAT = """
import asyncio, holdfast
async def main():
    async with holdfast.connect(sys.argv[1]) as client:
        answer = await client.submit("Say it.", options={"words": 5, "pace": 0})
        print((await answer.result()).status)
asyncio.run(main())
"""

SERVE = """
from holdfast_client.cli import main
sys.argv = ["holdfast", "serve"]
main()
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in a Python that lacks the server's packages."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + program, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


async def test_it_chats(tmp_path):
    """`import holdfast` and a whole answer."""
    async with Server(tmp_path) as server:
        done = await asyncio.to_thread(run, CHAT, server.url)
    assert (done.returncode, done.stdout.strip()) == (0, "completed"), done.stderr


def test_it_says_what_is_missing_to_serve():
    """One line with what to install, exit 2."""
    done = run(SERVE)
    assert done.returncode == 2
    assert "pip install 'holdfast[server]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
