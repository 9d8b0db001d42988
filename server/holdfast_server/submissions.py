"""What a submission may be, and what makes two of them the same: checks that need no chat and no journal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast_protocol.codec import check_depth
from holdfast_protocol.commands import InputMessage, Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.limits import TEXT_BYTES_MAX

if TYPE_CHECKING:
    from .agents.base import Profile

NAMES_TOLD: Final = 30
"""Options that an error lists, so that it stays a sentence; agents that come along have at most half of that."""

_SORTED = msgspec.msgpack.Encoder(order="sorted")


def check_submission(submission: Submission) -> None:
    """What the types do not say. Raises: ProtocolError that names the field."""
    said = len((submission.text or "").encode())
    brought = sum(len(text.encode()) for text in texts_of(submission.messages))
    if said + brought > TEXT_BYTES_MAX:
        param = "text" if said > brought else "messages"
        raise ProtocolError("too_large", f"A request's text may have {TEXT_BYTES_MAX} bytes.", param=param)
    check_depth(submission.options)
    _check_calls(submission.messages)
    if submission.chat_id is None:
        if submission.text is None and not submission.messages:
            raise ProtocolError("invalid", "Give `text` or `messages`.")
        if not submission.messages and not (submission.text or "").strip():
            raise ProtocolError("invalid", "`text` is empty.", param="text")
        for name in ("parent_id", "message_id", "root"):
            if getattr(submission, name):
                text = "`parent_id`, `message_id` and `root` need a `chat_id`."
                raise ProtocolError("invalid", text, param=name)
    else:
        for number, message in enumerate(submission.messages):
            if message.role != "system":
                text = "With a `chat_id`, `messages` may be of the role system only."
                raise ProtocolError("invalid", text, param=f"messages[{number}].role")
        if submission.text is not None and not submission.text.strip():
            raise ProtocolError("invalid", "`text` is empty.", param="text")
        if submission.root and (submission.parent_id is not None or submission.text is None):
            text = "`root` goes with `text`, and without `parent_id`."
            raise ProtocolError("invalid", text, param="root")
        if submission.message_id is not None and submission.message_id == submission.request_id:
            # The answer's message has the request's id: the question needs one of its own.
            text = "`message_id` must not be the `request_id`; take another."
            raise ProtocolError("invalid", text, param="message_id")


def check_options(agent: str, profile: Profile, options: Iterable[str]) -> None:
    """Their names alone: values are the agent's to check. Raises: ProtocolError that names the first that it does not have."""
    from .agents.base import unknown_options

    unknown = unknown_options(profile, options)
    if not unknown:
        return
    name, has = unknown[0][:64], sorted(profile.options or ())
    more = " …" if len(has) > NAMES_TOLD else ""
    told = f"it has {', '.join(has[:NAMES_TOLD])}{more}" if has else "it has none"
    raise ProtocolError(
        "invalid", f"Agent `{agent}` has no option `{name}`; {told}.", param=f"options.{name}"
    )


def texts_of(messages: Iterable[InputMessage]) -> Iterator[str]:
    """Everything in these messages that counts as text: what is said, and their tool calls."""
    for message in messages:
        yield message.text
        yield message.call_id or ""
        for call in message.tool_calls:
            yield from (call.call_id, call.name, call.arguments)


def _check_calls(messages: Iterable[InputMessage]) -> None:
    """Every result has its call before it. Some servers count their ids anew in each answer, so an id may come again in a
    later message and is then that message's call. Raises: ProtocolError that names the field."""
    answered: dict[str, bool] = {}
    for number, message in enumerate(messages):
        if message.tool_calls:
            calls = f"messages[{number}].tool_calls"
            if message.role != "assistant":
                text = "Only messages of the role assistant have `tool_calls`."
                raise ProtocolError("invalid", text, param=calls)
            ids = {call.call_id for call in message.tool_calls}
            if len(ids) < len(message.tool_calls):
                text = "A message has two `tool_calls` with one `call_id`."
                raise ProtocolError("invalid", text, param=calls)
            answered |= dict.fromkeys(ids, False)
        param = f"messages[{number}].call_id"
        if message.role != "tool":
            if message.call_id is not None:
                raise ProtocolError(
                    "invalid", "Only messages of the role tool have a `call_id`.", param=param
                )
            continue
        if message.call_id is None:
            text = "A message of the role tool needs the `call_id` of its call."
            raise ProtocolError("invalid", text, param=param)
        if message.call_id not in answered:
            text = f"No message before has the tool call {message.call_id[:64]!r}."
            raise ProtocolError("invalid", text, param=param)
        if answered[message.call_id]:
            text = f"The tool call {message.call_id[:64]!r} has two results."
            raise ProtocolError("invalid", text, param=param)
        answered[message.call_id] = True


def hash_of(submission: Submission, envelope: Mapping[str, Any] | None = None) -> bytes:
    """What makes two submissions the same: the SHA-256 of the decoded value, so that both codecs agree; and of what the
    door noted with it, if it noted something."""
    digest = hashlib.sha256(_SORTED.encode(submission))
    if envelope:
        digest.update(_SORTED.encode(envelope))
    return digest.digest()
