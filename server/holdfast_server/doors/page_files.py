"""The built page as it was when the server started: its files, each with what may be sent of it.

The folder is read once and kept, some ten megabytes: a server shows one version of its page for as long as it lives, whatever
an upgrade puts beside it meanwhile, and a request for a file is a look into a dictionary, which no path can leave. Vite puts
files whose names hold a hash of their content into `assets/` and nothing else there; precompressed copies (`.br`, `.gz`)
stand beside what they are copies of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

FOLDER: Final = Path(__file__).resolve().parents[1] / "page"
"""Where the build puts the page: beside this package's modules, so that a wheel carries it."""

FILES_MAX: Final = 5_000
BYTES_MAX: Final = 128 * 1024**2
"""Ten times what is built today: a folder with more is not a page, and memory is not for it."""

INDEX: Final = "index.html"
HASHED: Final = "assets/"
IDENTITY: Final = "identity"
COPIES: Final = {".br": "br", ".gz": "gzip"}
"""Suffixes of precompressed copies, best first, and what Content-Encoding calls them."""

# Not the machine's own table: what a browser runs must not depend on /etc/mime.types.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
_UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file: its media type, whether its name changes with its content, and its bytes by encoding, best first."""

    media_type: str
    hashed: bool
    digest: str
    bodies: Mapping[str, bytes]

    def etag(self, encoding: str) -> str:
        """The entity tag of what is sent in that encoding; other bytes, other tag."""
        return self.digest if encoding == IDENTITY else f"{self.digest}-{encoding}"

    def encoding(self, accept: str) -> str:
        """The best encoding there is that an Accept-Encoding header permits."""
        permitted = _permitted(accept)
        return next((name for name in self.bodies if name != IDENTITY and name in permitted), IDENTITY)


def read_page(folder: Path = FOLDER) -> Mapping[str, PageFile] | None:
    """The page's files by their path below the folder; None where none is built. What is there and cannot be served is
    logged, and None: a server without its page still answers."""
    try:
        paths = _paths(folder)
        if paths is not None:
            return _files(paths)
    except OSError as error:
        log.warning("the page cannot be read, and is not served", file=error.filename, reason=error.strerror)
    return None


def _paths(folder: Path) -> dict[str, Path] | None:
    if not (folder / INDEX).is_file():
        return None
    paths: dict[str, Path] = {}
    size = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in name.split("/")):
            continue  # what begins with a dot tells of the build, not to the browser
        paths[name] = path
        size += path.stat().st_size
        if len(paths) > FILES_MAX or size > BYTES_MAX:
            log.warning("the page is too large, and is not served", folder=str(folder), bytes_max=BYTES_MAX)
            return None
    return paths


def _files(paths: Mapping[str, Path]) -> dict[str, PageFile]:
    out = {}
    for name, path in paths.items():
        if path.suffix in COPIES and name.removesuffix(path.suffix) in paths:
            continue
        copies = {
            encoding: paths[name + suffix].read_bytes()
            for suffix, encoding in COPIES.items()
            if name + suffix in paths
        }
        body = path.read_bytes()
        hashed = name.startswith(HASHED)
        out[name] = PageFile(
            media_type=_TYPES.get(path.suffix, _UNKNOWN),
            hashed=hashed,
            digest=hashlib.sha256(name.encode() if hashed else body).hexdigest()[
                :32
            ],  # the name has been made of the body
            bodies={**copies, IDENTITY: body},
        )
    return out


def _permitted(accept: str) -> set[str]:
    """The encodings that an Accept-Encoding header names and does not refuse."""
    out = set()
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if not any(_is_zero(parameter) for parameter in parameters):
            out.add(name)
    return out


def _is_zero(parameter: str) -> bool:
    key, _, value = parameter.partition("=")
    return key.strip() == "q" and not value.strip().strip("0.")
