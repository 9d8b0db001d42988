"""A journal in memory: levels to wait for, the chain, the open wait."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from holdfast_protocol import events as ev
from holdfast_protocol.commands import InputMessage
from holdfast_server.stores.log import Log
from tests.support.journals import answered, asked, opened


def started(log: Log, *, keep: ev.Keep = "all", attempt: int = 1) -> ev.Started:
    return ev.Started(at=2, attempt=attempt, term=1, nonce="0badcafe", keep=keep)


async def test_waiting_is_for_a_level() -> None:
    """A wait returns at once if the tail is beyond, else when it gets there, else when nothing more will come (I7)."""
    log = opened(asked("r1"))
    await log.wait(0)
    first = asyncio.ensure_future(log.wait(1))
    second = asyncio.ensure_future(log.wait(2))
    await asyncio.sleep(0)
    log.extend([started(log)])
    log.wake()
    await asyncio.wait_for(first, 5)
    assert not second.done()
    log.extend([ev.Cancelled(at=3, code="user")])
    log.wake()
    await asyncio.wait_for(second, 5)
    await log.wait(99)
    await log.wait_sealed()


async def test_a_cancelled_wait_leaves_nothing() -> None:
    """Readers that go away do not pile up."""
    log = opened(asked("r1"))
    waits = [asyncio.ensure_future(wait) for wait in (log.wait(5), log.wait_sealed())]
    await asyncio.sleep(0)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    assert (log._waiters, log._sealed_waiters) == ([], [])


async def test_who_waits_for_the_end_of_a_term_is_told_of_a_later_one() -> None:
    """Whoever runs it hears that another has it; whoever waits for the outcome goes on waiting."""
    log = opened(asked("r1"))
    log.term = 1
    replaced, reading = (asyncio.ensure_future(wait) for wait in (log.wait_sealed(1), log.wait_sealed()))
    await asyncio.sleep(0)
    log.wake()
    await asyncio.sleep(0)
    assert not replaced.done()
    log.term = 2
    log.wake()
    await asyncio.wait_for(replaced, 5)
    await log.wait_sealed(1)
    assert not reading.done()
    reading.cancel()


def test_the_open_wait_is_known_without_folding() -> None:
    """It opens with the question, and closes with the answer, the end, or when output is dropped."""
    question = ev.Waiting(at=3, part=0, wait_id="w", kind="approval")
    for closing in (
        ev.Decided(at=5, part=0, wait_id="w"),
        ev.Started(at=5, attempt=2, term=2, nonce="0badcafe", keep="none"),
        ev.Failed(at=5, code="x"),
    ):
        log = opened(asked("r1"))
        log.extend([started(log), question])
        assert log.waiting == question
        log.extend([ev.Started(at=4, attempt=1, term=2, nonce="0badcafe", reason="resumed")])
        assert log.waiting == question
        log.extend([closing])
        assert log.waiting is None


def test_the_fold_moves_on() -> None:
    """It is kept between calls, takes what is new, and can be made again."""
    log = answered(asked("r1"), "Yes|, indeed.")
    fold = log.fold()
    assert fold.parts[0].text == "Yes, indeed."
    assert log.fold() is fold
    log.forget_fold()
    assert log.fold().digest() == fold.digest()


def test_superseding_is_remembered_by_its_offset() -> None:
    """A cursor before the last drop of output needs a snapshot, one after it does not."""
    log = opened(asked("r1"))
    log.extend([started(log), started(log, keep="none", attempt=2), started(log, attempt=3)])
    assert (log.superseded_at, log.attempt) == (2, 3)


def test_what_the_row_says_comes_with_the_events() -> None:
    """When it was first taken up, the latest usage, and every tool call, superseded ones too; without folding."""
    log = opened(asked("r1"))
    assert (log.summary().started_at, log.summary().usage, log.summary().tools) == (None, None, 0)
    log.extend(
        [
            started(log),
            ev.ToolCall(at=3, part=0, call_id="c", name="clock"),
            ev.Usage(at=4, output_tokens=1),
            ev.Started(at=5, attempt=2, term=1, nonce="0badcafe", keep="none", reason="retry"),
            ev.ToolCall(at=6, part=0, call_id="c", name="clock"),
            ev.Usage(at=7, output_tokens=3),
        ]
    )
    row = log.summary()
    assert (row.started_at, row.tools, log.starts) == (2, 2, [1, 4])
    assert row.usage == ev.Usage(at=7, output_tokens=3)


def test_a_row_is_called_after_what_was_asked() -> None:
    """The question's text, or, of a request without a chat, the last message that it brought along."""
    messages = [InputMessage(role="user", text=text) for text in ("first", "last")]
    loose = replace(asked("r1", None, chat_id=None), messages=messages)
    assert [opened(record).summary().text for record in (asked("r1", "Why?"), loose, asked("r1", None))] == [
        "Why?",
        "last",
        "",
    ]
