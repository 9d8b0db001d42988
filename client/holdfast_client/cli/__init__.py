"""The command line. What a command needs is imported when it runs, so that `holdfast --help` is quick."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with one of the exit codes that `holdfast --help` lists."""
    from .program import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # an answer in a terminal of another encoding is still an answer
    app()


__all__ = ["main"]
