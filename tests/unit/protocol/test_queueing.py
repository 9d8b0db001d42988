"""What people are told of a queued request is the same in all languages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_protocol.queueing import WAITS_FOR, waiting_sentence
from tests.support.vectors import FOLDER

VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "queueing.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["sentence"]))
def test_the_sentences_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    """Each reason has its sentence, and a time is told in round figures that are not too short."""
    said = waiting_sentence(vector["place"], vector["reason"], vector["estimate_ms"])
    assert said == vector["sentence"]


def test_there_is_a_vector_for_each_reason() -> None:
    """Clients in other languages see every sentence there is."""
    assert {*WAITS_FOR, "slots"} <= {vector["reason"] for vector in VECTORS}
