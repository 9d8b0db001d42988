"""Bugs planted into a server of a run: `python -m tests.chaos.planted serve …`, with the bug's name in the environment.

The product knows nothing of it: the bug is put over its code in the process that runs it, before the command line starts.
Each names the rules that may catch it, so that one which merely breaks the run does not count as found.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, NamedTuple
from unittest.mock import patch

VARIABLE: Final = "HOLDFAST_CHAOS_PLANTED"


class Plant(NamedTuple):
    """A bug. `rules`: what may catch it. `alone`: it is in what a server without a cluster runs."""

    rules: frozenset[str]
    plant: Callable[[], AbstractContextManager[object]]
    alone: bool


PLANTS: Final[dict[str, Plant]] = {}


def bug(*rules: str, alone: bool = True) -> Callable[[Callable[[], AbstractContextManager[object]]], None]:
    """Register a plant under its function's name."""

    def register(plant: Callable[[], AbstractContextManager[object]]) -> None:
        PLANTS[plant.__name__] = Plant(frozenset(rules), plant, alone)

    return register


@bug("offsets", "verified", "seen")
def offset_told_twice() -> AbstractContextManager[object]:
    """Who comes back over HTTP is told the event before its cursor once more."""
    from holdfast_server import journal
    from holdfast_server.doors.http import event_calls
    from holdfast_server.journal import Place

    place = journal.place

    def planted(log: Any, cursor: str | None) -> Place:
        found = place(log, cursor)
        return found if found.reset or found.offset < 3 else Place(found.offset - 1, None)

    return patch.object(event_calls, "place", planted)


@bug("liveness", "one outcome")
def outcome_dropped() -> AbstractContextManager[object]:
    """Every fourth completed answer never gets its end."""
    from holdfast_protocol.events import Completed
    from holdfast_server.stores.writer import Writer

    put = Writer.put
    count = iter(range(1, sys.maxsize))

    def planted(self: Writer, event: Any) -> None:
        if not (isinstance(event, Completed) and next(count) % 4 == 0):
            put(self, event)

    return patch.object(Writer, "put", planted)


@bug("made once", "upstream")
def submit_not_idempotent() -> AbstractContextManager[object]:
    """A request that comes again is another request."""
    import msgspec

    from holdfast_server.requests import Requests

    submit = Requests.submit

    async def planted(self: Any, owner: Any, submission: Any, **more: Any) -> Any:
        name = f"{submission.request_id[:50]}-{secrets.token_hex(3)}" if submission.request_id else None
        return await submit(self, owner, msgspec.structs.replace(submission, request_id=name), **more)

    return patch.object(Requests, "submit", planted)


@bug("liveness")
def forgotten_at_start() -> AbstractContextManager[object]:
    """What a crash left is read, shown, and never claimed."""
    from tests.simulation.planted import BUGS

    return BUGS["forgotten_at_start"].plant()


@bug("text", "legal", "offsets", "verified", "seen", "fenced", "bytes", "one journal", alone=False)
def append_not_fenced() -> AbstractContextManager[object]:
    """A node that was cut off and replaced writes on, behind what its successor has written. Few are caught at it: give it 40
    seconds or more; the tests of the store place the two writes one after the other."""
    from holdfast_server.stores.redis import source
    from holdfast_server.stores.redis.appends import Appends

    fence = "  if has ~= term or its ~= nonce or lease ~= '1' then"
    begin = "  local node, K, term, nonce, base, end_, blob, ends, row = unpack(a, 1, 9)\n"
    behind = """\
  local now, last = J.get(K, 'term', 'tail')
  if now and now ~= term then
    end_ = J.int(tonumber(last) + tonumber(end_) - tonumber(base))
    base, term = last, now
  end
"""
    lua = _in_lua(source, "journal", {fence: "  if false then", begin: begin + behind})
    # A node also sees by itself that it was replaced, and drops its writers.
    mine = patch.object(Appends, "_mine", staticmethod(lambda pen: not pen.claim.log.erased))
    return _both(lua, mine)


@bug("liveness", alone=False)
def nobody_takes_over() -> AbstractContextManager[object]:
    """The leases of nodes that are gone never end."""
    from holdfast_server.stores.redis import source

    return _in_lua(source, "nodes", {"    elseif left > 0 then\n": "    elseif left > 999999 then\n"})


@contextmanager
def _both(*plants: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in plants:
            stack.enter_context(each)
        yield


def _in_lua(source: Any, file: str, changes: dict[str, str]) -> AbstractContextManager[object]:
    """The functions that run in Redis, with some lines of a file replaced. Raises: ValueError if they are not there."""
    assembled = source.assembled

    def planted(parts: Any) -> Any:
        text = parts[file]
        for old, new in changes.items():
            if text.count(old) != 1:
                raise ValueError(f"{file}.lua has {text.count(old)} times, not once: {old}")
            text = text.replace(old, new)
        return assembled({**parts, file: text})

    return patch.object(source, "assembled", planted)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of this name, for as long as it takes; nothing for an empty name. Raises: KeyError."""
    if not name:
        yield
        return
    with PLANTS[name].plant():
        yield


def main() -> None:
    """The command line, with the bug that the environment names."""
    from holdfast_client.cli import main as command_line

    with planted(os.environ.get(VARIABLE, "")):
        command_line()


if __name__ == "__main__":
    main()
