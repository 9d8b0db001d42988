"""The headers that tell a browser what it may do with what this server sends: as little as possible.

Every HTTP response gets `STRICT`, unless it brings its own: nothing of it is run, framed, sniffed or told to others. The page
brings `PAGE`: its own files and nothing else, no inline code, no HTML made of strings. The frame in which diagrams are drawn
brings `DIAGRAM`: a sandbox without an origin, which can reach neither the page nor the network. Being without an origin it is
a stranger to this server as well, so the files that it loads say that anybody may read them (`SHARED`); they are public.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web

# 'self' in connect-src covers ws: and wss: to the same host and port.
_PAGE_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

# What draws diagrams makes <style> elements; without an origin and without connect-src they can tell nobody.
_DIAGRAM_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; font-src 'self'; "
    "frame-ancestors 'self'; sandbox allow-scripts"
)

# Only features that browsers know: they complain in the page's console about those they do not.
_DENIED: Final = (
    "accelerometer", "autoplay", "camera", "clipboard-read", "display-capture", "encrypted-media", "fullscreen", "geolocation",
    "gyroscope", "hid", "identity-credentials-get", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi",
    "payment", "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip

STRICT: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(["clipboard-write=(self)", *(f"{name}=()" for name in _DENIED)]),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE: Final[Mapping[str, str]] = {"Content-Security-Policy": _PAGE_CSP}
DIAGRAM: Final[Mapping[str, str]] = {"Content-Security-Policy": _DIAGRAM_CSP}
SHARED: Final[Mapping[str, str]] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def _strict(_: web.Request, response: web.StreamResponse) -> None:
    if isinstance(response, web.WebSocketResponse):
        return  # no browser looks at them there, and they would cost every reconnect half a kilobyte
    response.headers[hdrs.SERVER] = (
        "holdfast"  # the library would name itself, Python, and the versions of both
    )
    for name, value in STRICT.items():
        response.headers.setdefault(name, value)


def secure(app: web.Application) -> None:
    """Give every HTTP response of the app, refusals included, the strict headers that it does not bring itself."""
    app.on_response_prepare.append(_strict)
