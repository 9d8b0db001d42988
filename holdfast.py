"""The public face for Python programs: `import holdfast`.

Nothing is defined here. Each name is fetched where it lives when it is first used, so that a program which has only
the client installed can import this module, and pays for nothing it does not use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from holdfast_client import connect
    from holdfast_server.agents import Context, agent, tool

__all__ = ["Context", "agent", "connect", "tool"]

_HOMES: Final = {
    "Context": "holdfast_server.agents",
    "agent": "holdfast_server.agents",
    "connect": "holdfast_client",
    "tool": "holdfast_server.agents",
}


def __getattr__(name: str) -> object:
    """The named thing, from its home. Raises: AttributeError, ImportError if its home needs what is not installed."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
