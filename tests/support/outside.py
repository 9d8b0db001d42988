"""The world outside, which a simulation does not have: whoever reaches for it is told so by name."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from tests.support.simerrors import NotSimulated

_FAMILIES = (
    "sock_",
    "add_",
    "remove_",
    "subprocess_",
    "connect_",
    "create_connection",
    "create_datagram",
    "create_server",
    "create_unix",
)
_VERBS = ("run_in_executor", "sendfile", "start_tls", "getaddrinfo", "getnameinfo")


def refuse(what: str) -> NoReturn:
    """Raises: NotSimulated, always."""
    raise NotSimulated(f"{what}: a simulation has no sockets, threads, processes or signals; hand in a fake")


def wall_off(loop_class: type[asyncio.BaseEventLoop]) -> None:
    """Makes every verb of a loop that reaches outside raise NotSimulated as soon as it is called."""
    for name in dir(asyncio.AbstractEventLoop):
        if name.startswith(_FAMILIES) or name in _VERBS:
            setattr(loop_class, name, _refusal(name))


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refusal(*_args: object, **_kwargs: object) -> NoReturn:
        refuse(f"loop.{name}()")

    return refusal
