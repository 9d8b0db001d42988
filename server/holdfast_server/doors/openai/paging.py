"""Lists of items as OpenAI pages them, and query parameters, of which none is ignored in silence either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from holdfast_server.doors.bodies import invalid as refusal_of

from .naming import invalid, unknown_parameter, unsupported_value
from .parameters import EVENTS


class Paging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which items. `after` is the id of the last one that the caller has."""

    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"

    def page(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The list object, of all items, given oldest first. Raises: Refused."""
        return self.cut(list(items) if self.order == "asc" else list(reversed(items)))

    def needs(self, items: Sequence[dict[str, Any]]) -> int:
        """How many items in the order wanted a page ends at, as far as these tell; one more tells whether there are more."""
        if self.after is None:
            return self.limit
        start = next((number for number, item in enumerate(items) if item["id"] == self.after), None)
        return len(items) if start is None else start + 1 + self.limit

    def cut(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """As `page`, of items in the order wanted, at least so many as it needs and one more. Raises: Refused."""
        if self.after is not None and all(item["id"] != self.after for item in items):
            raise invalid("after", "no item has this id.")
        end = self.needs(items)
        data = list(items[max(0, end - self.limit) : end])
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(items) > end,
        }


class Retrieval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a response is wanted. Events are never padded, whatever `include_obfuscation` says."""

    include: Literal["holdfast.events"] | None = None
    stream: bool = False
    starting_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    include_obfuscation: bool = False


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a completion is wanted: `stream` tells it from its beginning."""

    stream: bool = False
    include_usage: bool = False


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


_Q = TypeVar("_Q", bound=msgspec.Struct)


def query(request: web.Request, kind: type[_Q]) -> _Q:
    """The query parameters. Raises: Refused that names the first that is wrong."""
    found: dict[str, str] = {}
    for given, value in request.query.items():
        name = given.removesuffix("[]")
        if name == "include" and ("include" not in kind.__struct_fields__ or value != EVENTS):
            raise unsupported_value(
                "include", f"Only streams of responses can include something: `{EVENTS}`."
            )
        if name not in kind.__struct_fields__:
            raise unknown_parameter(name[:100])
        found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None
