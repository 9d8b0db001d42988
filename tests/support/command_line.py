"""The command line as people run it: a process of its own. One that does not end says where it stands, and is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass

from tests.support.serving import ROOT

END_S = 60.0
"""An interpreter with its imports takes a second or two on a busy machine; what takes this long hangs."""


@dataclass
class Ended:
    """How a run ended, and what it printed."""

    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This process's, without its settings of Holdfast, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", **more}


async def started(*arguments: str, **env: str) -> asyncio.subprocess.Process:
    """A run that has begun; give it to `ended`, or end it otherwise."""
    # A shell has what it runs in the background ignore Ctrl-C, and that is inherited.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return await asyncio.create_subprocess_exec(
        sys.executable, "main.py", *arguments, cwd=ROOT, env=environment(**env),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process, given: str = "") -> Ended:
    """Wait for its end. Raises: AssertionError with the stacks of its threads, if it does not come."""
    talk = asyncio.ensure_future(process.communicate(given.encode()))
    done, _ = await asyncio.wait([talk], timeout=END_S)
    if not done:
        process.send_signal(signal.SIGABRT)
    out, err = await talk
    assert done, f"it did not end by itself:\n{err.decode()}"
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def holdfast(*arguments: str, given: str = "", **env: str) -> Ended:
    """Run to the end."""
    return await ended(await started(*arguments, **env), given)
