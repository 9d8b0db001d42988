"""What all suites share: one profile for random tests, and a closing list of what could not run on this machine.

A suite is a folder directly under tests/. A test that needs a program marks it, `@pytest.mark.needs("redis-server")`:
where the program is missing the test is skipped, and its suite is named at the end, so that a green run never hides
what it left out. With CI=true nothing may be missing: the test fails instead. `needs("chromium")` takes any browser of that
kind, and `needs("page")` wants the page built. What `make` left out before pytest began it hands over in HOLDFAST_LEFT_OUT.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.programs import absence, find

pytest_plugins = ["tests.support.redis_fixtures", "tests.support.postgres_fixtures"]

TESTS = Path(__file__).resolve().parent
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# The same examples on every run: a red build is red again on the next machine. `--hypothesis-profile=long` explores.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile("steady")


def suite_of(path: str) -> str:
    """The suite that a test file belongs to."""
    return Path(path).parts[0] if len(Path(path).parts) > 1 else "tests"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing; fail it in CI."""
    wanted = [program for marker in item.iter_markers("needs") for program in marker.args]
    missing = sorted({program for program in wanted if find(program) is None})
    if not missing:
        return
    reason = ", ".join(absence(program) for program in missing)
    if IN_CI:
        pytest.fail(f"{reason}, and CI leaves nothing out", pytrace=False)
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the suites with skipped tests, above pytest's own last line."""
    left_out: dict[tuple[str, str], int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        key = (suite_of(report.nodeid.removeprefix("tests/")), reason.removeprefix("Skipped: "))
        left_out[key] = left_out.get(key, 0) + 1
    terminalreporter.section("left out")
    for (suite, reason), count in sorted(left_out.items()):
        terminalreporter.write_line(f"{suite}: {count} skipped: {reason}")
    before = os.environ.get("HOLDFAST_LEFT_OUT", "")
    if before:
        terminalreporter.write_line(before)
    if not left_out and not before:
        terminalreporter.write_line("nothing was skipped")
