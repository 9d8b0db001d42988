"""Webhooks: whoever asks is called once the request has its outcome, whatever fails in between."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest
from msgspec.structs import replace

from holdfast_server import webhooks as module
from holdfast_server.stores.base import key_of
from holdfast_server.webhook_terms import Answer, SendFailed
from tests.support.hooks import SETTINGS, URL, Office, staged, state_of
from tests.support.journals import ANN


def test_who_asked_is_called_when_the_outcome_is_there() -> None:
    """Once, at once, with what was answered, signed; nothing before."""

    async def scene(office: Office) -> None:
        pen = await office.asked("r")
        await pen.say("Grüße")
        await office.sim.idle()
        assert office.receivers.posts == []
        await pen.end()
        await office.sim.idle()
        ((_, url, body, headers),) = office.receivers.posts
        assert url == URL
        assert body["type"] == "request.completed"
        assert body["data"]["text"] == "Grüße"  # type: ignore[index]
        assert body["data"]["url"] == "https://chat.example/v1/requests/r"  # type: ignore[index]
        assert headers["webhook-id"] == "msg_1"
        assert await state_of(office) == ("delivered", 1)

    staged(scene)


def test_requests_without_one_cost_nothing() -> None:
    """Nothing is read or written for a request that nobody wants to be called for."""

    async def scene(office: Office) -> None:
        await office.sim.idle()
        before = office.rows.calls
        pen = await office.desk.run("r")
        await pen.end()
        await office.sim.idle()
        assert office.rows.calls == before
        assert office.receivers.posts == []

    staged(scene)


def test_what_is_not_taken_is_tried_by_the_schedule_and_then_given_up() -> None:
    """Same id and same bytes each time; the waits are the settings', a bounded Retry-After makes them longer."""

    async def scene(office: Office) -> None:
        office.receivers.answers = [
            Answer(500, None, "ou\nch\x1b[31m"), SendFailed("no connection"), Answer(302), Answer(429, "700"), Answer(404),
        ]  # fmt: skip
        await office.told("r")
        await asyncio.sleep(3_000)
        times = [round(post[0] - office.receivers.posts[0][0]) for post in office.receivers.posts]
        assert times == [0, 5, 25, 85, 785]
        assert len({json.dumps(post[2]) for post in office.receivers.posts}) == 1
        assert {post[3]["webhook-id"] for post in office.receivers.posts} == {"msg_1"}
        assert await state_of(office) == ("given_up", 5)
        tries = await office.hooks.log_of(key_of(ANN, "r"))
        assert [(one.status, one.error, one.said) for one in tries] == [
            (500, "", "ou ch [31m"), (None, "no connection", ""), (302, "", ""), (429, "", ""), (404, "", ""),
        ]  # fmt: skip
        assert await office.hooks.redeliver(key_of(ANN, "r"))
        await office.sim.idle()
        assert await state_of(office) == ("delivered", 6)
        assert office.receivers.posts[-1][3]["webhook-id"] == "msg_1"

    staged(scene, dataclasses.replace(SETTINGS, retry_s=(5, 20, 60, 100)))


def test_the_default_schedule_is_ten_tries_over_three_days() -> None:
    """A receiver that is away for a weekend still gets it."""

    async def scene(office: Office) -> None:
        office.receivers.answers = [Answer(503)] * 20
        await office.told("r")
        await asyncio.sleep(350_000)
        assert await state_of(office) == ("given_up", 10)
        first, *_, last = (post[0] for post in office.receivers.posts)
        assert 72 * 3600 < last - first < 78 * 3600

    staged(scene)


def test_gone_is_the_receivers_word_to_stop() -> None:
    """After 410 nothing more is sent."""

    async def scene(office: Office) -> None:
        office.receivers.answers = [Answer(410)]
        await office.told("r")
        await asyncio.sleep(100_000)
        assert await state_of(office) == ("gone", 1)
        assert not await office.hooks.redeliver(key_of(ANN, "other"))

    staged(scene)


def test_a_receiver_that_is_silent_is_left_in_time_and_delays_nobody() -> None:
    """Many webhooks for a dead host hold few places; the one for another host is told at once."""

    async def scene(office: Office) -> None:
        office.receivers.dead = {"dead.example"}
        for number in range(60):
            await office.told(f"d{number}", "https://dead.example/x")
        began = office.sim.time()
        await office.told("r")
        assert office.receivers.ids[-1] == "r"
        assert office.sim.time() == began
        assert office.receivers.most == {"dead.example": 4}
        await asyncio.sleep(50)
        (one, *_) = await office.hooks.log_of(key_of(ANN, "d0"))
        assert (one.error, one.duration_ms) == ("no answer within 15 s", 15_000)
        assert office.receivers.now == 1

    staged(scene)


def test_lost_wake_ups_and_deaths_lose_no_delivery() -> None:
    """What ended unseen, or while nobody ran, is told by the next comparison; what was told is not told again."""

    async def scene(office: Office) -> None:
        await office.told("before")
        office.desk.lossy = True
        await office.told("unseen")
        assert office.receivers.ids == ["before"]
        await asyncio.sleep(61)
        assert office.receivers.ids == ["before", "unseen"]
        late = await office.asked("late")
        await office.hooks.close()
        await late.end()
        await office.restart()
        await office.sim.idle()
        assert office.receivers.ids == ["before", "unseen", "late"]

    staged(scene)


def test_all_that_was_armed_is_loaded_page_after_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process finds every one, however many pages they are."""
    monkeypatch.setattr(module, "LOOK_REQUESTS", 3)

    async def scene(office: Office) -> None:
        pens = [await office.asked(f"r{number}") for number in range(7)]
        await office.hooks.close()
        for pen in pens:
            await pen.end()
        await office.restart()
        await office.sim.idle()
        assert sorted(map(str, office.receivers.ids)) == [f"r{number}" for number in range(7)]

    staged(scene)


def test_a_try_whose_end_was_not_written_is_made_again() -> None:
    """A history in trouble costs a repetition with the same id, never a delivery; and no storm of them."""

    async def scene(office: Office) -> None:
        pen = await office.asked("r")
        office.rows.refuse = {"settle"}
        await pen.end()
        await asyncio.sleep(12)
        office.rows.refuse = set()
        await asyncio.sleep(12)
        assert 2 <= len(office.receivers.posts) <= 4
        assert {post[3]["webhook-id"] for post in office.receivers.posts} == {"msg_1"}
        assert await state_of(office) == ("delivered", 1)

    staged(scene)


def test_a_try_that_ends_while_rows_are_read_is_not_made_again() -> None:
    """A row that was read before its try was settled says that it is due; it is told once all the same."""

    async def scene(office: Office) -> None:
        office.rows.late_s, office.receivers.takes_s = 1.0, 0.5
        await office.told("r")
        await asyncio.sleep(20)
        assert office.receivers.ids == ["r"]
        assert await state_of(office) == ("delivered", 1)

    staged(scene)


def test_an_erased_request_is_told_to_nobody() -> None:
    """Whether it runs, is due, or is being told: after the erasure no try begins, and nothing is kept."""

    async def scene(office: Office) -> None:
        office.receivers.answers = [Answer(500)]
        await office.told("due")
        await office.asked("runs")
        office.receivers.dead = {"dead.example"}
        await office.told("sending", "https://dead.example/x")
        posts = len(office.receivers.posts)
        keys = [key_of(ANN, request_id) for request_id in ("due", "runs", "sending")]
        await office.desk.journal.erase(keys)
        assert office.receivers.now == 1
        await office.hooks.forget(keys)
        await office.sim.idle()
        assert office.receivers.now == 0
        await asyncio.sleep(100_000)
        assert len(office.receivers.posts) == posts
        assert office.rows.hooks == {}

    staged(scene)


def test_a_deletion_is_told_only_if_it_is_taken_back() -> None:
    """What was ended because its chat was deleted is held back for as long as that can be undone, and told if it was."""

    async def scene(office: Office) -> None:
        kept, erased = await office.asked("kept"), await office.asked("erased")
        for pen in (kept, erased):
            await office.desk.journal.cancel(pen.log.key, "chat_deleted")
        await asyncio.sleep(45)
        await office.desk.store.erase([erased.log.key])
        assert office.receivers.posts == []
        await asyncio.sleep(45)
        assert [(post[2]["type"], post[2]["data"]["request_id"]) for post in office.receivers.posts] == [  # type: ignore[index]
            ("request.cancelled", "kept")
        ]
        assert list(office.rows.hooks) == [kept.log.key]

    staged(scene)


def test_an_erasure_that_nobody_told_of_is_seen() -> None:
    """The journal decides: what is not there any more is not told, and its row goes."""

    async def scene(office: Office) -> None:
        office.receivers.answers = [Answer(500)]
        await office.told("due")
        await office.asked("runs")
        await office.desk.store.erase([key_of(ANN, "due"), key_of(ANN, "runs")])
        await asyncio.sleep(100)
        assert len(office.receivers.posts) == 1
        assert office.rows.hooks == {}

    staged(scene)


def test_what_ended_long_ago_is_forgotten() -> None:
    """By the sweep, after keep_days; what is due or armed stays."""

    async def scene(office: Office) -> None:
        await office.told("old")
        await office.asked("armed")
        for key, hook in list(office.rows.hooks.items()):
            office.rows.hooks[key] = replace(hook, updated_at=hook.updated_at - 31 * 86_400_000)
        await office.told("new")
        await office.hooks.sweep()
        assert sorted(key.request_id for key in office.rows.hooks) == ["armed", "new"]

    staged(scene)
