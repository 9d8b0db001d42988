"""How a bug is planted on purpose, and under which name it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, NamedTuple


class Planted(NamedTuple):
    """A bug. `rules`: what may catch it."""

    name: str
    rules: frozenset[str]
    plant: Callable[[], AbstractContextManager[object]]


BUGS: Final[dict[str, Planted]] = {}


def bug(*rules: str) -> Callable[[Callable[[], AbstractContextManager[object]]], None]:
    """Register a plant under its function's name."""

    def register(plant: Callable[[], AbstractContextManager[object]]) -> None:
        BUGS[plant.__name__] = Planted(plant.__name__, frozenset(rules), plant)

    return register


@contextmanager
def patched(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield
