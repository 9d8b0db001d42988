"""A client: the real session under a shell that connects, loses, comes back, and writes down what it saw.

The shell does what every shell must (dial, send, receive, tell the session) and what a person's program would: repeat a
submit that was refused for a passing reason, follow again what was not there yet, decide what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from holdfast_client.following import Following
from holdfast_client.happenings import Changed, Happening, Noticed, Replied
from holdfast_client.session import Session
from holdfast_protocol import commands as cm
from holdfast_protocol import replies as rp
from holdfast_protocol.codec import JSON, MSGPACK
from holdfast_protocol.errors import CLOSE_CODES
from holdfast_server.stores.base import Key, Owner, key_of
from tests.simulation.evidence import ClientEnd, Saw, Told
from tests.simulation.plan import Act
from tests.support.lossy_link import LinkClosed, LinkDown, LossyLink

if TYPE_CHECKING:
    from tests.simulation.world import World

AGAIN_S: Final = (0.02, 0.5)
"""Before a client dials again, asks again or follows again."""

AGAIN_S_MAX: Final = 1.0
"""More than this is not waited though the server asks for it: runs are short."""

PASSING: Final = frozenset(
    {"unavailable", "storage_full", "draining", "too_many_requests", "overloaded", "rate_limited"}
)


_ABOUT: Final = {False: b'"request_id":"%b"', True: b"request_id\xa2%b"}
"""How a push about a request begins, by whether the codec is binary; the ids of a run have two characters."""


class Pending(NamedTuple):
    """A command without a reply: what it was, whose request it was about, when it was asked, and how to ask again."""

    what: str
    key: Key | None
    asked_at: float
    again: Callable[[], None]
    texts: dict[str, str | None]


class SimClient:
    """One tab of one user."""

    def __init__(self, world: World, name: str, owner: Owner) -> None:
        self.name = name
        self.owner = owner
        self.world = world
        self.dice = world.sim.dice(f"client:{name}")
        self.codec = self.dice.choice([JSON, MSGPACK])
        self.session = Session(self.codec, token=owner.user, client=name)
        self.wanted: dict[str, Following | None] = {}
        self.pending: dict[int, Pending] = {}
        self.link: LossyLink | None = None
        self.boot = 0
        self.turned_away: int | None = None
        self._decided: set[tuple[str, str, int]] = set()
        self._offsets: dict[str, tuple[Following, int, int]] = {}
        self._over: dict[str, Following] = {}
        self._asked_at: dict[str, float] = {}
        self._submissions: dict[str, cm.Submission] = {}
        self._unsent: list[bytes] = []
        self._timers = 0
        self.end = ClientEnd(name, owner)

    def __repr__(self) -> str:
        return f"SimClient({self.name})"

    # -- the connection --------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Until cancelled."""
        while self.turned_away is None:
            dialled = self.world.dial(self)
            if dialled is not None:
                self.link, self.boot = dialled
                try:
                    await self._talk(self.link)
                except LinkClosed as closed:
                    entry = CLOSE_CODES.get(closed.code)
                    self.tell(None, "closed", self.world.time(), closed.code)
                    if entry is not None and not entry.reconnect:
                        self.turned_away = closed.code
                except LinkDown:
                    pass
                finally:
                    self.link = None
                    self._unsent.clear()
                    self.session.disconnected()
            await asyncio.sleep(self.dice.uniform(*AGAIN_S))

    async def _talk(self, link: LossyLink) -> None:
        self.session.connected()
        self.flush()
        while True:
            data = await link.client.receive()
            happenings = self.session.receive(data)
            self._seen(data if isinstance(data, bytes) else data.encode())
            for happening in happenings:
                self._happened(happening)
            self.flush()

    def flush(self) -> None:
        """Send what the session has to say; what the link has no room for goes a little later."""
        link = self.link
        if link is None:
            return
        self._unsent += self.session.frames_to_send()
        try:
            while self._unsent:
                frame = self._unsent[0]
                if not link.client.offer(frame if self.codec.binary else frame.decode()):
                    self.later(0.1, self.flush)
                    return
                self._unsent.pop(0)
        except (LinkDown, LinkClosed):
            return  # the reader sees the same end

    def later(self, wait_s: float, do: Callable[[], None]) -> None:
        """Do it after a while; the client is not done before."""
        self._timers += 1

        def due() -> None:
            self._timers -= 1
            do()

        asyncio.get_running_loop().call_later(wait_s, due)

    def act(self, act: Act) -> None:
        """Do what the plan says."""
        request_id = act.fields.get("request_id", "")
        match act.verb:
            case "submit":
                self.submit(act.fields["submissions"], follow=act.fields.get("follow", True))
            case "follow":
                self.follow(request_id)
            case "unfollow":
                self.unfollow(request_id)
            case "cancel":
                self.call(cm.Cancel, "cancel", request_id, request_id=request_id)
            case "probe":
                self.call(cm.Probe, "probe", request_id, request_ids=[request_id])
            case "read":
                self.call(cm.ReadEvents, "read", request_id, request_id=request_id)
            case "watch":
                self.session.watch()
                self.flush()
            case _:
                raise AssertionError(act.verb)

    # -- what it does ----------------------------------------------------------------------------------------

    def submit(self, submissions: list[cm.Submission], *, follow: bool = True) -> None:
        """Ask, and ask again until it is accepted or refused for good."""
        ref = self.session.submit(submissions, follow=follow)
        for submission in submissions:
            request_id = submission.request_id or ""
            self._submissions[request_id] = submission
            if follow:
                self._follows(request_id)
        self.pending[ref] = Pending(
            "submit", key_of(self.owner, submissions[0].request_id or ""), self.world.time(),
            lambda: self.submit(submissions, follow=follow),
            {submission.request_id or "": submission.text for submission in submissions},
        )  # fmt: skip
        self.flush()

    def _follows(self, request_id: str) -> None:
        """It is followed, or was to its end."""
        known = self.wanted.get(request_id)
        following = self.session.followings.get(request_id)
        if known is None or known is not following:
            self.wanted[request_id] = following
            self._asked_at[request_id] = self.world.time()

    def follow(self, request_id: str) -> None:
        """Attach to a request that somebody else may have submitted."""
        known = self.wanted.get(request_id)
        if known is not None and known.state == "ended":
            return
        self.session.follow(request_id)
        self._follows(request_id)
        self.flush()

    def unfollow(self, request_id: str) -> None:
        """Look away; it goes on (I5)."""
        if request_id in self.session.followings:
            self.session.unfollow(request_id)
            self.wanted.pop(request_id, None)
            self.flush()

    def call(self, kind: type[Any], what: str, about: str, **fields: Any) -> None:
        """Any other command; repeated while it is refused for a passing reason."""
        key = key_of(self.owner, about)
        ref = self.session.call(kind, **fields)
        again = partial(self.call, kind, what, about, **fields)
        self.pending[ref] = Pending(what, key, self.world.time(), again, {})
        self.flush()

    # -- what happens to it ----------------------------------------------------------------------------------

    def tell(self, key: Key | None, what: str, asked_at: float, value: Any) -> None:
        self.world.evidence.told.append(
            Told(self.name, self.boot, key, what, asked_at, self.world.time(), value)
        )

    def _happened(self, happening: Happening) -> None:
        if isinstance(happening, Replied):
            self._replied(happening.ref, happening.reply)
        elif isinstance(happening, Changed):
            following = self.wanted.get(happening.request_id)
            if following is not None and following.state == "lost":
                self._lost(following)
        elif isinstance(happening, Noticed):
            pass

    def _replied(self, ref: int, reply: rp.Reply) -> None:
        pending = self.pending.pop(ref)
        key, asked_at = pending.key, pending.asked_at
        if pending.what == "submit":
            results: list[Any] = reply.results if isinstance(reply, rp.SubmittedMany) else [reply]
            for (request_id, text), result in zip(pending.texts.items(), results, strict=False):
                self._submitted(key_of(self.owner, request_id), asked_at, result, text)
            passing = any(map(_passing, results))
        else:
            results = [reply]
            passing = _passing(reply)
            value = reply.requests if isinstance(reply, rp.Probed) else reply
            self.tell(key, "refused" if isinstance(reply, rp.Error) else pending.what, asked_at, value)
        if passing:
            asked_ms = max(getattr(result, "retry_after_ms", None) or 0 for result in results)
            wait_s = min(asked_ms / 1000, AGAIN_S_MAX) + self.dice.uniform(*AGAIN_S)
            self.later(wait_s, pending.again)

    def _submitted(
        self, key: Key, asked_at: float, result: rp.Submitted | rp.Error, text: str | None
    ) -> None:
        if not isinstance(result, rp.Error):
            self.tell(key, "submit", asked_at, (result, text))
            return
        self.tell(key, "refused", asked_at, result)
        if not _passing(result):  # its id belongs to another request: that one is as good to follow
            self._submissions.pop(key.request_id, None)
            self.later(self.dice.uniform(*AGAIN_S), lambda: self.follow(key.request_id))

    def _lost(self, following: Following) -> None:
        """The server said that it is not there: it may not be there yet."""
        assert following.lost is not None
        request_id = following.request_id
        self.tell(key_of(self.owner, request_id), "lost", self._asked_at[request_id], following.lost[0])
        self.end.starts_over += following.starts_over
        if following.lost[0] == "unknown_request":
            self.wanted[request_id] = None
            self.later(self.dice.uniform(*AGAIN_S), partial(self._again, request_id))

    def _again(self, request_id: str) -> None:
        submission = self._submissions.get(request_id)
        if submission is not None:
            self.submit([submission])  # acknowledged, and gone with a disk that was put back: ask anew
        else:
            self.follow(request_id)

    def _seen(self, data: bytes) -> None:
        """Write down what is shown now, where this frame can have changed it."""
        head = data[:48]
        all_of_it = b"caught_up" in head
        if not all_of_it and b"page" not in head:
            return
        for request_id, known in list(self.wanted.items()):
            following = known or self.session.followings.get(request_id)
            if following is None:
                continue
            self.wanted[request_id] = following
            about = _ABOUT[self.codec.binary] % request_id.encode()
            if about not in head or following.staging is not None:
                continue  # what is not verified yet is not shown
            if self._over.get(request_id) is following:
                continue
            fold = following.fold
            mark = (following, following.snapshots, fold.offset)
            before = self._offsets.get(request_id)
            if before == mark and not all_of_it:
                continue
            if before is not None and before[:2] == mark[:2] and fold.offset < before[2]:
                self.end.backwards.append(request_id)
            self._offsets[request_id] = mark
            if following.state == "ended":
                self._over[request_id] = following
            whole = fold.transcript() if all_of_it and following.state in ("live", "ended") else None
            self.world.evidence.saw.append(
                Saw(
                    self.name, self.boot, key_of(self.owner, request_id), fold.offset, fold.digest(), fold.status,
                    whole, following.state == "ended",
                )
            )  # fmt: skip
            if fold.status == "waiting":
                self._decide(request_id, following)

    def _decide(self, request_id: str, following: Following) -> None:
        """A person is asked: this one answers, a little later."""
        for part in following.fold.parts:
            if part.kind == "wait" and part.open and part.fields["kind"] == "person":
                wait_id, digest = part.fields["wait_id"], part.fields["digest"]
                if (request_id, wait_id, self.boot) in self._decided:
                    continue
                self._decided.add((request_id, wait_id, self.boot))
                decide = partial(
                    self.call, cm.Decide, "decide", request_id,
                    request_id=request_id, wait_id=wait_id, digest=digest, decision={"by": self.name},
                )  # fmt: skip
                self.later(self.dice.uniform(0, 1), decide)

    # -- the end ---------------------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether everything it asked has been answered, and everything it follows has ended."""
        return (
            not self._timers
            and not self.pending
            and all(
                following is not None and following.state == "ended" for following in self.wanted.values()
            )
        )

    def close_book(self) -> ClientEnd:
        """What there is to say of it at the end."""
        end = self.end
        end.unanswered = [f"{pending.what} {pending.key}" for pending in self.pending.values()]
        for request_id, following in self.wanted.items():
            if following is None or following.state != "ended":
                end.behind.append(f"{request_id}: {following}")
            if following is not None:
                end.starts_over += following.starts_over
        end.unreadable = self.session.unreadable
        end.rows = {row.request_id: (row.version, row.status) for row in self.session.feed.requests.values()}
        if self.turned_away is not None:
            end.behind.append(f"turned away with {self.turned_away}")
        return end


def _passing(reply: Any) -> bool:
    return isinstance(reply, rp.Error) and reply.code in PASSING
