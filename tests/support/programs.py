"""What a test may need that is not installed with the project: programs of the machine, and the built page."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PAGE = "page"
FOLDER = Path(__file__).resolve().parents[2] / "server" / "holdfast_server" / "page"

# Any of them drives the page; distributions differ in what they call it.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OTHER_NAMES = {"chromium": BROWSERS}
# What `make` unpacked, and where distributions put servers: not on everybody's PATH.
OTHER_PLACES = (f"{sys.prefix}/nginx/usr/sbin", "/usr/sbin", "/usr/local/sbin")


def find(program: str) -> str | None:
    """Where the program is, by whichever of its names, or None."""
    if program == PAGE:
        return str(FOLDER) if (FOLDER / "index.html").is_file() else None
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *OTHER_PLACES])
    found = (shutil.which(name, path=path) for name in OTHER_NAMES.get(program, (program,)))
    return next((place for place in found if place), None)


def absence(program: str) -> str:
    """What to say where it is missing."""
    return "the page is not built (make page)" if program == PAGE else f"{program} is not installed"
