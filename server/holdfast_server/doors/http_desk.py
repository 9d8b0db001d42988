"""What the HTTP doors work with: the desk that their calls share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast_protocol.replies import AgentRow
from holdfast_server.requests import Requests

from .reception import Reception

if TYPE_CHECKING:
    from holdfast_server.agents.base import Profile
    from holdfast_server.batches import Batches
    from holdfast_server.endings import Endings
    from holdfast_server.feed import Feed
    from holdfast_server.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class HttpDesk:
    """`default_wait_s`: how long a submit waits for its answer where the caller does not say; `wait_max_s`: how long any
    call may wait in silence. `ai_sdk_abort`: what `abort` of the AI SDK does to a run. `dialects_async`: a dialect that leaves
    it to its callers answers at once where they do not say. No `webhooks`: not configured."""

    reception: Reception
    requests: Requests
    agents: Sequence[AgentRow]
    profiles: Mapping[str, Profile]
    default_agent: str
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    webhooks: Webhooks | None = None
    batches: Batches | None = None
    endings: Endings | None = None
    feed: Feed | None = None
    durability: str = "process"
    default_wait_s: float = 0.0
    wait_max_s: float = 300.0
    ai_sdk_abort: str = "cancel"
    dialects_async: bool = False
