"""The fake peer behind real sockets, with scripted agents: for tests of the shell and to look at the terminal.

    async with FakeServer() as server:
        server.agents["demo"] = lambda writer: writer.say("Hello")
        ...
        server.drop()

`python -m tests.support.fake_server --port 8080` serves the demo script until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol.codec import CODECS

from .fake_log import FakeJournal
from .fake_peer import TOKEN, FakeConnection, FakeCore


class Writer:
    """What a script writes its answer with; each call shows at once."""

    def __init__(self, server: FakeServer, journal: FakeJournal) -> None:
        self.server = server
        self.journal = journal
        self.decision: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.pace_s = 0.0

    @property
    def question(self) -> str:
        request = self.journal.submission
        return request.text or "".join(message.text for message in request.messages)

    def put(self, kind: Callable[..., ev.Event], /, **fields: Any) -> None:
        """Append one event, unless the request has ended meanwhile."""
        if self.journal.fold.sealed:
            raise asyncio.CancelledError
        self.journal.append(kind(at=self.server.core.now(), **fields))
        self.server.grown()

    def next_part(self) -> int:
        return len(self.journal.fold.parts)

    def start(self, keep: ev.Keep = "all", reason: ev.Reason = "first") -> None:
        self.journal.start(self.server.core.now(), keep, reason)
        self.server.core.changed(self.journal.row())
        self.server.grown()

    async def say(self, text: str, kind: str = "text", size: int = 7) -> None:
        """A part of text, in deltas of `size` characters."""
        part = self.next_part()
        self.put(ev.PartStarted, part=part, kind=kind)
        await self.more(part, text, size)
        self.put(ev.PartDone, part=part)

    async def more(self, part: int, text: str, size: int = 7) -> None:
        for at in range(0, len(text), size):
            self.put(ev.Delta, part=part, text=text[at : at + size])
            await asyncio.sleep(self.pace_s)

    async def tool(self, name: str, arguments: str, output: str) -> None:
        part = self.next_part()
        self.put(ev.ToolCall, part=part, call_id=f"c{part}", name=name)
        self.put(ev.Delta, part=part, text=arguments)
        self.put(ev.PartDone, part=part)
        await asyncio.sleep(self.pace_s * 5)
        self.put(ev.ToolResult, part=part, output=output)

    async def ask(self, body: Any) -> Any:
        part = self.next_part()
        self.put(ev.Waiting, part=part, wait_id="w1", kind="approval", body=body, digest="d1")
        decision = await self.decision
        self.start(reason="resumed")
        self.put(ev.Decided, part=part, wait_id="w1", decision=decision)
        return decision

    def end(self, kind: Any = ev.Completed, code: str = "stop", **fields: Any) -> None:
        self.put(kind, code=code, **fields)
        self.server.core.changed(self.journal.row())
        self.server.grown()


Script = Callable[[Writer], Awaitable[None]]


async def echo(writer: Writer) -> None:
    """The question, in an answer."""
    writer.start()
    await writer.say(f"You said: {writer.question}")
    writer.end()


class FakeServer:
    """Serves a FakeCore on a free local port."""

    def __init__(self, *, port: int = 0, token: bool = False, http_status: int | None = None) -> None:
        self.core = FakeCore()
        self.core.opened = self._opened
        self.core.decided = self._decided
        self.agents: dict[str, Script] = {"demo": echo}
        self.http_status = http_status
        self.close_next: list[int] = []
        self.cut_after: list[int] = []
        self.handshakes = 0
        self._token = token
        self._port = port
        self._server: Server | None = None
        self._links: dict[ServerConnection, FakeConnection] = {}
        self._grown = asyncio.Event()
        self._writers: dict[str, Writer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ws"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            subprotocols=[Subprotocol(name) for name in CODECS],
            process_request=self._gate,
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def drop(self) -> None:
        """Cut every connection, as a lost network does."""
        for socket in list(self._links):
            socket.transport.abort()

    async def close_all(self, code: int, reason: str = "") -> None:
        """Say goodbye on every connection."""
        for socket in list(self._links):
            await socket.close(code, reason)

    async def handshaken(self, count: int) -> None:
        """Wait until so many clients have knocked."""
        while self.handshakes < count:
            await self._grown.wait()

    def grown(self) -> None:
        """Something is new in the log; everybody looks."""
        self._grown.set()
        self._grown = asyncio.Event()

    def _gate(self, _: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        self.grown()
        if self.http_status is not None:
            status = http.HTTPStatus(self.http_status)
            return Response(status.value, status.phrase, type(request.headers)())
        return None

    def _opened(self, journal: FakeJournal) -> None:
        writer = self._writers[journal.request_id] = Writer(self, journal)
        script = self.agents.get(journal.submission.agent or "demo", echo)
        task = asyncio.get_running_loop().create_task(_run(script, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _decided(self, journal: FakeJournal, command: cmd.Decide) -> None:
        self._writers[journal.request_id].decision.set_result(command.decision)

    async def _serve(self, socket: ServerConnection) -> None:
        if self.close_next:
            await socket.close(self.close_next.pop(0))
            return
        assert socket.request is not None
        authorised = not self._token or socket.request.headers.get("Authorization") == f"Bearer {TOKEN}"
        codec = CODECS[socket.subprotocol or "holdfast.v1.json"]
        link = self._links[socket] = FakeConnection(self.core, codec, authorised=authorised)
        left = self.cut_after.pop(0) if self.cut_after else None
        receiving = asyncio.get_running_loop().create_task(socket.recv())
        try:
            while True:
                grown = asyncio.get_running_loop().create_task(self._grown.wait())
                await asyncio.wait([receiving, grown], return_when=asyncio.FIRST_COMPLETED)
                grown.cancel()
                frames = link.pump()
                if receiving.done():
                    frames += link.receive(receiving.result())
                    receiving = asyncio.get_running_loop().create_task(socket.recv())
                    self.grown()
                for frame in frames:
                    if left is not None:
                        left -= 1
                        if left < 0:
                            socket.transport.abort()
                            return
                    await socket.send(frame, text=not codec.binary)
        except ConnectionClosed:
            pass
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            self._links.pop(socket, None)
            self.core.connections.remove(link)


async def _run(script: Script, writer: Writer) -> None:
    await asyncio.sleep(0)
    await script(writer)


POEM = """# Streams

A stream is *one word after another*; this one comes from a **demo**, `offline`, and says so.

- first, the plan
  - with a detail
- then the work
- then the rest

```python
def fold(events):
    total = 0
    for event in events:
        total += event.span
    return total
```

| part | bytes | state |
|------|------:|-------|
| text | 1 204 | done  |
| tool |    88 | done  |

> Nothing that was said is lost.

The end of it: 東京, naïve café, 🙂.
"""


async def demo(writer: Writer) -> None:
    """Something of everything."""
    writer.pace_s = 0.01 if writer.journal.submission.agent != "slow" else 0.05
    await asyncio.sleep(0.2)
    writer.start()
    question = writer.question
    if "fail" in question:
        await writer.say("I begin, and ")
        writer.end(ev.Failed, "upstream", message="The model's server answered 500.", retryable=True)
        return
    await writer.say("Let me see what that is about. " * 3, kind="reasoning")
    part = writer.next_part()
    for step in range(1, 4):
        writer.put(
            ev.Progress, part=part, id="p", label="Reading", step=step, total=3, percent=step / 3 * 100
        )
        await asyncio.sleep(writer.pace_s * 20)
    writer.put(ev.Progress, part=part, id="p", label="Reading", step=3, total=3, percent=100.0, state="done")
    await writer.tool("look_up", '{"query": "streams"}', "3 results")
    if "retry" in question:
        await writer.say("This will be taken back, all of it, in a moment.")
        writer.start(keep="none", reason="retry")
    if "approve" in question:
        yes = await writer.ask({"tool": "delete_file", "arguments": {"path": "notes.txt"}})
        await writer.say(f"You said {'yes' if yes else 'no'}.\n\n")
    await writer.say(POEM * (5 if "long" in question else 1), size=4)
    writer.put(ev.Usage, input_tokens=12, output_tokens=345)
    writer.end()


async def main() -> None:
    """Serve the demo script until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8080)
    args = parser.parse_args()
    async with FakeServer(port=args.port) as server:
        server.agents = {"demo": demo, "slow": demo}
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
