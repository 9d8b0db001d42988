"""Signatures of webhooks, as the Standard Webhooks specification has them (HMAC-SHA256, headers `webhook-*`).

What is signed is the delivery's id, the time of the try and the body, so that none of them can be exchanged and an old
try cannot be played again for long. Every secret signs: a receiver that knows one of them is content, which is how a
secret is changed without a gap.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"

SECRET_BYTES_MIN: Final = 24
"""As the specification asks: less may be guessed."""

SECRET_BYTES_MAX: Final = 64
"""As the specification asks: more adds nothing, the hash's block is full."""

SECRETS_MAX: Final = 8
"""The new one and the old one, and a few forgotten ones: each is a signature in every try."""


def secret_fault(text: str) -> str | None:
    """What is wrong with a secret, in words that do not repeat it, or None."""
    try:
        _key(text)
    except ValueError as error:
        return str(error)
    return None


def _key(text: str) -> bytes:
    if not text.startswith(PREFIX):
        raise ValueError(f"expected {PREFIX} and then base64; `openssl rand -base64 32` makes the rest")
    try:
        raw = b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} is not base64") from None
    if not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
        raise ValueError(f"expected {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64")
    return raw


class Signer:
    """Signs with all of these secrets. Raises: ValueError for one that is none, or too many."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if len(secrets) > SECRETS_MAX:
            raise ValueError(f"expected at most {SECRETS_MAX} secrets")
        self._keys = [_key(secret) for secret in secrets]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def headers(self, delivery_id: str, at_ms: int, body: bytes) -> dict[str, str]:
        """The headers of one try at that time."""
        seconds = str(at_ms // 1000)
        signed = b".".join((delivery_id.encode(), seconds.encode(), body))
        signatures = (b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self._keys)
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": seconds,
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }
