"""The page /docs: every operation with its parameters, shapes and an example, as plain HTML made from the document."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from html import escape
from typing import Any, Final

from .operations import Operation

STAND_INS: Final = {"request_id": "r-1", "chat_id": "c-1", "batch_id": "b-1", "message_id": "m-1"}
"""What ids are called in examples."""

TOP: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Holdfast: the HTTP API</title>
<link rel="stylesheet" href="docs/style.css"></head><body>
"""
"""The link is relative, so that it leads here under any prefix."""


def page_of(document: dict[str, Any], operations: Iterable[Operation]) -> str:
    """The page. Where `{base}` stands in it goes the address under which the server is reached."""
    table = list(operations)
    groups = dict.fromkeys(operation.group for operation in table)
    links = "".join(
        f"<h2>{escape(group)}</h2><ul>"
        + "".join(f"<li>{_link(operation)}</li>" for operation in table if operation.group == group)
        + "</ul>"
        for group in groups
    )
    links += '<h2>More</h2><ul><li><a href="#shapes">Shapes</a></li><li><a href="openapi.json">openapi.json</a></li></ul>'
    shown = "".join(
        f"<h2>{escape(group)}</h2>"
        + "".join(_operation(document, operation) for operation in table if operation.group == group)
        for group in groups
    )
    schemas = document["components"]["schemas"]
    shapes = "".join(_shape(name, schema) for name, schema in schemas.items())
    info = document["info"]
    return (
        f'{TOP}<nav class="side" aria-label="Operations"><a class="home" href="#top">Holdfast <small>{escape(info["version"])}</small></a>'
        f"{links}</nav>"
        f'<main id="top"><h1>The HTTP API</h1><p>{_prose(info["description"])}</p>{_INTRODUCTION}'
        f'<nav class="folded" aria-label="Operations"><details><summary>All operations</summary>{links}</details></nav>{shown}'
        f'<h2 id="shapes">Shapes</h2>{shapes}</main></body></html>\n'
    )


_INTRODUCTION: Final = (
    "<p>Send your token as <code>Authorization: Bearer …</code>; a server without identities needs none. "
    "Every refusal is <code>{&quot;error&quot;: {&quot;message&quot;, &quot;type&quot;, &quot;param&quot;, &quot;code&quot;}}</code>: "
    "the message says what to do, the code is for programs. Bodies are JSON; a field that is not known is refused.</p>"
)


def _link(operation: Operation) -> str:
    return f'<a href="#{operation.id}">{_method(operation)} {escape(operation.summary)}</a>'


def _method(operation: Operation) -> str:
    method = operation.method
    return f'<b class="method {method.lower()}">{method}</b>'


def _operation(document: dict[str, Any], operation: Operation) -> str:
    spec = document["paths"][operation.path][operation.method.lower()]
    out = [
        (
            f'<section id="{operation.id}"><h3><a href="#{operation.id}">{escape(operation.summary)}</a></h3>'
            f'<p class="path">{_method(operation)} <code>{_breakable(operation.path)}</code></p><p>{_prose(operation.text)}</p>'
        )
    ]
    if "parameters" in spec:
        rows = [
            (f"<code>{escape(one['name'])}</code>", escape(one["in"]), _words(one["schema"]), _prose(one.get("description", "")))
            for one in spec["parameters"]
        ]  # fmt: skip
        out.append(_table(("Parameter", "In", "Value", "Meaning"), rows))
    if operation.body is not None:
        out.append(f"<p>Body: {_reference(operation.body.__name__)}</p>")
    out.append(f"<pre><code>{escape(curl(operation))}</code></pre>")
    answers = []
    for status, answer in spec["responses"].items():
        told = answer
        if "$ref" in answer:
            told = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
        kinds = "<br>".join(
            f"<small>{escape(media)}</small> {_content(content['schema'])}"
            for media, content in told.get("content", {}).items()
        )
        answers.append((f"<code>{status}</code>", _prose(told["description"]), kinds))
    good = [row for row in answers if row[0] < "<code>4"]
    out.append(_table(("Status", "Meaning", "Body"), good))
    out.append(
        f"<details><summary>Refusals</summary>{_table(('Status', 'Meaning', 'Body'), [row for row in answers if row not in good])}</details>"
    )
    return "".join(out) + "</section>"


def curl(operation: Operation) -> str:
    """The operation as a command."""
    path = re.sub(r"{(\w+)}", lambda found: STAND_INS.get(found[1], found[1]), operation.path)
    lines = [f'curl "{{base}}{path}{operation.example_query}"']
    if operation.method != "GET":
        lines[0] = lines[0].replace("curl ", f"curl -X {operation.method} ")
    if operation.example_query == "?format=sse":
        lines[0] = lines[0].replace("curl ", "curl -N ")
    lines.append('-H "Authorization: Bearer $TOKEN"')
    if operation.example_options:
        lines.append(operation.example_options)
    if operation.example is not None:
        lines.append(f"-d {shlex.quote(json.dumps(operation.example, ensure_ascii=False))}")
    return " \\\n  ".join(lines)


def _shape(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (f"<code>{escape(field)}</code>", _words(spec), "required" if field in required else _default(spec))
        for field, spec in schema.get("properties", {}).items()
    ]
    text = _prose(schema.get("description", ""))
    body = _table(("Field", "Value", "Default"), rows) if rows else f"<p>{_words(schema)}</p>"
    # The place is inside: a link to what is closed opens it only then.
    return (
        f"<details><summary><code>{escape(name)}</code></summary>"
        f'<div class="shape" id="shape-{escape(name)}"><p>{text}</p>{body}</div></details>'
    )


def _default(spec: dict[str, Any]) -> str:
    if "default" not in spec or spec["default"] is None:
        return ""
    return f"<code>{escape(json.dumps(spec['default'], ensure_ascii=False))}</code>"


def _reference(name: str) -> str:
    return f'<a href="#shape-{escape(name)}"><code>{escape(name)}</code></a>'


def _words(spec: dict[str, Any]) -> str:
    """A JSON Schema in few words."""
    if "prefixItems" in spec:
        return f"[{', '.join(_words(one) for one in spec['prefixItems'])}]"
    if "$ref" in spec:
        return _reference(spec["$ref"].rsplit("/", 1)[1])
    if "anyOf" in spec:
        return " or ".join(dict.fromkeys(_words(one) for one in spec["anyOf"]))
    if "enum" in spec:
        return ", ".join(f"<code>{escape(json.dumps(one))}</code>" for one in spec["enum"])
    kind = spec.get("type")
    if kind == "array":
        return f"list of {_words(spec.get('items', {}))}"
    if kind == "object":
        values = spec.get("additionalProperties")
        return "object" + (f" of {_words(values)}" if isinstance(values, dict) and values else "")
    bounds = [
        f"{sign} {spec[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", "&gt;"), ("maximum", "≤"))
        if key in spec and spec[key] < 2**53 - 1
    ]
    return (str(kind) if kind else "any value") + (f" ({', '.join(bounds)})" if bounds else "")


def _content(schema: dict[str, Any]) -> str:
    """What a body is: its shape, or, of a stream, what is in it."""
    return _prose(schema["description"]) if "description" in schema else _words(schema)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide" tabindex="0" role="region" aria-label="Table"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def _breakable(path: str) -> str:
    return escape(path).replace("/", "/<wbr>")


def _prose(text: str) -> str:
    """Text with `names` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
