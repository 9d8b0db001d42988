"""Agents as models: which one is meant, and whether it takes what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holdfast_protocol.codec import check_depth
from holdfast_server.agents.base import Profile, unknown_options
from holdfast_server.doors.bodies import convert
from holdfast_server.doors.refusal import Refused

from .naming import invalid, unsupported_parameter

NAMES_TOLD: Final = 20
"""Agents that an error names, so that it stays a sentence."""

PAIRS_MAX: Final = 16
KEY_CHARS_MAX: Final = 64
VALUE_CHARS_MAX: Final = 512
"""Metadata as OpenAI bounds it."""


def profile_of(profiles: Mapping[str, Profile], model: str) -> Profile:
    """The agent of that name. Raises: Refused as OpenAI does for a model that is not there."""
    found = profiles.get(model)
    if found is None:
        names = ", ".join(sorted(profiles)[:NAMES_TOLD])
        raise Refused(
            404,
            "model_not_found",
            f"The model {model[:80]!r} does not exist. Models are agents here; there are: {names}.",
            param="model",
        )
    return found


def check_options(name: str, profile: Profile, options: Mapping[str, Any], words: Mapping[str, str]) -> None:
    """`words`: what the caller calls an option, where that is not its name. Raises: Refused."""
    for option in unknown_options(profile, options):
        raise unsupported_parameter(words.get(option, option), f"The agent {name!r} does not take it.")
    check_depth(dict(options))


class Own(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameter `holdfast`."""

    options: dict[str, Any] = {}


def own_options(plain: Any) -> dict[str, Any]:
    """The agent's own options. Raises: Refused."""
    return dict(convert({"holdfast": plain}, _Wrapped).holdfast.options)


class _Wrapped(msgspec.Struct, frozen=True):
    holdfast: Own


def metadata_of(plain: Any) -> dict[str, str]:
    """Metadata within OpenAI's bounds. Raises: Refused."""
    if not isinstance(plain, dict) or len(plain) > PAIRS_MAX:
        raise invalid("metadata", f"it is an object of {PAIRS_MAX} pairs at most.")
    for key, value in plain.items():
        path = f"metadata.{key[:KEY_CHARS_MAX]}"
        if len(key) > KEY_CHARS_MAX:
            raise invalid(path, f"keys have {KEY_CHARS_MAX} characters at most.")
        if not isinstance(value, str) or len(value) > VALUE_CHARS_MAX:
            raise invalid(path, f"values are texts of {VALUE_CHARS_MAX} characters at most.")
    return dict(plain)
