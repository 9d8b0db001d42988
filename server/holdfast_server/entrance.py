"""The HTTP doors of a node, put together from its configuration."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from holdfast_protocol.replies import AgentRow

from .batches import Batches
from .config import Config
from .doors.ai_sdk.door import AiSdkDoor
from .doors.dialects import DialectsDoor
from .doors.http import HttpDoor
from .doors.http_desk import HttpDesk
from .doors.openai import OpenAIDoor
from .doors.outside import Outside
from .doors.reception import Reception, ReceptionSettings
from .doors.ticket_call import TICKETS, new_ticket
from .endings import Endings
from .feed import Feed
from .identity import Identity, NoIdentity, TokenIdentity
from .ids import new_id
from .peers import Peers
from .requests import Requests
from .stores.base import Owner
from .webhook_terms import WebhookSettings
from .webhooks import Webhooks


class Entrance:
    """Add its routes, close it before the server ends."""

    def __init__(
        self,
        config: Config,
        requests: Requests,
        identity: Identity,
        *,
        agents: Sequence[AgentRow],
        durability: str,
        webhooks: Webhooks | None = None,
        batches: Batches | None = None,
        endings: Endings | None = None,
        feed: Feed | None = None,
        peers: Peers | None = None,
    ) -> None:
        self._config = config
        self.reception = Reception(
            identity,
            readers=requests.readers,
            settings=reception_settings(config),
            outside=Outside(config.server.public_url, config.server.trusted_proxies),
            peers=peers,
        )
        doors = config.doors
        self.desk = HttpDesk(
            reception=self.reception, requests=requests, agents=agents, profiles=requests.profiles,
            default_agent=requests.default_agent, now_ms=requests.now_ms, new_id=new_id, durability=durability,
            default_wait_s=doors.default_wait_s, wait_max_s=doors.wait_max_s, ai_sdk_abort=doors.ai_sdk_abort, dialects_async=doors.dialects_async,
            webhooks=webhooks, batches=batches, endings=endings, feed=feed,
        )  # fmt: skip

    def add_routes(self, app: web.Application) -> None:
        """Open the doors that the configuration names."""
        doors = self._config.doors
        if doors.http:
            HttpDoor(self.desk, docs=doors.docs).add_routes(app)
        elif doors.openai or doors.ai_sdk or doors.dialects:
            self.reception.add(app, "POST", TICKETS, new_ticket)
        if doors.openai:
            OpenAIDoor(self.desk).add_routes(app)
        if doors.ai_sdk:
            AiSdkDoor(self.desk).add_routes(app)
        if doors.dialects:
            DialectsDoor(self.desk).add_routes(app)
        self.reception.guard(app)

    def close(self) -> None:
        """Take no more calls; streams end where they are, and their readers come back with their cursors."""
        self.reception.close()


def make_identity(config: Config) -> Identity:
    """The identity that the configuration names."""
    if config.identity.kind == "none":
        return NoIdentity()
    tokens = config.identity.tokens
    return TokenIdentity(
        [(entry.token.value, Owner(entry.tenant, entry.user)) for entry in tokens],
        operators=[entry.token.value for entry in tokens if entry.operator],
    )


def reception_settings(config: Config) -> ReceptionSettings:
    """The reception's bounds in a configuration."""
    limits = config.limits
    return ReceptionSettings(
        allowed_origins=tuple(config.server.allowed_origins),
        calls_max=limits.connections_max,
        user_calls_max=limits.user_calls_max,
        calls_per_s=limits.commands_per_s,
        calls_burst=limits.commands_burst,
        keep_alive_s=config.doors.keep_alive_s,
        no_progress_s=limits.no_progress_s,
    )


def webhook_settings(config: Config) -> WebhookSettings:
    """What a configuration says of webhooks."""
    section = config.webhooks
    return WebhookSettings(
        secrets=[secret.value for secret in section.secrets],
        allow_private=section.allow_private,
        allowed_hosts=section.allowed_hosts,
        retry_s=section.retry_s,
        timeout_s=section.timeout_s,
        base_url=config.server.public_url or "",
        keep_days=config.store.keep_days,
        undo_s=config.store.undo_s,
    )
