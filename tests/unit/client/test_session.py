"""The client's session, in dialogues with a peer in memory, cut wherever a link can be cut."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from holdfast_client.errors import CommandRefused, OutboxFull
from holdfast_client.following import STARTS_OVER_MAX, Following
from holdfast_client.happenings import Changed, Complained, FeedChanged, Noticed, PutOff, Replied, Welcomed
from holdfast_client.outbox import OUTBOX_COMMANDS_MAX
from holdfast_client.session import Session
from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol import pushes as psh
from holdfast_protocol import replies as rep
from holdfast_protocol.codec import JSON, MSGPACK
from holdfast_protocol.limits import COMMAND_BYTES_MAX
from tests.support.dialogue import Cut, Dialogue
from tests.support.fake_log import FakeJournal

ASK = cmd.Submission(request_id="r1", chat_id="c1", text="why?")


def answer_in_steps(journal: FakeJournal) -> list[Callable[[], None]]:
    """What a writer does, so that a test can look between the steps: text, a tool, an attempt taken back, the end."""
    return [
        journal.start,
        lambda: journal.append(
            ev.PartStarted(at=2, part=0, kind="text"), ev.Delta(at=3, part=0, text="Once é")
        ),
        lambda: journal.append(
            ev.Delta(at=4, part=0, text=" upon 漢"), ev.Delta(at=4, part=0, text="字 a 🙂")
        ),
        lambda: journal.append(ev.PartDone(at=5, part=0), ev.Checkpoint(at=5)),
        lambda: journal.append(
            ev.ToolCall(at=6, part=1, call_id="t", name="clock"), ev.Delta(at=6, part=1, text="{}")
        ),
        lambda: journal.start(at=7, keep=7, reason="retry"),
        lambda: journal.append(
            ev.PartStarted(at=8, part=1, kind="text"), ev.Delta(at=9, part=1, text="x" * 700)
        ),
        lambda: journal.append(ev.Usage(at=10, output_tokens=3), ev.PartDone(at=10, part=1)),
        lambda: journal.append(ev.Completed(at=11, code="stop")),
    ]


def follow_to_the_end(dialogue: Dialogue) -> Following:
    """Submit and let the answer be written, a step at a time; the link may break on the way."""
    dialogue.connect()
    if dialogue.following is None:
        dialogue.session.submit([ASK])
        dialogue.following = dialogue.session.followings["r1"]
    following = dialogue.following
    dialogue.exchange()
    journal = dialogue.core.journals["r1"]
    for step in answer_in_steps(journal)[_done(journal) :]:
        step()
        dialogue.exchange()
    return following


def _done(journal: FakeJournal) -> int:
    """How many of the steps have been taken, by the length of the log."""
    return {1: 0, 2: 1, 4: 2, 6: 3, 8: 4, 10: 5, 11: 6, 13: 7, 15: 8, 16: 9}[journal.tail]


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_an_answer_is_followed_to_its_end(codec):
    """Submit, pages, caught_up: the client's transcript is the fold of the log, and the session holds nothing more."""
    dialogue = Dialogue(codec)
    following = follow_to_the_end(dialogue)
    assert following.state == "ended"
    assert following.fold.transcript() == dialogue.core.journals["r1"].fold.transcript()
    assert following.starts_over == following.snapshots == 0
    assert dialogue.session.followings == {}
    assert dialogue.session.unanswered == 0


def test_any_cut_is_survived():
    """Wherever the link breaks, between any two frames of either direction, the next connection ends with the same
    transcript, and the request was opened once (I4, I6). Mutants that this catches: an outbox that is not sent again, a
    cursor that is not moved on."""
    whole = Dialogue()
    want = follow_to_the_end(whole).fold.transcript()
    assert whole.moved > 15
    for cut in range(whole.moved):
        dialogue = Dialogue()
        dialogue.left = cut
        with pytest.raises(Cut):
            follow_to_the_end(dialogue)
        dialogue.drop()
        dialogue.left = None
        after = follow_to_the_end(dialogue)
        assert after.state == "ended", cut
        assert after.fold.transcript() == want, cut
        assert after.starts_over == 0, cut
        assert len(dialogue.core.journals) == 1


def test_two_cuts_are_survived():
    """A second cut while the first is being recovered from does no harm either, snapshots cut in two included."""
    total = Dialogue()
    want = follow_to_the_end(total).fold.transcript()
    for first in range(3, total.moved, 4):
        for second in range(1, 14):
            dialogue = Dialogue()
            for left in (first, second):
                dialogue.left = left
                with suppress(Cut):
                    follow_to_the_end(dialogue)
                dialogue.drop()
            dialogue.left = None
            following = follow_to_the_end(dialogue)
            assert (following.state, following.fold.transcript()) == ("ended", want), (first, second)


def test_what_is_sent_on_connect_has_an_order():
    """Hello alone; after its welcome the subscribes with their cursors, then the outbox, then watch."""
    dialogue = Dialogue(token=True)
    dialogue.connect()
    dialogue.session.watch()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    dialogue.core.journals["r1"].start()
    dialogue.exchange()
    dialogue.drop()
    ref = dialogue.session.call(cmd.ListAgents)
    dialogue.session.submit([cmd.Submission(request_id="r2", chat_id="c1", text="and?")])
    dialogue.core.commands.clear()
    dialogue.connect()
    sent = dialogue.core.commands
    assert [type(command) for command in sent] == [
        cmd.Hello,
        cmd.Subscribe,
        cmd.ListAgents,
        cmd.Submit,
        cmd.Watch,
    ]
    assert isinstance(sent[1], cmd.Subscribe)
    assert sent[1].cursor == "2-1.00000001"
    assert isinstance(sent[4], cmd.Watch)
    assert sent[4].cursor is not None
    assert any(isinstance(h, Replied) and h.ref == ref for h in dialogue.happenings)


def test_nothing_but_hello_is_sent_before_the_welcome():
    """What does not fit the small frames of a connection without credentials waits until it has them."""
    session = Session(JSON, token="t", client="x")
    session.submit([cmd.Submission(request_id="r1", text="x" * 5000)])
    session.follow("r0")
    assert session.frames_to_send() == []
    session.connected()
    frames = session.frames_to_send()
    assert [type(JSON.decode_command(frame)) for frame in frames] == [cmd.Hello]
    assert session.frames_to_send() == []


def test_hello_that_is_refused_is_told():
    """A wrong token is a complaint for the shell to act on, and nothing else goes out."""
    dialogue = Dialogue(token=True)
    dialogue.session._token = "wrong"
    dialogue.session.call(cmd.ListAgents)
    dialogue.connect()
    (complaint,) = dialogue.happenings
    assert isinstance(complaint, Complained)
    assert complaint.error.code == "unauthenticated"
    assert [type(command) for command in dialogue.core.commands] == [cmd.Hello]


def test_an_answer_asked_for_elsewhere_comes_as_a_verified_snapshot():
    """Nothing of a snapshot is shown before all of it is there and its digest is right."""
    dialogue = Dialogue()
    journal, _ = dialogue.core.open(ASK)
    for step in answer_in_steps(journal)[:8]:
        step()
    dialogue.connect()
    following = dialogue.session.follow("r1")
    assert following.fold.offset == 0
    happenings = dialogue.exchange()
    assert happenings.count(Changed("r1")) == 1
    assert following.cursor == journal.cursor(journal.tail)
    assert following.fold.transcript() == journal.fold.transcript()
    journal.append(ev.Completed(at=11, code="stop"))
    dialogue.exchange()
    assert following.state == "ended"


def test_a_wrong_digest_starts_over_without_a_cursor_and_is_counted():
    """The text that is shown stays until the new snapshot has been verified."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    journal = dialogue.core.journals["r1"]
    for step in answer_in_steps(journal)[:-1]:
        step()
    dialogue.exchange()
    following = dialogue.session.followings["r1"]
    dialogue.core.digest_off = 1
    dialogue.core.commands.clear()
    journal.append(ev.Completed(at=11, code="stop"))
    dialogue.exchange()
    assert [type(c) for c in dialogue.core.commands] == [cmd.Unsubscribe, cmd.Subscribe]
    assert (following.state, following.starts_over, following.snapshots) == ("ended", 1, 1)
    assert following.fold.transcript() == journal.fold.transcript()


def test_two_ends_that_never_agree_stop_trying():
    """After so many starts in vain the answer is lost with a reason, instead of asking for ever (I8)."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.core.digest_off = 100
    dialogue.session.submit([ASK])
    following = dialogue.session.followings["r1"]
    dialogue.exchange()
    assert following.state == "lost"
    assert following.lost is not None
    assert following.lost[0] == "unverifiable"
    assert following.starts_over == STARTS_OVER_MAX + 1


@pytest.mark.parametrize(
    ("start", "next_", "events"),
    [
        (3, "4-1.00000001", [ev.Delta(at=1, part=0, text="b")]),
        (1, "2-1.00000001", [ev.Checkpoint(at=1)]),
        (2, "4-1.00000001", [ev.Checkpoint(at=1)]),
        (2, "3-1.00000001", [ev.Delta(at=1, part=7, text="b")]),
        (2, "nonsense", [ev.Checkpoint(at=1)]),
    ],
    ids=["gap", "again", "sum", "illegal", "cursor"],
)
def test_a_page_that_does_not_fit_starts_over(start, next_, events):
    """A gap, a repeat, spans that do not add up, an illegal event or a broken cursor: no guess, a snapshot (I1)."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    journal = dialogue.core.journals["r1"]
    journal.start()
    dialogue.exchange()
    following = dialogue.session.followings["r1"]
    assert following.fold.offset == 2
    dialogue.session.receive(JSON.encode(psh.Page(request_id="r1", start=start, next=next_, events=events)))
    assert following.cursor is None
    dialogue.exchange()
    assert (following.starts_over, following.state) == (1, "live")
    assert following.fold.transcript() == journal.fold.transcript()


def test_a_refused_submit_is_not_followed():
    """The refusal comes as the reply; nothing is left behind."""
    dialogue = Dialogue()
    dialogue.connect()
    ref = dialogue.session.submit([cmd.Submission(request_id="r1", agent="nobody", text="?", chat_id="c")])
    (reply,) = dialogue.exchange()
    assert isinstance(reply, Replied)
    assert (reply.ref, type(reply.reply)) == (ref, rep.Error)
    assert dialogue.session.followings == {}


def test_many_submits_are_accepted_or_refused_one_by_one():
    """Of two requests in one command the good one is followed."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.submit([ASK, cmd.Submission(request_id="r2", agent="nobody", text="?", chat_id="c1")])
    dialogue.exchange()
    assert list(dialogue.session.followings) == ["r1"]
    assert dialogue.session.followings["r1"].state == "live"


def test_a_request_that_is_gone_or_unknown_is_lost_with_its_reason():
    """Deleted while it is followed, or never there: the follower learns which."""
    dialogue = Dialogue()
    dialogue.connect()
    unknown = dialogue.session.follow("nope")
    dialogue.session.submit([ASK])
    dialogue.exchange()
    gone = dialogue.session.followings["r1"]
    dialogue.core.delete("r1")
    dialogue.exchange()
    assert unknown.lost is not None
    assert gone.lost is not None
    assert (unknown.lost[0], gone.lost[0]) == ("unknown_request", "gone")
    assert dialogue.session.followings == {}


def test_a_request_that_cannot_be_read_now_is_asked_for_again():
    """A server whose store is away for a moment refuses to let it be followed: what is here stands, and the next connection
    asks for the rest with its cursor."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    following = dialogue.session.followings["r1"]
    dialogue.drop()
    refusal = rep.Error(code="unavailable", message="Later.", retryable=True)
    dialogue.core.refuse.append((cmd.Subscribe, refusal))
    dialogue.core.commands.clear()
    dialogue.connect()
    assert PutOff in [type(one) for one in dialogue.happenings]
    assert following.lost is None
    dialogue.drop()
    dialogue.connect()
    asked = [one for one in dialogue.core.commands if isinstance(one, cmd.Subscribe)]
    assert len(asked) == 2
    assert asked[0].cursor == asked[1].cursor is not None
    assert following.state == "live"


def test_unfollow_leaves_the_request_alone():
    """It unsubscribes and nothing more (I5)."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    dialogue.core.commands.clear()
    dialogue.session.unfollow("r1")
    dialogue.session.unfollow("r1")
    dialogue.exchange()
    assert [type(command) for command in dialogue.core.commands] == [cmd.Unsubscribe]
    assert not dialogue.core.journals["r1"].fold.sealed


def test_the_feed_tells_only_news():
    """After a reconnect the rows that were known are not news; those that changed meanwhile are."""
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.session.watch()
    dialogue.exchange()
    dialogue.session.submit([ASK])
    dialogue.exchange()
    dialogue.drop()
    journal = dialogue.core.journals["r1"]
    journal.start()
    before = len(dialogue.happenings)
    dialogue.connect()
    news = [row for h in dialogue.happenings[before:] if isinstance(h, FeedChanged) for row in h.rows]
    assert news == [journal.row()]


def test_the_outbox_is_bounded():
    """Too many or too large: refused before anything is sent, and what was accepted is still there (I8)."""
    session = Session(JSON)
    with pytest.raises(CommandRefused) as refused:
        session.submit([cmd.Submission(request_id="r0", text="x" * COMMAND_BYTES_MAX)])
    assert refused.value.code == "too_large"
    assert session.followings == {}
    refs = [session.call(cmd.ListAgents) for _ in range(OUTBOX_COMMANDS_MAX)]
    with pytest.raises(OutboxFull):
        session.call(cmd.ListAgents)
    session.forget(refs[0])
    session.forget(refs[0])
    session.call(cmd.ListAgents)
    assert session.unanswered == OUTBOX_COMMANDS_MAX


def test_what_cannot_be_read_is_counted_and_left_out():
    """Garbage, a reply nobody waits for, a push for a stranger: no error, no happening."""
    dialogue = Dialogue()
    dialogue.connect()
    session = dialogue.session
    assert session.receive(b"\xff{") == []
    assert session.receive(b'{"type":"something_new"}') == []
    assert session.unreadable == 2
    assert session.receive(JSON.encode(rep.Done(ref=999))) == []
    assert session.receive(JSON.encode(psh.Gone(request_id="r9"))) == []
    assert session.receive(JSON.encode(psh.Snapshot(request_id="r9", reason="start"))) == []


def test_welcome_notice_and_complaint_are_passed_on():
    """What is not about a request or a reply goes to the shell as it is."""
    dialogue = Dialogue()
    dialogue.core.heartbeat_s = 7.0
    dialogue.connect()
    assert isinstance(dialogue.happenings[0], Welcomed)
    assert dialogue.session.heartbeat_s == 7.0
    notice = psh.Notice(kind="draining")
    assert dialogue.session.receive(JSON.encode(notice)) == [Noticed(notice)]
    assert dialogue.session.receive(JSON.encode(psh.Notice(kind="place", request_id="r9", place=1))) == [
        Noticed(psh.Notice(kind="place", request_id="r9", place=1))
    ]
    error = rep.Error(code="malformed", message="No.")
    assert dialogue.session.receive(JSON.encode(error)) == [Complained(error)]
