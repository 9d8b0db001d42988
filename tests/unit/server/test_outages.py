"""What is tried again and again is said once, when its reason changes, and when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from holdfast_server.outages import REASONS_MAX, Outage
from holdfast_server.stores.base import Unavailable
from holdfast_server.sweeps import Health, sweep
from tests.support.simloop import SimLoop


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    """What is logged."""
    with capture_logs() as lines:
        yield lines


def heard(said: list[EventDict]) -> list[tuple[str, str, str | None]]:
    """What people are told: level, event and reason."""
    return [
        (line["log_level"], line["event"], line.get("reason"))
        for line in said
        if line["log_level"] != "debug"
    ]


def outage() -> Outage:
    return Outage(structlog.get_logger(), "it is away", "it is back", work="sweep")


def test_a_reason_is_told_once_and_the_end_too(said: list[EventDict]) -> None:
    """However often it is tried, and though two reasons take turns; the next outage is told anew."""
    work = outage()
    for _ in range(20):
        work.failed(Unavailable("refused"))
        work.failed("silent")
    for _ in range(2):
        work.over()
    work.failed(Unavailable("refused"), request_id="r1")
    assert heard(said) == [
        ("warning", "it is away", "refused"), ("warning", "it is away", "silent"), ("info", "it is back", None),
        ("warning", "it is away", "refused"),
    ]  # fmt: skip
    assert {line["work"] for line in said} == {"sweep"}
    assert len([line for line in said if line["log_level"] == "debug"]) == 38
    assert (said[-1]["request_id"], said[-2]["failures"]) == ("r1", 40)


def test_a_bug_keeps_its_stack(said: list[EventDict]) -> None:
    """Once: it is an error, not an outage."""
    work, bug = outage(), ValueError("ours")
    work.failed(bug)
    work.failed(bug)
    assert [(line["log_level"], line.get("exc_info")) for line in said] == [("error", bug), ("debug", None)]


def test_a_reason_that_is_never_the_same_does_not_flood(said: list[EventDict]) -> None:
    """After some of them nothing new is told."""
    work = outage()
    for number in range(100):
        work.failed(f"refused on port {number}")
    assert len(heard(said)) == REASONS_MAX


class Rows:
    """Works that share the name of their method."""

    def __init__(self) -> None:
        self.works = False

    async def sweep(self) -> None:
        if not self.works:
            raise Unavailable("Redis is away.")


def test_a_sweep_names_whose_it_is_and_is_not_told_again_and_again(said: list[EventDict]) -> None:
    """Also when it works again; a function inside another goes by its own name."""
    rows = Rows()

    async def purge() -> None:
        await rows.sweep()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await sweep([rows.sweep], [purge], every_s=1, seldom_s=10)

    async def recovery() -> None:
        asyncio.get_running_loop().call_later(5.5, setattr, rows, "works", True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await sweep([rows.sweep], [purge], every_s=1, seldom_s=3)

    SimLoop(1).run(main())
    assert len(said) > 50
    again = "sweep failed; it is tried again"
    assert heard(said) == [("warning", again, "Redis is away.")] * 2
    assert sorted({line["work"] for line in said}) == ["Rows.sweep", "purge"]
    said.clear()
    SimLoop(1).run(recovery())
    told = [line for line in said if line["log_level"] != "debug"]
    assert [(line["event"], line["work"]) for line in told] == [
        (again, "Rows.sweep"), (again, "purge"), ("sweep works again", "Rows.sweep"), ("sweep works again", "purge"),
    ]  # fmt: skip


def test_health_names_the_service_once_and_when_it_is_back(said: list[EventDict]) -> None:
    """Whoever runs it reads the service's name; people are told of what they know."""
    answers: list[str] = ["", "refused", "refused", "never", "refused", "", ""]
    troubles: list[str | None] = []

    async def ask() -> None:
        troubles.append(health.trouble)
        answer = answers[len(troubles) - 1] if len(troubles) <= len(answers) else ""
        if answer == "never":
            await asyncio.sleep(100)
        if answer:
            raise Unavailable(answer)

    away = Outage(structlog.get_logger(), "postgresql is not available", "postgresql is back")
    health = Health(ask, "the history", away)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await health.run()

    SimLoop(1).run(main())
    silent = "the history does not answer"
    assert heard(said) == [
        ("warning", "postgresql is not available", "refused"), ("warning", "postgresql is not available", silent),
        ("info", "postgresql is back", None),
    ]  # fmt: skip
    assert troubles[:7] == [None, None, "refused", "refused", silent, "refused", None]
