"""The client's half of the protocol, without a socket or a clock: what to send, and what the answers mean.

One Session outlives any number of connections. A shell drives it in this order:

    session.connected()                      a connection is open
    for frame in session.frames_to_send():   send them; do so again after every call of anything here
    session.receive(data)                    for each frame that arrives; act on the happenings it returns
    session.disconnected()                   the connection is gone; later, connected() again

After `connected()` only `hello` is sent. Once it is answered everything else follows in this order: a subscribe for
each request that is followed (with its cursor), every command that has had no reply (the outbox), and `watch` with the
feed's cursor. All commands may be repeated: a submit carries its id (I4), and the others say what should be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from holdfast_protocol import commands as cmd
from holdfast_protocol import pushes as psh
from holdfast_protocol import replies as rep
from holdfast_protocol.codec import Codec
from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_protocol.limits import COMMAND_BYTES_MAX, HEARTBEAT_S

from .errors import CommandRefused
from .feed import FeedRows
from .following import Following, Verdict
from .happenings import Changed, Complained, FeedChanged, Happening, Noticed, PutOff, Replied, Welcomed
from .outbox import Outbox

PASSING: Final = frozenset({"draining", "unavailable", "rate_limited"})
"""Codes after which the client itself asks again; other retryable ones are for the caller to weigh."""


class Session:
    """The state that a client keeps across its connections. `token` is sent in hello; leave it out if a header has it."""

    def __init__(self, codec: Codec, *, token: str | None = None, client: str = "") -> None:
        self.codec = codec
        self.followings: dict[str, Following] = {}
        self.feed = FeedRows()
        self.welcome: rep.Welcome | None = None
        self.unreadable = 0
        self._token = token
        self._client = client
        self._outbox = Outbox()
        self._frames: list[bytes] = []
        self._open = False
        self._ready = False
        self._watching = False
        self._own_refs: dict[
            int, str
        ] = {}  # ref of hello, watch or a subscribe of our own -> request id or ""
        self._hello_ref = -1
        self._ref = 0

    @property
    def ready(self) -> bool:
        """Whether commands go out at once."""
        return self._ready

    @property
    def heartbeat_s(self) -> float:
        """How often to expect a sign of life."""
        return self.welcome.heartbeat_s if self.welcome is not None else HEARTBEAT_S

    @property
    def unanswered(self) -> int:
        """How many commands have had no reply."""
        return len(self._outbox)

    # -- the connection --------------------------------------------------------------------------------------

    def connected(self) -> None:
        """A connection is open. Next: send `frames_to_send()`, then give what arrives to `receive`."""
        self._open = True
        self._frames.clear()
        self._own_refs.clear()
        self._hello_ref = self._next_ref()
        self._frames.append(
            self.codec.encode(cmd.Hello(ref=self._hello_ref, token=self._token, client=self._client))
        )

    def disconnected(self) -> None:
        """The connection is gone. Next: `connected()`, when there is another; nothing that matters was lost."""
        self._open = self._ready = False
        self._frames.clear()
        self._own_refs.clear()
        for following in self.followings.values():
            following.dropped()

    def frames_to_send(self) -> list[bytes]:
        """What has to be sent now, in order; each is handed out once."""
        frames, self._frames = self._frames, []
        return frames

    def _greeted(self) -> None:
        self._ready = True
        for following in self.followings.values():
            if following.state == "want":
                self._subscribe(following)
        for command in self._outbox.commands():
            self._frames.append(self.codec.encode(command))
        if self._watching:
            self._send_watch()

    # -- commands --------------------------------------------------------------------------------------------

    def call(self, kind: type[Any], /, **fields: Any) -> int:
        """Issue a command. Returns its ref; the reply comes as `Replied`, however many connections it takes.

        Raises: OutboxFull, CommandRefused (too_large, before anything is sent).
        """
        return self._issue(kind(ref=self._next_ref(), **fields))

    def submit(self, requests: Sequence[cmd.Submission], *, follow: bool = True) -> int:
        """Submit one request or many, each with its `request_id`. Next: wait for `Replied`, then look at `following`.

        Raises: OutboxFull, CommandRefused (too_large).
        """
        ref = self._next_ref()
        command: cmd.Command
        if len(requests) == 1:
            command = cmd.Submit(ref=ref, request=requests[0], follow=follow)
        else:
            command = cmd.SubmitMany(ref=ref, requests=list(requests), follow=follow)
        self._issue(command)
        for request in requests:
            assert request.request_id is not None, "a submit without an id cannot be repeated"
            if follow and request.request_id not in self.followings:
                self.followings[request.request_id] = following = Following(request.request_id)
                following.asked(ref, by_submit=True)
        return ref

    def follow(self, request_id: str) -> Following:
        """Follow a request to its end, from a snapshot. Next: show `fold` at each `Changed`; it begins empty."""
        following = self.followings.get(request_id)
        if following is None:
            self.followings[request_id] = following = Following(request_id)
            if self._ready:
                self._subscribe(following)
        return following

    def unfollow(self, request_id: str) -> None:
        """Stop following; the request goes on (I5)."""
        following = self.followings.pop(request_id, None)
        if following is None:
            return
        if self._ready and following.state in ("asked", "live"):
            self._send_own(cmd.Unsubscribe(ref=self._next_ref(), request_id=request_id), "")
        following.lose("detached", "This answer is not followed any more; attach to it to read on.")

    def watch(self) -> None:
        """Follow the feed from now on. Next: `FeedChanged` tells what is news; `feed` holds all rows."""
        if not self._watching:
            self._watching = True
            if self._ready:
                self._send_watch()

    def forget(self, ref: int) -> None:
        """Nobody waits for this reply any more; do not send the command again."""
        self._outbox.take(ref)

    def _issue(self, command: cmd.Command) -> int:
        frame = self.codec.encode(command)
        if len(frame) > COMMAND_BYTES_MAX:
            raise CommandRefused("too_large", ERRORS["too_large"].advice)
        self._outbox.put(command, len(frame))
        if self._ready:
            self._frames.append(frame)
        return command.ref

    def _next_ref(self) -> int:
        self._ref += 1
        return self._ref

    def _send_own(self, command: cmd.Command, about: str) -> None:
        self._own_refs[command.ref] = about
        self._frames.append(self.codec.encode(command))

    def _subscribe(self, following: Following) -> None:
        ref = self._next_ref()
        following.asked(ref)
        self._send_own(
            cmd.Subscribe(ref=ref, request_id=following.request_id, cursor=following.cursor),
            following.request_id,
        )

    def _send_watch(self) -> None:
        self._send_own(cmd.Watch(ref=self._next_ref(), cursor=self.feed.cursor), "")

    # -- what arrives ----------------------------------------------------------------------------------------

    def receive(self, data: bytes | str) -> list[Happening]:
        """Take a frame. Returns what has happened; then look at `frames_to_send()` again. Never raises for bad input:
        what cannot be read is counted and left out, and if it mattered the next page does not fit (I1)."""
        try:
            message = self.codec.decode_server(data)
        except ProtocolError:
            self.unreadable += 1
            return []
        match message:
            case psh.Page(request_id=request_id) | psh.CaughtUp(request_id=request_id):
                following = self.followings.get(request_id)
                if following is None:
                    return []
                verdict = (
                    following.page(message) if isinstance(message, psh.Page) else following.caught_up(message)
                )
                return self._judged(following, verdict)
            case psh.Snapshot(request_id=request_id):
                if request_id in self.followings:
                    self.followings[request_id].snapshot()
                return []
            case psh.Gone(request_id=request_id):
                return self._lost(request_id, "gone", "The request was deleted.")
            case psh.Feed():
                return [FeedChanged(tuple(self.feed.take(message)))] if self._watching else []
            case psh.Notice(request_id=request_id) if (
                message.kind == "place" and request_id in self.followings
            ):
                self.followings[request_id].queued = message
                return [Noticed(message), Changed(request_id)]
            case psh.Notice():
                return [Noticed(message)]
            case _:
                return self._reply(message)

    def _judged(self, following: Following, verdict: Verdict) -> list[Happening]:
        if verdict == "start_over":
            # Leave the old subscription first: what it still had under way must not be taken for the new one's.
            self._send_own(cmd.Unsubscribe(ref=self._next_ref(), request_id=following.request_id), "")
            self._subscribe(following)
            return []
        if following.state in ("ended", "lost"):
            # Whoever reads it holds the Following itself; a session that lives for months must not hold them all.
            del self.followings[following.request_id]
        return [] if verdict == "same" else [Changed(following.request_id)]

    def _lost(self, request_id: str, reason: str, message: str) -> list[Happening]:
        following = self.followings.pop(request_id, None)
        if following is None:
            return []
        following.lose(reason, message)
        return [Changed(request_id)]

    def _reply(self, reply: rep.Reply) -> list[Happening]:
        ref = reply.ref
        if ref is None:
            return [Complained(reply)] if isinstance(reply, rep.Error) else []
        if ref == self._hello_ref:
            if isinstance(reply, rep.Welcome):
                self.welcome = reply
                self._greeted()
                return [Welcomed(reply)]
            return [Complained(reply)] if isinstance(reply, rep.Error) else []
        if ref in self._own_refs:
            return self._own_reply(self._own_refs.pop(ref), reply)
        command = self._outbox.take(ref)
        if command is None:
            return []
        if isinstance(command, cmd.Submit | cmd.SubmitMany) and command.follow:
            self._submitted(command, reply)
        return [Replied(ref, reply)]

    def _own_reply(self, request_id: str, reply: rep.Reply) -> list[Happening]:
        following = self.followings.get(request_id)
        if following is None or following.ref != reply.ref:
            return []
        if isinstance(reply, rep.Error):
            if reply.code in PASSING:
                following.dropped()  # what it has stands; it is asked for again over the next connection
                return [PutOff(reply)]
            return self._lost(request_id, reply.code, reply.message)
        following.granted()
        return []

    def _submitted(self, command: cmd.Submit | cmd.SubmitMany, reply: rep.Reply) -> None:
        """Let the followings begin that a submit announced; drop those of requests that were refused."""
        requests = [command.request] if isinstance(command, cmd.Submit) else command.requests
        results = reply.results if isinstance(reply, rep.SubmittedMany) else [reply] * len(requests)
        for request, result in zip(requests, results, strict=False):
            following = self.followings.get(request.request_id or "")
            if following is None or following.ref != command.ref:
                continue
            if isinstance(result, rep.Submitted):
                following.granted(result.cursor)
            else:
                del self.followings[following.request_id]
