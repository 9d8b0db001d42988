"""How a command runs: the settings that all share, the connection it opens, and what its end means as an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from holdfast_client.client import Client
    from holdfast_client.errors import CommandRefused

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_CONNECTION: Final = 3
EXIT_AUTH: Final = 4
EXIT_INTERRUPTED: Final = 130

EXIT_CODES: Final = """Exit codes: 0 done; 1 the request failed, was cancelled, timed out or refused; 2 wrong usage or configuration;
3 no connection; 4 not authenticated; 130 interrupted (Ctrl-C; the answer goes on)."""


_LIBRARY_WORDS: Final = "Value error, "
"""What the library of the options puts before a sentence that is one without it."""

_INSTEAD: Final = {"unknown_agent": "No such agent; {agents} lists them."}
"""What to say for refusals whose own sentence names a command of the protocol."""


class Commands(TyperGroup):
    """The commands; what is wrong with how one is called is said in a plain sentence."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """As the base. Raises: BadParameter."""
        with _plain_words():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """As the base. Raises: BadParameter, what the command raises."""
        with _plain_words():
            return super().invoke(ctx)


@contextmanager
def _plain_words() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        error.message = error.message.removeprefix(_LIBRARY_WORDS)
        raise


@dataclass(frozen=True, slots=True)
class Settings:
    """What every command that connects needs to know."""

    url: str
    token: str | None
    codec: str


def complain(message: str) -> None:
    """A line for the person, where it does not mix with the answer."""
    sys.stderr.write(f"holdfast: {message}\n")
    sys.stderr.flush()


def typed(text: str) -> str:
    """What a person gave us, fit to be sent: bytes that are no UTF-8 show as the sign for that."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def refusal(error: CommandRefused, agents: str = "`holdfast agents`") -> str:
    """A refusal in words for people; `agents`: what to type to have the agents listed."""
    instead = _INSTEAD.get(error.code)
    return f"{instead.format(agents=agents)} [{error.code}]" if instead is not None else str(error)


def stop(message: str, code: int) -> NoReturn:
    """End with one clear line."""
    complain(message)
    raise typer.Exit(code)


def client_for(settings: Settings, on_connection: Callable[[str | None], None] | None = None) -> Client:
    """A client for the settings, not connected yet."""
    from holdfast_client.client import connect

    try:
        return connect(
            settings.url,
            token=settings.token,
            codec=settings.codec,
            client="holdfast-cli",
            on_connection=on_connection,
        )
    except ValueError as error:
        stop(str(error), EXIT_USAGE)


def run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its end, and leave with the code it returns or its error means."""
    from holdfast_client import errors

    try:
        code = asyncio.run(work)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough (`holdfast ask … | head`); Python must not complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = EXIT_OK
    except errors.NotAuthenticated as error:
        stop(f"{str(error).rstrip('.')}: set HOLDFAST_TOKEN or --token.", EXIT_AUTH)
    except errors.CommandRefused as error:
        stop(refusal(error), EXIT_FAILED)
    except errors.AnswerLost as error:
        stop(f"{error.request_id}: {error}", EXIT_FAILED)
    except errors.ClientError as error:
        stop(str(error), EXIT_CONNECTION)
    raise typer.Exit(code)
