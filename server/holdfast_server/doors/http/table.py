"""All operations of the native API, in the order in which they are documented."""

from __future__ import annotations

from typing import Final

from . import batch_table, chat_table, request_table
from .operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *request_table.OPERATIONS,
    *chat_table.OPERATIONS,
    *batch_table.OPERATIONS,
)
