"""The blocks of the pages, by name, and the Markdown that they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from holdfast_protocol import limits, schema

Text = Callable[[], str]
BLOCKS: Final[dict[str, Text]] = {}


def block(name: str) -> Callable[[Text], Text]:
    """Mark a function as the source of the block `name`."""

    def mark(function: Text) -> Text:
        BLOCKS[name] = function
        return function

    return mark


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def prose(cls: type) -> str:
    """What a class says of itself, on one line."""
    return " ".join((cls.__doc__ or "").split())


SCHEMAS: Final = schema.schemas()


def shape(spec: dict[str, Any]) -> str:
    """A JSON Schema in few words."""
    if "$ref" in spec:
        return f"`{spec['$ref'].rsplit('/', 1)[1]}`"
    if "anyOf" in spec:
        parts = [shape(each) for each in spec["anyOf"]]
        return "event" if len(parts) > 12 else " or ".join(dict.fromkeys(parts))
    if "enum" in spec:
        return ", ".join(f"`{json.dumps(value)}`" for value in spec["enum"])
    kind = spec.get("type")
    if kind == "array":
        if "minItems" in spec and spec["minItems"] == spec.get("maxItems"):
            return "[" + ", ".join([shape(spec["items"])] * spec["minItems"]) + "]"
        return "list of " + shape(spec.get("items", {})) + bounds(spec)
    if kind == "object":
        values = spec.get("additionalProperties")
        return "object" + (f" of {shape(values)}" if isinstance(values, dict) and values else "")
    return (str(kind) if kind else "any value") + bounds(spec)


def bounds(spec: dict[str, Any]) -> str:
    """The limits that a schema sets, in few words."""
    if spec.get("pattern") == limits.ID_PATTERN:
        return " (id)"
    said = []
    low, high, above = spec.get("minimum"), spec.get("maximum"), spec.get("exclusiveMinimum")
    if above is not None:
        said.append(f"> {above:g}")
    if low is not None:
        said.append(f"≥ {low:g}")
    if high is not None and high != limits.OFFSET_MAX:
        said.append(f"≤ {high:g}")
    for key, unit in (("maxLength", "characters"), ("maxItems", "items")):
        if key in spec:
            said.append(f"at most {spec[key]} {unit}")
    return f" ({', '.join(said)})" if said else ""


def fields(cls: type, *, without: Iterable[str] = ()) -> str:
    """The table of a message's fields."""
    spec = SCHEMAS[cls.__name__]
    required = set(spec.get("required", []))
    rows = []
    for name, field in spec["properties"].items():
        if name in without:
            continue
        default = (
            "required" if name in required else f"`{json.dumps(field.get('default'), ensure_ascii=False)}`"
        )
        rows.append((f"`{name}`", shape(field), default))
    return table(("field", "value", "default"), rows) if rows else ""


def described(classes: Iterable[type], *, without: Iterable[str], tag: str = "type") -> str:
    """A heading, what it says of itself, and its fields, for each of the classes."""
    out = []
    for cls in classes:
        names = f"`{schema.tag_of(cls)}`" if tag else f"`{cls.__name__}`"
        own = fields(cls, without=without)
        out.append(f"#### {names}\n\n{prose(cls)}\n" + (f"\n{own}" if own else ""))
    return "\n".join(out)
