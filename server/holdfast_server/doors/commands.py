"""What each command does: one table from the command's type to the function that carries it out.

A function gets the desk (what all connections share), the caller (whose connection it is) and the command, and returns
an `Answer`: the reply, and what begins once the reply is written, so that no push comes before the reply that explains
it. Whatever it raises becomes one `error` reply. Every look-up takes the caller's owner first (I9).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from holdfast_protocol import commands as cm
from holdfast_protocol import replies as rp
from holdfast_protocol.errors import ProtocolError
from holdfast_server.feed_delivery import FEED
from holdfast_server.journal import Place, place
from holdfast_server.stores.base import StoreError

from . import looking
from .desk import Answer, Caller, Desk, Opened, Stranger
from .errors import error_reply
from .in_lines import in_lines
from .settings import DOOR

# -- connection --------------------------------------------------------------------------------------------------


async def _hello(desk: Desk, caller: Caller, command: cm.Hello) -> Answer:
    if command.token is not None and desk.owner_of(command.token) != caller.owner:
        raise Stranger
    desk.requests.readers.introduce(caller.connection, DOOR, command.client)
    return Answer(desk.welcome(command.ref, caller.owner, caller.operator))


async def _ping(desk: Desk, _: Caller, command: cm.Ping) -> Answer:
    return Answer(rp.Pong(ref=command.ref, at=desk.now_ms()))


# -- requests ----------------------------------------------------------------------------------------------------


async def _submit(desk: Desk, caller: Caller, command: cm.Submit) -> Answer:
    if command.follow and not _may_follow(desk, caller, command.request.request_id):
        raise ProtocolError("too_many_subscriptions")
    opened = await desk.requests.submit(caller.owner, command.request)
    follow = [opened] if command.follow else []
    return Answer(_submitted(command.ref, opened), lambda: _follow(desk, caller, follow))


async def _submit_many(desk: Desk, caller: Caller, command: cm.SubmitMany) -> Answer:
    """Requests of one chat are opened in their order, all others at once, so that they share commits."""
    room = desk.delivery.room(caller.connection) if command.follow else len(command.requests)
    results: list[rp.Submitted | rp.Error | None] = [None] * len(command.requests)
    opened: list[Opened] = []

    async def open_one(number: int) -> None:
        submission = command.requests[number]
        try:
            if number >= room:
                raise ProtocolError("too_many_subscriptions")
            found = await desk.requests.submit(caller.owner, submission)
        except (ProtocolError, StoreError) as error:
            results[number] = error_reply(error, command.ref, request_id=submission.request_id)
        else:
            results[number] = _submitted(command.ref, found)
            opened.append(found)

    await in_lines((submission.chat_id for submission in command.requests), open_one)
    done = [result for result in results if result is not None]
    reply = rp.SubmittedMany(ref=command.ref, results=done)
    return Answer(reply, (lambda: _follow(desk, caller, opened)) if command.follow else None)


def _may_follow(desk: Desk, caller: Caller, request_id: str | None) -> bool:
    delivery, connection = desk.delivery, caller.connection
    known = request_id is not None and delivery.follows(connection, request_id)
    return known or delivery.room(connection) > 0


def _submitted(ref: int, opened: Opened) -> rp.Submitted:
    log = opened.log
    return rp.Submitted(
        ref=ref,
        request_id=log.key.request_id,
        chat_id=log.record.chat_id,
        message_id=log.record.message_id,
        parent_id=log.record.parent_id,
        created=opened.created,
        status=log.status,
        cursor=str(log.cursor(0)),
    )


def _follow(desk: Desk, caller: Caller, opened: Sequence[Opened]) -> None:
    """From the start; what was there already may be long, so it begins with a snapshot."""
    for request in opened:
        where = Place(0, None) if request.created else place(request.log, None)
        desk.delivery.subscribe(caller.connection, request.log, where)


async def _subscribe(desk: Desk, caller: Caller, command: cm.Subscribe) -> Answer:
    if not _may_follow(desk, caller, command.request_id):
        raise ProtocolError("too_many_subscriptions")
    log = await desk.requests.find(caller.owner, command.request_id)
    where = place(log, command.cursor)
    reply = rp.Subscribed(
        ref=command.ref,
        request_id=command.request_id,
        status=log.status,
        chat_id=log.record.chat_id,
        reset=where.reset,
    )
    return Answer(reply, lambda: desk.delivery.subscribe(caller.connection, log, where))


async def _unsubscribe(desk: Desk, caller: Caller, command: cm.Unsubscribe) -> Answer:
    desk.delivery.unsubscribe(caller.connection, command.request_id)
    return Answer(rp.Done(ref=command.ref))


async def _decide(desk: Desk, caller: Caller, command: cm.Decide) -> Answer:
    await desk.requests.decide(
        caller.owner, command.request_id, command.wait_id, command.digest, command.decision
    )
    return Answer(rp.Done(ref=command.ref))


async def _probe(desk: Desk, caller: Caller, command: cm.Probe) -> Answer:
    return Answer(
        rp.Probed(ref=command.ref, requests=await desk.requests.probe(caller.owner, command.request_ids))
    )


async def _watch(desk: Desk, caller: Caller, command: cm.Watch) -> Answer:
    if not _may_follow(desk, caller, FEED):
        raise ProtocolError("too_many_subscriptions")
    where = desk.feed.place(caller.owner, command.cursor)
    cursor = desk.feed.cursor_text(caller.owner, where.offset)
    reply = rp.Watching(ref=command.ref, cursor=cursor, reset=where.reset)
    return Answer(reply, lambda: desk.feeds.watch(caller.connection, caller.owner, where))


async def _unwatch(desk: Desk, caller: Caller, command: cm.Unwatch) -> Answer:
    desk.feeds.unwatch(caller.connection)
    return Answer(rp.Done(ref=command.ref))


# -- history -----------------------------------------------------------------------------------------------------


async def _list_chats(desk: Desk, caller: Caller, command: cm.ListChats) -> Answer:
    rows, mark = await desk.requests.chats.list_chats(
        caller.owner, command.archived, command.limit, command.before
    )
    return Answer(rp.Chats(ref=command.ref, chats=rows, next=mark))


async def _create_chat(desk: Desk, caller: Caller, command: cm.CreateChat) -> Answer:
    row = await desk.requests.chats.create_chat(caller.owner, command.chat_id, command.title, command.agent)
    return Answer(rp.Chat(ref=command.ref, chat=row))


async def _update_chat(desk: Desk, caller: Caller, command: cm.UpdateChat) -> Answer:
    row = await desk.requests.chats.update_chat(
        caller.owner,
        command.chat_id,
        title=command.title,
        agent=command.agent,
        archived=command.archived,
        seen=command.seen,
    )
    return Answer(rp.Chat(ref=command.ref, chat=row))


async def _delete_chat(desk: Desk, caller: Caller, command: cm.DeleteChat) -> Answer:
    await desk.requests.delete_chat(caller.owner, command.chat_id)
    return Answer(rp.Done(ref=command.ref))


async def _restore_chat(desk: Desk, caller: Caller, command: cm.RestoreChat) -> Answer:
    return Answer(
        rp.Chat(ref=command.ref, chat=await desk.requests.chats.restore_chat(caller.owner, command.chat_id))
    )


async def _list_messages(desk: Desk, caller: Caller, command: cm.ListMessages) -> Answer:
    rows, requests, mark = await desk.requests.list_messages(
        caller.owner, command.chat_id, command.limit, command.before
    )
    return Answer(rp.Messages(ref=command.ref, messages=rows, requests=requests, next=mark))


async def _delete_message(desk: Desk, caller: Caller, command: cm.DeleteMessage) -> Answer:
    await desk.requests.delete_message(caller.owner, command.chat_id, command.message_id)
    return Answer(rp.Done(ref=command.ref))


async def _search(desk: Desk, caller: Caller, command: cm.Search) -> Answer:
    hits, mark = await desk.requests.chats.search(caller.owner, command.query, command.limit, command.before)
    return Answer(rp.Found(ref=command.ref, hits=hits, next=mark))


async def _list_agents(desk: Desk, _: Caller, command: cm.ListAgents) -> Answer:
    return Answer(rp.Agents(ref=command.ref, agents=list(desk.agents)))


COMMANDS: Final[dict[type, Callable[[Desk, Caller, Any], Awaitable[Answer]]]] = {
    cm.Hello: _hello,
    cm.Ping: _ping,
    cm.Submit: _submit,
    cm.SubmitMany: _submit_many,
    cm.Subscribe: _subscribe,
    cm.Unsubscribe: _unsubscribe,
    cm.Cancel: looking.cancel,
    cm.Decide: _decide,
    cm.Probe: _probe,
    cm.ListRequests: looking.list_requests,
    cm.ReadEvents: looking.read_events,
    cm.Inspect: looking.inspect,
    cm.Watch: _watch,
    cm.Unwatch: _unwatch,
    cm.ListChats: _list_chats,
    cm.CreateChat: _create_chat,
    cm.UpdateChat: _update_chat,
    cm.DeleteChat: _delete_chat,
    cm.RestoreChat: _restore_chat,
    cm.ListMessages: _list_messages,
    cm.DeleteMessage: _delete_message,
    cm.Search: _search,
    cm.ListAgents: _list_agents,
}
