"""What things of the AI SDK's are called here: chats, messages and requests, by names that follow from what was sent; and what a
list of messages says of where its chat began."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from holdfast_protocol.commands import Submission
from holdfast_protocol.limits import ID_CHARS_MAX, ID_PATTERN
from holdfast_server.doors.refusal import Refused
from holdfast_server.stores.log import Log

from .shapes import Question, UiMessage
from .ui_messages import has_results, text_of

DOOR: Final = "ai_sdk"
"""Whose entry of a request's envelope it is, and what readers come through."""

_encode = msgspec.msgpack.Encoder(order="sorted").encode


def noted(log: Log) -> dict[str, Any]:
    """What this door noted with the request; empty if another took it."""
    found = log.record.envelope.get(DOOR)
    return found if isinstance(found, dict) else {}


def checked_chat(chat_id: str) -> str:
    """The chat's id, if it can be one here. Raises: Refused."""
    if re.fullmatch(ID_PATTERN, chat_id):
        return chat_id
    raise Refused(
        400,
        "invalid",
        f"A chat's id has 1 to {ID_CHARS_MAX} of A-Z a-z 0-9 _ -; give useChat such an `id`.",
        param="id",
    )


def began_elsewhere(messages: list[UiMessage]) -> bool:
    """Whether somebody has answered a person before. A greeting, or questions that were never taken, are no history."""
    roles = [message.role for message in messages[:-1]]
    if messages[-1].role == "assistant":
        roles.append("assistant")
    return "user" in roles and "assistant" in roles[roles.index("user") :]


def wants_another(question: Question, last: UiMessage) -> bool:
    """Whether an answer that is there already is not what is asked for: who edits a question sends it anew, though it may say
    the same; what a tool found is told once."""
    edited = question.message_id is not None and last.role == "user"
    return question.trigger == "regenerate-message" or edited


def no_question(messages: list[UiMessage]) -> Refused:
    """Why nothing can be asked with an answer at the end."""
    text = "The last message must be the person's."
    if has_results(messages[-1]):
        text = (
            "The history of this chat is the server's, which takes no results of tools from a page; send "
            '`history: "client"` with every request of the chat to keep it yourself.'
        )
    return Refused(400, "invalid", text, param=f"messages[{len(messages) - 1}]")


def names_of(chat_id: str, message: UiMessage, text: str) -> tuple[str, str]:
    """What the person's message may be called here: as it is there, or, if it was edited, or another chat has a message of that
    name, by a name that follows from what it says."""
    digest = digest_of([chat_id, message.id, text])
    own = message.id if re.fullmatch(ID_PATTERN, message.id) else f"m_{digest_of([chat_id, message.id])}"
    return own, f"m_{digest}"


def text_if_any(message: UiMessage) -> str:
    """What an earlier message of the person's said; what could not be asked was not taken either."""
    try:
        return text_of(message, "messages")
    except Refused:
        return ""


def id_of(submission: Submission, chat_id: str, number: int = 0) -> str:
    """The id of a request that is asked for in these words, the `number`th."""
    return f"ai_{digest_of([chat_id, number, submission])}"


def digest_of(value: object) -> str:
    """What names are made of: 160 bits of SHA-256, so that nobody meets another's by chance."""
    return hashlib.sha256(_encode(value)).hexdigest()[:40]
