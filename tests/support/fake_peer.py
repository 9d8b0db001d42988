"""A server's half of the protocol over a log in memory, without a socket or a clock: what the client is tested against.

It keeps the contract in the simplest way there is (one list per request, everything computed when it is asked for), and
can be told to break it. Drive it like the client's session: `receive` what the client sent, `pump` what has grown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol import pushes as psh
from holdfast_protocol import replies as rep
from holdfast_protocol.codec import JSON, Codec
from holdfast_protocol.cursor import Cursor, check_cursor, parse_cursor
from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_protocol.rewrite import events_of, page_of

from .fake_log import FakeChat, FakeJournal

TOKEN = "let-me-in"


class FakeCore:
    """What all connections share. `opened` is called with each new journal; `refuse` holds errors for coming commands."""

    def __init__(self) -> None:
        self.journals: dict[str, FakeJournal] = {}
        self.chats: dict[str, FakeChat] = {}
        self.connections: list[FakeConnection] = []
        self.commands: list[cmd.Command] = []
        self.refuse: deque[tuple[type[Any], rep.Error]] = deque()
        self.mute: set[type[Any]] = set()
        self.opened: Callable[[FakeJournal], None] = lambda journal: None
        self.decided: Callable[[FakeJournal, cmd.Decide], None] = lambda journal, command: None
        self.agents = [
            rep.AgentRow(name="demo", description="Works without a network.", model="none", default=True),
            rep.AgentRow(name="slow", description="As demo, with time to watch.", model="none"),
        ]
        self.clock = 1_700_000_000_000
        self.heartbeat_s = 20.0
        self.digest_off = 0

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def open(self, submission: cmd.Submission) -> tuple[FakeJournal, bool]:
        """The journal of a submission, and whether it is new."""
        request_id = submission.request_id or f"r{len(self.journals)}"
        journal = self.journals.get(request_id)
        if journal is not None:
            if journal.submission != submission:
                raise ProtocolError("request_conflict")
            return journal, False
        if submission.agent is not None and submission.agent not in [a.name for a in self.agents]:
            raise ProtocolError("unknown_agent")
        self.journals[request_id] = journal = FakeJournal(request_id, submission, self.now())
        if submission.chat_id is not None:
            chat = self.chats.get(submission.chat_id) or self.chat(
                submission.chat_id, (submission.text or "")[:40]
            )
            chat.messages.append(
                rep.MessageRow(
                    message_id=f"m-{request_id}", chat_id=submission.chat_id, role="user", text=submission.text or "",
                    created_at=self.now(),
                )
            )  # fmt: skip
            chat.messages.append(
                rep.MessageRow(message_id=request_id, chat_id=submission.chat_id, role="assistant")
            )
        self.changed(journal.row())
        self.opened(journal)
        return journal, True

    def chat(self, chat_id: str, title: str) -> FakeChat:
        now = self.now()
        row = rep.ChatRow(chat_id=chat_id, version=1, title=title, created_at=now, updated_at=now)
        self.chats[chat_id] = FakeChat(row)
        self.changed(row)
        return self.chats[chat_id]

    def changed(self, row: rep.ChatRow | rep.RequestRow) -> None:
        """Tell the watchers."""
        event: psh.FeedEvent = (
            psh.FeedChat(chat=row) if isinstance(row, rep.ChatRow) else psh.FeedRequest(request=row)
        )
        for connection in self.connections:
            if connection.watching:
                connection.feed.append(psh.Feed(next=f"{self.now()}-0.feedfeed", events=[event]))

    def delete(self, request_id: str) -> None:
        """Erase a request; its followers are told."""
        del self.journals[request_id]
        for connection in self.connections:
            if connection.places.pop(request_id, None) is not None:
                connection.feed.append(psh.Gone(request_id=request_id))


class FakeConnection:
    """One connection's view of the core."""

    def __init__(self, core: FakeCore, codec: Codec = JSON, *, authorised: bool = True) -> None:
        self.core = core
        self.codec = codec
        self.authorised = authorised
        self.places: dict[str, int] = {}
        self.behind: set[str] = set()
        self.feed: list[psh.Push] = []
        self.watching = False
        self.page_bytes_max = 256 * 1024
        core.connections.append(self)

    def receive(self, data: bytes | str) -> list[bytes]:
        """The reply to a frame, and what follows from it."""
        try:
            command = self.codec.decode_command(data)
        except ProtocolError as error:
            return [self._error(error)]
        self.core.commands.append(command)
        if type(command) in self.core.mute:
            return []
        if self.core.refuse and isinstance(command, self.core.refuse[0][0]):
            _, refusal = self.core.refuse.popleft()
            return [self.codec.encode(rep.Error(**{**_fields(refusal), "ref": command.ref}))]
        try:
            out = self._do(command)
        except ProtocolError as error:
            error.ref = command.ref
            return [self._error(error)]
        return [self.codec.encode(message) for message in out] + self.pump()

    def _error(self, error: ProtocolError) -> bytes:
        return self.codec.encode(
            rep.Error(
                code=error.code, message=str(error), ref=error.ref, retryable=ERRORS[error.code].retryable
            )
        )

    def pump(self) -> list[bytes]:
        """What has grown since the last look, page by page."""
        out: list[psh.Push] = []
        for request_id in self.places:
            journal = self.core.journals[request_id]
            place = self.places[request_id]
            while place < journal.tail:
                events, index = page_of(journal.events, place, bytes_max=self.page_bytes_max)
                known: Any = events
                out.append(
                    psh.Page(request_id=request_id, start=place, next=journal.cursor(index), events=known)
                )
                self.places[request_id] = place = index
            if request_id in self.behind or journal.fold.sealed:
                self.behind.discard(request_id)
                out.append(self._caught_up(journal))
        self.places = {rid: at for rid, at in self.places.items() if not self.core.journals[rid].fold.sealed}
        out += self.feed
        self.feed = []
        return [self.codec.encode(message) for message in out]

    def _caught_up(self, journal: FakeJournal) -> psh.CaughtUp:
        digest = journal.fold.digest()
        crc = digest.crc
        if self.core.digest_off:
            self.core.digest_off -= 1
            crc = "deadbeef"
        return psh.CaughtUp(
            request_id=journal.request_id, cursor=journal.cursor(journal.tail), parts=digest.parts, bytes=digest.bytes,
            digest=crc, sealed=journal.fold.sealed,
        )  # fmt: skip

    def _journal(self, request_id: str) -> FakeJournal:
        journal = self.core.journals.get(request_id)
        if journal is None:
            raise ProtocolError("unknown_request")
        return journal

    def _chat(self, chat_id: str) -> FakeChat:
        chat = self.core.chats.get(chat_id)
        if chat is None or chat.row.deleted:
            raise ProtocolError("unknown_chat")
        return chat

    def _do(self, command: cmd.Command) -> list[Any]:  # noqa: C901  (one case per command)
        ref = command.ref
        if not self.authorised and not isinstance(command, cmd.Hello):
            raise ProtocolError("unauthenticated")
        match command:
            case cmd.Hello():
                if not self.authorised and command.token != TOKEN:
                    raise ProtocolError("unauthenticated")
                self.authorised = True
                return [rep.Welcome(ref=ref, server="fake", user="local", heartbeat_s=self.core.heartbeat_s)]
            case cmd.Ping():
                return [rep.Pong(ref=ref, at=self.core.now())]
            case cmd.Submit():
                return [self._submit(ref, command.request, command.follow)]
            case cmd.SubmitMany():
                results: list[rep.Submitted | rep.Error] = []
                for request in command.requests:
                    try:
                        results.append(self._submit(ref, request, command.follow))
                    except ProtocolError as error:
                        results.append(
                            rep.Error(code=error.code, message=str(error), request_id=request.request_id)
                        )
                return [rep.SubmittedMany(ref=ref, results=results)]
            case cmd.Subscribe():
                return self._subscribe(command)
            case cmd.Unsubscribe():
                self.places.pop(command.request_id, None)
                return [rep.Done(ref=ref)]
            case cmd.Cancel():
                journal = self._journal(command.request_id)
                won = not journal.fold.sealed
                if won:
                    journal.append(ev.Cancelled(at=self.core.now(), code="user", message="Stopped."))
                    self.core.changed(journal.row())
                return [rep.CancelResult(ref=ref, won=won, status=journal.fold.status)]
            case cmd.Decide():
                journal = self._journal(command.request_id)
                if journal.fold.status != "waiting":
                    raise ProtocolError("not_waiting")
                self.core.decided(journal, command)
                return [rep.Done(ref=ref)]
            case cmd.Probe():
                return [rep.Probed(ref=ref, requests=[self._probe(rid) for rid in command.request_ids])]
            case cmd.ListRequests():
                rows = [j.row() for j in reversed(self.core.journals.values())]
                if command.active:
                    rows = [row for row in rows if row.outcome is None]
                return [rep.Requests(ref=ref, requests=rows[: command.limit])]
            case cmd.ReadEvents():
                return [self._log(command)]
            case cmd.Watch():
                self.watching = True
                rows_now: list[psh.FeedEvent] = [
                    psh.FeedChat(chat=chat.row) for chat in self.core.chats.values()
                ]
                rows_now += [psh.FeedRequest(request=j.row()) for j in self.core.journals.values()]
                cursor = f"{self.core.now()}-0.feedfeed"
                return [
                    rep.Watching(ref=ref, cursor=cursor, reset="start"),
                    psh.Feed(next=cursor, events=rows_now, reset="start"),
                ]
            case cmd.Unwatch():
                self.watching = False
                return [rep.Done(ref=ref)]
            case cmd.ListAgents():
                return [rep.Agents(ref=ref, agents=self.core.agents)]
            case _:
                return self._history(command)

    def _submit(self, ref: int, request: cmd.Submission, follow: bool) -> rep.Submitted:
        journal, created = self.core.open(request)
        if follow:
            self.places[journal.request_id] = 0
            self.behind.add(journal.request_id)
        return rep.Submitted(
            ref=ref, request_id=journal.request_id, chat_id=request.chat_id, created=created,
            status=journal.fold.status, cursor=journal.cursor(0),
        )  # fmt: skip

    def _subscribe(self, command: cmd.Subscribe) -> list[Any]:
        journal = self._journal(command.request_id)
        reset: Any = "start"
        cursor: Cursor | None = None
        if command.cursor is not None:
            cursor = parse_cursor(command.cursor)
            reset = check_cursor(journal.chain, journal.tail, cursor)
            later = journal.events[cursor.offset :]
            if reset is None and any(isinstance(e, ev.Started) and e.keep != "all" for e in later):
                reset = "superseded"
        reply = rep.Subscribed(
            ref=command.ref, request_id=journal.request_id, status=journal.fold.status, reset=reset
        )
        self.behind.add(journal.request_id)
        if reset is None and cursor is not None:
            self.places[journal.request_id] = cursor.offset
            return [reply]
        self.places[journal.request_id] = journal.tail
        out: list[Any] = [reply, psh.Snapshot(request_id=journal.request_id, reason=reset)]
        events = events_of(journal.fold.transcript())
        index = offset = 0
        while index < len(events):
            page, after = page_of(events, index, bytes_max=self.page_bytes_max)
            end = offset + sum(event.span for event in page)
            known: Any = page
            out.append(
                psh.Page(request_id=journal.request_id, start=offset, next=journal.cursor(end), events=known)
            )
            index, offset = after, end
        return out

    def _probe(self, request_id: str) -> rep.ProbeRow:
        journal = self.core.journals.get(request_id)
        if journal is None:
            return rep.ProbeRow(request_id=request_id, state="unknown")
        status = journal.fold.status
        state: Any = "ended" if journal.fold.sealed else "accepted" if status == "queued" else "running"
        return rep.ProbeRow(request_id=request_id, state=state, status=status)

    def _log(self, command: cmd.ReadEvents) -> rep.Log:
        journal = self._journal(command.request_id)
        end = min(journal.tail, command.start + command.limit)
        known: Any = journal.events[command.start : end]
        return rep.Log(
            ref=command.ref, request_id=journal.request_id, start=command.start, next=end, events=known,
            sealed=journal.fold.sealed and end == journal.tail,
        )  # fmt: skip

    def _history(self, command: cmd.Command) -> list[Any]:
        ref = command.ref
        match command:
            case cmd.ListChats():
                rows = [c.row for c in self.core.chats.values() if not c.row.deleted]
                rows.sort(key=lambda row: -row.updated_at)
                return [rep.Chats(ref=ref, chats=rows[: command.limit])]
            case cmd.CreateChat():
                chat = self.core.chats.get(command.chat_id) or self.core.chat(
                    command.chat_id, command.title or ""
                )
                return [rep.Chat(ref=ref, chat=chat.row)]
            case cmd.ListMessages():
                chat = self._chat(command.chat_id)
                rows_out: list[rep.MessageRow] = []
                for said in reversed(chat.messages):
                    row = said
                    journal = self.core.journals.get(row.message_id)
                    if journal is not None:
                        ended = journal.fold.transcript() if journal.fold.sealed else None
                        row = rep.MessageRow(
                            message_id=row.message_id, chat_id=row.chat_id, role="assistant", status=journal.fold.status,
                            text=ended.text if ended else "", transcript=ended,
                        )  # fmt: skip
                    rows_out.append(row)
                running = [
                    j.row() for j in self.core.journals.values()
                    if j.submission.chat_id == command.chat_id and not j.fold.sealed
                ]  # fmt: skip
                return [rep.Messages(ref=ref, messages=rows_out, requests=running)]
            case cmd.Search():
                hits = [
                    rep.HitRow(
                        chat_id=chat.row.chat_id, title=chat.row.title, message_id=m.message_id, role=m.role,
                        snippet=m.text.replace(command.query, f"\x02{command.query}\x03"),
                    )
                    for chat in self.core.chats.values()
                    for m in chat.messages
                    if command.query in m.text
                ]  # fmt: skip
                return [rep.Found(ref=ref, hits=hits)]
            case cmd.UpdateChat() | cmd.RestoreChat():
                return [rep.Chat(ref=ref, chat=self._chat(command.chat_id).row)]
            case cmd.DeleteChat():
                self._chat(command.chat_id)
                del self.core.chats[command.chat_id]
                return [rep.Done(ref=ref)]
        raise ProtocolError("unknown_command")


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}
