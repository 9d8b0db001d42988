"""The client: one connection, any number of chats and answers over it.

    async with connect("http://127.0.0.1:8080") as client:
        answer = await client.submit("Why is the sky blue?")
        async for piece in answer:
            print(piece, end="")

Every call survives a lost connection: it returns when the reply comes, over whichever connection. Submits carry an id
made here, so that sending one again does not run it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from holdfast_protocol import commands as cmd
from holdfast_protocol import replies as rep
from holdfast_protocol.codec import CODECS, JSON, MSGPACK, Codec
from holdfast_protocol.pushes import Notice

from .addresses import DEFAULT_URL, websocket_url
from .answer import Answer, Level
from .calls import Calls, refusal
from .catalogue import Catalogue
from .connection import PATIENCE_S, Connection
from .errors import CommandRefused, ConnectionLost
from .feed import FeedRows
from .following import Following, unattached
from .happenings import Changed, FeedChanged, Happening, Noticed, Replied
from .ids import new_id
from .session import Session

_SHORT_NAMES: Final = {"json": JSON, "msgpack": MSGPACK}


def connect(
    url: str = DEFAULT_URL,
    *,
    token: str | None = None,
    codec: str = "json",
    client: str = "",
    patience_s: float = PATIENCE_S,
    on_connection: Callable[[str | None], None] | None = None,
    on_notice: Callable[[Notice], None] | None = None,
) -> Client:
    """A client for `url`, to be entered with `async with`. `codec` is json or msgpack. `on_connection` is called with
    None when the connection is there, with the reason when it is lost.

    Raises: ValueError if `url` or `codec` is not one. Entering raises: ConnectionLost, ConnectionRefused,
    NotAuthenticated.
    """
    chosen = _SHORT_NAMES.get(codec) or CODECS.get(codec)
    if chosen is None:
        raise ValueError(f"{codec!r} is not a codec; take json or msgpack.")
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ValueError("The token has characters that no header can carry.")
    return Client(
        websocket_url(url),
        chosen,
        token=token,
        name=client,
        patience_s=patience_s,
        on_connection=on_connection,
        on_notice=on_notice,
    )


class Client(Catalogue):
    """See `connect`, which makes one."""

    def __init__(
        self,
        url: str,
        codec: Codec,
        *,
        token: str | None = None,
        name: str = "",
        patience_s: float = PATIENCE_S,
        on_connection: Callable[[str | None], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self.session = Session(codec, client=name)
        self.connection = Connection(
            url,
            self.session,
            token=token,
            happened=self._happened,
            state_changed=self._state,
            patience_s=patience_s,
        )
        self.calls = Calls(self.session, self.connection)
        self._levels: dict[str, Level] = {}
        self._feed_level = Level()
        self._on_connection = on_connection
        self._on_notice = on_notice

    async def __aenter__(self) -> Self:
        try:
            await self.connection.open()
        except BaseException:
            await self.connection.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; requests go on without it (I5)."""
        await self.connection.close()
        self._give_up()

    @property
    def failure(self) -> ConnectionLost | None:
        """Why there will be no connection any more; None while there is one, or another is being tried for."""
        return self.connection.failure

    @property
    def welcome(self) -> rep.Welcome | None:
        """What the server said about itself."""
        return self.session.welcome

    @property
    def feed(self) -> FeedRows:
        """The rows of the feed, after `watch`."""
        return self.session.feed

    # -- asking ----------------------------------------------------------------------------------------------

    async def submit(
        self,
        text: str | None = None,
        *,
        chat_id: str | None = None,
        parent_id: str | None = None,
        root: bool = False,
        message_id: str | None = None,
        messages: Iterable[Mapping[str, Any] | cmd.InputMessage] = (),
        agent: str | None = None,
        options: Mapping[str, Any] | None = None,
        deadlines: cmd.Deadlines | None = None,
        append_only: bool = False,
        priority: cmd.Priority = "normal",
        request_id: str | None = None,
        follow: bool = True,
    ) -> Answer:
        """Ask. Returns once the request is durable (I4); then read the answer. Without `chat_id` the request stays out
        of the history; with a new one (`new_id()`) it begins a chat. `root`: beside the chat's first message, not under one.

        `priority` orders it among your own requests; `low` also lets everybody's others go first, for a minute.

        `text` alone, without a chat, is sent as the one message of a user. Without `follow` nothing of the answer is
        sent here until it is attached to.

        Raises: CommandRefused, OutboxFull, NoReply, ConnectionLost. After NoReply or ConnectionLost submit again with
        the same `request_id`: it runs once.
        """
        given = [
            m if isinstance(m, cmd.InputMessage) else msgspec.convert(m, cmd.InputMessage) for m in messages
        ]
        if chat_id is None and text is not None:
            given.append(cmd.InputMessage(role="user", text=text))
            text = None
        request = cmd.Submission(
            request_id=request_id or new_id(),
            chat_id=chat_id,
            parent_id=parent_id,
            root=root,
            message_id=message_id,
            text=text,
            messages=given,
            agent=agent,
            options=dict(options or {}),
            deadlines=deadlines or cmd.Deadlines(),
            append_only=append_only,
            priority=priority,
        )
        result = (await self.submit_many([request], follow=follow))[0]
        if isinstance(result, Answer):
            return result
        raise result

    async def submit_many(
        self, requests: Sequence[cmd.Submission], *, follow: bool = True
    ) -> list[Answer | CommandRefused]:
        """Ask many things in one go; each is accepted or refused by itself. Every submission needs a `request_id`.

        Raises: CommandRefused if the command as a whole is refused; OutboxFull, NoReply, ConnectionLost.
        """
        followings: dict[str, Following] = {}

        def issue() -> int:
            ref = self.session.submit(requests, follow=follow)
            for request in requests:
                # Taken now: by the time the reply is looked at, the answer may have come and gone.
                request_id = request.request_id or ""
                followings[request_id] = self.session.followings.get(request_id) or unattached(request_id)
            return ref

        levels = {request.request_id or "": self._level(request.request_id or "") for request in requests}
        reply = await self.calls.asked(issue)
        results = reply.results if isinstance(reply, rep.SubmittedMany) else [reply]
        out: list[Answer | CommandRefused] = []
        for result in results:
            if isinstance(result, rep.Error):
                out.append(refusal(result))
                continue
            assert isinstance(result, rep.Submitted), "the reply to a submit is submitted"
            request_id = result.request_id
            out.append(Answer(self, followings[request_id], levels[request_id], result))
        for request_id in levels:
            if request_id not in self.session.followings:
                self._levels.pop(request_id, None)
        return out

    def attach(self, request_id: str) -> Answer:
        """An answer that was asked for elsewhere, or earlier: all of it, then what follows. Raises nothing yet: reading
        it raises AnswerLost if there is no such request."""
        following = self.session.follow(request_id)
        self.connection.wake()
        return Answer(self, following, self._level(request_id), None)

    def detach(self, request_id: str) -> None:
        """Stop following; the request goes on (I5). Whoever still reads an Answer of it gets AnswerLost `detached`."""
        self.session.unfollow(request_id)
        self._rise(request_id)
        self.connection.wake()

    async def cancel(self, request_id: str, *, owner: str | None = None) -> rep.CancelResult:
        """End a request, running or not; `won` tells whether this call did it. `owner`: somebody else's (operators).
        Raises: CommandRefused."""
        return await self.calls.call(rep.CancelResult, cmd.Cancel, request_id=request_id, owner=owner)

    async def decide(self, request_id: str, wait_id: str, decision: Any, *, digest: str = "") -> None:
        """Answer what a request waits for; `digest` is that of the wait. Raises: CommandRefused."""
        fields = {"request_id": request_id, "wait_id": wait_id, "digest": digest, "decision": decision}
        await self.calls.call(rep.Done, cmd.Decide, **fields)

    async def watch(self) -> AsyncIterator[rep.ChatRow | rep.RequestRow]:
        """Follow one's own feed: each row as it changes, beginning with those that are there. A slow reader gets the
        newest state of a row once, not every state it had."""
        self.session.watch()
        self.connection.wake()
        seen: dict[str, int] = {}
        while True:
            level = self._feed_level.value
            rows: list[rep.ChatRow | rep.RequestRow] = [
                *self.feed.chats.values(),
                *self.feed.requests.values(),
            ]
            news = [(_row_key(row), row) for row in rows if row.version > seen.get(_row_key(row), -1)]
            seen = {_row_key(row): row.version for row in rows}
            for _, row in news:
                yield row
            if level == self._feed_level.value:
                if self.failure is not None:
                    raise self.failure
                await self._feed_level.above(level)

    # -- what happens -----------------------------------------------------------------------------------------

    def _level(self, request_id: str) -> Level:
        return self._levels.setdefault(request_id, Level())

    def _happened(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            match happening:
                case Replied(ref, reply):
                    self.calls.replied(ref, reply)
                case Changed(request_id):
                    self._rise(request_id)
                case FeedChanged():
                    self._feed_level.rise()
                case Noticed(notice) if self._on_notice is not None:
                    self._on_notice(notice)
                case _:
                    pass

    def _rise(self, request_id: str) -> None:
        level = self._levels.get(request_id)
        if level is not None:
            level.rise()
            if request_id not in self.session.followings:
                del self._levels[request_id]  # it has ended; its Answers hold on to what they need

    def _state(self, reason: str | None) -> None:
        if self.failure is not None:
            self._give_up()
        if self._on_connection is not None:
            self._on_connection(reason)

    def _give_up(self) -> None:
        self.calls.give_up()
        for level in [*self._levels.values(), self._feed_level]:
            level.rise()


def _row_key(row: rep.ChatRow | rep.RequestRow) -> str:
    return f"chat:{row.chat_id}" if isinstance(row, rep.ChatRow) else f"request:{row.request_id}"
