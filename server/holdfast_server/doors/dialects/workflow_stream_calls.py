"""The call of the dialect `workflow_stream`: a question whose reply is the stream of its answer."""

from __future__ import annotations

from aiohttp import hdrs, web

from holdfast_server.doors.reception import Reception, Visit
from holdfast_server.doors.streaming import EventStream, follow
from holdfast_server.projections.dialects import workflow_stream as dialect
from holdfast_server.reels import asked_of

from .asking import DOOR, FIELDS, ID_HEADER, Asking
from .frames import BrokenOff, all_sse


class WorkflowStreamCalls:
    """See the module's text."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add_routes(self, app: web.Application, reception: Reception) -> None:
        """Serve it."""
        reception.add(app, hdrs.METH_POST, "/api/workflows/execute/stream", self._execute)

    async def _execute(self, visit: Visit) -> web.StreamResponse:
        """Who hangs up ends the reading alone; sent again with its Idempotency-Key, it is told from its beginning."""
        body = await self._asking.read(visit, dialect.Execution)
        log = await self._asking.submit(
            visit,
            body,
            dialect.submission_of,
            agent_param="deployment_name",
            fields={**FIELDS, "text": "query"},
        )
        telling = dialect.WorkflowStream(asked_of(log))
        stream = EventStream(visit, headers={ID_HEADER: log.key.request_id})
        try:
            async with stream:
                async for first, last in follow(stream, log, 0, DOOR):
                    frames = [frame for event in log.events[first:last] for frame in telling.apply(event)]
                    await stream.write(all_sse(frames))
                if not telling.ended:
                    raise BrokenOff
        except BrokenOff:
            pass
        return stream.response
