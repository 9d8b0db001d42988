"""What a caller would like: how long to wait (Prefer, RFC 7240), and in which format (Accept)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from aiohttp import hdrs
from multidict import CIMultiDict, CIMultiDictProxy

PREFER: Final = "Prefer"
APPLIED: Final = "Preference-Applied"

HEADER_CHARS_MAX: Final = 4_096
"""Of a header that is looked through; what lies beyond is not read."""

_WAIT: Final = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.ASCII | re.IGNORECASE)


class Preference(NamedTuple):
    """`wait_s`: how long to wait for an outcome; None: nothing was said. `at_once`: respond-async."""

    wait_s: float | None = None
    at_once: bool = False

    def seconds(self, default_s: float, max_s: float) -> float:
        """How long to wait. With both, the caller waits so long and then goes on by itself, as RFC 7240 has it."""
        if self.wait_s is not None:
            return min(self.wait_s, max_s)
        return 0.0 if self.at_once else min(default_s, max_s)

    def applied(self, max_s: float) -> Mapping[str, str]:
        """The header that says what was done of it; nothing if nothing was asked."""
        said = ["respond-async"] if self.at_once else []
        if self.wait_s is not None:
            said.append(f"wait={min(self.wait_s, max_s):.0f}")
        return {APPLIED: ", ".join(said)} if said else {}


def preference(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> Preference:
    """What Prefer says, in one header or several; what is not understood is ignored, as its standard demands, and then not
    among what is said to be applied. Of one that is repeated the first holds."""
    wait_s: float | None = None
    at_once = False
    for text in ",".join(headers.getall(PREFER, ()))[:HEADER_CHARS_MAX].split(","):
        token = text.split(";")[0].strip()
        if token.lower() == "respond-async":
            at_once = True
        elif wait_s is None and (found := _WAIT.fullmatch(token)) is not None:
            wait_s = float(found[1])
    return Preference(wait_s, at_once)


def preferred(headers: CIMultiDictProxy[str] | CIMultiDict[str], offered: Sequence[str]) -> str:
    """Which of the media types the caller would rather have: the first where it has no wish, or none that can be met."""
    ranges = _ranges(",".join(headers.getall(hdrs.ACCEPT, ()))[:HEADER_CHARS_MAX])
    best, chosen = 0.0, offered[0]
    for media in offered:
        group = media.split("/")[0] + "/*"
        quality = next((ranges[one] for one in (media, group, "*/*") if one in ranges), 0.0)
        if quality > best:
            best, chosen = quality, media
    return chosen


def _ranges(accept: str) -> dict[str, float]:
    out: dict[str, float] = {}
    for item in accept.split(","):
        media, *parameters = (piece.strip() for piece in item.lower().split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                quality = _quality(value.strip())
        if media:
            out[media] = max(out.get(media, 0.0), quality)
    return out


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", text, re.ASCII) else 0.0
