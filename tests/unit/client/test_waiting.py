"""What a client knows of a request that has not begun."""

from __future__ import annotations

from typing import Any

from holdfast_client.answer import Answer, Level
from holdfast_client.happenings import Changed, Noticed
from holdfast_protocol import events as ev
from holdfast_protocol import pushes as psh
from holdfast_protocol.codec import JSON
from tests.support.dialogue import Dialogue


def test_a_notice_of_a_place_is_a_change_of_its_answer() -> None:
    """Whoever shows the answer is told to look, and finds the sentence, until it begins."""
    dialogue = Dialogue()
    dialogue.connect()
    following = dialogue.session.follow("r1")
    nobody: Any = None
    answer = Answer(nobody, following, Level(), None)

    def said() -> str | None:
        return answer.waits_for

    assert said() is None
    following.fold.apply(ev.Accepted(at=1, nonce="0a0a0a0a", agent="demo"))
    assert said() is None
    notice = psh.Notice(kind="place", request_id="r1", place=2, reason="slots", estimate_ms=12_000)
    assert dialogue.session.receive(JSON.encode(notice)) == [Noticed(notice), Changed("r1")]
    assert said() == "2 are before it; about 20 s."
    following.fold.apply(ev.Started(at=2, attempt=1, term=1, nonce="0b0b0b0b"))
    assert said() is None
