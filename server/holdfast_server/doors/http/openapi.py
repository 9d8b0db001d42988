"""The native API as an OpenAPI 3.1 document, made from the table of operations, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from holdfast_protocol.errors import ERRORS
from holdfast_protocol.events import KINDS
from holdfast_protocol.limits import ID_PATTERN, OFFSET_MAX
from holdfast_server.doors.refusal import STATUSES

from .operations import ID_HEADER, JSON, NDJSON, SSE, Answer, Header, Operation, Query
from .request_shapes import REQUESTS

OPENAPI_VERSION: Final = "3.1.0"

EVERY_CALL: Final = ("unauthenticated", "not_permitted", "rate_limited", "unavailable", "internal")
"""What any call may be answered with; the Origin of a page is `not_permitted` too."""

STATUS_TEXTS: Final = {
    400: "Something in the call is wrong; `param` names it.",
    401: "No valid token or ticket.",
    403: "Not permitted: to operators only, or not to pages of this origin.",
    404: "It is not there, or not yours.",
    408: "The body did not arrive in time.",
    409: "It does not fit what is there: another body under the same id, an outcome, or nothing that waits for this.",
    413: "The body is too large.",
    415: "The body has a Content-Encoding; send it as it is (`unsupported_encoding`).",
    421: "The server answers to its own names only.",
    429: "Too much at once; Retry-After says when to come back.",
    500: "A bug in the server, told under a number.",
    503: "Not now: it restarts, or its store is in trouble; Retry-After says when to come back.",
}

_ID: Final = Header(ID_HEADER, "The id of the request that this is about.")

_SCHEMAS: Final = "#/components/schemas/"
_STREAMED: Final[dict[str, dict[str, Any]]] = {
    SSE: {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
        "required": ["event", "data"],
    },
    NDJSON: {"type": "string"},
}
"""What one frame, or one line, of a stream is."""

_TOKENS: Final[Sequence[dict[str, list[str]]]] = ({"bearer": []},)


class ErrorDetail(msgspec.Struct, kw_only=True):
    """What is wrong. `code` is stable and for programs, `message` for people and says what to do, `param` names the field."""

    message: str
    type: str
    param: str | None
    code: str


class Error(msgspec.Struct, kw_only=True):
    """How every door says no."""

    error: ErrorDetail


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """The document. `version` is that of the program."""
    table = list(operations)
    schemas = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    statuses = sorted({status for operation in table for status in _statuses(operation)})
    groups = dict.fromkeys(operation.group for operation in table)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Holdfast",
            "version": version,
            "description": "Requests to language models whose answers survive disconnects, reloads and crashes: ask, then read the answer through any door, from any cursor.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in groups],
        "security": [*_TOKENS],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Not needed where the server runs without identities."},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket", "description": "From `POST /v1/tickets`; good for one call."},
            },
            "responses": {f"Error{status}": _refusal(status, table) for status in statuses},
            "schemas": schemas,
        },
    }  # fmt: skip


def types_of(operations: Iterable[Operation]) -> list[Any]:
    """Every type that is sent or answered."""
    found: dict[Any, None] = {}
    for operation in operations:
        if operation.body is not None:
            found[operation.body] = None
        found |= {answer.body: None for answer in operation.answers if answer.body is not None}
    return list(found)


def _schemas(table: Sequence[Operation]) -> dict[str, Any]:
    _, found = msgspec.json.schema_components([*types_of(table), Error], ref_template=_SCHEMAS + "{name}")
    number = {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX}
    found["LaterEvent"] = {
        "title": "LaterEvent",
        "description": "An event of a kind that this document does not know: count its span, and ignore it.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "not": {"enum": list(KINDS.values())}},
            "at": number,
            "span": {**number, "default": 1},
            "part": {},
        },
        "required": ["type"],
    }
    for spec in found.values():
        items = spec.get("properties", {}).get("events", {}).get("items", {})
        if "discriminator" in items:
            del items["discriminator"]  # a kind that is in no mapping is permitted
            items["anyOf"].append({"$ref": _SCHEMAS + "LaterEvent"})
    return dict(sorted(found.items()))


def _operation(operation: Operation) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.text,
        "tags": [operation.group],
    }
    parameters = [*_path_parameters(operation.path), *_query_parameters(operation.query)]
    parameters += [_header_parameter(header) for header in operation.headers]
    if parameters:
        spec["parameters"] = parameters
    if operation.ticket:
        spec["security"] = [*_TOKENS, {"ticket": []}]
    if operation.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": _SCHEMAS + operation.body.__name__}}
        if operation.example is not None:
            content["example"] = operation.example
        spec["requestBody"] = {"required": True, "content": {JSON: content}}
    named = operation.path.startswith(REQUESTS) and (operation.method == "POST" or operation.path != REQUESTS)
    spec["responses"] = {str(answer.status): _answer(answer, named=named) for answer in operation.answers} | {
        str(status): {"$ref": f"#/components/responses/Error{status}"} for status in _statuses(operation)
    }
    return spec


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]
    schema = {"type": "string", "pattern": ID_PATTERN}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(kind: type[Query]) -> list[dict[str, Any]]:
    """A parameter for each field; `ticket` is a security scheme instead."""
    _, found = msgspec.json.schema_components([kind], ref_template=_SCHEMAS + "{name}")
    spec = found[kind.__name__]
    out = []
    for name, schema in spec["properties"].items():
        if name == "ticket":
            continue
        plain = _without_null(schema)
        text = plain.pop("description", "")
        parameter = {"name": name, "in": "query", "description": text, "schema": plain}
        if name in spec.get("required", ()):
            parameter["required"] = True
        out.append(parameter)
    return out


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """In a query a value is there or not."""
    rest = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    kinds = [one for one in rest.pop("anyOf", ()) if one != {"type": "null"}]
    if kinds:
        assert len(kinds) == 1
        rest = {**kinds[0], **rest}
    if "enum" in rest:
        rest["enum"] = [one for one in rest["enum"] if one is not None]
    return rest


def _header_parameter(header: Header) -> dict[str, Any]:
    return {
        "name": header.name,
        "in": "header",
        "description": header.text,
        "schema": dict(header.schema),
    }


def _answer(answer: Answer, *, named: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"description": answer.text}
    headers = [*answer.headers, _ID] if named else answer.headers
    if headers:
        spec["headers"] = {
            header.name: {"description": header.text, "schema": dict(header.schema)} for header in headers
        }
    content: dict[str, Any] = {}
    if answer.body is not None:
        content[JSON] = {"schema": {"$ref": _SCHEMAS + answer.body.__name__}}
    for media, text in answer.streams.items():
        content[media] = {"schema": {**_STREAMED[media], "description": text}}
    if content:
        spec["content"] = content
    return spec


def _statuses(operation: Operation) -> list[int]:
    """The refusals' statuses of an operation. An answer of its own under the same status does not happen."""
    found = {STATUSES[code] for code in (*EVERY_CALL, *operation.refusals)} | {400, 421}
    if operation.changes:
        found |= {408, 413, 415}
    return sorted(found)


def _refusal(status: int, table: Sequence[Operation]) -> dict[str, Any]:
    named = {code for operation in table for code in (*EVERY_CALL, *operation.refusals)}
    codes = sorted(code for code in ERRORS if STATUSES[code] == status and (code in named or status == 400))
    text = STATUS_TEXTS[status]
    if codes:
        text += " Codes: " + ", ".join(f"`{code}`" for code in codes) + "."
    headers: dict[str, Any] = {
        "x-should-retry": {
            "description": "Whether the same call may succeed later.",
            "schema": {"type": "string", "enum": ["true", "false"]},
        }
    }
    if status in (429, 503):
        headers["Retry-After"] = {
            "description": "Seconds to wait, where waiting helps.",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        }
    if status == 401:
        headers["WWW-Authenticate"] = {"description": "`Bearer`.", "schema": {"type": "string"}}
    return {
        "description": text,
        "headers": headers,
        "content": {JSON: {"schema": {"$ref": _SCHEMAS + "Error"}}},
    }
