"""What a call is told whose log has lost its past while it waited."""

from __future__ import annotations

from holdfast_server.stores.base import Unavailable


class LogLost(Unavailable):
    """The store has lost what was waited for; what it has now is another log. Whoever only reads is answered from that one."""

    def __init__(self) -> None:
        super().__init__("the store has lost some of what it had and goes on from there; try again")
