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

    def is_operator(self, token: str | None) -> bool:
        """Whether who presents the token may see everybody's requests, and stop them."""


class NoIdentity:
    """Everybody is the same local user."""

    needs_token = False

    def owner_of(self, token: str | None) -> Owner | None:
        """The local user, whatever is presented."""
        del token
        return LOCAL

    def is_operator(self, token: str | None) -> bool:
        """True: everything is the local user's anyway."""
        del token
        return True


class TokenIdentity:
    """Static tokens, each standing for an owner; those in `operators` are an operator's. One user may have tokens of both
    kinds: it is the token that permits, not the name."""

    needs_token = True

    def __init__(self, tokens: Iterable[tuple[str, Owner]], operators: Iterable[str] = ()) -> None:
        self._owners = {_digest(token): owner for token, owner in tokens}
        self._operators = {_digest(token) for token in operators}

    def owner_of(self, token: str | None) -> Owner | None:
        """The owner of the token, or None."""
        return None if token is None else self._owners.get(_digest(token))

    def is_operator(self, token: str | None) -> bool:
        """Whether the token is one of an operator's."""
        return token is not None and _digest(token) in self._operators


def owner_name(owner: Owner) -> str:
    """An owner as people and commands write it: `user`, or `tenant/user`."""
    return f"{owner.tenant}/{owner.user}" if owner.tenant else owner.user


def owner_named(name: str) -> Owner:
    """The owner that a name stands for; neither tenants nor users have a slash in them."""
    tenant, _, user = name.rpartition("/")
    return Owner(tenant, user)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
