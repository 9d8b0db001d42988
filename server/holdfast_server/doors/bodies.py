"""Bodies of HTTP requests: bounded in bytes, time and depth, read strictly; what is wrong is named by its path.

The content type is not looked at: browsers send text/plain where a program forgot to say, and what a foreign page may send
is decided by its origin (reception.py), not by what it calls it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import hdrs

from holdfast_protocol.codec import check_plain
from holdfast_protocol.limits import COMMAND_BYTES_MAX, ID_CHARS_MAX, ID_PATTERN

from .reception import Visit, sole
from .refusal import Refused

BODY_BYTES_MAX: Final = COMMAND_BYTES_MAX
"""As one command over the WebSocket."""

BODY_S: Final = 30.0
"""How long a body may take to arrive: 1 MiB at 35 kB/s; who is slower holds one of its places for no longer."""

DEPTH_MAX: Final = 32
"""Nesting of a body: twice what free values may have, which lie a few levels deep in it."""

VALUES_MAX: Final = 100_000
"""Values in a body, and brackets: ten thousand messages with all their fields have as many. A body of nothing but brackets
would hold everybody up for a second."""

KEY_HEADER: Final = "Idempotency-Key"

KEY_CHARS_MAX: Final = 255
"""As the draft of the header has it, and more than any library makes."""

_TOO_MANY: Final = (413, "too_large", f"A body may hold {VALUES_MAX} values; send fewer.")

_PATTERNED: Final = "Expected `str` matching regex "
_FORMS: Final = {
    repr(ID_PATTERN): f"Expected 1 to {ID_CHARS_MAX} letters, digits, `_` or `-`",
    repr("^https?://"): "Expected an address that begins with `https://` or `http://`",
}
"""Patterns, in words."""

T = TypeVar("T")


async def read_bytes(visit: Visit) -> bytes:
    """The body. Raises: Refused."""
    encoding = sole(visit.request, hdrs.CONTENT_ENCODING) or "identity"
    if encoding.strip().lower() not in ("identity", ""):
        raise Refused(415, "unsupported_encoding", "Send the body as it is, without Content-Encoding.")
    try:
        async with asyncio.timeout(BODY_S):
            return await visit.request.read()
    except TimeoutError:
        raise Refused(408, "too_slow", "The body did not arrive in time; send it again.") from None
    except (ConnectionError, ValueError):
        raise Refused(400, "malformed", "The body cannot be read; send it again.") from None


async def read_json(visit: Visit, kind: type[T], *, empty: T | None = None) -> T:
    """The body as a value of that type; without a body, `empty` if it is given. Raises: Refused."""
    raw = await read_bytes(visit)
    if not raw and empty is not None:
        return empty
    return decode(raw, kind)


async def read_nothing(visit: Visit) -> None:
    """What is sent to a call that needs nothing: no body, or an empty object, as some libraries send. Raises: Refused."""
    await read_json(visit, _Nothing, empty=_NOTHING)


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body with no fields."""


_NOTHING: Final = _Nothing()


def decode(raw: bytes | str, kind: type[T]) -> T:
    """JSON text as a value of that type. Raises: Refused, ProtocolError."""
    if _brackets(raw) > VALUES_MAX:
        raise Refused(*_TOO_MANY)
    try:
        plain = msgspec.json.decode(raw)
    except RecursionError:
        raise Refused(400, "too_deep", "The JSON is nested too deeply; flatten it.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "malformed", "The body is not valid JSON; send one JSON value in UTF-8.") from None
    check_plain(plain, DEPTH_MAX)
    return convert(plain, kind)


def _brackets(raw: bytes | str) -> int:
    """Lists and objects at most; those in texts are counted too, for this must be quicker than reading it."""
    if isinstance(raw, str):
        return raw.count("[") + raw.count("{")
    return raw.count(b"[") + raw.count(b"{")


def convert(plain: Any, kind: type[T]) -> T:
    """A plain value as one of that type. Raises: Refused that names the field."""
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise invalid(error) from None


def invalid(error: msgspec.ValidationError) -> Refused:
    """What a value is wrong in, as a refusal with the field's path."""
    what, _, where = str(error).partition(" - at `")
    param = where.rstrip("`").removeprefix("$").removeprefix(".") or None
    if what.startswith("Object contains unknown field `"):
        name = what.split("`")[1]
        param = f"{param}.{name}" if param else name
        return Refused(400, "unknown_parameter", f"Unknown parameter: `{param}`.", param=param)
    if what.startswith("Object missing required field `"):
        name = what.split("`")[1]
        param = f"{param}.{name}" if param else name
        return Refused(400, "missing_parameter", f"Missing required parameter: `{param}`.", param=param)
    if what.startswith(_PATTERNED):
        what = _FORMS.get(what.removeprefix(_PATTERNED), "Expected a text of another form")
    return Refused(400, "invalid", f"{what}{f' at `{param}`' if param else ''}.", param=param)


def check_query(visit: Visit, *known: str) -> None:
    """Nothing else stands behind the `?` than these. Raises: Refused that names the first that does."""
    for name in visit.request.query:
        if name not in known:
            shown = name[:100]
            raise Refused(400, "unknown_parameter", f"Unknown parameter: `{shown}`.", param=shown)


def idempotent_id(visit: Visit) -> str | None:
    """The request id that an Idempotency-Key stands for: the key itself where it can be an id, else a name made of it. The
    same key is the same request for as long as that is kept. Raises: Refused."""
    key = sole(visit.request, KEY_HEADER)
    if key is None:
        return None
    return id_of_key(key.strip().strip('"'))


def id_of_key(key: str, param: str = KEY_HEADER) -> str:
    """As `idempotent_id`, of a key that was given as `param`. Raises: Refused."""
    if not key or len(key) > KEY_CHARS_MAX:
        raise Refused(
            400,
            "invalid",
            f"An {param} has 1 to {KEY_CHARS_MAX} characters.",
            param=param,
        )
    if re.fullmatch(ID_PATTERN, key):
        return key
    return f"k_{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
