"""What came before: the turns of a previous response, copied out of it, or the conversation that has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_protocol.commands import InputMessage
from holdfast_server.doors.refusal import Refused
from holdfast_server.history.visible import UnknownChat
from holdfast_server.projections.response_envelope import envelope_of
from holdfast_server.reels import asked_of
from holdfast_server.requests import Requests
from holdfast_server.stores.base import Owner, UnknownRequest
from holdfast_server.stores.log import Log

from .asked_items import messages_of
from .naming import CONVERSATION, RESPONSE, not_found, own_id
from .response_reel import ResponseReels


@dataclass(frozen=True, slots=True)
class Earlier:
    """Messages to carry along, or the chat that has them and the message in it to go on after."""

    messages: Sequence[InputMessage] = ()
    chat_id: str | None = None
    parent_id: str | None = None


class Turns:
    """Looks up what came before."""

    def __init__(self, requests: Requests, reels: ResponseReels) -> None:
        self._requests = requests
        self._reels = reels

    async def chat(self, owner: Owner, chat_id: str) -> None:
        """Look whether the conversation is there. Raises: Refused."""
        try:
            await self._requests.chats.get_chat(owner, chat_id)
        except UnknownChat:
            try:  # one that was begun a moment ago is in no history yet; this catches up
                await self._requests.list_messages(owner, chat_id, 1, None)
            except UnknownChat:
                raise not_found(f"{CONVERSATION}{chat_id}", CONVERSATION) from None

    async def before(self, owner: Owner, name: str) -> Earlier:
        """What stands before an input that goes on after this response. Raises: Refused, StoreError."""
        try:
            log = await self._requests.find(owner, own_id(name, RESPONSE))
        except (Refused, UnknownRequest):
            raise self._no(f"Previous response with id {name[:80]!r} not found.") from None
        if log.record.chat_id is not None:
            return Earlier(chat_id=log.record.chat_id, parent_id=log.key.request_id)
        if not log.sealed:
            raise self._no(
                f"The response {name!r} is not there yet; wait for its end.", "previous_response_not_ended"
            )
        return Earlier(messages=[*_asked(log), *await self._answered(log)])

    @staticmethod
    def _no(why: str, code: str = "previous_response_not_found") -> Refused:
        return Refused(400, code, why, param="previous_response_id")

    async def _answered(self, log: Log) -> list[InputMessage]:
        """What stands of the answer, without calls that were not said to their end."""
        output = (await self._reels.wound(log)).output()
        return messages_of(
            [item for item in output if item["type"] != "function_call" or item["status"] == "completed"]
        )


def _asked(log: Log) -> list[InputMessage]:
    """What was asked, without the instructions: those are of one response alone."""
    record = log.record
    own = 1 if envelope_of(asked_of(log)).instructions else 0
    messages = list(record.messages[own:])
    if record.text is not None:
        messages.append(InputMessage(role="user", text=record.text))
    return messages
