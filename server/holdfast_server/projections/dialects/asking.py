"""What the five dialects' requests share: what a door knows when it takes one, histories in their spellings, sessions.

A field that asks for something is honoured, handed to the agent as an option, or refused with a sentence; never dropped in
silence. The table of every field is in the package's text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from holdfast_protocol.commands import Deadlines, InputMessage, Submission
from holdfast_protocol.limits import ID_PATTERN

ENVELOPE: Final = "dialects"
"""The key of the envelope under which these dialects note what they show again."""

NAME_CHARS_MAX: Final = 200
"""Sessions, deployments and the like: names that others made, which are kept with the request and shown again."""

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]

ROLES: Final[dict[str, Literal["system", "user", "assistant"]]] = {
    "user": "user", "human": "user", "assistant": "assistant", "ai": "assistant", "system": "system",
}  # fmt: skip


class CannotHonour(Exception):
    """The request asks, in `param`, for something that this server cannot do; the text says what to do instead."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a door knows beside the body. `takes`: the options that the agent takes (None: any). `total_s`: the longest that
    the request may run (None: the agent's own bound). `new_session`: the id of a session that has none yet."""

    takes: frozenset[str] | None = None
    total_s: float | None = None
    new_session: str | None = None

    def wanted(self, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Those of these options that the agent takes; the others ask for nothing that the answer could lack."""
        return {name: value for name, value in wishes.items() if self.takes is None or name in self.takes}

    def required(self, param: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """All of these options. Raises: CannotHonour if the agent takes one of them not."""
        for name in options:
            if self.takes is not None and name not in self.takes:
                names = ", ".join(sorted(self.takes)) or "none"
                raise CannotHonour(
                    param, f"This agent has no option {name[:64]!r}; it has {names}. Leave it out."
                )
        return dict(options)

    @property
    def deadlines(self) -> Deadlines:
        """The bound on the request."""
        return Deadlines(total_s=self.total_s)


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of a history. Who said it is `role` or `actor`, what was said is `content` or `message`."""

    role: str | None = None
    actor: str | None = None
    content: str | None = None
    message: str | None = None

    def input(self, where: str) -> InputMessage:
        """As an agent is given it. Raises: CannotHonour."""
        who = self.role if self.role is not None else self.actor
        text = self.content if self.content is not None else self.message
        if who is None or text is None:
            raise CannotHonour(where, "A message has a `role` (or `actor`) and a `content` (or `message`).")
        role = ROLES.get(who.lower())
        if role is None:
            raise CannotHonour(where, f"Nobody here is a {who[:32]!r}; say user, assistant or system.")
        return InputMessage(role=role, text=text)


def inputs_of(history: Iterable[Told] | None, param: str) -> list[InputMessage]:
    """A history as an agent is given it. Raises: CannotHonour."""
    return [told.input(f"{param}[{number}]") for number, told in enumerate(history or ())]


def chat_of(session: str) -> str:
    """The id of the chat that a session is: its own name where that can be an id, else a name made of it."""
    if re.fullmatch(ID_PATTERN, session):
        return session
    return f"session_{hashlib.sha256(session.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def noted(dialect: str, **fields: Any) -> dict[str, Any]:
    """The envelope: which dialect took the request, and what it shows again."""
    return {
        ENVELOPE: {"dialect": dialect} | {name: value for name, value in fields.items() if value is not None}
    }


Submitted = tuple[Submission, dict[str, Any]]
"""What a body asks for, and the envelope that is kept with it."""
