"""The calls of the dialect `workflow_jobs`: a message with its answer or with a job, the job's stream and its status.

An EventSource comes back by itself whenever its stream ends, and this dialect's clients close theirs at some ends only. So
the last event has an id, and who comes back with it is told by 204 that there is no more.
"""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from holdfast_server.doors.reception import Reception, Visit
from holdfast_server.doors.streaming import SPAN_EVENTS_MAX, EventStream, follow
from holdfast_server.projections.dialects import Story
from holdfast_server.projections.dialects import workflow_jobs as dialect
from holdfast_server.reels import asked_of
from holdfast_server.stores.log import Log

from .asking import DOOR, ID_HEADER, Asking, reply
from .frames import LAST_ID, BrokenOff, all_sse, sse


class WorkflowJobsCalls:
    """See the module's text."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add_routes(self, app: web.Application, reception: Reception) -> None:
        """Serve them. A browser's EventSource cannot send a token, so a ticket lets in to the stream."""
        reception.add(app, hdrs.METH_POST, "/ai-demo/chat/send", self._send)
        reception.add(app, hdrs.METH_GET, "/ai-demo/workflow/stream/{job}", self._stream, ticket=True)
        reception.add(app, hdrs.METH_GET, "/ai-demo/workflow/status/{job}", self._status)

    async def _send(self, visit: Visit) -> web.StreamResponse:
        body = await self._asking.read(visit, dialect.ChatSend)
        session = None if body.memory is False else body.session_id
        log = await self._asking.submit(
            visit, body, dialect.submission_of, session=session, total_s=dialect.TOTAL_S_DEFAULT
        )
        if body.asynchronous or not await self._asking.ended(visit, log):
            return reply(dialect.begun(asked_of(log), visit.base_url), log)
        return reply(dialect.answered(await self._asking.story(log)), log)

    async def _status(self, visit: Visit) -> web.StreamResponse:
        log = await self._find(visit)
        return reply(dialect.status(await self._asking.story(log)), log)

    async def _stream(self, visit: Visit) -> web.StreamResponse:
        log = await self._find(visit, "ticket")
        if log.sealed and visit.request.headers.get("Last-Event-ID") == LAST_ID:
            return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})
        telling, start = await _at_tail(log)
        stream = EventStream(visit, headers={ID_HEADER: log.key.request_id})
        try:
            async with stream:
                connected, standing = telling.opening()
                await stream.write(sse(connected) + sse(standing, last=telling.ended))
                async for first, last in follow(stream, log, start, DOOR):
                    frames = [frame for event in log.events[first:last] for frame in telling.apply(event)]
                    end = sse(frames.pop(), last=True) if telling.ended else b""
                    await stream.write(all_sse(frames) + end)
                if not telling.ended:
                    raise BrokenOff
        except BrokenOff:
            pass
        return stream.response

    async def _find(self, visit: Visit, *query: str) -> Log:
        return await self._asking.find(visit, dialect.request_of(visit.request.match_info["job"]), *query)


async def _at_tail(log: Log) -> tuple[dialect.JobStream, int]:
    """A stream of its own for one reader, which begins where the log stands; and how far that is."""
    story, done = Story(asked_of(log)), 0
    while done < log.tail:
        end = min(log.tail, done + SPAN_EVENTS_MAX)
        for event in log.events[done:end]:
            story.apply(event)
        done = end
        if done < log.tail:
            await asyncio.sleep(0)  # a long log must not hold the loop
    return dialect.JobStream(story), done
