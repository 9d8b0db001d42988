"""The blocks of configuration.md: a table for each section of the configuration, from the server's own definitions."""

from __future__ import annotations

import json

import msgspec
from blocks import BLOCKS, prose, shape, table

from holdfast_server import config


def settings(section: type, path: str, *, environment: bool = True) -> str:
    """The table of a section: key, environment name, value, default."""
    rows = []
    for field in msgspec.structs.fields(section):
        key = f"{path}.{field.encode_name}" if path else field.encode_name
        spec = msgspec.json.schema(field.type, schema_hook=lambda _: {"type": "string"})
        if "$ref" in spec:
            continue  # a section of its own
        if field.default is not msgspec.NODEFAULT:
            default = f"`{json.dumps(field.default)}`"
        elif field.default_factory is not msgspec.NODEFAULT:
            default = f"`{json.dumps(field.default_factory())}`"
        else:
            default = "required"
        name = f"`{config.PREFIX}{key.replace('.', '__').upper()}`"
        rows.append((f"`{key}`", *([name] if environment else []), shape(spec), default))
    return table(("key", *(["environment"] if environment else []), "value", "default"), rows)


def section_block(name: str, section: type, path: str, *, environment: bool = True) -> None:
    """A block for a section of the configuration."""
    BLOCKS[f"settings-{name}"] = lambda: "\n\n".join(
        (prose(section), settings(section, path, environment=environment))
    )


for _name, _section, _path in (
    ("top", config.Config, ""),
    ("server", config.ServerSection, "server"),
    ("store", config.StoreSection, "store"),
    ("cluster", config.ClusterSection, "cluster"),
    ("identity", config.IdentitySection, "identity"),
    ("limits", config.LimitsSection, "limits"),
    ("doors", config.DoorsSection, "doors"),
    ("webhooks", config.WebhooksSection, "webhooks"),
    ("agent", config.AgentSection, "agents.NAME"),
    ("clocks", config.ClocksSection, "agents.NAME.clocks"),
):
    section_block(_name, _section, _path)
section_block(
    "tokens", config.Token, "", environment=False
)  # rows of a list have no names of their own there
