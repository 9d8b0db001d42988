"""Following one request: what is taken, and what is kept at hand."""

from __future__ import annotations

from holdfast_client.following import RECENT_BYTES_MAX, Following
from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol import pushes as psh
from tests.support.dialogue import Dialogue

ASK = cmd.Submission(request_id="r1", chat_id="c1", text="why?")


def test_pushes_before_the_reply_to_a_subscribe_are_not_taken():
    """They belong to the subscription before it."""
    following = Following("r1")
    following.asked(1)
    event = ev.Accepted(at=1, nonce="aaaaaaaa", agent="demo")
    page = psh.Page(request_id="r1", start=0, next="1-0.aaaaaaaa", events=[event])
    assert following.page(page) == "same"
    following.granted()
    assert following.page(page) == "changed"


def test_recent_events_are_at_hand_within_a_bound():
    """From an offset that recent events begin at they are given; further back the log must be read."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    journal = dialogue.core.journals["r1"]
    following = dialogue.session.followings["r1"]
    journal.start()
    dialogue.exchange()
    assert following.events_from(0) == journal.events
    assert following.events_from(1) == journal.events[1:]
    assert following.events_from(2) == []
    journal.append(ev.PartStarted(at=2, part=0, kind="text"))
    for _ in range(50):
        journal.append(ev.Delta(at=3, part=0, text="y" * 16_000))
        dialogue.exchange()
    assert following.events_from(0) is None
    assert following.events_from(journal.tail - 2) == journal.events[-2:]
    assert sum(len(e.text) for _, e in following.recent if isinstance(e, ev.Delta)) <= RECENT_BYTES_MAX
