"""The program from a clone: `python main.py serve`. An installed Holdfast has the command `holdfast` instead."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Run the command line, from the folders beside this file unless Holdfast is installed."""
    if find_spec("holdfast_client") is None:
        root = Path(__file__).resolve().parent
        sys.path[:0] = [str(root / part) for part in ("protocol", "server", "client")]
    try:
        from holdfast_client.cli import main as command_line
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].startswith("holdfast"):
            raise
        sys.exit(f"holdfast: the package {error.name!r} is not installed; `make run` sets everything up.")
    command_line()


if __name__ == "__main__":
    main()
