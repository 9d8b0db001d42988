"""What the AI SDK sends: bodies of the HTTP transport and frames of the WebSocket transport, as it writes them.

Unknown fields are let through: an application adds its own to the body, and later versions of the AI SDK theirs.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from holdfast_protocol.commands import Id, Name

CHAT_CHARS_MAX: Final = 200
"""Of an id of the AI SDK's, before it is looked at more closely; its own have 16."""

MESSAGES_MAX: Final = 2000
"""Messages of one body; more would not fit in it."""

Text = Annotated[str, msgspec.Meta(max_length=CHAT_CHARS_MAX)]


class UiMessage(msgspec.Struct, kw_only=True):
    """A message as `useChat` holds it. Its parts are looked into where they are used (ui_messages.py)."""

    id: Text
    role: Literal["system", "user", "assistant"]
    parts: list[dict[str, Any]] = []


class Extras(msgspec.Struct, kw_only=True, rename="camel"):
    """What an application may say beside its messages: the `body` of the transport. `history`: who keeps the chat;
    without it that follows from what is known of the chat."""

    agent: Name | None = None
    model: Name | None = None
    options: dict[str, Any] = {}
    system: str | None = None
    history: Literal["server", "client"] | None = None
    request_id: Id | None = None
    ai_sdk: int | None = None
    last: Text | None = None


class Question(Extras, kw_only=True, rename="camel"):
    """POST /api/chat, and what a `send` frame comes to. `message` instead of `messages`: the last one alone, for
    applications that leave out what the server has."""

    id: Text
    messages: Annotated[list[UiMessage], msgspec.Meta(max_length=MESSAGES_MAX)] = []
    message: UiMessage | None = None
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Text | None = None


class Stop(msgspec.Struct, kw_only=True, rename="camel"):
    """POST /api/chat/{id}/stop. `active_stream_id`: only if that is what runs; it is the answer's message id."""

    active_stream_id: str | None = None


class Send(msgspec.Struct, kw_only=True, rename="camel"):
    """Ask."""

    request_id: Text
    id: Text
    messages: Annotated[list[UiMessage], msgspec.Meta(max_length=MESSAGES_MAX)]
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Text | None = None
    body: dict[str, Any] = {}


class Resume(msgspec.Struct, kw_only=True, rename="camel"):
    """Go on with what runs in the chat, from its beginning."""

    request_id: Text
    id: Text
    last_sequence: int | None = None
    body: dict[str, Any] = {}


class Abort(msgspec.Struct, kw_only=True, rename="camel"):
    """The reader wants no more of it."""

    request_id: Text


Frame = Send | Resume | Abort
