"""The native HTTP door and the WebSocket door on one real port, over a memory store; answers are written by pens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, web

from holdfast_protocol import events as ev
from holdfast_protocol.codec import JSON
from holdfast_protocol.events import Event
from holdfast_protocol.fold import Fold
from holdfast_protocol.transcript import Transcript
from holdfast_server.batches import Batches
from holdfast_server.doors.http import HttpDoor
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Reception, ReceptionSettings
from holdfast_server.endings import Endings
from holdfast_server.identity import NoIdentity, TokenIdentity
from holdfast_server.ids import new_id
from holdfast_server.stores.log import Log

from .door import TOKENS, Rig, serving

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"


class HttpRig(Rig):
    """A node without agents, with both doors. `desk`: of the HttpDesk's fields."""

    def __init__(
        self,
        folder: Path,
        *,
        tokens: bool = True,
        reception: dict[str, Any] | None = None,
        desk: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, tokens=tokens)
        self.reception = Reception(
            TokenIdentity(TOKENS.items(), operators=["ops-token"]) if tokens else NoIdentity(),
            readers=self.readers,
            settings=ReceptionSettings(**{"calls_burst": 100_000, **(reception or {})}),
        )
        self.desk = HttpDesk(
            reception=self.reception, requests=self.requests, profiles=self.requests.profiles,
            default_agent="demo", now_ms=self.now_ms, new_id=new_id,
            **{
                "batches": Batches(
                    self.chats.batch_rows, self.journal.head, self.chats.purged_status, now_ms=self.now_ms
                ),
                "endings": Endings(self.journal),
                "feed": self.feed,
                "agents": [],
                **(desk or {}),
            },
        )  # fmt: skip
        self.http = HttpDoor(self.desk)
        self.door = _Both(self.door, self)  # type: ignore[assignment]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Both:
    """The WebSocket's door, and ours beside it."""

    def __init__(self, websocket: Any, rig: HttpRig) -> None:
        self._websocket = websocket
        self._rig = rig

    def add_routes(self, app: web.Application) -> None:
        self._websocket.add_routes(app)
        self._rig.http.add_routes(app)
        self._rig.reception.guard(app)

    async def start(self) -> None:
        await self._websocket.start()

    async def close(self, spread_s: float) -> None:
        self._rig.reception.close()
        await self._websocket.close(spread_s)


class Also:
    """More doors on the same port, `ours` before the others."""

    def __init__(self, others: Any, ours: Any) -> None:
        self._others = others
        self._ours = ours

    def add_routes(self, app: web.Application) -> None:
        self._ours.add_routes(app)
        self._others.add_routes(app)

    async def start(self) -> None:
        await self._others.start()

    async def close(self, spread_s: float) -> None:
        await self._others.close(spread_s)


@asynccontextmanager
async def http_serving(rig: HttpRig) -> AsyncIterator[Caller]:
    """The rig, listening, and ann's way to it."""
    async with serving(rig), ClientSession() as session:
        yield Caller(rig, session)


class Caller:
    """One user's calls."""

    def __init__(self, rig: HttpRig, session: ClientSession, token: str | None = "ann-token") -> None:
        self.rig = rig
        self._session = session
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def user(self, token: str | None) -> Caller:
        """Somebody else's."""
        return Caller(self.rig, self._session, token)

    def open(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """A call whose response is read by the test."""
        url = path if path.startswith("http") else self.rig.base + path
        return self._session.request(method, url, headers={**self._headers, **(headers or {})}, **more)

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> Reply:
        """A call with JSON both ways."""
        data = json.dumps(body).encode() if body is not None else None
        async with self.open(method, path, headers, data=data, **more) as response:
            return await Reply.of(response)

    async def submit(self, request_id: str, text: str = "Hello?", **fields: Any) -> dict[str, Any]:
        """Ask, without waiting."""
        body = {"request_id": request_id, "text": text, **fields}
        reply = await self.call("POST", "/v1/requests", body, {"Prefer": "respond-async"})
        assert reply.status == 202, reply.body
        return reply.body  # type: ignore[no-any-return]


async def come_true(holds: Callable[[], bool]) -> None:
    """Wait until something in the server is so. Raises: TimeoutError."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nothing tells of it: who waits for what is the server's own business
            await asyncio.sleep(0.005)


@dataclass
class Reply:
    """A response that was read."""

    status: int
    headers: Any
    body: Any

    @classmethod
    async def of(cls, response: ClientResponse) -> Reply:
        raw = await response.read()
        plain = json.loads(raw) if raw and response.content_type == "application/json" else raw
        return cls(response.status, response.headers, plain)

    @property
    def code(self) -> str | None:
        """The error's code, after a look at its shape."""
        if self.status < 400:
            return None
        assert set(self.body) == {"error"}
        assert set(self.body["error"]) == {"message", "type", "param", "code"}
        assert self.body["error"]["message"]
        return self.body["error"]["code"]  # type: ignore[no-any-return]


@dataclass
class Frame:
    """One server-sent event. `id` is None where it has none."""

    kind: str
    id: Any
    data: Any


@dataclass
class Reading:
    """What a reader has: its events, as a log, and where to go on. Any door's frames can be put in."""

    events: list[Event] = field(default_factory=list)
    cursor: Any = None
    resets: list[str] = field(default_factory=list)
    arrivals: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False

    def begin(self, reason: str) -> None:
        self.resets.append(reason)
        self.events.clear()

    def take(self, events: list[Any], cursor: str | None) -> None:
        for plain in events:
            self.events.append(JSON._tolerant.event(json.dumps(plain).encode()))
        self.cursor = cursor or self.cursor

    def arrive(self, arrival: dict[str, Any]) -> None:
        """What the server says should be here is here, if this reader began at the beginning."""
        self.arrivals.append(arrival)
        if not self.events or not isinstance(self.events[0], ev.Accepted):
            return
        shown = Fold().apply_all(self.events).digest()
        assert (shown.parts, shown.bytes, shown.crc) == tuple(
            arrival[k] for k in ("parts", "bytes", "digest")
        )
        assert self.offset == int(arrival["cursor"].split("-")[0])

    def sse(self, frame: Frame) -> None:
        if frame.kind == "snapshot":
            self.begin(frame.data["reason"])
        elif frame.kind == "caught_up":
            self.arrive(frame.data)
        elif frame.kind == "gone":
            self.gone = True
        else:
            assert frame.data["type"] == frame.kind
            self.take([frame.data], frame.id)

    def ndjson(self, line: dict[str, Any]) -> None:
        if "snapshot" in line:
            self.begin(line["snapshot"])
        elif "caught_up" in line:
            self.arrive(line["caught_up"])
        elif "gone" in line:
            self.gone = True
        else:
            self.take([line["event"]], line["cursor"])

    def page(self, page: dict[str, Any]) -> None:
        if page["reset"] is not None:
            self.begin(page["reset"])
        self.take(page["events"], page["cursor"])
        if page["caught_up"] is not None:
            self.arrive(page["caught_up"])

    def push(self, push: dict[str, Any]) -> None:
        """Of the WebSocket."""
        if push["type"] == "snapshot":
            self.begin(push["reason"])
        elif push["type"] == "page":
            self.take(push["events"], push["next"])
        elif push["type"] == "caught_up":
            self.arrive({"sealed": False, **push})

    @property
    def offset(self) -> int:
        return sum(event.span for event in self.events)

    @property
    def sealed(self) -> bool:
        return bool(self.arrivals) and self.arrivals[-1]["sealed"]

    @property
    def transcript(self) -> Transcript:
        return Fold().apply_all(self.events).transcript()


async def frames_of(response: ClientResponse) -> AsyncIterator[Frame]:
    """The events of a stream, read as the standard has it, as far as it is whole."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Frame(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}
        else:
            fields = {}


async def lines_of(response: ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The lines of NDJSON."""
    async for raw in response.content:
        if raw.strip():
            yield json.loads(raw)


def answer_events(now: int, *texts: str) -> list[Event]:
    """An answer with something of everything: to be put by a pen that has begun its text part."""
    return [
        *(ev.Delta(at=now, part=0, text=text) for text in texts),
        ev.PartDone(at=now, part=0),
        ev.Progress(at=now, part=1, id="p", label="Looking", percent=50.0),
        ev.Progress(at=now, part=1, id="p", label="Looking", percent=100.0, state="done"),
        ev.ToolCall(at=now, part=2, call_id="c1", name="weather", where="client"),
        ev.Delta(at=now, part=2, text='{"city":"Zürich"}'),
        ev.PartDone(at=now, part=2),
        ev.Data(at=now, part=3, id="d", name="chart", data={"y": [1, 2]}),
        ev.Source(at=now, part=4, id="s", url="https://example.org/"),
        ev.Usage(at=now, input_tokens=3, output_tokens=5),
        ev.Completed(at=now, code="tool_calls"),
    ]


TEXTS = ("Hello", ", ", "Zürich\n", "data: no\n\nid: 7\n", "🙂.")


async def answered(ann: Caller, request_id: str, *texts: str, **fields: Any) -> Log:
    """A request with its answer; its log."""
    await ann.submit(request_id, **fields)
    pen = await ann.rig.pen(request_id)
    await pen.say(*(texts or TEXTS))  # one event each: what is put at once is merged
    for event in answer_events(ann.rig.now_ms()):
        await pen.put(event)
    return pen.log


def events_path(request_id: str, **query: Any) -> str:
    """The events' address."""
    more = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/v1/requests/{request_id}/events" + (f"?{more}" if more else "")


async def read_sse(
    ann: Caller,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    count: int | None = None,
    reading: Reading | None = None,
) -> tuple[list[Frame], Reading]:
    """What a stream says to its end, or its first `count` frames; and the reader that has read it."""
    reading = reading or Reading()
    frames = []
    async with ann.open("GET", path, {"Accept": SSE, **(headers or {})}) as response:
        assert response.status == 200
        assert response.content_type == SSE
        async for frame in frames_of(response):
            reading.sse(frame)
            frames.append(frame)
            if len(frames) == count:
                break
    return frames, reading


def put(reading: Reading, media: str, body: Any) -> None:
    """A whole response into a reader."""
    if media == "json":
        reading.page(body)
    elif media == "ndjson":
        for line in body.decode().splitlines():
            if line:
                reading.ndjson(json.loads(line))
    else:
        for block in body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if line)
            if "data" in fields:
                reading.sse(Frame(fields["event"], fields.get("id"), json.loads(fields["data"])))
