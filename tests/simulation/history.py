"""A history in memory, for the real projector and the real requests: rows that outlive the server process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from holdfast_protocol.fold import fold
from holdfast_protocol.lifecycle import Status
from holdfast_protocol.replies import ChatRow, MessageRow
from holdfast_server.history.reading import Ground, Standing
from holdfast_server.stores.base import Key, Owner, Record, Unavailable, UnknownRequest
from holdfast_server.stores.log import Log
from tests.support.faults import Faults


class Row(NamedTuple):
    """A message."""

    owner: Owner
    key: Key
    message: MessageRow


class Rows:
    """The database: it outlives every process."""

    def __init__(self) -> None:
        self.messages: dict[tuple[Owner, str], Row] = {}

    def copy(self) -> Rows:
        """As it is now."""
        other = Rows()
        other.messages = dict(self.messages)
        return other


class SimChats:
    """What requests, the projector and the feed ask of the history."""

    def __init__(self, rows: Rows, faults: Faults) -> None:
        self._rows = rows.messages
        self._faults = faults

    async def _trouble(self) -> None:
        await asyncio.sleep(self._faults.delay("history.answers"))
        if self._faults.fault("history.unavailable"):
            raise Unavailable("The simulated history does not answer.")

    async def agent_of(self, owner: Owner, chat_id: str) -> str | None:
        return None

    async def list_chats(self, owner: Owner) -> tuple[list[ChatRow], str | None]:
        await self._trouble()
        return [], None

    async def ground(self, owner: Owner, chat_id: str, message_ids: Iterable[str], *, leaf: bool) -> Ground:
        await self._trouble()
        found = {
            name: row.message for name in message_ids if (row := self._rows.get((owner, name))) is not None
        }
        messages = {name: Standing(row.chat_id, row.parent_id, row.role) for name, row in found.items()}
        own = [
            row.message
            for row in self._rows.values()
            if row.owner == owner and row.message.chat_id == chat_id
        ]
        return Ground(bool(own), False, messages, own[-1].message_id if leaf and own else None)

    async def branch(self, owner: Owner, chat_id: str, message_id: str) -> Sequence[MessageRow]:
        await self._trouble()
        found: list[MessageRow] = []
        at: str | None = message_id
        while at is not None:
            row = self._rows.get((owner, at))
            if row is None:
                break
            found.append(row.message)
            at = row.message.parent_id
        return found[::-1]

    async def purged_log(self, owner: Owner, request_id: str) -> Log:
        raise UnknownRequest(request_id)

    async def purged_status(self, owner: Owner, request_id: str) -> tuple[Status, str]:
        raise UnknownRequest(request_id)

    async def project_opened(self, source: Record | Log) -> None:
        await self._trouble()
        self._open(source.record if isinstance(source, Log) else source)

    async def project_sealed(self, log: Log) -> bool:
        await self._trouble()
        record = log.record
        self._open(record)
        assert record.chat_id is not None
        transcript = fold(log.events)
        answer = MessageRow(
            message_id=record.key.request_id, chat_id=record.chat_id, role="assistant", parent_id=record.message_id,
            text=transcript.text, transcript=transcript, status=log.status,
        )  # fmt: skip
        self._rows[record.key.owner, answer.message_id] = Row(record.key.owner, record.key, answer)
        return True

    def _open(self, record: Record) -> None:
        assert record.chat_id is not None
        assert record.message_id is not None
        question = MessageRow(
            message_id=record.message_id, chat_id=record.chat_id, role="user", parent_id=record.parent_id,
            text=record.text or "",
        )  # fmt: skip
        self._rows.setdefault(
            (record.key.owner, question.message_id), Row(record.key.owner, record.key, question)
        )
