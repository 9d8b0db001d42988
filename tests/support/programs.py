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
OTHER_NAMES = {"chromium": BROWSERS, "redis-server": ("redis-server", "valkey-server")}


def _newest_first(usr: Path) -> list[str]:
    """Where Debian keeps PostgreSQL's programs: in a folder for each release."""
    return sorted(map(str, usr.glob("lib/postgresql/*/bin")), reverse=True)


# What `make` unpacked, and where distributions put servers: not on everybody's PATH.
UNPACKED_REDIS = Path(sys.prefix) / "redis" / "usr"
UNPACKED_POSTGRES = Path(sys.prefix) / "postgres" / "usr"
OTHER_PLACES = (
    f"{sys.prefix}/nginx/usr/sbin",
    f"{UNPACKED_REDIS}/bin",
    *_newest_first(UNPACKED_POSTGRES),
    *_newest_first(Path("/usr")),
    "/usr/sbin",
    "/usr/local/sbin",
)


def find(program: str) -> str | None:
    """Where the program is, by whichever of its names, or None."""
    if program == PAGE:
        return str(FOLDER) if (FOLDER / "index.html").is_file() else None
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *OTHER_PLACES])
    found = (shutil.which(name, path=path) for name in OTHER_NAMES.get(program, (program,)))
    return next((place for place in found if place), None)


def surroundings(program: str) -> dict[str, str]:
    """What to add to the environment of the program at this place: where its libraries are, if it was only unpacked."""
    unpacked = next(
        (usr for usr in (UNPACKED_REDIS, UNPACKED_POSTGRES) if Path(program).is_relative_to(usr)), None
    )
    if unpacked is None:
        return {}
    folders = sorted({str(library.parent) for library in (unpacked / "lib").rglob("*.so*")})
    return {
        "LD_LIBRARY_PATH": os.pathsep.join([*folders, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    }


def absence(program: str) -> str:
    """What to say where it is missing."""
    return "the page is not built (make page)" if program == PAGE else f"{program} is not installed"
