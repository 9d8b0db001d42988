"""Logs: nothing secret, no lines of a client's making."""

import json

import pytest
import structlog

from holdfast_server.logs import configure, mask
from holdfast_server.stores.base import Unavailable


@pytest.fixture
def lines(capsys):
    """Log as JSON, and read back what was logged."""
    configure("info", "json")

    def read():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    structlog.reset_defaults()


def test_credentials_are_masked_wherever_they_stand(lines):
    """By the name of the field, and by the look of the value."""
    log = structlog.get_logger("test")
    log.info("one", token="canary-1", api_key="canary-2", authorization="canary-3")
    log.info("two sk-canary4canary4", url="http://x/?q=1", text="Bearer canary5canary5")
    found = lines()
    assert len(found) == 2
    assert "canary" not in json.dumps(found)
    assert found[1]["url"] == "http://x/?q=1"


def test_a_client_cannot_write_lines_of_its_own(lines):
    """Control characters are escaped."""
    structlog.get_logger("test").info("x", client="a\nlevel=error \x1b[31m")
    (found,) = lines()
    assert found["client"] == "a\\x0alevel=error \\x1b[31m"


def test_levels_filter(lines):
    """What is below the level is not written."""
    structlog.get_logger("test").debug("x")
    assert lines() == []


@pytest.mark.parametrize(
    ("error", "traced"), [(Unavailable("Redis is away."), False), (ValueError("Our bug."), True)]
)
def test_an_outage_is_one_line(lines, error, traced):
    """What is not there is a warning with its reason; a bug is an error with its stack."""
    log = structlog.get_logger("test")
    try:
        raise error
    except Exception:
        log.exception("sweep failed")
    log.error("task failed", exc_info=error)
    for found in lines():
        assert found["level"] == ("error" if traced else "warning")
        assert ("Traceback" in found.get("exception", "")) is traced
        assert ("reason" in found) is not traced


def test_mask_keeps_ordinary_text():
    """Only what looks like a credential goes."""
    assert mask("the sky is blue; task-list") == "the sky is blue; task-list"
