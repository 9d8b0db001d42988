"""Which agents there are, over HTTP."""

from __future__ import annotations

from aiohttp import web

from holdfast_protocol.replies import AgentRow

from .operations import Asked, answer
from .request_shapes import Shape

AGENTS = "/v1/agents"


class AgentList(Shape, frozen=True, kw_only=True):
    """The agents that requests may name."""

    agents: list[AgentRow]


async def list_agents(asked: Asked) -> web.StreamResponse:
    """All of them."""
    return answer(AgentList(agents=list(asked.desk.agents)))
