"""`holdfast chat`: tmux for conversations. Several chats, each answer goes on while one looks at another.

One task tells what is new, one asks for the next line; both look at the same `Talks`. What happens to an answer is never
tied to the screen: Ctrl-C lets go of it, and it can be come back to from any device.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from holdfast_client.answer import Level
from holdfast_client.errors import AnswerLost, CommandRefused, ConnectionLost, first_of
from holdfast_client.ids import new_id

from .listing import printable
from .running import EXIT_CONNECTION, EXIT_INTERRUPTED, EXIT_OK, Settings, client_for, complain, refusal
from .screen import LineScreen, PromptScreen, Screen, dim
from .slash import Slash
from .story import Story, ending, markdown, verbatim, whole
from .talks import Talk, Talks
from .views import DRAW_EVERY_S

if TYPE_CHECKING:
    from holdfast_client.client import Client

_HISTORY_SHOWN: Final = 6

_LINES_WAITING_MAX: Final = 16
"""Lines entered while the one before is still being sent (there may be no connection)."""


async def chat(settings: Settings, chat_id: str | None, agent: str | None) -> int:
    """Talk until the person leaves."""
    room = Room(agent)
    async with client_for(settings, room.connection_is) as client:
        room.client = client
        try:
            return await room.run(chat_id)
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None


class Room:
    """The conversation as a whole."""

    client: Client

    def __init__(self, agent: str | None) -> None:
        self.talks = Talks(lambda: Story(self._block))
        self.agent = agent
        self.title = "new chat"
        self.offline: str | None = None
        self.leaving = False
        self._bell = Level()
        self._lines: asyncio.Queue[str] = asyncio.Queue(_LINES_WAITING_MAX)
        self._group: asyncio.TaskGroup | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self.screen: Screen = LineScreen()
        self._slash = Slash(self)

    async def run(self, chat_id: str | None) -> int:
        """Read and answer until the end. Returns the exit code."""
        if sys.stdin.isatty() and sys.stdout.isatty():
            self.screen = PromptScreen(self._drawing, self._status, self.interrupted)
        code = EXIT_OK
        async with asyncio.TaskGroup() as group:
            self._group = group
            tasks = [
                group.create_task(self._tell(), name="chat:tell"),
                group.create_task(self._work(), name="chat:work"),
            ]
            try:
                if self.screen.interactive:
                    await self.screen.show(dim("Enter sends, /help lists what else there is, Ctrl-D leaves."))
                await self.go_to(chat_id, None)
                while not self.leaving:
                    await self._turn()
            except EOFError:
                pass
            except KeyboardInterrupt:
                code = EXIT_INTERRUPTED if self._open_answers() else EXIT_OK
            except ConnectionLost as error:
                complain(str(error))
                code = EXIT_CONNECTION
            for task in [*tasks, *self._watchers]:
                task.cancel()
        for talk in self._open_answers():
            complain(f"“{talk.about}” goes on. Come back with: holdfast attach {talk.answer.request_id}")
        return code

    async def _turn(self) -> None:
        line = (await self.screen.read()).strip()
        if line in ("/quit", "/q", "/exit"):
            self.leaving = True
        elif self.screen.interactive:
            # Done beside the prompt: between two prompts the terminal is not ours, and what is typed then gets lost.
            await self._lines.put(line)
        else:
            await self._do(line)
            while self.talks.shown() is not None:
                await self._bell.above(self._bell.value)

    async def _work(self) -> None:
        """Do what was entered, in order."""
        while True:
            await self._do(await self._lines.get())

    async def _do(self, line: str) -> None:
        try:
            if line.startswith("/"):
                await self._slash.do(line)
            elif line:
                await self._say(line)
        except CommandRefused as error:
            await self.screen.show(Text(refusal(error, "/agents"), style="red"))

    # -- what the person sees --------------------------------------------------------------------------------

    def connection_is(self, lost: str | None) -> None:
        """The connection came (None) or went."""
        self.offline = lost
        self._bell.rise()

    def _block(self, source: str) -> RenderableType:
        return markdown(source) if self.screen.interactive else verbatim(source)

    def _drawing(self, lines_max: int) -> Any:
        talk = self.talks.shown()
        if talk is None:
            return None
        drawing = talk.story.drawing(lines_max)
        if talk.answer.status == "waiting":
            return Text("It waits for your decision: /approve or /deny", style="yellow")
        if drawing is None and not talk.answer.ended:
            return dim(
                (talk.answer.waits_for or "queued …") if talk.answer.status in ("new", "queued") else "…"
            )
        return drawing

    def _status(self) -> str:
        elsewhere = len(self.talks.elsewhere())
        bits = [self.title, self.agent or "default agent"]
        if elsewhere:
            bits.append(f"{elsewhere} answering elsewhere")
        if self.offline:
            bits.append(f"offline, reconnecting: {self.offline}")
        return " " + " · ".join(bits)

    def _open_answers(self) -> list[Talk]:
        return [talk for talk in self.talks.all.values() if not talk.answer.ended]

    async def _tell(self) -> None:
        """Print what is new, at most ten times a second."""
        while True:
            level = self._bell.value
            for line in self.talks.news():
                await self.screen.show(Text(line, style="green"))
            talk = self.talks.shown()
            if talk is not None:
                rows = talk.tell()
                if talk.told and (line := ending(talk.answer.fold)):
                    rows.append(Text(line, style="red"))
                if rows:
                    await self.screen.show(*rows)
                if talk.told:
                    self._bell.rise()
            self.screen.draw()
            await asyncio.sleep(DRAW_EVERY_S)
            if talk is None or not talk.told:
                # A drawing with a spinner wants to be drawn again even if nothing was said.
                await asyncio.wait({asyncio.shield(self._soon(level))}, timeout=0.5 if talk else None)

    def _soon(self, level: int) -> asyncio.Future[Any]:
        assert self._group is not None
        task = self._group.create_task(self._rung(level), name="chat:bell")
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)
        return task

    async def _rung(self, level: int) -> None:
        await self._bell.above(level)

    async def _watch(self, talk: Talk) -> None:
        """Ring when an answer changes, to its end."""
        try:
            while not talk.answer.ended:
                await talk.answer.changed(talk.answer.level)
                self._bell.rise()
        except AnswerLost as error:
            if error.reason != "detached":
                await self.screen.show(Text(str(error), style="red"))
            self.talks.all.pop(talk.answer.request_id, None)
        except ConnectionLost as error:
            self.offline = str(error)
        self._bell.rise()

    # -- what the person does --------------------------------------------------------------------------------

    def interrupted(self) -> bool:
        """Ctrl-C on an empty line: let go of the answer that is shown. False if there is none: then it is time to go."""
        talk = self.talks.shown()
        if talk is None or talk.answer.ended:
            return False
        assert self._group is not None
        del self.talks.all[talk.answer.request_id]
        talk.answer.detach()
        self._group.create_task(
            self.screen.show(
                dim(f"Detached; the answer goes on. Come back with /attach {talk.answer.request_id}"),
                dim(f"or: holdfast attach {talk.answer.request_id}"),
            )
        )
        self._bell.rise()
        return True

    async def _say(self, text: str) -> None:
        if self.screen.interactive:
            await self.screen.show(Text("\n> " + text.replace("\n", "\n  ") + "\n", style="bold"))
        chat_id = self.talks.chat_id or new_id()
        self.talks.chat_id = chat_id
        answer = await self.client.submit(text, chat_id=chat_id, agent=self.agent)
        if self.title == "new chat":
            self.title = _short(text)
        self.follow(self.talks.add(answer, chat_id, _short(text)))

    def follow(self, talk: Talk) -> None:
        """Tell of an answer from now on, as it changes."""
        assert self._group is not None
        task = self._group.create_task(self._watch(talk), name="chat:watch")
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)
        self._bell.rise()

    async def go_to(self, chat_id: str | None, title: str | None) -> None:
        """Open a chat: what was said in it, then what is being answered there."""
        self.talks.open_chat(chat_id)
        self.title = title or ("new chat" if chat_id is None else chat_id)
        if chat_id is None:
            return
        try:
            found = await self.client.messages(chat_id, limit=_HISTORY_SHOWN)
        except CommandRefused as error:
            if error.code != "unknown_chat":
                raise
            self.title = "new chat"
            say = f"There is no chat {printable(chat_id)}; a new one begins with your first message."
            await self.screen.show(dim(say))
            return
        if title is None:
            rows = (await self.client.chats()).chats
            self.title = next((row.title for row in rows if row.chat_id == chat_id), chat_id)
        await self.screen.show(Rule(self.title, style="dim", align="left"))
        for message in reversed(found.messages):
            if message.role == "user":
                await self.screen.show(Text(f"> {message.text}\n", style="bold"))
            elif message.transcript is not None or message.text:
                text = message.text or (message.transcript.text if message.transcript else "")
                await self.screen.show(*whole(text, self._block))
        for row in reversed(found.requests):
            if row.request_id in self.talks.all:
                continue
            self.follow(self.talks.add(self.client.attach(row.request_id), chat_id, row.title or self.title))
        self._bell.rise()


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 40 else flat[:39] + "…"
