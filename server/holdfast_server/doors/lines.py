"""JSON as one line of a stream, whatever its reader takes for the end of one.

JSON has no line breaks of its own, but texts in it may hold characters beyond ASCII that many readers break lines at (Python's
`splitlines`, for one). They stand in strings alone, and so can be escaped wherever they are found.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_ENDS: Final = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
_encode: Final = msgspec.json.Encoder().encode


def json_line(value: Any) -> bytes:
    """The value as JSON, without a line break at its end."""
    line = _encode(value)
    if line.isascii():
        return line
    for plain, escaped in _ENDS:
        if plain in line:
            line = line.replace(plain, escaped)
    return line
