"""Logs: one line per thing that happened, as text for people or JSON for machines, with nothing secret in it.

Prompts and answers are never logged. What looks like a credential is masked whatever key it stands under, and control
characters are escaped, so that no client writes lines of its own into the log.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal

import structlog

_SECRET_NAME: Final = re.compile(r"token|secret|password|api_?key|authorization|cookie", re.IGNORECASE)
_SECRET_VALUE: Final = re.compile(r"(?:Bearer\s+|sk-|ghp_|xox[a-z]-)[A-Za-z0-9._~+/=-]{6,}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u2028\u2029]")

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def mask(text: str) -> str:
    """The text without anything that looks like a credential."""
    return _SECRET_VALUE.sub("***", text)


def _safe(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if _SECRET_NAME.search(name) and value is not None:
            event[name] = "***"
        elif isinstance(value, str):
            masked = mask(value)
            if name not in ("exception", "event"):
                masked = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", masked)
            event[name] = masked
    return event


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of the HTTP library is about us. Of what a stranger sends that is no HTTP it would log a stack trace
    with the bytes in question, credentials among them, as often as the stranger likes."""
    error = record.exc_info[1] if record.exc_info else None
    return not any(kind.__module__ == "aiohttp.http_exceptions" for kind in type(error).__mro__)


def _outage(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What is not there, and is asked again, is a warning of one line: where in our code we noticed it helps nobody."""
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()[1]
    if getattr(error, "is_outage", False):
        del event["exc_info"]
        event.update(level="warning", reason=str(error))
    return event


def configure(level: str = "info", form: Literal["auto", "text", "json"] = "auto") -> None:
    """Set up logging for this process, on standard error; `auto` is text on a terminal and JSON elsewhere."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if text
        else structlog.processors.JSONRenderer()
    )
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _outage,
        structlog.processors.format_exc_info,
        _safe,
    ]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    bridge = logging.StreamHandler(sys.stderr)
    bridge.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=processors,
        )
    )
    logging.basicConfig(level=max(LEVELS[level], logging.WARNING), handlers=[bridge], force=True)
