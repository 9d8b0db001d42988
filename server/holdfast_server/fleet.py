"""The agents that a configuration names, made; and what clients are told of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from holdfast_protocol.replies import AgentRow

from .agents.base import Agent, Clocks, Profile, Recovery
from .config import AgentSection, Config, ConfigError
from .config_check import check_default_agent, key_variable

RECOVERY: Final[dict[str, Recovery]] = {"demo": "continue", "openai_chat": "restart"}
"""What becomes of a kind's answers after a crash where the configuration does not say."""


def agent_rows(agents: Mapping[str, Agent], default: str) -> list[AgentRow]:
    """What clients are told of the agents."""
    return [
        AgentRow(
            name=name,
            description=agent.profile.description,
            model=agent.profile.model,
            default=name == default,
        )
        for name, agent in agents.items()
    ]


def make_agents(config: Config) -> dict[str, Agent]:
    """The agents by name, those of files included. Raises: ConfigError."""
    agents: dict[str, Agent] = {name: make_agent(name, section) for name, section in config.agents.items()}
    if config.agent_files:
        from .agents.authored import AgentFileError, load_file

        for file in config.agent_files:
            try:
                loaded = load_file(file)
            except AgentFileError as error:
                raise ConfigError(f"agent_files: {error}") from None
            for agent in loaded:
                if agent.profile.name in agents:
                    raise ConfigError(
                        f"agent_files: {file}: there is an agent `{agent.profile.name}` already"
                    )
                agents[agent.profile.name] = agent
    check_default_agent(config.default_agent, agents)
    return agents


def make_agent(name: str, section: AgentSection) -> Agent:
    """One configured agent. Raises: ConfigError."""
    clocks = section.clocks
    profile = Profile(
        name=name, description=section.description, model=section.model,
        recovery=section.recovery or RECOVERY[section.kind], retries=section.retries,
        clocks=Clocks(
            queue_s=clocks.queue_s or None, first_output_s=clocks.first_output_s or None,
            stall_s=clocks.stall_s or None, total_s=clocks.total_s or None,
        ),
    )  # fmt: skip
    if section.kind == "demo":
        from .agents.demo import DemoAgent

        return DemoAgent(profile, pace=section.pace)
    from .agents.openai_chat import OpenAIChat

    variable = key_variable(section)
    key = section.api_key.value if section.api_key else os.environ.get(variable, "") if variable else ""
    return OpenAIChat(
        profile, api_key=key, base_url=section.base_url, system=section.system,
        context_tokens=section.context_tokens,
    )  # fmt: skip
