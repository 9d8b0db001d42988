"""Columns for text as people write it: what Python holds as a string goes into every database and comes back the same.

SQLite keeps any text. PostgreSQL refuses U+0000, which an answer may hold, and no database takes half a surrogate pair. There
such a character is written as U+0001 and four hexadecimal digits, and so is U+0001 itself; everything else stays as it is.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Dialect, String, Text, TypeDecorator

_MARK: Final = "\x01"
_REFUSED: Final = re.compile("[\x00\x01\ud800-\udfff]")
_WRITTEN: Final = re.compile("\x01([0-9a-f]{4})")


def written(text: str) -> str:
    """The text without what PostgreSQL refuses."""
    return _REFUSED.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", text)


def read(text: str) -> str:
    """The text as it was before `written`."""
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)), text) if _MARK in text else text


class AnyText(TypeDecorator[str]):
    """Text of any length."""

    impl: Any = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name != "postgresql" else written(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        return value if value is None or dialect.name != "postgresql" else read(value)


class AnyName(AnyText):
    """An id, or a name: short text that is compared and ordered byte by byte."""

    impl: Any = String
    cache_ok = True
