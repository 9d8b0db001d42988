"""What a submission may be, and what makes two of them the same: checks that need no chat and no journal."""

from __future__ import annotations

import hashlib

import msgspec

from holdfast_protocol.codec import check_depth
from holdfast_protocol.commands import Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.limits import TEXT_BYTES_MAX

_SORTED = msgspec.msgpack.Encoder(order="sorted")


def check_submission(submission: Submission) -> None:
    """What the types do not say. Raises: ProtocolError."""
    texts = [submission.text or "", *(message.text for message in submission.messages)]
    if sum(len(text.encode()) for text in texts) > TEXT_BYTES_MAX:
        raise ProtocolError("too_large", f"A request's text may have {TEXT_BYTES_MAX} bytes.")
    check_depth(submission.options)
    if submission.chat_id is None:
        if submission.text is None and not submission.messages:
            raise ProtocolError("invalid", "Give `text` or `messages`.")
        if submission.parent_id or submission.message_id or submission.root:
            raise ProtocolError("invalid", "`parent_id`, `message_id` and `root` need a `chat_id`.")
    else:
        if submission.messages:
            raise ProtocolError("invalid", "`messages` are for requests without a chat.")
        if submission.text is not None and not submission.text.strip():
            raise ProtocolError("invalid", "`text` is empty.")
        if submission.root and (submission.parent_id is not None or submission.text is None):
            raise ProtocolError("invalid", "`root` goes with `text`, and without `parent_id`.")
        if submission.message_id is not None and submission.message_id == submission.request_id:
            # The answer's message has the request's id: the question needs one of its own.
            raise ProtocolError("invalid", "`message_id` must not be the `request_id`; take another.")


def hash_of(submission: Submission) -> bytes:
    """What makes two submissions the same: the SHA-256 of the decoded value, so that both codecs agree."""
    return hashlib.sha256(_SORTED.encode(submission)).digest()
