"""A refusal of the core's, said in the words of the door that the call came through.

The core names the fields of a submission; a caller of another API sent no such fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdfast_protocol.errors import ProtocolError

Fields = Mapping[str, str]
"""What the fields of a submission are called by the caller. One that is not here is there as it is."""


def in_own_words(error: ProtocolError, fields: Fields) -> ProtocolError:
    """The same refusal, with the caller's names in `param` and in the sentence. What lies within a field that has a name here is
    not pointed at: the door made it of something else."""
    if error.param is None:
        return error
    name = re.split(r"[.\[]", error.param, maxsplit=1)[0]
    text = re.sub(r"`(\w+)`", lambda found: f"`{fields.get(found[1], found[1])}`", str(error))
    return ProtocolError(
        error.code,
        text,
        ref=error.ref,
        retry_after_ms=error.retry_after_ms,
        param=fields.get(name, error.param),
    )
