"""Operations of the native API as data: from one table come the routes, the reading of what is sent, and the OpenAPI document.

A call is given an `Asked`: the query and the body as typed values, read strictly by what its operation says of them. An
option that is misspelt is refused and named, not ignored. To add operations, write their calls and a list of `Operation`
in a module of their own, and name that list in table.py.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from aiohttp import hdrs, web

from holdfast_protocol.limits import ID_PATTERN
from holdfast_server.doors.bodies import invalid, read_json, read_nothing
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.stores.base import UnknownRequest

JSON: Final = "application/json"
SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"

ID_HEADER: Final = "X-Request-Id"

VALUE_CHARS_MAX: Final = 2_048
"""One value of a query: the longest that means something, a search, has a tenth of it."""

NEGOTIATED: Final[Mapping[str, str]] = {hdrs.VARY: "Origin, Accept"}
"""For responses that are chosen by Accept."""


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what may stand behind the `?`. A field that is a list may be repeated."""


class Nothing(Query, frozen=True, kw_only=True):
    """No parameters."""


class TicketQuery(Query, frozen=True, kw_only=True):
    """What every operation that takes tickets has."""

    ticket: (
        Annotated[str, msgspec.Meta(description="A ticket instead of a token (`POST /v1/tickets`).")] | None
    ) = None


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a request or of an answer. `text` says what it is for."""

    name: str
    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What may come back. `body`: the type of the JSON; None: no body. `streams`: by media type, what a stream of that kind
    holds."""

    status: int
    text: str
    body: Any = None
    headers: tuple[Header, ...] = ()
    streams: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: who asks (`visit`), of what (`desk`), and what."""

    desk: HttpDesk
    visit: Visit
    query: Any
    body: Any

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""
        return self.visit.request.headers

    def id(self, name: str) -> str:
        """An id in the path. Raises: UnknownRequest for what no id can be; say it otherwise where it is no request's."""
        text = self.visit.request.match_info[name]
        if re.fullmatch(ID_PATTERN, text) is None:
            raise UnknownRequest(text)
        return text


Call = Callable[[Asked], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `id` is its operationId, `group` where the document lists it; `refusals` are the protocol's
    codes that it may answer with beside those of every call (refusals.py of the document). `example` is the JSON of a body,
    and `example_query` what stands behind the path of the example."""

    method: str
    path: str
    id: str
    group: str
    summary: str
    text: str
    call: Call
    answers: tuple[Answer, ...]
    query: type[Query] = Nothing
    body: type[msgspec.Struct] | None = None
    headers: tuple[Header, ...] = ()
    refusals: tuple[str, ...] = ()
    ticket: bool = False
    example: Any = None
    example_query: str = ""
    example_options: str = ""

    async def read(self, desk: HttpDesk, visit: Visit) -> Asked:
        """What was sent. Raises: Refused, ProtocolError."""
        query = read_query(visit, self.query)
        if self.body is not None:
            return Asked(desk, visit, query, await read_json(visit, self.body))
        if self.changes:
            await read_nothing(visit)
        return Asked(desk, visit, query, None)

    @property
    def changes(self) -> bool:
        """Whether it is a call that may have a body; where none is needed, one that says something is refused."""
        return self.method != hdrs.METH_GET

    @property
    def head(self) -> bool:
        """Whether HEAD is answered too: where GET neither streams nor waits for what comes."""
        return self.method == hdrs.METH_GET and not any(one.streams for one in self.answers)


Q = TypeVar("Q", bound=Query)


def read_query(visit: Visit, kind: type[Q]) -> Q:
    """What stands behind the `?`. Raises: Refused."""
    lists = {one.encode_name for one in msgspec.structs.fields(kind) if isinstance(one.default_factory, type)}
    plain: dict[str, str | list[str]] = {}
    for name, value in visit.request.query.items():
        if len(value) > VALUE_CHARS_MAX:
            raise Refused(400, "invalid", f"`{name[:64]}` is too long.", param=name[:64])
        if name in lists:
            held = plain.setdefault(name, [])
            assert isinstance(held, list)
            held.append(value)
        elif name in plain:
            raise Refused(400, "invalid", f"`{name[:64]}` was given twice.", param=name[:64])
        else:
            plain[name] = value
    try:
        asked = msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    for name in plain:
        if getattr(asked, name) is None:  # the text `null` passes for no value where it is no text
            raise Refused(400, "invalid", f"`{name}` cannot be `null`; leave it out.", param=name)
    return asked


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as JSON, which nobody keeps."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type=JSON,
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )


def no_content() -> web.Response:
    """It has been done, and there is nothing to say."""
    return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})


def absolute(visit: Visit, path: str) -> str:
    """A path of ours as the caller reaches it from anywhere."""
    return visit.base_url + path


def local(visit: Visit, path: str) -> str:
    """The same for headers, which stand beside the address that they are read from: right behind a proxy that says nothing
    of itself, too."""
    return urlsplit(visit.base_url).path + path


def path_of(pattern: str, **names: str) -> str:
    """A path with its names filled in."""
    return pattern.format(**{name: quote(value, safe="") for name, value in names.items()})
