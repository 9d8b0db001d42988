"""The calls of the dialect `chat_tasks`: a message with its answer or with a task, and the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web

from holdfast_protocol.lifecycle import Status
from holdfast_server.doors.reception import Reception, Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.projections.dialects import Story
from holdfast_server.projections.dialects import chat_tasks as dialect
from holdfast_server.reels import asked_of

from .asking import Asking, reply

STATUSES: Final[Mapping[Status, int]] = {
    "failed": 500,
    "timed_out": 504,
    "interrupted": 503,
    "cancelled": 409,
}
"""How a bad end is told to a caller who waited: this dialect's answers have no field that all of its clients look at."""

_YES: Final = frozenset({"true", "1", "yes", "on"})
_NO: Final = frozenset({"false", "0", "no", "off"})


class ChatTasksCalls:
    """See the module's text."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add_routes(self, app: web.Application, reception: Reception) -> None:
        """Serve them."""
        for path in ("/chat", "/chat/"):
            reception.add(app, hdrs.METH_POST, path, self._send)
        reception.add(app, hdrs.METH_GET, "/chat/task/{request_id}", self._task)

    async def _send(self, visit: Visit) -> web.StreamResponse:
        waits = not _asynchronous(visit, self._asking.desk.dialects_async)
        body = await self._asking.read(visit, dialect.ChatMessage, "async_mode")
        log = await self._asking.submit(visit, body, dialect.submission_of, session=body.session_id)
        if not (waits and await self._asking.ended(visit, log)):
            return reply(dialect.begun(asked_of(log)), log)
        story = await self._asking.story(log)
        answered = dialect.answered(story)
        if story.error is None:
            return reply(answered, log)
        # What was shown before it went wrong comes along, beside the error in the shape of all errors. Nobody is to repeat
        # the call by himself: that would ask once more.
        return reply(
            answered | _refusal(story, log.outcome.code if log.outcome else "").body, log,
            status=STATUSES.get(story.status, 500), headers={"x-should-retry": "false"},
        )  # fmt: skip

    async def _task(self, visit: Visit) -> web.StreamResponse:
        log = await self._asking.find(visit, visit.request.match_info["request_id"])
        return reply(dialect.status(await self._asking.story(log)), log)


def _refusal(story: Story, code: str) -> Refused:
    return Refused(STATUSES.get(story.status, 500), code, story.error or "The request failed.")


def _asynchronous(visit: Visit, by_default: bool) -> bool:
    said = visit.request.query.get("async_mode", str(by_default)).lower()
    if said not in _YES | _NO:
        raise Refused(400, "invalid", "`async_mode` is true or false.", param="async_mode")
    return said in _YES
