"""The documents say what the code does: generated text is up to date, the schema is sound, the dialogue is true."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from holdfast_protocol.codec import JSON
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.fold import Fold
from holdfast_protocol.pushes import CaughtUp, Page, Snapshot
from holdfast_protocol.rewrite import events_of
from holdfast_server import config
from tests.support.vectors import FOLDER

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def load() -> Any:
    """docs/generate.py, which is a script and in no package; the modules beside it are found as when it is run."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(DOCS))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


generate = load()


def test_generated_text_is_up_to_date() -> None:
    """What comes from the code is what the code says now; `make docs` writes it."""
    assert [str(path.relative_to(ROOT)) for path in generate.outdated()] == []


def test_every_block_is_on_a_page() -> None:
    """No block is generated for nobody, and no mark stands without its block."""
    pages = "".join(path.read_text("utf-8") for path in DOCS.rglob("*.md"))
    begun = re.findall(r"<!-- begin:([a-z-]+) -->", pages)
    assert sorted(begun) == sorted(re.findall(r"<!-- end:([a-z-]+) -->", pages))
    assert sorted(begun) == sorted(generate.BLOCKS)


def test_stale_text_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose block was changed by hand is named, and written again as it should be."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- begin:errors -->\nby hand\n<!-- end:errors -->\nb\n", "utf-8")
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "FILES", {})
    assert generate.outdated() == [page]
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    text = page.read_text("utf-8")
    assert text.startswith("a\n<!-- begin:errors -->")
    assert text.endswith("<!-- end:errors -->\nb\n")
    assert "by hand" not in text
    assert generate.outdated() == []


def test_every_setting_is_explained() -> None:
    """Each key of the configuration has a line of its own in docs/configuration.md, beside the generated table."""
    text = generate.MARKS.sub("", (DOCS / "configuration.md").read_text("utf-8"))
    keys = [
        f"{path}{field.encode_name}"
        for path, section in (
            ("server.", config.ServerSection), ("store.", config.StoreSection), ("cluster.", config.ClusterSection),
            ("identity.", config.IdentitySection), ("limits.", config.LimitsSection),
            ("clocks.", config.ClocksSection), ("agents.NAME.", config.AgentSection), ("", config.Config),
            ("doors.", config.DoorsSection), ("webhooks.", config.WebhooksSection),
        )
        for field in msgspec.structs.fields(section)
    ]  # fmt: skip
    sections = {
        "server",
        "store",
        "cluster",
        "identity",
        "limits",
        "doors",
        "webhooks",
        "agents",
        "agents.NAME.clocks",
    }
    assert [key for key in keys if key not in sections and f"- `{key}`: " not in text] == []


# -- asyncapi.json -----------------------------------------------------------------------------------------------

DOCUMENT = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))


def references(value: Any) -> list[str]:
    """Every $ref in the document."""
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [ref for child in value.values() for ref in references(child)]
    return [ref for child in value for ref in references(child)] if isinstance(value, list) else []


def test_references_lead_somewhere() -> None:
    """Every $ref of the AsyncAPI document is resolved within it."""
    for ref in references(DOCUMENT):
        place = DOCUMENT
        for step in ref.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_operations_have_a_reply() -> None:
    """Each command is received and has its reply or an error; each push is sent; nothing else is there."""
    for name, operation in DOCUMENT["operations"].items():
        assert operation["action"] == ("send" if name.startswith("push_") else "receive")
        assert ("reply" in operation) == (operation["action"] == "receive")


def validator(name: str) -> Any:
    """A validator for one of the document's schemas."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("draft", [jsonschema.Draft7Validator, jsonschema.Draft202012Validator])
def test_schemas_are_schemas(draft: Any) -> None:
    """Every schema is one, by the draft that AsyncAPI builds on and by the newest."""
    for schema in DOCUMENT["components"]["schemas"].values():
        draft.check_schema(schema)


def test_schemas_keep_to_both_drafts() -> None:
    """Nothing in the schemas means something in one draft only: no places in a list, no discriminator objects."""
    text = json.dumps(DOCUMENT["components"]["schemas"])
    assert '"prefixItems"' not in text
    assert '"discriminator"' not in text
    for schema in DOCUMENT["components"]["schemas"].values():
        assert all(isinstance(items, dict) for items in values_of(schema, "items"))


def values_of(value: Any, key: str) -> list[Any]:
    """Every value under `key`, however deep."""
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    here = [value[key]] if isinstance(value, dict) and key in value else []
    return here + [found for child in children for found in values_of(child, key)]


@pytest.mark.parametrize(
    "vector", json.loads((FOLDER / "fold.json").read_text("utf-8")), ids=lambda v: v["name"]
)
def test_the_schema_permits_what_is_sent(vector: dict[str, Any]) -> None:
    """Pages and transcripts of the shared vectors are valid by the published schema, later kinds included."""
    page = {"type": "page", "request_id": "r", "start": 0, "next": "", "events": vector["events"]}
    validator("Page").validate(page)
    validator("Page").validate({**page, "events": vector["snapshot"]})
    validator("Transcript").validate(vector["transcript"])


def test_the_schema_refuses_what_the_server_refuses() -> None:
    """A command with an unknown field, a missing one, or an id with a line break is invalid by the schema too."""
    cancel = validator("Cancel")
    cancel.validate({"type": "cancel", "ref": 1, "request_id": "r"})
    for wrong in ({"request_id": "r", "x": 1}, {}, {"request_id": "r\n"}, {"request_id": "r", "ref": -1}):
        with pytest.raises(jsonschema.ValidationError):
            cancel.validate({"type": "cancel", "ref": 1, **wrong})
    with pytest.raises(jsonschema.ValidationError):
        validator("Page").validate(
            {"type": "page", "request_id": "r", "start": 0, "next": "", "events": [{"type": "delta"}]}
        )


# -- the dialogue in protocol.md ---------------------------------------------------------------------------------


def dialogues() -> list[list[tuple[str, str]]]:
    """The dialogues of the page, each a list of (who, frame)."""
    text = (DOCS / "protocol.md").read_text("utf-8")
    found = re.findall(r"```text\n(C> .*?)```", text, re.DOTALL)
    return [
        [
            (who, frame)
            for who, frame in re.findall(r"^([CS])> (.*?)(?=^[CS]> |\Z)", each, re.MULTILINE | re.DOTALL)
        ]
        for each in found
    ]


def read(frame: str) -> Any:
    """The command, or why it is none."""
    try:
        return JSON.decode_command(frame)
    except ProtocolError as error:
        return error


class Reader:
    """A client that goes by the page alone: rules 1 to 6 of its section on pushes."""

    def __init__(self) -> None:
        self.fold = Fold()
        self.next: Fold | None = None
        self.verified = 0

    def take(self, message: Any) -> None:
        """Take a push."""
        target = self.next or self.fold
        if isinstance(message, Snapshot):
            self.next = Fold()
        elif isinstance(message, Page):
            assert message.start == target.offset
            target.apply_all(message.events)
            assert message.next.startswith(f"{target.offset}-")
        elif isinstance(message, CaughtUp):
            digest = target.digest()
            assert (digest.parts, digest.bytes, digest.crc) == (message.parts, message.bytes, message.digest)
            assert message.cursor.startswith(f"{target.offset}-")
            assert message.sealed == target.sealed
            self.fold, self.next = target, None
            self.verified += 1


def test_the_dialogue_is_true() -> None:
    """Every frame of the dialogue is one; offsets, spans, digests and refs agree; the snapshot is the one a server makes."""
    reader, told = Reader(), []
    for dialogue in dialogues():
        asked: list[int] = []
        for who, frame in dialogue:
            if who == "C":
                command = read(frame)
                asked.append(command.ref)
                if isinstance(command, ProtocolError):
                    told.append((command.code, str(command)))
                continue
            message: Any = JSON.decode_server(frame)
            if hasattr(message, "ref"):
                assert message.ref == asked.pop(0)
            if message.__struct_config__.tag == "error":
                assert (message.code, message.message) == told.pop()
            if isinstance(message, Page) and reader.next is not None:
                assert message.events == events_of(reader.fold.transcript())
            reader.take(message)
        assert asked == []
    assert told == []
    assert reader.verified == 2
    assert reader.fold.transcript().text == "Hello."


def test_what_to_watch_names_what_is_logged() -> None:
    """Every event that whoever runs a server is told to look for is one that the code logs."""
    page = (DOCS / "operations.md").read_text("utf-8")
    table = re.search(r"\| `event` \|.*?\n\n", page, re.DOTALL)
    assert table
    firsts = [row.split("|")[1] for row in table[0].strip().splitlines()[2:]]
    events = [name for first in firsts for name in re.findall(r"`([^`]+)`", first)]
    code = "".join(path.read_text("utf-8") for path in (ROOT / "server" / "holdfast_server").rglob("*.py"))
    assert len(events) > 30
    assert [name for name in events if f'"{name}"' not in code] == []
