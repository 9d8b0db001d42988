"""Who asks: identities behind one small port.

`none` answers for everybody as one local user and is only permitted on a loopback address (app.py refuses otherwise);
`tokens` knows a list of static tokens. Tokens are kept and compared as SHA-256 digests, so neither memory dumps nor
timing tell one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Protocol

from .stores.base import Owner

LOCAL: Final = Owner("", "local")


class Identity(Protocol):
    """Tells whose a connection is."""

    needs_token: bool

    def owner_of(self, token: str | None) -> Owner | None:
        """The owner that the token stands for, or None: not welcome."""


class NoIdentity:
    """Everybody is the same local user."""

    needs_token = False

    def owner_of(self, token: str | None) -> Owner | None:
        """The local user, whatever is presented."""
        del token
        return LOCAL


class TokenIdentity:
    """Static tokens, each standing for an owner."""

    needs_token = True

    def __init__(self, tokens: Iterable[tuple[str, Owner]]) -> None:
        self._owners = {_digest(token): owner for token, owner in tokens}

    def owner_of(self, token: str | None) -> Owner | None:
        """The owner of the token, or None."""
        return None if token is None else self._owners.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
