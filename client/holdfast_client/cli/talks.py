"""What a person has going on: the requests asked from here, each in its chat, one of them on the screen. No terminal.

A talk that is not shown costs nothing but its transcript; when it is shown it is told from its beginning. Which chat is
open is asked when something is shown, never remembered with an answer: so no answer can land in the wrong chat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import RenderableType

from .story import Story, ending

if TYPE_CHECKING:
    from holdfast_client.answer import Answer


@dataclass
class Talk:
    """One question and its answer, in the chat it belongs to. `told`: all of it is on the screen."""

    answer: Answer
    chat_id: str
    about: str
    make_story: Callable[[], Story]
    story: Story = field(init=False)
    told: bool = False
    announced: bool = False

    def __post_init__(self) -> None:
        self.story = self.make_story()

    def tell(self) -> list[RenderableType]:
        """What is new to print; at the end marks itself told."""
        rows = self.story.advance(self.answer.fold)
        self.told = self.answer.ended
        return rows

    def restart(self) -> None:
        """Tell it from its beginning, the next time it is shown."""
        self.story, self.told = self.make_story(), False


class Talks:
    """All of them, in the order in which they were asked."""

    def __init__(self, make_story: Callable[[], Story] = Story) -> None:
        self.make_story = make_story
        self.all: dict[str, Talk] = {}
        self.chat_id: str | None = None

    def add(self, answer: Answer, chat_id: str, about: str) -> Talk:
        """A new one, or the one that is there."""
        talk = self.all.get(answer.request_id)
        if talk is None:
            self.all[answer.request_id] = talk = Talk(answer, chat_id, about, self.make_story)
        return talk

    def open_chat(self, chat_id: str | None) -> None:
        """Another chat is on the screen now; what goes on there is told from its beginning, what has ended there is
        history and is dropped here."""
        self.chat_id = chat_id
        self.all = {rid: talk for rid, talk in self.all.items() if not (talk.told or talk.announced)}
        for talk in self.all.values():
            talk.restart()

    def shown(self) -> Talk | None:
        """The one to tell now: the oldest of the open chat that is not told."""
        return next((t for t in self.all.values() if t.chat_id == self.chat_id and not t.told), None)

    def elsewhere(self) -> list[Talk]:
        """Those that go on in other chats."""
        return [t for t in self.all.values() if t.chat_id != self.chat_id and not t.answer.ended]

    def news(self) -> list[str]:
        """A line for each one in another chat that has ended or waits for a decision since the last look."""
        out: list[str] = []
        for talk in self.all.values():
            if talk.chat_id == self.chat_id or talk.announced or not talk.answer.ended:
                continue
            talk.announced = True
            out.append(f"✓ “{talk.about}” {ending(talk.answer.fold) or 'is answered'}; /chats lists it")
        return out
