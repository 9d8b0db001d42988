"""Requests as doors see them: where a message goes, what is the same request, who may see it."""

import asyncio

import pytest

from holdfast_protocol.commands import InputMessage, InputToolCall, Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Started, Waiting
from holdfast_server.agents.base import Message, Profile, ToolCall
from holdfast_server.history.visible import UnknownMessage
from holdfast_server.journal import place
from holdfast_server.stores.base import (
    NotWaiting,
    RequestConflict,
    UnknownRequest,
    key_of,
)
from holdfast_server.submissions import hash_of
from tests.support.parts import ADA, EVE, NOW, ask

CALL = InputToolCall(call_id="a", name="add", arguments='{"n": 1}')
LONG_CALL = InputToolCall(call_id="a", name="add", arguments="x" * 600_000)
CALLING = InputMessage(role="assistant", tool_calls=[CALL])
RESULT = InputMessage(role="tool", text="42", call_id="a")


async def test_the_same_request_is_one_however_often_it_is_sent(bench):
    """Fifty at once with one id open one journal; all are told the same."""
    results = await asyncio.gather(*(bench.requests.submit(ADA, ask(request_id="r1")) for _ in range(50)))
    assert [result.created for result in results].count(True) == 1
    assert len({result.log for result in results}) == 1
    assert len((await bench.journal.summaries(ADA))[0]) == 1


async def test_the_same_id_with_another_body_is_refused(bench):
    """Idempotency never hides a different question; after the end neither."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    for change in ({"text": "other"}, {"agent": "other"}, {"chat_id": "c2"}, {"options": {"a": 1}}):
        with pytest.raises(RequestConflict):
            await bench.requests.submit(ADA, ask(request_id="r1", **change))
    await bench.answer()
    with pytest.raises(RequestConflict):
        await bench.requests.submit(ADA, ask(request_id="r1", text="other"))
    again = await bench.requests.submit(ADA, ask(request_id="r1"))
    assert (again.created, again.log.status) == (False, "completed")


def test_the_hash_does_not_depend_on_the_order_of_keys():
    """Both codecs and every client agree what is the same."""
    assert hash_of(ask(options={"a": 1, "b": 2})) == hash_of(ask(options={"b": 2, "a": 1}))


@pytest.mark.parametrize(
    ("submission", "expected"),
    [
        (
            Submission(request_id="r1", chat_id="c1", text="Hello", options={"seed": 1}),
            "3ad2ff200e047a5e37f38e963bfa9da1b31c660ee67f254e17c1370317c49314",
        ),
        (
            Submission(
                request_id="r1",
                messages=[
                    InputMessage(role="system", text="Be brief."),
                    InputMessage(role="user", text="Hello"),
                ],
            ),
            "8928d0a690d41e3dc08a9a98d01505f4db0f34c3fe320472992437fba98f19e2",
        ),
    ],
)
def test_the_hash_stays_what_it_is(submission, expected):
    """A request that was sent to an older server is the same after an upgrade."""
    assert hash_of(submission).hex() == expected


async def test_two_owners_may_use_one_id(bench):
    """The identity of a request is (owner, id)."""
    first = await bench.requests.submit(ADA, ask(request_id="r1", text="mine"))
    second = await bench.requests.submit(EVE, ask(request_id="r1", text="hers"))
    assert first.created
    assert second.created
    assert first.log is not second.log


async def test_messages_follow_one_another_by_default(bench):
    """A second message goes under the answer before it, running or not, and waits for it while it runs."""
    first = await bench.requests.submit(ADA, ask(request_id="r1"))
    second = await bench.requests.submit(ADA, ask(request_id="r2", text="and?"))
    assert first.log.record.parent_id is None
    assert (second.log.record.parent_id, second.log.record.after) == ("r1", "r1")
    claim = await bench.store.claim()
    assert claim is not None
    assert claim.log is first.log
    assert await bench.store.claim() is None
    await bench.journal.cancel(first.log.key)
    claim = await bench.store.claim()
    assert claim is not None
    assert claim.log is second.log
    third = await bench.requests.submit(ADA, ask(request_id="r3", text="well?", parent_id="r1"))
    assert (third.log.record.parent_id, third.log.record.after) == ("r1", None)


async def test_an_answer_can_be_asked_for_once_more(bench):
    """Without text the named message of the person is answered again, as a sibling."""
    first = await bench.requests.submit(ADA, ask(request_id="r1", message_id="m1"))
    await bench.answer("one")
    again = await bench.requests.submit(ADA, Submission(request_id="r2", chat_id="c1", parent_id="m1"))
    assert again.log.record.message_id == "m1"
    assert again.log.record.parent_id == first.log.record.parent_id
    await bench.answer("two")
    rows, _, _ = await bench.requests.list_messages(ADA, "c1", 10, None)
    assert {(row.message_id, row.parent_id) for row in rows} == {("m1", None), ("r1", "m1"), ("r2", "m1")}
    with pytest.raises(ProtocolError, match="person's"):
        await bench.requests.submit(ADA, Submission(chat_id="c1", parent_id="r1"))


async def test_other_first_words_stand_beside_the_first_ones(bench):
    """With `root` a message goes under none, waits for nobody, and the agent is given nothing before it."""
    await bench.requests.submit(ADA, ask(request_id="r1", message_id="m1", text="one"))
    other = await bench.requests.submit(ADA, ask(request_id="r2", message_id="m2", text="two", root=True))
    assert (other.log.record.parent_id, other.log.record.after) == (None, None)
    messages = await bench.requests.history(other.log.record)
    assert [(message.role, message.text) for message in messages] == [("user", "two")]


async def test_an_agent_is_given_the_branch_and_nothing_beside_it(bench):
    """History is the path to the question."""
    await bench.requests.submit(ADA, ask(request_id="r1", message_id="m1", text="one"))
    await bench.answer("ONE")
    await bench.requests.submit(ADA, ask(request_id="r2", message_id="m2", text="two"))
    await bench.answer("TWO")
    edited = await bench.requests.submit(ADA, ask(request_id="r3", message_id="m3", text="2", parent_id="r1"))
    messages = await bench.requests.history(edited.log.record)
    assert [(message.role, message.text) for message in messages] == [
        ("user", "one"), ("assistant", "ONE"), ("user", "2"),
    ]  # fmt: skip


async def test_without_a_chat_the_request_brings_its_messages(bench):
    """It runs, and no chat is made of it."""
    submission = Submission(
        messages=[InputMessage(role="system", text="be"), InputMessage(role="user", text="hi")]
    )
    opened = await bench.requests.submit(ADA, submission)
    messages = await bench.requests.history(opened.log.record)
    assert [message.role for message in messages] == ["system", "user"]
    await bench.answer()
    assert await bench.requests.first_chats(ADA) == []


async def test_tool_calls_and_their_results_come_along(bench):
    """The agent is given them as they were sent; an id may be used anew by a later answer."""
    opened = await bench.requests.submit(
        ADA, Submission(messages=[CALLING, RESULT, CALLING, RESULT], text="So?")
    )
    messages = await bench.requests.history(opened.log.record)
    calling = Message("assistant", "", tool_calls=[ToolCall("a", "add", '{"n": 1}')])
    result = Message("tool", "42", tool_calls=[], call_id="a")
    assert [*messages[:4]] == [calling, result, calling, result]
    assert (messages[4].role, messages[4].text) == ("user", "So?")


async def test_instructions_in_a_chat_are_for_one_request(bench):
    """They come before the branch, and the next request knows nothing of them."""
    system = [InputMessage(role="system", text="Be brief.")]
    first = await bench.requests.submit(
        ADA, ask(request_id="r1", message_id="m1", text="one", messages=system)
    )
    messages = await bench.requests.history(first.log.record)
    assert [(message.role, message.text) for message in messages] == [
        ("system", "Be brief."),
        ("user", "one"),
    ]
    await bench.answer("ONE")
    second = await bench.requests.submit(ADA, ask(request_id="r2", text="two"))
    assert [message.text for message in await bench.requests.history(second.log.record)] == [
        "one",
        "ONE",
        "two",
    ]
    rows, _, _ = await bench.requests.list_messages(ADA, "c1", 10, None)
    assert all("brief" not in row.text for row in rows)


@pytest.mark.parametrize(
    ("submission", "code"),
    [
        (Submission(), "invalid"),
        (Submission(chat_id="c1"), "invalid"),
        (Submission(chat_id="c1", text="  "), "invalid"),
        (Submission(text="x", parent_id="m"), "invalid"),
        (Submission(text="x", root=True), "invalid"),
        (Submission(chat_id="c1", text="x", parent_id="m", root=True), "invalid"),
        (Submission(chat_id="c1", parent_id="m", root=True), "invalid"),
        (Submission(chat_id="c1", text="x", messages=[InputMessage(role="user", text="y")]), "invalid"),
        (Submission(chat_id="c1", text="x", messages=[CALLING]), "invalid"),
        (Submission(messages=[RESULT]), "invalid"),
        (Submission(messages=[RESULT, CALLING]), "invalid"),
        (Submission(messages=[CALLING, RESULT, RESULT]), "invalid"),
        (Submission(messages=[CALLING, InputMessage(role="tool", text="42")]), "invalid"),
        (Submission(messages=[CALLING, InputMessage(role="user", text="x", call_id="a")]), "invalid"),
        (Submission(messages=[InputMessage(role="user", text="x", tool_calls=[CALL])]), "invalid"),
        (Submission(messages=[InputMessage(role="assistant", tool_calls=[CALL, CALL])]), "invalid"),
        (Submission(messages=[InputMessage(role="assistant", tool_calls=[LONG_CALL])]), "too_large"),
        (Submission(text="x" * 600_000), "too_large"),
        (Submission(text="x", agent="nobody"), "unknown_agent"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_a_code(bench, submission, code):
    """Nothing is opened, and the code says what is wrong."""
    with pytest.raises(ProtocolError) as error:
        await bench.requests.submit(ADA, submission)
    assert error.value.code == code
    assert (await bench.journal.summaries(ADA))[0] == []


async def test_a_taken_message_id_is_refused(bench):
    """A message is never written over."""
    await bench.requests.submit(ADA, ask(request_id="r1", message_id="m1"))
    for fields in ({"message_id": "m1"}, {"request_id": "m1"}, {"message_id": "r1"}):
        with pytest.raises(ProtocolError) as error:
            await bench.requests.submit(ADA, ask(text="other", **fields))
        assert error.value.code == "request_conflict"


async def test_a_parent_must_be_there(bench):
    """In this chat, of this owner."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    with pytest.raises(UnknownMessage):
        await bench.requests.submit(ADA, ask(parent_id="nowhere"))


async def test_every_verb_knows_only_the_owners_requests(bench):
    """Foreign looks like absent (I9)."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    for request_id in ("r1", "absent"):
        with pytest.raises(UnknownRequest):
            await bench.requests.find(EVE, request_id)
        with pytest.raises(UnknownRequest):
            await bench.requests.cancel(EVE, request_id)
        with pytest.raises(UnknownRequest):
            await bench.requests.decide(EVE, request_id, "w", "", True)
        with pytest.raises(UnknownRequest):
            await bench.requests.read_events(EVE, request_id, 0, 10)
        (row,) = await bench.requests.probe(EVE, [request_id])
        assert (row.state, row.cursor) == ("unknown", None)
    assert (await bench.requests.list_requests(EVE, False, None, 10, None))[0] == []
    with pytest.raises(NotWaiting):
        await bench.requests.decide(ADA, "r1", "w", "", True)


async def test_a_decision_that_comes_too_late_is_refused(bench):
    """What has expired is not acted on, though nobody has noted the expiry yet."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    claim = await bench.store.claim()
    assert claim is not None
    writer = bench.store.writer(claim)
    writer.put(Started(at=NOW, attempt=1, term=claim.term, nonce=claim.nonce))
    await writer.flush()
    waiting = Waiting(at=NOW, part=0, wait_id="w", kind="approval", digest="d", expires_at=bench.now_ms() + 5)
    await bench.store.park(claim, 0, waiting)
    while bench.now_ms() <= waiting.expires_at:
        pass
    with pytest.raises(NotWaiting, match="expired"):
        await bench.requests.decide(ADA, "r1", "w", "d", True)


async def test_a_probe_is_three_valued(bench):
    """Accepted and not started, running, ended, or not known."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    assert (await bench.requests.probe(ADA, ["r1"]))[0].state == "accepted"
    claim = await bench.store.claim()
    assert claim is not None
    writer = bench.store.writer(claim)
    writer.put(Started(at=NOW, attempt=1, term=claim.term, nonce=claim.nonce))
    await writer.flush()
    assert (await bench.requests.probe(ADA, ["r1"]))[0].state == "running"
    assert await bench.requests.cancel(ADA, "r1") == (True, "cancelled")
    assert await bench.requests.cancel(ADA, "r1") == (False, "cancelled")
    states = [row.state for row in await bench.requests.probe(ADA, ["r1", "r2"])]
    assert states == ["ended", "unknown"]


async def test_a_probe_unpacks_nothing(bench, monkeypatch):
    """Rows are enough, of packed requests and of purged ones; the cursor is for those whose log still grows."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    await bench.answer()
    await bench.requests.submit(ADA, ask(request_id="r2", chat_id=None))
    await bench.answer()
    opened = await bench.requests.submit(ADA, ask(request_id="r3", chat_id="c3"))
    await bench.projector.catch_up()

    def refuse(*_):
        pytest.fail("a probe reads rows, not answers")

    monkeypatch.setattr("holdfast_server.history.purged.purged_log", refuse)
    monkeypatch.setattr("holdfast_server.stores.packed.unpack", refuse)
    names = ["r1", "r2", "r3"]
    before = await bench.requests.probe(ADA, names)
    assert [(row.state, row.status, row.chat_id) for row in before] == [
        ("ended", "completed", "c1"),
        ("ended", "completed", None),
        ("accepted", "queued", "c3"),
    ]
    assert [row.cursor for row in before] == [None, None, str(opened.log.cursor())]
    assert await bench.store.compact() == 2
    bench.store._packed.forget([key_of(ADA, name) for name in names], erased=False)
    assert await bench.requests.probe(ADA, names) == before
    assert [row.state for row in await bench.requests.probe(EVE, names)] == ["unknown"] * 3
    assert await bench.store.purge(2**60, 0) == 2
    assert [row.state for row in await bench.requests.probe(EVE, names)] == ["unknown"] * 3
    assert await bench.requests.probe(ADA, names[::2]) == before[::2]
    assert (await bench.requests.probe(ADA, ["r2"]))[0].state == "unknown"
    await bench.requests.delete_chat(ADA, "c1")
    assert (await bench.requests.probe(ADA, ["r1"]))[0].state == "unknown"


async def test_a_queued_request_tells_its_place(bench):
    """How many are before it, over all owners; none once it runs."""
    await bench.requests.submit(EVE, ask(request_id="r0"))
    await bench.requests.submit(ADA, ask(request_id="r1"))
    (row,), _ = await bench.requests.list_requests(ADA, True, None, 10, None)
    assert (row.place, row.queue_reason, row.estimate_ms) == (1, "slots", None)
    await bench.answer()
    (row,), _ = await bench.requests.list_requests(ADA, True, None, 10, None)
    assert row.place == 0


async def test_a_deleted_chat_ends_what_runs_in_it_and_is_erased(bench):
    """Its requests are cancelled at once, its journals go when it cannot be restored, and nothing new is opened in it."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    await bench.answer()
    running = await bench.requests.submit(ADA, ask(request_id="r2", text="more"))
    await bench.requests.delete_chat(ADA, "c1")
    assert running.log.status == "cancelled"
    assert running.log.outcome is not None
    assert running.log.outcome.code == "chat_deleted"
    with pytest.raises(ProtocolError) as error:
        await bench.requests.submit(ADA, ask(text="still there?"))
    assert error.value.code == "unknown_chat"
    await bench.requests.erase_due()
    for request_id in ("r1", "r2"):
        with pytest.raises(UnknownRequest):
            await bench.requests.find(ADA, request_id)


async def test_a_purged_request_answers_from_the_history(bench):
    """With its final transcript, and a cursor from before gets a snapshot that says why."""
    opened = await bench.requests.submit(ADA, ask(request_id="r1"))
    log = await bench.answer("the answer")
    cursor = str(log.cursor(2))
    await bench.projector.catch_up()
    await bench.store.projected([opened.log.key])
    await bench.store.compact()
    assert await bench.store.purge(bench.now_ms() + 10, 1) == 1
    assert bench.journal.live(key_of(ADA, "r1")) is None
    found = await bench.requests.find(ADA, "r1")
    assert found.fold().transcript().text == "the answer"
    assert place(found, cursor) == (0, "purged")
    again = await bench.requests.submit(ADA, ask(request_id="r1"))
    assert not again.created


async def test_an_option_that_the_agent_does_not_have_is_refused_by_name(bench):
    """The error names it and those there are, and nothing is opened; what is there already is found whatever it has."""
    asked = ask(request_id="r1", options={"tone": "warm", "zz": 1})
    await bench.requests.submit(ADA, asked)
    bench.requests.profiles["demo"] = Profile("demo", options=frozenset({"tone", "pace"}))
    assert not (await bench.requests.submit(ADA, asked)).created
    with pytest.raises(ProtocolError, match="`demo` has no option `zz`; it has pace, tone") as error:
        await bench.requests.submit(ADA, ask(request_id="r2", options={"tone": "warm", "zz": 1}))
    assert (error.value.code, error.value.param) == ("invalid", "options.zz")
    with pytest.raises(UnknownRequest):
        await bench.requests.find(ADA, "r2")
    await bench.requests.submit(ADA, ask(request_id="r3", options={"tone": "warm"}))


@pytest.mark.parametrize("text", ["", " \n"])
async def test_nothing_is_no_question(bench, text):
    """A blank text is refused without a chat as in one; beside messages it is as it was sent."""
    for chat_id in ("c1", None):
        with pytest.raises(ProtocolError, match="`text` is empty"):
            await bench.requests.submit(ADA, Submission(text=text, chat_id=chat_id))
    await bench.requests.submit(ADA, Submission(text=text, messages=[InputMessage(role="user", text="hi")]))


@pytest.mark.parametrize("before", ["", "zzz", "-1", "1" * 19, "²"])
async def test_a_mark_of_no_page_is_refused(bench, before):
    """A list of requests does not begin again by itself."""
    with pytest.raises(ProtocolError, match="`before` is not a mark"):
        await bench.requests.list_requests(ADA, False, None, 10, before)
