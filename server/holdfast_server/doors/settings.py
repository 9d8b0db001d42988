"""What the WebSocket door may be told: its bounds, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from holdfast_protocol.limits import (
    COMMAND_BYTES_MAX,
    HEARTBEAT_S,
    HELLO_DEADLINE_S,
    ID_CHARS_MAX,
    LIST_LIMIT_MAX,
    OPTIONS_DEPTH_MAX,
    PAGE_BYTES_MAX,
    PROBES_PER_COMMAND_MAX,
    SUBMITS_PER_COMMAND_MAX,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
    TEXT_BYTES_MAX,
)
from holdfast_server.config import Config
from holdfast_server.connection import DeliveryLimits

DOOR: Final = "websocket"
"""What this door is called where it is told who followed a request."""

COMMAND_DEADLINE_S: Final = 10.0
"""A command that is not done by then is answered `unavailable`: the client repeats it with the same id."""

UNREADABLE_MAX: Final = 20
"""Frames in a row that cannot be read: whoever sends more does not speak this protocol."""

RATE_REFUSALS_MAX: Final = 200
"""Commands refused in a row for their rate: a client that meant well has slowed down long before."""

CLOSE_GRACE_S: Final = 2.0
"""How long the other end may take to answer a close frame, and to take what was written before it."""

USER_TIMEOUT_SLACK_S: Final = 10.0
"""The kernel gives up on unacknowledged bytes so much later than the server itself: it is the second line."""

REPLY_BYTES_MAX: Final = 8 * 1024 * 1024
"""One encoded reply. Lists are bounded in rows; rows of very large messages still must not fill the memory."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """The door's bounds. `durability` and `server` are told in `welcome`."""

    server: str = "holdfast"
    durability: str = "process"
    allowed_origins: tuple[str, ...] = ()
    connections_max: int = 10_000
    user_connections_max: int = 20
    anonymous_connections_max: int = 20
    commands_per_s: float = 50.0
    commands_burst: int = 200
    buffer_bytes: int = 64 * 1024
    no_progress_s: float = 30.0
    heartbeat_s: float = HEARTBEAT_S
    hello_deadline_s: float = HELLO_DEADLINE_S
    close_spread_s: float = 1.0
    told: dict[str, int] = field(
        default_factory=lambda: {
            "command_bytes": COMMAND_BYTES_MAX,
            "text_bytes": TEXT_BYTES_MAX,
            "options_depth": OPTIONS_DEPTH_MAX,
            "id_chars": ID_CHARS_MAX,
            "page_bytes": PAGE_BYTES_MAX,
            "subscriptions": SUBSCRIPTIONS_PER_CONNECTION_MAX,
            "submits_per_command": SUBMITS_PER_COMMAND_MAX,
            "probes_per_command": PROBES_PER_COMMAND_MAX,
            "list_limit": LIST_LIMIT_MAX,
        }
    )


def settings_of(config: Config, *, server: str, durability: str) -> DoorSettings:
    """The door's settings in a configuration."""
    limits = config.limits
    return DoorSettings(
        server=server,
        durability=durability,
        allowed_origins=tuple(config.server.allowed_origins),
        connections_max=limits.connections_max,
        user_connections_max=limits.user_connections_max,
        anonymous_connections_max=limits.anonymous_connections_max,
        commands_per_s=limits.commands_per_s,
        commands_burst=limits.commands_burst,
        buffer_bytes=limits.connection_bytes_max,
        no_progress_s=limits.no_progress_s,
        close_spread_s=config.server.close_spread_s,
    )


def delivery_limits(config: Config) -> DeliveryLimits:
    """Delivery's bounds in a configuration."""
    limits = config.limits
    return DeliveryLimits(buffer_bytes=limits.connection_bytes_max, no_progress_s=limits.no_progress_s)
