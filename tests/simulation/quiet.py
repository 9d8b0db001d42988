"""The server's log during a run: nothing is printed, and what it says as an error is kept as evidence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def quiet(errors: list[str]) -> Iterator[None]:
    """Errors that the server logs go into `errors`; nothing goes anywhere else."""

    def keep(_: Any, __: str, event: Any) -> Any:
        error = event.get("exc_info")
        errors.append(f"{event['event']}" + (f": {error!r}" if error is not None else ""))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
