"""Commands that show an answer: ask, attach, tail, replay; and those that act on one: cancel, approve, deny."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from holdfast_client.ids import new_id

from .running import EXIT_FAILED, EXIT_OK, Settings, client_for, complain
from .views import View, print_json, view_for_stdout

if TYPE_CHECKING:
    from holdfast_client.answer import Answer
    from holdfast_client.client import Client
    from holdfast_protocol.commands import Priority
    from holdfast_protocol.events import Event

NEW_CHAT: Final = "new"
"""What to say in place of a chat's id to begin one."""

_REPLAY_PAUSE_MAX_S: Final = 5.0


class _Notes:
    """What the view has to say besides the answer: how the connection is, and while that is well, how the answer is."""

    def __init__(self) -> None:
        self.view: View | None = None
        self._offline: str | None = None
        self._state: str | None = None

    def __call__(self, reason: str | None) -> None:
        """The connection came (None) or went."""
        self._offline = f"reconnecting: {reason} …" if reason else None
        self._pass_on()

    def state(self, text: str | None) -> None:
        """How the answer is; None is nothing special."""
        self._state = text
        self._pass_on()

    def _pass_on(self) -> None:
        if self.view is not None:
            self.view.note(self._offline or self._state)


async def ask(
    settings: Settings, text: str, *, chat: str | None, agent: str | None, options: dict[str, Any], priority: Priority,
    json: bool, detach: bool, stream: bool,
) -> int:  # fmt: skip
    """Ask one thing and show the answer."""
    notes = _Notes()
    if chat == NEW_CHAT:
        chat = new_id()
    async with client_for(settings, notes) as client:
        answer = await client.submit(
            text, chat_id=chat, agent=agent, options=options, priority=priority, follow=not detach
        )
        if detach:
            if json:
                print_json([answer.submitted])
            else:
                print(answer.request_id, flush=True)
            return EXIT_OK
        if json:
            print_json([answer.submitted])
        return await _show(answer, notes, json=json, stream=stream)


async def attach(settings: Settings, request_id: str, *, json: bool) -> int:
    """Show an answer that was asked for elsewhere."""
    notes = _Notes()
    async with client_for(settings, notes) as client:
        return await _show(client.attach(request_id), notes, json=json, stream=True)


async def _show(answer: Answer, notes: _Notes, *, json: bool, stream: bool) -> int:
    try:
        if json:
            async for event in answer.events():
                print_json([event])
        else:
            view = view_for_stdout()
            notes.view = view
            with view:
                if not stream:
                    await answer.result()
                await _follow(answer, view, notes)
            notes.view = None
    except asyncio.CancelledError:
        if not answer.ended:
            complain(f"detached; the answer goes on. Come back with: holdfast attach {answer.request_id}")
        raise
    return _verdict(answer, quiet=json)


async def _follow(answer: Answer, view: View, notes: _Notes) -> None:
    while True:
        level = answer.level
        view.queued(answer.waits_for)
        view.show(answer.fold)
        if answer.ended:
            return
        if answer.status == "waiting":
            notes.state(
                f"waiting for a decision; give it with: holdfast approve {answer.request_id} (or deny)"
            )
        elif answer.status == "running":
            notes.state(None)
        if view.pace_s:
            await asyncio.sleep(view.pace_s)
        await answer.changed(level)


def _verdict(answer: Answer, *, quiet: bool) -> int:
    from .story import ending

    line = ending(answer.fold)
    if line and not quiet:
        complain(line)
    return EXIT_OK if answer.status == "completed" else EXIT_FAILED


async def tail(settings: Settings, request_id: str | None, *, json: bool) -> int:
    """Events as lines until the end; without an id, the feed until it is stopped."""
    async with client_for(settings) as client:
        if request_id is None:
            async for row in client.watch():
                if json:
                    print_json([row])
                else:
                    name = getattr(row, "request_id", None) or getattr(row, "chat_id", "")
                    print(
                        f"{type(row).__name__:<10} {name}  {getattr(row, 'status', '')}  {row.title}",
                        flush=True,
                    )
            return EXIT_OK
        answer = client.attach(request_id)
        offset = 0
        async for event in answer.events():
            if json:
                print_json([event])
            else:
                print(_event_line(offset, event), flush=True)
            offset += event.span
        await answer.result()
        return _verdict(answer, quiet=True)


def _event_line(offset: int, event: Event) -> str:
    from datetime import UTC, datetime

    from holdfast_protocol.events import kind_of

    clock = datetime.fromtimestamp(event.at / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    hidden = ("at", "span")
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name not in hidden}
    shown = " ".join(f"{name}={value!r}" for name, value in fields.items() if value not in (None, "", {}, []))
    many = f"+{event.span - 1}" if event.span > 1 else ""
    return f"{offset:>6}{many:<5} {clock} {kind_of(event):<12} {shown}"


async def replay(settings: Settings, request_id: str, *, speed: float) -> int:
    """Show an answer again at the pace at which it came, `speed` times as fast; 0 is at once."""
    from holdfast_protocol.fold import Fold

    from .story import ending

    fold = Fold()
    before: int | None = None
    async with client_for(settings) as client:
        try:
            with view_for_stdout() as view:
                view.note(None)
                async for event in _log(client, request_id):
                    if before is not None and speed > 0:
                        pause_s = max(0.0, (event.at - before) / 1000 / speed)
                        await asyncio.sleep(min(pause_s, _REPLAY_PAUSE_MAX_S))
                    before = event.at
                    fold.apply(event)
                    view.show(fold)
        except asyncio.CancelledError:
            complain("stopped; this was a replay, nothing else has stopped")
            raise
    if line := ending(fold):
        complain(line)
    return EXIT_OK


async def _log(client: Client, request_id: str) -> AsyncIterator[Event]:
    offset = 0
    while True:
        log = await client.read_events(request_id, start=offset)
        for event in log.events:
            yield event
        if log.sealed or log.next <= offset:
            return
        offset = log.next


async def cancel(settings: Settings, request_id: str) -> int:
    """End a request."""
    async with client_for(settings) as client:
        result = await client.cancel(request_id)
        sys.stdout.write("cancelled\n" if result.won else f"it had ended already: {result.status}\n")
        return EXIT_OK if result.won else EXIT_FAILED


async def decide(settings: Settings, request_id: str, decision: Any) -> int:
    """Answer what a request waits for."""
    async with client_for(settings) as client:
        answer = client.attach(request_id)
        level = 0
        while not answer.fold.offset:
            level = await answer.changed(level)
        waiting = waits(answer)
        if not waiting:
            complain("it does not wait for a decision")
            return EXIT_FAILED
        await answer.decide(waiting[0]["wait_id"], decision, digest=waiting[0]["digest"])
        return EXIT_OK


def waits(answer: Answer) -> list[dict[str, Any]]:
    """What an answer waits for."""
    return [part.fields for part in answer.parts if part.kind == "wait" and part.open]
