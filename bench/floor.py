"""The floor under every Python server: a prebuilt frame written to plain transports of asyncio, nothing else.

`python -m bench.floor --streams S --rate R --frame-bytes B`: after a client has sent `go`, each of S timers writes one
frame R times a second to its readers; connection n reads stream n modulo S.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Floor:
    """The streams, and who reads them."""

    def __init__(self, streams: int, rate: float, frame_bytes: int) -> None:
        self.readers: list[list[asyncio.Transport]] = [[] for _ in range(streams)]
        self.frame = b"\x81\x7e" + (frame_bytes - 4).to_bytes(2, "big") + b"x" * (frame_bytes - 4)
        self.rate = rate
        self.count = 0

    def go(self) -> None:
        """Begin, each stream at its own moment."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for number, readers in enumerate(self.readers):
            due = now + (number + 1) / (self.rate * len(self.readers))
            loop.call_at(due, self._tick, due, readers)

    def _tick(self, due: float, readers: list[asyncio.Transport]) -> None:
        for transport in readers:
            transport.write(self.frame)
        due += 1 / self.rate
        asyncio.get_running_loop().call_at(due, self._tick, due, readers)


class Reader(asyncio.Protocol):
    """One connection."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if data.startswith(b"GET "):
            self._transport.write(HANDSHAKE)
            floor = self._floor
            floor.readers[floor.count % len(floor.readers)].append(self._transport)
            floor.count += 1
        else:
            self._floor.go()


async def _main(options: argparse.Namespace) -> None:
    floor = Floor(options.streams, options.rate, options.frame_bytes)
    server = await asyncio.get_running_loop().create_server(
        lambda: Reader(floor), "127.0.0.1", 0, backlog=4096
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--frame-bytes", type=int, required=True)
    asyncio.run(_main(parser.parse_args(sys.argv[1:])))
