"""Posts webhooks: one connection per try, to an address that was judged in the moment in which it is connected to.

Names are resolved here, and every address of a name is judged before it is tried; the socket for a connection is made
only for an address that passes, numeric hosts included. So what was judged is what is connected to, however a name's
answers change in between. Redirects are not followed, no proxy of the environment is asked, no cookie is kept, and of what
comes back little is read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from holdfast_server.webhook_addresses import Reach
from holdfast_server.webhook_terms import SENDING_MAX, Answer, SendFailed

SAID_BYTES_MAX: Final = 4 * 1024
"""Read of what a receiver says: enough for an error's first line; the rest is left in its socket."""

SAID_WAIT_S: Final = 2.0
"""The status has come, and it decides; what it says beside it is not waited for longer."""

HEADER_BYTES_MAX: Final = 8 * 1024
"""A line of the receiver's head; more is no answer."""

USER_AGENT: Final = "holdfast-webhooks/1"


class Refused(OSError):
    """The name resolves to what may not be reached."""


class WebhookSender:
    """Posts to what `reach` permits."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        # Threads of its own: a name server that is silent must hold up nothing else of this process.
        self._threads = ThreadPoolExecutor(SENDING_MAX, thread_name_prefix="webhook-names")

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post it, follow nothing. Raises: SendFailed."""
        target = self._reach.target(url)
        try:
            address = URL(url, encoded=True)
        except ValueError:
            raise SendFailed("the address cannot be read") from None
        if (address.host or "").rstrip(".").lower() != target.host:
            raise SendFailed("the address can be read in two ways")
        try:
            return await self._post(target.host, address, body, headers)
        except Refused as error:
            raise SendFailed(str(error)) from None
        except (ClientError, InvalidURL, OSError, ssl.SSLError, ValueError) as error:
            raise SendFailed(_reason(error)) from None

    async def _post(self, host: str, address: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        def guarded(place: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, target = place
            if not self._reach.permits(host, str(target[0])):
                raise Refused("the host is not on the public Internet")
            return socket.socket(family, kind, protocol)

        connector = TCPConnector(
            resolver=_Judging(self._reach, self._threads), use_dns_cache=False, force_close=True,
            socket_factory=guarded, limit=0,
        )  # fmt: skip
        async with (
            ClientSession(
                connector=connector, cookie_jar=DummyCookieJar(), trust_env=False, auto_decompress=False,
                max_line_size=HEADER_BYTES_MAX, max_field_size=HEADER_BYTES_MAX,
            ) as session,
            session.post(
                address, data=body, headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}, allow_redirects=False, timeout=None
            ) as response,
        ):  # fmt: skip
            said = await _said(response)
            return Answer(response.status, response.headers.get("Retry-After"), said)

    async def close(self) -> None:
        """Let go; lookups under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Judging(AbstractResolver):
    """Resolves names; one whose every address may not be reached is refused, and of the others those that may are left."""

    def __init__(self, reach: Reach, threads: ThreadPoolExecutor) -> None:
        self._reach = reach
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name that may be reached. Raises: OSError."""

        def look_up() -> list[Any]:
            return socket.getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )

        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        permitted: list[ResolveResult] = [
            ResolveResult(
                hostname=host, host=str(place[0]), port=port, family=kind, proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, place in found
            if self._reach.permits(host, str(place[0]))
        ]  # fmt: skip
        if not permitted:
            raise Refused("the host is not on the public Internet")
        return permitted

    async def close(self) -> None:
        """Nothing to let go of."""


async def _said(response: ClientResponse) -> str:
    try:
        async with asyncio.timeout(SAID_WAIT_S):
            raw = await response.content.read(SAID_BYTES_MAX)
    except (TimeoutError, ClientError, OSError):
        return ""
    return raw[:SAID_BYTES_MAX].decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    """Why, in a few words: what the system calls it, not what the library makes of it."""
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    if isinstance(cause, Refused):
        return str(cause)
    if isinstance(cause, socket.gaierror):
        return "the name does not resolve"
    if isinstance(cause, ssl.SSLError | ssl.CertificateError) or isinstance(error, ClientSSLError):
        return f"no TLS with it ({getattr(cause, 'verify_message', '') or getattr(cause, 'reason', '') or 'refused'})"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return f"no connection ({type(error).__name__})"
