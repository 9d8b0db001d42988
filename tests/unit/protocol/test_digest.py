"""The digest, against the shared vectors and against a reading of the definition that shares no code with it."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.digest import Digest, digest_of
from holdfast_protocol.fold import Fold
from holdfast_protocol.live_part import LivePart
from tests.support.vectors import FOLDER

VECTORS = json.loads((FOLDER / "digest.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Each vector's pieces give its lines, and its lines its digest."""
    rows = []
    for part in vector["parts"]:
        live = LivePart(part["kind"], {})
        for piece in part["pieces"]:
            live.shown(piece, True)
        rows.append((live.kind, live.bytes, live.crc))
    assert [f"{kind}:{size}:{crc:08x}" for kind, size, crc in rows] == vector["lines"]
    assert digest_of(rows) == Digest(**vector["digest"])
    whole = "".join(line + "\n" for line in vector["lines"]).encode()
    assert vector["digest"]["crc"] == f"{crc32(whole):08x}"


def test_pieces_do_not_matter_and_order_does() -> None:
    """However a text was cut its digest is the same; parts in another order are another digest."""
    by_name = {vector["name"]: vector["digest"]["crc"] for vector in VECTORS}
    assert by_name["one text"] == by_name["the same text in pieces"]
    assert by_name["two parts"] != by_name["the same two in the other order"]


def test_check_value_of_crc32() -> None:
    """The CRC is the one of zlib, PNG and Ethernet: its well-known check value."""
    live = LivePart("text", {})
    live.shown("1234", True)
    live.shown("56789", True)
    assert live.crc == 0xCBF43926


def test_a_tool_shows_arguments_then_result() -> None:
    """Both are covered, in that order, as strings."""
    fold = Fold().apply_all(
        [
            ev.Accepted(at=0, nonce="0" * 8, agent="a"),
            ev.Started(at=0, attempt=1, term=1, nonce="1" * 8),
            ev.ToolCall(at=0, part=0, call_id="c", name="n"),
            ev.Delta(at=0, part=0, text="é"),
            ev.PartDone(at=0, part=0),
            ev.ToolResult(at=0, part=0, output="漢"),
        ]
    )
    assert fold.digest() == digest_of([("tool", 5, crc32("é漢".encode()))])
