"""The commands of a conversation: what a line that begins with a slash does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from .asking import waits
from .listing import printable, said_in, snippet, when
from .screen import dim

if TYPE_CHECKING:
    from .chat import Room

HELP: Final = """/new            begin another chat
/chats          list the chats; /switch N goes to one
/agents         who can answer; /agent NAME chooses
/cancel         stop the answer that is shown
/approve /deny  decide what it waits for
/attach ID      show an answer by its id
/search Q       search all that was said
/quit           leave (Ctrl-D); answers go on
Enter sends, Alt-Enter begins a new line, Ctrl-C lets go of the answer that is shown."""


class Slash:
    """The commands of one conversation. Remembers the list that was shown last, for its numbers to mean what one saw."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._listed: list[str] = []

    async def do(self, line: str) -> None:
        """Do what a line that begins with a slash says. Raises: CommandRefused, ConnectionLost."""
        name, _, rest = line[1:].partition(" ")
        rest = rest.strip()
        match name:
            case "new":
                await self._room.go_to(None, None)
                await self._room.screen.show(dim("A new chat; what you write next begins it."))
            case "chats" | "ls":
                await self._list_chats()
            case "switch" | "s":
                await self._switch(rest)
            case "agents":
                await self._list_agents()
            case "agent" if rest:
                self._room.agent = rest
                await self._room.screen.show(dim(f"From now on {rest} answers."))
            case "attach" if rest:
                answer = self._room.client.attach(rest)
                self._room.follow(self._room.talks.add(answer, self._room.talks.chat_id or "", rest))
                self._room.talks.chat_id = self._room.talks.all[rest].chat_id
            case "search" if rest:
                await self._search(rest)
            case "cancel" | "approve" | "deny":
                await self._act(name)
            case "agent" | "attach" | "search":
                await self._room.screen.show(dim(f"/{name} needs a word after it.\n{HELP}"))
            case "help" | "":
                await self._room.screen.show(dim(HELP))
            case _:
                await self._room.screen.show(dim(f"There is no command /{printable(name)}.\n{HELP}"))

    async def _act(self, name: str) -> None:
        talk = self._room.talks.shown()
        if talk is None:
            await self._room.screen.show(dim("Nothing is being answered here."))
        elif name == "cancel":
            await talk.answer.cancel()
        elif waiting := waits(talk.answer):
            await talk.answer.decide(waiting[0]["wait_id"], name == "approve", digest=waiting[0]["digest"])
        else:
            await self._room.screen.show(dim("It does not wait for a decision."))

    async def _search(self, query: str) -> None:
        hits = (await self._room.client.search(query)).hits
        for hit in hits:
            await self._room.screen.show(
                dim(f"{printable(hit.title)}, {said_in(hit)}: {snippet(hit.snippet)}")
            )
        if not hits:
            await self._room.screen.show(dim("Nothing found."))

    async def _list_agents(self) -> None:
        for row in await self._room.client.agents():
            await self._room.screen.show(
                dim(f"{row.name}{' (default)' if row.default else ''}  {row.description}")
            )

    async def _list_chats(self) -> None:
        rows = (await self._room.client.chats(limit=20)).chats
        self._listed = [row.chat_id for row in rows]
        busy = {row.chat_id for row in (await self._room.client.requests(active=True)).requests}
        for number, row in enumerate(rows, 1):
            mark = "▶" if row.chat_id == self._room.talks.chat_id else " "
            state = "  answering" if row.chat_id in busy else ""
            line = Text(f"{mark}{number:>3}  {row.title or '-'}", no_wrap=True, overflow="ellipsis")
            line.append(f"  {when(row.updated_at)}{state}", style="dim")
            await self._room.screen.show(line)
        if not rows:
            await self._room.screen.show(dim("There are no chats yet."))

    async def _switch(self, which: str) -> None:
        if not self._listed:
            self._listed = [row.chat_id for row in (await self._room.client.chats(limit=20)).chats]
        if not which.isdecimal() or not 1 <= int(which) <= len(self._listed):
            await self._room.screen.show(dim("/switch N: N is a number that /chats shows."))
            return
        await self._room.go_to(self._listed[int(which) - 1], None)
