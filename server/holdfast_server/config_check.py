"""What the types of a configuration do not say: settings that contradict each other, or cannot work.

The same check stands behind `holdfast config check` and a server's start, so the one never approves of what the other
refuses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .config import KEY_VARIABLE, AgentSection, Config, ConfigError
from .listening import is_loopback

HISTORY_SCHEME: Final = "sqlite+aiosqlite:///"

_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/\s?#@]+", re.ASCII | re.IGNORECASE)


def check(config: Config, environ: Mapping[str, str] | None = None) -> None:
    """Refuse what cannot work. Raises: ConfigError with the key's path and what was expected."""
    environ = os.environ if environ is None else environ
    _identity(config)
    for number, origin in enumerate(config.server.allowed_origins):
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(f"server.allowed_origins[{number}]: expected scheme://host[:port], or null")
    history = config.store.history
    if history is not None and not history.startswith(HISTORY_SCHEME):
        raise ConfigError(
            f"store.history: expected {HISTORY_SCHEME}FILE; other databases are not supported yet"
        )
    for name, section in config.agents.items():
        if section.kind == "openai_chat":
            _openai_chat(name, section, environ)
    for number, file in enumerate(config.agent_files):
        if not Path(file).is_file():
            raise ConfigError(f"agent_files[{number}]: there is no file {file}")
    if not config.agent_files:  # what files bring along is known only once they are run
        check_default_agent(config.default_agent, config.agents)


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
        try:
            parts = urlsplit(section.base_url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            sound = False
        if not sound:
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
