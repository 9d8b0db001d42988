"""Logs: nothing secret, no lines of a client's making."""

import json

import pytest
import structlog

from holdfast_server.logs import configure, mask


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


def test_mask_keeps_ordinary_text():
    """Only what looks like a credential goes."""
    assert mask("the sky is blue; task-list") == "the sky is blue; task-list"
