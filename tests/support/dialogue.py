"""A client session and a fake peer with a link between them that can be cut after any frame."""

from __future__ import annotations

from holdfast_client.following import Following
from holdfast_client.happenings import Happening
from holdfast_client.session import Session
from holdfast_protocol.codec import JSON, Codec

from .fake_peer import TOKEN, FakeConnection, FakeCore


class Cut(Exception):
    """The link broke at the place where it was told to."""


class Dialogue:
    """Moves frames, one by one, both ways, until both ends are silent. `left`: how many frames until the link breaks."""

    def __init__(self, codec: Codec = JSON, *, token: bool = False) -> None:
        self.core = FakeCore()
        self.session = Session(codec, token=TOKEN if token else None, client="test")
        self.peer: FakeConnection | None = None
        self.following: Following | None = None
        self.happenings: list[Happening] = []
        self.left: int | None = None
        self.moved = 0
        self._codec = codec
        self._token = token

    def connect(self) -> None:
        """Open a connection and say what there is to say."""
        self.peer = FakeConnection(self.core, self._codec, authorised=not self._token)
        self.peer.page_bytes_max = 300
        self.session.connected()
        self.exchange()

    def drop(self) -> None:
        """Lose the connection with everything that was under way."""
        if self.peer is not None:
            self.core.connections.remove(self.peer)
        self.peer = None
        self.session.disconnected()

    def exchange(self) -> list[Happening]:
        """Move all frames. Returns what happened in the client. Raises: Cut."""
        before = len(self.happenings)
        if self.peer is None:
            return []
        while True:
            to_server = self.session.frames_to_send()
            to_client: list[bytes] = []
            for frame in to_server:
                self._count()
                to_client += self.peer.receive(frame)
            to_client += self.peer.pump()
            if not to_server and not to_client:
                return self.happenings[before:]
            for frame in to_client:
                self._count()
                self.happenings += self.session.receive(frame)

    def _count(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Cut
            self.left -= 1
        self.moved += 1
