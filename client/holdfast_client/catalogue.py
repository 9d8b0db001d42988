"""The commands that ask for what is there: requests, chats, messages, agents, search. Each is one call and one reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast_protocol import commands as cmd
from holdfast_protocol import replies as rep
from holdfast_protocol.lifecycle import Status

from .calls import Calls
from .ids import new_id


class Catalogue:
    """What a Client can look up and put in order. Every call raises CommandRefused, OutboxFull, NoReply or
    ConnectionLost."""

    calls: Calls

    async def probe(self, *request_ids: str) -> list[rep.ProbeRow]:
        """What has become of these requests: one row per id, in order."""
        return (await self.calls.call(rep.Probed, cmd.Probe, request_ids=list(request_ids))).requests

    async def requests(
        self,
        *,
        active: bool = False,
        everyone: bool = False,
        chat_id: str | None = None,
        status: Sequence[Status] = (),
        agent: str | None = None,
        text: str | None = None,
        tools: bool = False,
        limit: int = 50,
        before: str | None = None,
    ) -> rep.Requests:
        """Requests, newest first; `active`: those without an outcome; `everyone`: all users' (operators only). `status`,
        `agent`, `text` (in the title) and `tools` (at least one call) keep those that fit; then a page may be short and
        not the last. Its `next` goes on, as `before`."""
        return await self.calls.call(
            rep.Requests, cmd.ListRequests, active=active, everyone=everyone, chat_id=chat_id, status=list(status),
            agent=agent, text=text, tools=tools, limit=limit, before=before,
        )  # fmt: skip

    async def read_events(
        self, request_id: str, *, owner: str | None = None, start: int = 0, limit: int = 500
    ) -> rep.Log:
        """The log as it was written, from an offset; `owner`: of somebody else's request (operators). Raises:
        CommandRefused."""
        return await self.calls.call(
            rep.Log, cmd.ReadEvents, request_id=request_id, owner=owner, start=start, limit=limit
        )

    async def inspect(self, request_id: str, *, owner: str | None = None) -> rep.Inspected:
        """Its row, who followed it and how often it was taken up; `owner`: of somebody else's request (operators). Raises:
        CommandRefused."""
        return await self.calls.call(rep.Inspected, cmd.Inspect, request_id=request_id, owner=owner)

    # -- history ---------------------------------------------------------------------------------------------

    async def chats(self, *, archived: bool = False, limit: int = 50, before: str | None = None) -> rep.Chats:
        """Chats, most recently changed first. Its `next` goes on, as `before`."""
        return await self.calls.call(rep.Chats, cmd.ListChats, archived=archived, limit=limit, before=before)

    async def create_chat(
        self, chat_id: str | None = None, *, title: str | None = None, agent: str | None = None
    ) -> rep.ChatRow:
        """Make a chat before its first message. Raises: CommandRefused."""
        return (
            await self.calls.call(
                rep.Chat, cmd.CreateChat, chat_id=chat_id or new_id(), title=title, agent=agent
            )
        ).chat

    async def update_chat(self, chat_id: str, **changes: Any) -> rep.ChatRow:
        """Change title, agent, archived, or note that it was seen. Raises: CommandRefused."""
        return (await self.calls.call(rep.Chat, cmd.UpdateChat, chat_id=chat_id, **changes)).chat

    async def delete_chat(self, chat_id: str) -> None:
        """Delete a chat; `restore_chat` takes it back for a short while. Raises: CommandRefused."""
        await self.calls.call(rep.Done, cmd.DeleteChat, chat_id=chat_id)

    async def restore_chat(self, chat_id: str) -> rep.ChatRow:
        """Take a deletion back. Raises: CommandRefused."""
        return (await self.calls.call(rep.Chat, cmd.RestoreChat, chat_id=chat_id)).chat

    async def messages(self, chat_id: str, *, limit: int = 50, before: str | None = None) -> rep.Messages:
        """The messages of a chat, newest first, and its requests without an outcome. Raises: CommandRefused."""
        return await self.calls.call(
            rep.Messages, cmd.ListMessages, chat_id=chat_id, limit=limit, before=before
        )

    async def search(self, query: str, *, limit: int = 20, before: str | None = None) -> rep.Found:
        """Full-text search over titles and messages, best first."""
        return await self.calls.call(rep.Found, cmd.Search, query=query, limit=limit, before=before)

    async def agents(self) -> list[rep.AgentRow]:
        """The agents that requests may name."""
        return (await self.calls.call(rep.Agents, cmd.ListAgents)).agents
