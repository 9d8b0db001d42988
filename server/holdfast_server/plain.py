"""Makes what agents hand over fit for the log: encodable, alike in both codecs, bounded.

What an agent yields is material, not law. Text is made encodable, long text is cut and says so, and what cannot be
carried is refused with an `AgentFailure`, which ends that request and no other.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeVar

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol.codec import check_plain
from holdfast_protocol.errors import ProtocolError

from .agents.base import AgentFailure

NAME_BYTES_MAX: Final = 4 * 1024
"""Ids, names and addresses: some providers pack state into the id of a tool call, none needs more than this."""

LABEL_CHARS_MAX: Final = 500
"""What a step says: one line on a screen."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_CANONICAL: Final = msgspec.msgpack.Encoder(order="deterministic")
_KNOWN: Final = msgspec.msgpack.Decoder(ev.KnownEvent)

E = TypeVar("E", bound=ev.Event)


def refused(what: str) -> AgentFailure:
    """The failure for output that breaks the port's rules: a bug of the agent, told to whoever wrote it."""
    return AgentFailure("invalid_output", f"The agent gave {what}.")


def scrub(text: str) -> str:
    """The text as UTF-8 can carry it: halves of surrogate pairs are joined where they meet, or replaced.
    Raises: AgentFailure if it is no text."""
    if not isinstance(text, str):
        raise refused(f"a {type(text).__name__} where text belongs")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def measured(text: str) -> tuple[str, int]:
    """The scrubbed text and its UTF-8 bytes. Raises: AgentFailure if it is no text."""
    text = scrub(text)
    return text, len(text) if text.isascii() else len(text.encode())


def label(text: str) -> str:
    """A line for people, cut to LABEL_CHARS_MAX."""
    text = scrub(text)
    return text if len(text) <= LABEL_CHARS_MAX else text[: LABEL_CHARS_MAX - 1] + "…"


def name(text: str) -> str:
    """An id, name or address; a cut one would be another one. Raises: AgentFailure if it is too long."""
    text, size = measured(text)
    if size > NAME_BYTES_MAX:
        raise refused(f"an id, name or address of {size} bytes; at most {NAME_BYTES_MAX} are taken")
    return text


def cut(text: str, bytes_max: int) -> str:
    """The text, or its beginning with a note that says how much is missing."""
    text, size = measured(text)
    if size <= bytes_max:
        return text
    kept = text.encode()[: bytes_max - 100].decode(errors="ignore")
    return f"{kept}\n[cut: the first {len(kept.encode())} of {size} bytes]"


def plain(value: Any) -> Any:
    """The value as both codecs carry it alike: what JSON gives back. Raises: AgentFailure if JSON cannot hold it."""
    try:
        try:
            raw = msgspec.json.encode(value)
        except UnicodeEncodeError:
            raw = msgspec.json.encode(_scrubbed(value))
        result = msgspec.json.decode(raw)
        check_plain(result)
    except (
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        msgspec.MsgspecError,
        ProtocolError,
    ) as error:
        raise refused(f"a value that cannot be kept: {error}") from None
    return result


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(item) for item in value]
    return value


def encoded_bytes(value: Any) -> int:
    """What a plain value weighs in the log."""
    return len(_ENCODER.encode(value))


def checked(event: E) -> tuple[E, int]:
    """The event as its readers will read it, and its bytes in the log: an agent's wrong type is found here, and not by
    every reader. Raises: AgentFailure."""
    try:
        raw = _ENCODER.encode(event)
        return _KNOWN.decode(raw), len(raw)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise refused(f"a {ev.kind_of(event)} that cannot be kept: {error}") from None


def wait_digest(kind: str, body: Any) -> str:
    """What names exactly the thing that a person decides on; equal for equal questions, whatever the order of keys."""
    return hashlib.sha256(_CANONICAL.encode([kind, body])).hexdigest()[:32]
