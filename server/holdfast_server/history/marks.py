"""Page marks: the place of the last row of a page, as an opaque string.

A mark is a place in an order, not a number of rows to skip: what is added or removed meanwhile neither repeats nor hides
a row further on. It names no owner, because every page is read with its owner's condition anyway (I9).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final, TypeVar

import msgspec

from holdfast_protocol.errors import ProtocolError

# Databases hold 64-bit integers; a forged larger one must not get there.
_Int = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
_Id = Annotated[str, msgspec.Meta(max_length=64)]


class RowMark(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """After this chat or message."""

    place: _Int
    row_id: _Id


class HitMark(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """After this search hit."""

    title: bool
    place: _Int
    doc_id: _Int


_Mark = TypeVar("_Mark", RowMark, HitMark)

_ROW: Final = msgspec.msgpack.Decoder(RowMark)
_HIT: Final = msgspec.msgpack.Decoder(HitMark)


def mark_text(mark: RowMark | HitMark) -> str:
    """The mark as it goes over the wire."""
    return urlsafe_b64encode(msgspec.msgpack.encode(mark)).decode().rstrip("=")


def row_mark(text: str | None) -> RowMark | None:
    """Read a mark of chats or messages. Raises: ProtocolError `invalid` if it is none."""
    return None if text is None else _read(text, _ROW)


def hit_mark(text: str | None) -> HitMark | None:
    """Read a mark of search hits. Raises: ProtocolError `invalid` if it is none."""
    return None if text is None else _read(text, _HIT)


def _read(text: str, decoder: msgspec.msgpack.Decoder[_Mark]) -> _Mark:
    try:
        mark = decoder.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        if isinstance(mark, RowMark):
            mark.row_id.encode()
        return mark
    except (ValueError, msgspec.DecodeError):
        raise ProtocolError(
            "invalid", "`before` is not a mark that this server gave; begin again with the first page."
        ) from None
