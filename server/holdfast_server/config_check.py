"""What the types of a configuration do not say: settings that contradict each other, or cannot work.

The same check stands behind `holdfast config check` and a server's start, so the one never approves of what the other
refuses.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .config import KEY_VARIABLE, AgentSection, Config, ConfigError
from .listening import is_loopback
from .stores.redis.address import Address
from .webhook_addresses import is_host
from .webhook_signing import SECRETS_MAX, secret_fault

HISTORY_SCHEME: Final = "sqlite+aiosqlite:///"

SERVER_HISTORY_SCHEMES: Final = ("postgresql://", "postgres://", "postgresql+asyncpg://")
"""Histories that several nodes can share."""

STORE_SCHEMES: Final = tuple(
    f"redis{tls}{flavour}://" for tls in ("", "s") for flavour in ("", "+sentinel", "+cluster")
)

_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/\s?#@]+", re.ASCII | re.IGNORECASE)


def check(config: Config, environ: Mapping[str, str] | None = None) -> None:
    """Refuse what cannot work. Raises: ConfigError with the key's path and what was expected."""
    environ = os.environ if environ is None else environ
    _identity(config)
    for number, origin in enumerate(config.server.allowed_origins):
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(f"server.allowed_origins[{number}]: expected scheme://host[:port], or null")
    _outside(config)
    _webhooks(config)
    _storage(config)
    for name, section in config.agents.items():
        if section.kind == "openai_chat":
            _openai_chat(name, section, environ)
    for number, file in enumerate(config.agent_files):
        if not Path(file).is_file():
            raise ConfigError(f"agent_files[{number}]: there is no file {file}")
    if not config.agent_files:  # what files bring along is known only once they are run
        check_default_agent(config.default_agent, config.agents)


def _storage(config: Config) -> None:
    """The refusals name no address: there may be a password in it."""
    url, history, roles = config.store.url, config.store.history, config.cluster.roles
    shared_history = history is not None and history.startswith(SERVER_HISTORY_SCHEMES)
    if history is not None and not shared_history and not history.startswith(HISTORY_SCHEME):
        raise ConfigError(f"store.history: expected {HISTORY_SCHEME}FILE or postgresql://HOST/NAME")
    if shared_history and find_spec("asyncpg") is None:
        raise ConfigError(
            "store.history: a history in PostgreSQL needs asyncpg: pip install 'holdfast[cluster]'"
        )
    if not roles:
        raise ConfigError("cluster.roles: give gateway, worker or both")
    if not url:
        if set(roles) != {"gateway", "worker"}:
            raise ConfigError(
                "cluster.roles: a server with its data in a folder is alone and does everything; set store.url to share"
            )
        return
    if not url.startswith(STORE_SCHEMES):
        raise ConfigError(
            "store.url: expected redis://HOST:PORT/0, rediss://…, redis+sentinel://H1:P1,H2:P2/NAME/0 or "
            "redis+cluster://H1:P1,H2:P2; leave it empty to keep everything in store.folder"
        )
    try:
        Address.parse(url)
    except ValueError as error:
        raise ConfigError(f"store.url: {error}") from None
    if config.store.durability == "power" and config.cluster.volatile_ok:
        raise ConfigError(
            "store.durability: power keeps what is acknowledged, and cluster.volatile_ok lets it go; choose one"
        )
    if not shared_history:
        raise ConfigError(
            "store.history: nodes that share store.url need a history that they share too: postgresql://HOST/NAME"
        )


def _outside(config: Config) -> None:
    server = config.server
    if server.public_url is not None and not _is_url(server.public_url):
        raise ConfigError(
            "server.public_url: expected http://host[:port] or https://…, with a path if there is one"
        )
    for number, network in enumerate(server.trusted_proxies):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ConfigError(
                f"server.trusted_proxies[{number}]: expected an address or a network, such as 10.0.0.0/8"
            ) from None


def _webhooks(config: Config) -> None:
    section = config.webhooks
    for number, secret in enumerate(section.secrets):
        fault = secret_fault(secret.value)
        if fault is not None:
            raise ConfigError(f"webhooks.secrets[{number}]: {fault}")
    if len(section.secrets) > SECRETS_MAX:
        raise ConfigError(f"webhooks.secrets: expected {SECRETS_MAX} at most; take old ones out")
    for number, host in enumerate(section.allowed_hosts):
        if not is_host(host):
            raise ConfigError(
                f"webhooks.allowed_hosts[{number}]: expected a name or a numeric address, without scheme and port"
            )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
    except ValueError:
        return False


def _identity(config: Config) -> None:
    host, identity = config.server.host, config.identity
    if identity.kind == "none" and not is_loopback(host):
        raise ConfigError(
            f"identity.kind: `none` lets everybody in, and server.host is {host}; "
            'set identity.kind = "tokens", or listen on 127.0.0.1'
        )
    if identity.kind == "tokens" and not identity.tokens:
        raise ConfigError("identity.tokens: give at least one token")
    seen: dict[str, int] = {}
    for number, entry in enumerate(identity.tokens):
        if not entry.token:
            raise ConfigError(
                f"identity.tokens[{number}]: the token is empty, which would let in whoever gives none"
            )
        first = seen.setdefault(entry.token.value, number)
        if first != number:
            raise ConfigError(f"identity.tokens[{number}]: the same token as identity.tokens[{first}]")


def key_variable(section: AgentSection) -> str | None:
    """The environment variable that holds the agent's key; None: it has none there. OpenAI's own is not used for another
    server unless that is said."""
    return section.api_key_env or (KEY_VARIABLE if section.base_url is None else None)


def _openai_chat(name: str, section: AgentSection, environ: Mapping[str, str]) -> None:
    if not section.model:
        raise ConfigError(f"agents.{name}.model: give the model's name")
    if section.base_url is not None:
        if not _is_url(section.base_url):
            raise ConfigError(f"agents.{name}.base_url: expected http://host[:port]/path or https://…")
        return
    variable = key_variable(section)
    if not section.api_key and not (variable and environ.get(variable)):
        raise ConfigError(
            f"agents.{name}: no API key: set {variable} in the environment, or agents.{name}.api_key"
        )


def check_default_agent(name: str | None, agents: Collection[str]) -> None:
    """Whether there are agents, and the default one among them. Raises: ConfigError."""
    if not agents:
        raise ConfigError("agents: there is none")
    if name is not None and name not in agents:
        raise ConfigError(f"default_agent: there is no agent `{name}`; there are: {', '.join(agents)}")
