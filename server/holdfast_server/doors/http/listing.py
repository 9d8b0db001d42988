"""Lists in pages: what may be asked of them, and the link to the next page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from aiohttp import hdrs

from holdfast_protocol.commands import ListLimit
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.limits import LIST_LIMIT_DEFAULT
from holdfast_server.doors.refusal import Refused

from .operations import Asked, Query, local


class PageQuery(Query, frozen=True, kw_only=True):
    """Which page."""

    limit: Annotated[ListLimit, msgspec.Meta(description="Rows at most.")] = LIST_LIMIT_DEFAULT
    before: (
        Annotated[str, msgspec.Meta(max_length=200, description="The `next` of the page before.")] | None
    ) = None


@contextmanager
def reading_a_page() -> Iterator[None]:
    """Read a page inside: a mark that is none is refused by the name of its parameter."""
    try:
        yield
    except ProtocolError as error:
        if error.code != "invalid":
            raise
        raise Refused(400, error.code, str(error), param="before") from None


def next_link(asked: Asked, path: str, mark: str | None) -> dict[str, str]:
    """The header that names the next page of this list; nothing if this is the last."""
    if mark is None:
        return {}
    rest = [(name, value) for name, value in asked.visit.request.query.items() if name != "before"]
    more = urlencode([*rest, ("before", mark)])
    return {hdrs.LINK: f'<{local(asked.visit, path)}?{more}>; rel="next"'}
