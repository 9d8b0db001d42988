"""What the command line imports before it knows what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {
    "websockets",
    "openai",
    "aiohttp",
    "sqlalchemy",
    "prompt_toolkit",
    "markdown_it",
    "pygments",
    "holdfast_server",
}


def imported_by(*arguments: str) -> set[str]:
    """The top-level packages that are imported when main.py runs with these arguments."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['main.py', *{list(arguments)!r}]\n"
        "try:\n    runpy.run_path('main.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        "print('MODULES', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    last = run.stdout.splitlines()[-1].split()
    assert last[0] == "MODULES"
    return set(last[1:])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ask", "--help"], ["chat", "--help"], ["serve", "--help"]], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments):
    """`--help` pays for no network library, no terminal library and no server."""
    assert imported_by(*arguments) & HEAVY == set()


def test_the_client_imports_no_server():
    """Asking pulls in the client's half only, whatever else is installed."""
    code = "import sys, holdfast_client, holdfast_client.client; print(*{m.partition('.')[0] for m in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert set(run.stdout.split()) & (HEAVY - {"websockets"}) == set()
