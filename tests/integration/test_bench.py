"""The bench still runs; what it measures is nobody's business here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.process import Process
from tests.support.serving import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "resume",
        "readers",
        "doors",
        "page",
        pytest.param("cluster", marks=pytest.mark.needs("redis-server", "postgres")),
    ],
)
async def test_a_scenario_ends_with_its_table(tmp_path: Path, name: str):
    """A quick run of a scenario starts its processes, measures, prints what it found, and ends with 0."""
    line = [sys.executable, "-m", "bench", "--quick", name]
    async with Process(line, output=tmp_path / "bench.log", cwd=ROOT) as bench:
        assert await bench.wait(wait_s=90) == 0, bench.tail()
    said = (tmp_path / "bench.log").read_text("utf-8")
    assert any(
        mark in said
        for mark in ("Holdfast", "snapshot and tail", "== The page", "== HTTP doors", "== Several nodes")
    )
    assert "nan" not in said
    assert f"({name}: " in said
