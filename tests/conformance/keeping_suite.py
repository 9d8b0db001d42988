"""What every store promises about what has ended: lists, packing, the history's marks, erasing and purging."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Account, Fenced, JournalSealed, Store, UnknownRequest
from tests.conformance.store_suite import StoreBench
from tests.support.journals import ANN, BOB
from tests.support.scribe import Scribe, key, text_of

EVER = 2**50


class KeepingSuite(StoreBench):
    """The port's promises about journals that nobody writes any more."""

    async def test_a_packed_journal_reads_as_before(self, store: Store, scribe: Scribe) -> None:
        """Packing loses no event, no epoch and no time."""
        log = await scribe.ended("r1", "Hello ", "wörld", "!")
        before, chain = list(log.events), list(log.chain)
        assert await store.compact() == 1
        assert await store.compact() == 0
        again = await store.log(log.key)
        assert again.events == before
        assert again.chain == chain
        assert again.sealed
        assert again.check(log.cursor(2)) is None
        assert await store.log(log.key) is again

    async def test_lists_go_from_newest_to_oldest_in_pages(self, store: Store, scribe: Scribe) -> None:
        """Every request of the owner is on exactly one page, packed or not, with one order."""
        for number in range(7):
            await scribe.ended(f"r{number}", chat_id="c1" if number % 2 else None)
            if number == 3:
                await store.compact()
        await scribe.open("bobs", owner=BOB)
        got: list[str] = []
        mark: str | None = None
        while True:
            rows, mark = await store.summaries(ANN, active=False, chat_id=None, limit=3, before=mark)
            assert len(rows) <= 3
            got += [row.key.request_id for row in rows]
            if mark is None:
                break
        assert got == [f"r{number}" for number in reversed(range(7))]
        assert await scribe.ids(chat_id="c1") == ["r5", "r3", "r1"]
        assert (await scribe.ids(None))[0] == "bobs"

    async def test_a_rows_number_is_the_mark_behind_it(self, store: Store, scribe: Scribe) -> None:
        """A list can be gone on with from any row that it showed, packed or not."""
        for number in range(4):
            await scribe.ended(f"r{number}")
            if number == 1:
                await store.compact()
        rows, _ = await store.summaries(ANN, active=False, chat_id=None, limit=9, before=None)
        for place, row in enumerate(rows):
            rest, _ = await store.summaries(ANN, active=False, chat_id=None, limit=9, before=str(row.number))
            assert rest == rows[place + 1 :]

    @pytest.mark.parametrize("mark", ["9" * 200, "-1", "1e3", "x", ""])
    async def test_what_is_no_mark_begins_at_the_newest(
        self, store: Store, scribe: Scribe, mark: str
    ) -> None:
        """A mark that no list gave, of whatever length, is as good as none."""
        await scribe.ended("r1")
        await store.compact()
        rows, _ = await store.summaries(ANN, active=False, chat_id=None, limit=3, before=mark)
        assert [row.key.request_id for row in rows] == ["r1"]

    async def test_a_row_says_what_happened(self, store: Store, scribe: Scribe) -> None:
        """When it was taken up, what it used and how many tools were called: the same live, ended and packed."""
        held = await scribe.running("r1")
        assert (await store.head(key("r1"))).started_at == 4
        usage = ev.Usage(at=6, input_tokens=3, output_tokens=5)
        held.writer.put(ev.ToolCall(at=6, part=1, call_id="c", name="clock"))
        held.writer.put(usage)
        await held.writer.flush()
        assert ((await store.head(key("r1"))).usage, (await store.head(key("r1"))).tools) == (usage, 1)
        await store.seal(key("r1"), ev.Cancelled(at=9, code="user"))
        ended = await store.head(key("r1"))
        assert await store.compact() == 1
        packed = await store.head(key("r1"))
        assert (ended.started_at, ended.usage, ended.tools) == (4, usage, 1)
        assert packed == ended
        assert (await store.log(key("r1"))).summary() == ended

    async def test_active_are_those_without_an_outcome(self, store: Store, scribe: Scribe) -> None:
        """Queued, running and waiting requests are active, ended ones are not."""
        await scribe.ended("ended")
        await scribe.parked("parked")
        await scribe.running("running")
        await scribe.open("queued")
        assert await scribe.ids(active=True) == ["queued", "running", "parked"]
        rows, _ = await store.summaries(ANN, active=True, chat_id=None, limit=9, before=None)
        assert [row.status for row in rows] == ["queued", "running", "waiting"]

    async def test_a_head_is_the_row_of_one(self, store: Store, scribe: Scribe) -> None:
        """Live, ended or packed: what the list says of it, after every change; others' and erased ones are not there."""
        await scribe.ended("packed", "text", chat_id="c")
        await store.compact()
        await scribe.ended("ended")
        await scribe.running("running")
        rows, _ = await store.summaries(ANN, active=False, chat_id=None, limit=9, before=None)
        assert [await store.head(row.key) for row in rows] == rows
        assert [row.status for row in rows] == ["running", "completed", "completed"]
        await store.projected([key("packed")])
        assert (await store.head(key("packed"))).projected
        await store.erase([key("packed")])
        for gone in (key("packed"), key("running", BOB), key("never")):
            with pytest.raises(UnknownRequest):
                await store.head(gone)

    async def test_versions_rise_with_every_change(self, store: Store, scribe: Scribe) -> None:
        """Of two rows of a request the later has the higher version."""
        versions: list[int] = []
        store.observe(lambda changes: versions.extend(c.log.version for c in changes if c.state))
        await scribe.ended()
        assert versions == sorted(set(versions))
        await store.projected([key()])
        assert versions[-1] > versions[-2]

    async def test_what_the_history_lacks_is_told_oldest_first(self, store: Store, scribe: Scribe) -> None:
        """Sealed journals of chats stay on the list until they are marked, packed or not."""
        for number in range(4):
            await scribe.ended(f"r{number}", chat_id="c")
            if number == 1:
                await store.compact()
        await scribe.ended("loose")
        await scribe.running("going", chat_id="c")
        assert [log.key.request_id for log in await store.unprojected(3)] == ["r0", "r1", "r2"]
        await store.projected([key("r0"), key("r2")])
        assert [log.key.request_id for log in await store.unprojected(9)] == ["r1", "r3"]
        await store.compact()
        await store.projected([key("r1")])
        assert [log.key.request_id for log in await store.unprojected(9)] == ["r3"]

    async def test_purge_spares_what_must_stay(self, store: Store, scribe: Scribe) -> None:
        """Neither an unsealed journal is purged, nor one that the history has not taken."""
        await scribe.ended("told", chat_id="c")
        await scribe.ended("loose")
        await scribe.ended("untold", chat_id="c")
        await scribe.parked("parked")
        await scribe.running("running")
        await scribe.open("queued")
        await store.projected([key("told")])
        assert await store.purge(0, EVER) == 0
        assert await store.purge(EVER, EVER) == 2
        assert sorted(await scribe.ids()) == ["parked", "queued", "running", "untold"]
        with pytest.raises(UnknownRequest):
            await store.log(key("told"))

    async def test_purge_keeps_to_its_bytes(self, store: Store, scribe: Scribe) -> None:
        """Over the bound the oldest go, and no more of them than needed."""
        for number in range(4):
            await scribe.ended(f"r{number}", chr(97 + number) * 1000)
        assert await store.purge(0, EVER) == 0
        assert await store.purge(0, 0) == 4
        assert await scribe.ids() == []

    async def test_a_purged_journal_does_not_end_its_readers(self, store: Store, scribe: Scribe) -> None:
        """Whoever reads it reads on; it is not erased."""
        log = await scribe.ended("r1", "text")
        await store.purge(EVER, 0)
        assert not log.erased
        assert text_of(log) == "text"

    async def test_an_erased_journal_is_gone_for_everybody(self, store: Store, scribe: Scribe) -> None:
        """Erasing seals what runs, wakes who reads, fences who writes, and leaves nothing, whatever the state."""
        await scribe.ended("packed", "secret")
        await store.compact()
        packed = await store.log(key("packed"))
        held = await scribe.running("running")
        await scribe.open("queued")
        reader = asyncio.ensure_future(held.log.wait(held.log.tail + 5))
        await asyncio.sleep(0)
        await store.erase([key("packed"), key("running"), key("queued"), key("nobody")])
        await asyncio.wait_for(reader, 10)
        assert packed.erased
        assert held.log.erased
        assert held.log.status == "cancelled"
        held.say("more")
        with pytest.raises((JournalSealed, Fenced)):
            await held.writer.flush()
        for name in ("packed", "running", "queued"):
            with pytest.raises(UnknownRequest):
                await store.log(key(name))
        assert await scribe.ids() == []
        assert await store.claim() is None

    async def test_an_id_can_be_used_again_after_its_erasure(self, store: Store, scribe: Scribe) -> None:
        """The new journal is another one, and an old cursor does not fit it."""
        old = await scribe.ended("r1", "old")
        await store.erase([key()])
        held = await scribe.running("r1", body_hash=b"other")
        assert held.log is not old
        assert held.log.check(old.cursor()) is not None
        assert await store.log(key()) is held.log

    async def test_a_follower_of_an_erased_request_may_run(self, store: Store, scribe: Scribe) -> None:
        """The one before being gone is as good as its being sealed."""
        await scribe.running("first")
        await scribe.open("second", after="first")
        assert await store.claim() is None
        await store.erase([key("first")])
        assert (await scribe.claim()).key == key("second")

    async def test_superseded_output_is_kept_in_the_log(self, store: Store, scribe: Scribe) -> None:
        """A packed journal still tells what an earlier attempt had said."""
        held = await scribe.running()
        held.say("wrong")
        await held.writer.flush()
        await held.begin("retry", attempt=2, keep="none")
        held.say("right")
        await held.complete()
        await store.compact()
        log = await store.log(key())
        assert text_of(log) == "wrongright"
        assert [part.text for part in log.fold().parts] == ["right"]
        assert log.superseded_at == [type(event) for event in log.events].index(ev.Started, 2)

    async def test_accounts_are_kept_by_term(self, store: Store, scribe: Scribe) -> None:
        """An account may come after the seal, and after the packing; the last one of a term holds."""
        log = await scribe.ended()
        await store.account(log.key, Account(term=1, running_ms=5))
        await store.account(log.key, Account(term=1, running_ms=7))
        await store.compact()
        await store.account(log.key, Account(term=2, running_ms=1, usage=ev.Usage(at=1, input_tokens=3)))
        assert [(account.term, account.running_ms) for account in await store.accounts(log.key)] == [
            (1, 7),
            (2, 1),
        ]
