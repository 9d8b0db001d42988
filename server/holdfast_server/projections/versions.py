"""The versions of the projections whose frames are numbered: a journal is read with the one it was opened under.

A release that makes one more frame of an event shifts every number after it. So it makes a new version, beside the one that
journals which are still kept were opened under.
"""

from __future__ import annotations

from typing import Final

VERSIONS: Final[dict[str, int]] = {"responses": 1}
"""What a new journal is opened under, by the projection's name."""
