"""GET /v1/responses as a WebSocket: the responses API's own socket mode, with a way back after a break.

A client sends `response.create` frames, with the parameters of the HTTP call; the events of each answer come back as over
server-sent events. Frames that name a `stream_id` go into that lane: what is in one lane comes one after another, lanes run
side by side, and events say whose they are. Without a name there is one lane more.

Beyond OpenAI's: `response.subscribe` {response_id, starting_after, stream_id} follows an answer from any place, after a
break of the connection too; `background` may be given and changes nothing, for every answer outlives its connection; and an
`idempotency_key` in a frame makes sending it again harmless.

What a lane holds is bounded, and so is what a reader has not taken: each lane waits while the connection is full. An error
of one frame is told on its lane; nothing that one lane does ends the others.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from holdfast_protocol.limits import COMMAND_BYTES_MAX, HEARTBEAT_S
from holdfast_server.doors.answers import abort
from holdfast_server.doors.bodies import convert, decode, id_of_key
from holdfast_server.doors.gate import Bucket
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import FORESEEN, Refused, refused_of
from holdfast_server.doors.streaming import SPAN_EVENTS_MAX
from holdfast_server.stores.base import UnknownRequest
from holdfast_server.stores.log import Log
from holdfast_server.tasks import Tasks

from .naming import RESPONSE, invalid, not_found, own_id, unsupported_value
from .response_reel import Reel, reel_after
from .responses_create import ResponsesIntake

DOOR: Final = "openai-socket"

KEY: Final = "idempotency_key"
"""What a frame has in place of the header."""

LANES_MAX: Final = 32
"""Named lanes of one connection, as OpenAI has it; and so many answers at most stream side by side."""

LANE_FRAMES_MAX: Final = 64
"""Frames that wait in a lane."""

WAITING_BYTES_MAX: Final = 4 * COMMAND_BYTES_MAX
"""And what all that wait on one connection may weigh."""

UNREADABLE_MAX: Final = 20
"""Frames in a row that are no events: whoever sends more does not speak this protocol."""

CLOSE_GRACE_S: Final = 2.0
"""How long the other end may take to answer a close frame."""

IDLE_S: Final = 24 * 3600.0
"""How long a connection may say nothing; the heartbeat finds out much sooner whether it is alive."""

_LANE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
_encode: Final = msgspec.json.Encoder().encode


class Subscribe(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="response.subscribe"
):
    """Follow an answer from the event after that number; without one, from its beginning."""

    response_id: str
    starting_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    include: list[Literal["holdfast.events"]] = []
    stream_id: str | None = None


class ResponsesSocket:
    """The call; one for the door."""

    def __init__(self, desk: HttpDesk, intake: ResponsesIntake) -> None:
        self._desk = desk
        self._intake = intake

    def add_routes(self, app: web.Application) -> None:
        """Serve it."""
        self._desk.reception.add(app, "GET", "/v1/responses", self._serve, ticket=True)

    async def _serve(self, visit: Visit) -> web.StreamResponse:
        if visit.request.headers.get(hdrs.UPGRADE, "").lower().strip() != "websocket":
            raise Refused(
                426,
                "upgrade_required",
                "Responses are not listed here: GET /v1/requests does. As a WebSocket this path takes events.",
                headers={"Upgrade": "websocket"},
            )
        ws = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, timeout=CLOSE_GRACE_S, compress=False, max_msg_size=COMMAND_BYTES_MAX
        )
        if not ws.can_prepare(visit.request):
            raise Refused(400, "invalid", "That is not a WebSocket handshake.")
        await ws.prepare(visit.request)
        await _Connection(visit, ws, self._desk, self._intake).run()
        return ws


class _Connection:
    """One connection: it reads frames and puts them into lanes, each of which has a task while something is in it."""

    def __init__(
        self, visit: Visit, ws: web.WebSocketResponse, desk: HttpDesk, intake: ResponsesIntake
    ) -> None:
        self._visit = visit
        self._ws = ws
        self._desk = desk
        self._intake = intake
        self._tasks = Tasks("openai-socket")
        self._turn = asyncio.Lock()
        self._lanes: dict[str | None, deque[tuple[dict[str, Any], int]]] = {}
        self._waiting_bytes = 0
        self._unreadable = 0
        settings = visit.reception.settings
        self._bucket = Bucket(settings.calls_per_s, settings.calls_burst, asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Until either end closes."""
        try:
            while await self._visit.reception.within(self._take(), IDLE_S):
                if self._ws.closed:
                    return
            await self._close(WSCloseCode.SERVICE_RESTART, "The server restarts; come back and subscribe.")
        finally:
            await self._tasks.close()

    async def _take(self) -> None:
        message = await self._ws.receive()
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            await self._read(message.data)

    async def _read(self, data: bytes | str) -> None:
        lane: str | None = None
        try:
            now = asyncio.get_running_loop().time()
            if not self._bucket.take(now):
                raise Refused(429, "rate_limited", f"Too many events; wait {self._bucket.wait_ms} ms.")
            frame = decode(data, dict[str, Any])
            lane = self._lane_of(frame)
            if frame.get("type") not in ("response.create", "response.subscribe"):
                raise Refused(
                    400, "unsupported_event", "Send response.create or response.subscribe.", param="type"
                )
            self._unreadable = 0
            self._put(lane, frame, len(data))
        except FORESEEN as error:
            self._unreadable += 1
            await self._no(lane, refused_of(error))
            if self._unreadable >= UNREADABLE_MAX:
                await self._close(WSCloseCode.POLICY_VIOLATION, "These are not events of this protocol.")

    @staticmethod
    def _lane_of(frame: Mapping[str, Any]) -> str | None:
        lane = frame.get("stream_id")
        if lane is not None and not (isinstance(lane, str) and _LANE.fullmatch(lane)):
            raise Refused(
                400,
                "invalid_stream_id",
                "A stream_id has 1 to 256 letters, digits, `_`, `.` or `-`.",
                param="stream_id",
            )
        return lane

    def _put(self, lane: str | None, frame: dict[str, Any], size: int) -> None:
        """Into its lane. Raises: Refused."""
        waiting = self._lanes.get(lane)
        if waiting is None:
            if len(self._lanes) > LANES_MAX:
                raise Refused(
                    429,
                    "websocket_stream_limit_reached",
                    f"{LANES_MAX} streams are open; wait for one to end.",
                )
            waiting = self._lanes[lane] = deque()
            self._tasks.start(self._serve(lane, waiting), "lane")
        if len(waiting) >= LANE_FRAMES_MAX or self._waiting_bytes + size > WAITING_BYTES_MAX:
            raise Refused(429, "websocket_stream_limit_reached", "Too much waits here; wait for an answer.")
        waiting.append((frame, size))
        self._waiting_bytes += size

    async def _serve(self, lane: str | None, waiting: deque[tuple[dict[str, Any], int]]) -> None:
        """Do what is in the lane, one after another; it is gone when it is empty."""
        try:
            while waiting:
                frame, size = waiting.popleft()
                self._waiting_bytes -= size
                try:
                    # As much as a call of its own: many lanes on many connections are no way around those bounds.
                    with self._visit.reception.place(self._visit.owner):
                        await self._do(lane, frame)
                except ConnectionError:
                    return
                except Exception as error:  # noqa: BLE001 - told on the lane; a bug is logged under its number
                    await self._no(lane, refused_of(error, str(frame["type"])))
        finally:
            del self._lanes[lane]

    async def _do(self, lane: str | None, frame: dict[str, Any]) -> None:
        if frame["type"] == "response.subscribe":
            wanted = convert(frame, Subscribe)
            log = await self._find(wanted.response_id)
            await self._follow(
                lane, log, await reel_after(log, wanted.starting_after, extensions=bool(wanted.include))
            )
            return
        plain = {name: value for name, value in frame.items() if name not in ("type", "stream_id")}
        generate = plain.pop("generate", None)
        if generate is False:
            raise unsupported_value("generate", "Nothing is warmed up here; leave it out.")
        if generate is not None and generate is not True:
            raise invalid("generate", "it is true or false.")
        key = plain.pop(KEY, None)
        if key is not None and not isinstance(key, str):
            raise Refused(400, "invalid", "The `idempotency_key` is a string.", param=KEY)
        creation = await self._intake.creation(
            self._visit.owner, plain, request_id=None if key is None else id_of_key(key, KEY)
        )
        log = (await self._intake.open(self._visit.owner, creation, KEY)).log
        await self._follow(lane, log, await reel_after(log, None, extensions=creation.extensions))

    async def _find(self, name: str) -> Log:
        try:
            return await self._desk.requests.find(self._visit.owner, own_id(name, RESPONSE))
        except UnknownRequest:
            raise not_found(name, RESPONSE) from None

    async def _follow(self, lane: str | None, log: Log, reel: Reel) -> None:
        """Its events, from there to the last. Raises: ConnectionError, Refused."""
        reception = self._visit.reception
        call = reception.readers.enter(log, reel.offset, DOOR, self._visit.client)
        try:
            for frame in reel.frames:
                await self._send(lane, frame)
            while not log.erased:
                if reel.offset < log.tail:
                    end = min(log.tail, reel.offset + SPAN_EVENTS_MAX)
                    for event in log.events[reel.offset : end]:
                        for frame in reel.apply(event):
                            await self._send(lane, frame)
                    reel.offset = call.cursor = end
                    await asyncio.sleep(0)
                elif log.sealed or reception.closed:
                    return
                else:
                    await reception.within(log.wait(reel.offset), IDLE_S)
            if log.lost:
                await self._close(WSCloseCode.SERVICE_RESTART, "Come back, and subscribe from your place.")
                raise ConnectionResetError
            raise Refused(410, "erased", "The response was deleted.")
        finally:
            reception.readers.leave(call)

    # -- sending ---------------------------------------------------------------------------------------------

    async def _send(self, lane: str | None, frame: dict[str, Any]) -> None:
        """Send an event; it waits while the other end takes nothing, for so long. Raises: ConnectionError."""
        if lane is not None:
            frame = {**frame, "stream_id": lane}
        # One at a time, and encoded in its turn: what many lanes have to say must not lie there all at once.
        async with self._turn:
            if self._ws.closed:
                raise ConnectionResetError
            try:
                async with asyncio.timeout(self._visit.reception.settings.no_progress_s):
                    await self._ws.send_str(_encode(frame).decode())
            except TimeoutError:
                abort(self._visit.request)
                raise ConnectionResetError from None

    async def _no(self, lane: str | None, refused: Refused) -> None:
        """Tell what went wrong, on its lane."""
        try:
            await self._send(lane, {"type": "error", "status": refused.status, **refused.body})
        except ConnectionError:
            return

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_GRACE_S):
                await self._ws.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError):
            abort(self._visit.request)
