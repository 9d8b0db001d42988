"""Names of this door, and the no that it says in OpenAI's words.

A response is `resp_` and its request's id, a completion `chatcmpl-` and the same, a conversation `conv_` and its chat's id:
so a request that came through any door has its name here, and nothing needs to be looked up.
"""

from __future__ import annotations

import re
from typing import Final

from holdfast_protocol.limits import ID_PATTERN
from holdfast_server.doors.refusal import Refused

RESPONSE: Final = "resp_"
COMPLETION: Final = "chatcmpl-"
CONVERSATION: Final = "conv_"

_NOUNS: Final = {RESPONSE: "response", COMPLETION: "completion", CONVERSATION: "conversation"}


def own_id(name: str, prefix: str) -> str:
    """The request's or chat's id in a name of this door. Raises: Refused."""
    rest = name.removeprefix(prefix)
    if rest == name or not re.fullmatch(ID_PATTERN, rest):
        raise not_found(name, prefix)
    return rest


def not_found(name: str, prefix: str) -> Refused:
    """Nothing has this name, or it is somebody else's."""
    noun = _NOUNS[prefix]
    text = f"No {noun} of yours has the id {name[:80]!r}."
    if not name.startswith(prefix):
        text += f" Ids of {noun}s begin with `{prefix}`."
    return Refused(404, f"{noun}_not_found", text)


def unsupported_parameter(param: str, why: str) -> Refused:
    """The parameter does nothing here."""
    return Refused(400, "unsupported_parameter", f"Unsupported parameter: `{param}`. {why}", param=param)


def unsupported_value(param: str, why: str) -> Refused:
    """The parameter is known, this value of it is not."""
    return Refused(400, "unsupported_value", f"Unsupported value: `{param}`. {why}", param=param)


def unknown_parameter(param: str) -> Refused:
    """No such parameter is documented."""
    return Refused(400, "unknown_parameter", f"Unknown parameter: `{param}`.", param=param)


def invalid(param: str, why: str, code: str = "invalid") -> Refused:
    """The value cannot be meant so."""
    return Refused(400, code, f"Invalid `{param}`: {why}", param=param)
