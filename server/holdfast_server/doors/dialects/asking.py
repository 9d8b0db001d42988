"""What the dialects' calls share: a body becomes a request, an id finds its request, a log is told as a story."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiohttp import hdrs, web

from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Event
from holdfast_protocol.limits import ID_PATTERN
from holdfast_server.doors.bodies import KEY_HEADER, check_query, idempotent_id, read_json
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.lost import LogLost
from holdfast_server.doors.own_words import Fields, in_own_words
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused, conflict
from holdfast_server.doors.streaming import wait_until
from holdfast_server.projections.base import Asked
from holdfast_server.projections.dialects import CannotHonour, Story, Terms
from holdfast_server.projections.dialects.asking import Submitted, chat_of
from holdfast_server.reels import Reels
from holdfast_server.stores.base import RequestConflict, UnknownRequest
from holdfast_server.stores.log import Log

DOOR: Final = "dialects"
"""What readers' spans call this door."""

ID_HEADER: Final = "X-Request-Id"

FIELDS: Final[Fields] = {"text": "message", "messages": "chat_history", "chat_id": "session_id"}
"""What the fields of a submission are called in most dialects."""

NAMES_MAX: Final = 20
"""Agents that a refusal lists."""


class Body(Protocol):
    """A dialect's request."""

    @property
    def agent(self) -> str | None:
        """Who is asked; None: the session's agent, or the default one."""


B = TypeVar("B", bound=Body)
B_contra = TypeVar("B_contra", bound=Body, contravariant=True)


class Making(Protocol[B_contra]):
    """What a dialect makes of its body."""

    def __call__(self, body: B_contra, terms: Terms, /) -> Submitted:
        """Raises: CannotHonour."""


class StoryReel:
    """A story that is kept at the tail of its log."""

    def __init__(self, asked: Asked) -> None:
        self.story = Story(asked)

    @property
    def ended(self) -> bool:
        """Whether it has its outcome."""
        return self.story.ended

    def apply(self, event: Event) -> list[dict[str, Any]]:
        """Take the next event."""
        self.story.apply(event)
        return []


class Asking:
    """One for the door."""

    def __init__(self, desk: HttpDesk) -> None:
        self.desk = desk
        self._reels: Reels[StoryReel] = Reels(StoryReel)

    async def read(self, visit: Visit, kind: type[B], *query: str) -> B:
        """The body; of the address this `query` is known. Raises: Refused."""
        check_query(visit, *query)
        return await read_json(visit, kind)

    async def submit(
        self,
        visit: Visit,
        body: B,
        making: Making[B],
        *,
        agent_param: str = "agent_id",
        fields: Fields = FIELDS,
        session: str | None = None,
        total_s: float | None = None,
    ) -> Log:
        """The request, durable. `fields`: what those of a submission are called in the body. `session`: whose agent answers where
        the body names none. Raises: Refused, ProtocolError, StoreError."""
        desk = self.desk
        agent = await self._agent_of(visit, body, session)
        if agent not in desk.profiles:
            names = ", ".join(list(desk.profiles)[:NAMES_MAX])
            text = f"There is no agent {agent[:64]!r} here; there are: {names}."
            raise Refused(404, "unknown_agent", text, param=agent_param)
        request_id = idempotent_id(visit) or desk.new_id()
        # Of the same key the same session must come, or the repetition would be another request.
        terms = Terms(
            takes=desk.profiles[agent].options, total_s=total_s, new_session=f"session_{request_id}"
        )
        try:
            submission, envelope = making(body, terms)
        except CannotHonour as error:
            raise Refused(400, "invalid", str(error), param=error.param) from None
        submission = msgspec.structs.replace(submission, request_id=request_id)
        try:
            return (await desk.requests.submit(visit.owner, submission, envelope=envelope)).log
        except RequestConflict:
            raise conflict(KEY_HEADER) from None
        except ProtocolError as error:
            raise in_own_words(error, fields) from None

    async def _agent_of(self, visit: Visit, body: Body, session: str | None) -> str:
        if body.agent is not None:
            return body.agent
        desk = self.desk
        agent = None
        if session is not None:
            agent = await desk.requests.chats.agent_of(visit.owner, chat_of(session))
        return agent if agent is not None and agent in desk.profiles else desk.default_agent

    async def find(self, visit: Visit, request_id: str | None, *query: str) -> Log:
        """The caller's request of that id, whichever door it came by; of the address this `query` is known. Raises: Refused,
        UnknownRequest, Unavailable."""
        check_query(visit, *query)
        if request_id is None or re.fullmatch(ID_PATTERN, request_id) is None:
            raise UnknownRequest("")
        return await self.desk.requests.find(visit.owner, request_id)

    async def story(self, log: Log) -> Story:
        """The log's story at its tail. Read it before the next await; do not apply anything to it. Raises: UnknownRequest
        if it was deleted, LogLost."""
        reel = await self._reels.wound(log)
        if log.lost:
            raise LogLost
        if log.erased:
            raise UnknownRequest(log.key.request_id)
        return reel.story

    async def ended(self, visit: Visit, log: Log) -> bool:
        """Wait for the outcome, as long as a call may; whether it is there. A run that waits for a person may do so for
        days, so the caller is told at once that it goes on without him. Raises: UnknownRequest if it was deleted."""
        await wait_until(
            visit,
            lambda: log.sealed or log.erased or log.status == "waiting",
            lambda: log.wait(log.tail),
            self.desk.wait_max_s,
            log=log,
        )
        if log.erased:
            raise UnknownRequest(log.key.request_id)
        return log.sealed


def reply(
    value: Any, log: Log, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A view as a response; under its X-Request-Id the request is found through any door."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store", ID_HEADER: log.key.request_id, **(headers or {})},
    )
