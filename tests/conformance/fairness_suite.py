"""What every store promises about turns: who is claimed next, who waits at a limit, and what is told of that.

Whoever subclasses it says how a store with limits is made. `agents_max` of the tests: SLOW has room for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from holdfast_server.stores.base import Owner, Priority, Spot, Store
from tests.support.journals import ANN, BOB, Clock
from tests.support.scribe import Held, Scribe, cancelled, key

SLOW: Final = "slow"
"""The agent of which one may run."""

LOW_WAITS_MS: Final = 60_000
"""How long what is low steps back behind everybody's requests."""

CAT: Final = Owner("acme", "cat")


class FairnessSuite:
    """The promises, one by one."""

    def fair(
        self, folder: Path, clock: Clock, *, owner_running_max: int | None, agents_max: dict[str, int]
    ) -> Store:
        """A store that is not started, with these limits. All owners of the tests must be in one queue."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    async def line(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Line]:
        """A store in which a user may run any number."""
        store = self.fair(tmp_path, clock, owner_running_max=None, agents_max={SLOW: 1})
        await store.start()
        yield Line(store, clock)
        await store.close()

    @pytest.fixture
    async def strict(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Line]:
        """A store in which a user may run two."""
        store = self.fair(tmp_path, clock, owner_running_max=2, agents_max={SLOW: 1})
        await store.start()
        yield Line(store, clock)
        await store.close()

    # -- users -----------------------------------------------------------------------------------------------

    async def test_a_thousand_of_one_do_not_delay_anothers_one(self, line: Line) -> None:
        """Whoever has fewest running is next, however many somebody else asked before."""
        await asyncio.gather(*(line.ask(f"a{number:03}", ANN) for number in range(300)))
        await line.claims(5)
        await line.ask("b", BOB)
        assert await line.claims(1) == ["b"]

    async def test_how_many_run_counts_before_when_one_was_served(self, line: Line) -> None:
        """Of whom fewer run is next, though it was their turn a moment ago."""
        await line.ask_all("a0 a1 a2", ANN)
        await line.claims(2)
        await line.ask_all("b0 b1", BOB)
        assert await line.claims(2) == ["b0", "b1"]

    async def test_a_finished_turn_counts_too(self, line: Line) -> None:
        """If equally many run of two, the one who was served longest ago is next: they take turns."""
        await line.ask_all("a0 a1 a2", ANN)
        await line.ask_all("b0 b1 b2", BOB)
        order = []
        for _ in range(6):
            held = await line.scribe.claim()
            order.append(held.key.user)
            await line.end(held)
        assert order in (["ann", "bob"] * 3, ["bob", "ann"] * 3)

    async def test_a_place_is_when_one_was_served_or_began_to_wait(self, line: Line) -> None:
        """Of two of whom equally many run, who was served, or asked with nothing in the queue, longest ago is next."""
        await line.ask_all("a0 a1 a2", ANN)
        await line.end(await line.scribe.claim())
        await line.ask("b0", BOB)
        await line.end(await line.scribe.claim())
        await line.ask("c0", CAT)
        await line.ask("b1", BOB)
        order = []
        for _ in range(4):
            held = await line.scribe.claim()
            order.append(held.key.request_id)
            await line.end(held)
        assert order == ["b0", "a2", "c0", "b1"]

    async def test_new_users_do_not_starve_an_old_one(self, line: Line) -> None:
        """However many come who never had anything: who was served before has a turn when those who waited then had theirs."""
        await line.ask_all("a0 a1 a2", ANN)
        await line.end(await line.scribe.claim())
        order = []
        for number in range(12):
            for late in range(2):
                name = f"n{number}-{late}"
                await line.ask(name, Owner("acme", name))
            held = await line.scribe.claim()
            order.append(held.key.request_id)
            await line.end(held)
        assert [order.index("a1"), order.index("a2")] == [0, 3]

    async def test_low_keeps_its_place_when_it_counts_as_normal(self, line: Line) -> None:
        """Its user has waited since it was asked, not since its minute was over."""
        await line.ask("l0", ANN, "low")
        await line.ask_all("b0 b1", BOB)
        line.clock.now += LOW_WAITS_MS
        assert await line.claims(3) == ["l0", "b0", "b1"]

    async def test_waiting_for_a_time_is_not_waiting_for_a_turn(self, line: Line) -> None:
        """Whoever asked for later begins to wait when the time has come: nobody keeps a place by that."""
        await line.ask("a0", ANN, not_before=line.clock.now + 5_000)
        assert await line.store.claim() is None
        await line.ask("b0", BOB)
        line.clock.now += 5_000
        assert await line.claims(2) == ["b0", "a0"]

    async def test_a_user_at_the_limit_waits_and_goes_on(self, strict: Line) -> None:
        """No more than so many of one user run; when one ends the next may, and others never wait for that."""
        await strict.ask_all("a0 a1 a2 a3", ANN)
        first, _ = await strict.scribe.claim(), await strict.scribe.claim()
        assert await strict.store.claim() is None
        await strict.ask("b0", BOB)
        assert await strict.claims(1) == ["b0"]
        waiter = asyncio.ensure_future(strict.store.claimable())
        await asyncio.sleep(0)
        assert not waiter.done()
        await strict.end(first)
        await asyncio.wait_for(waiter, 10)
        assert await strict.claims(1) == ["a2"]
        assert await strict.store.claim() is None

    async def test_every_way_to_end_gives_the_slot_back(self, strict: Line) -> None:
        """A cancel, a park, a hand-over and an erased chat free what they held, once."""
        await strict.ask_all("a0 a1 a2 a3 a4 a5", ANN)
        one, two = await strict.scribe.claim(), await strict.scribe.claim()
        await strict.store.seal(one.key, cancelled())
        three = await strict.scribe.claim()
        assert await strict.store.claim() is None
        await two.begin()
        await strict.store.park(two.claim, 0, two.wait())
        four = await strict.scribe.claim()
        assert await strict.store.claim() is None
        await three.begin()
        await strict.store.release(three.claim)
        assert (await strict.scribe.claim()).claim.how == "handed_over"
        assert await strict.store.claim() is None
        await strict.store.erase([four.key])
        assert await strict.claims(1) == ["a4"]
        assert await strict.store.claim() is None

    # -- priorities ------------------------------------------------------------------------------------------

    async def test_priorities_order_the_requests_of_one_user(self, line: Line) -> None:
        """High before normal before low, and the oldest first among equals."""
        for name, priority in (
            ("l0", "low"),
            ("n0", "normal"),
            ("h0", "high"),
            ("n1", "normal"),
            ("h1", "high"),
        ):
            await line.ask(name, ANN, priority)  # type: ignore[arg-type]
        await line.ask("l1", ANN, "low")
        assert await line.claims(6) == ["h0", "h1", "n0", "n1", "l0", "l1"]

    async def test_high_does_not_pass_other_users(self, line: Line) -> None:
        """A priority is among one's own: nobody gets more turns by asking for high."""
        await line.ask_all("a0 a1 a2", ANN, "high")
        await line.ask_all("b0 b1 b2", BOB)
        first_four = await line.claims(4)
        assert sorted(name[0] for name in first_four) == ["a", "a", "b", "b"]

    async def test_low_steps_back_behind_everybody(self, line: Line) -> None:
        """What is low runs when nobody has anything else, though its user runs less than the others."""
        await line.ask("l0", ANN, "low")
        await line.ask_all("b0 b1 b2", BOB)
        assert await line.claims(4) == ["b0", "b1", "b2", "l0"]

    async def test_low_is_not_starved(self, line: Line) -> None:
        """Once it has waited for a minute it stands in the row like the others."""
        await line.ask("l0", ANN, "low")
        line.clock.now += LOW_WAITS_MS - 1
        await line.ask_all("b0 b1 b2", BOB)
        assert await line.claims(1) == ["b0"]
        line.clock.now += 1
        assert await line.claims(1) == ["l0"]

    # -- agents ----------------------------------------------------------------------------------------------

    async def test_an_agent_at_its_limit_stops_nobody_else(self, line: Line) -> None:
        """No more than so many of an agent run; what others asked of other agents, and its own user, passes it."""
        await line.ask("s0", ANN, agent=SLOW)
        await line.ask("s1", ANN, agent=SLOW)
        await line.ask("a0", ANN)
        await line.ask("s2", BOB, agent=SLOW)
        await line.ask("b0", BOB)
        held = await line.scribe.claim()
        while held.log.record.agent != SLOW:
            held = await line.scribe.claim()
        rest = await line.claims_all()
        assert not {"s0", "s1", "s2"} & set(rest)
        waiter = asyncio.ensure_future(line.store.claimable())
        await asyncio.sleep(0)
        assert not waiter.done()
        await line.end(held)
        await asyncio.wait_for(waiter, 10)
        assert len(slow := await line.claims_all()) == 1
        assert slow[0].startswith("s")

    async def test_an_agents_turns_are_fair_too(self, line: Line) -> None:
        """Whoever of its users has fewest running gets the agent's next slot."""
        await line.ask("s0", ANN, agent=SLOW)
        await line.ask("s1", ANN, agent=SLOW)
        first = await line.scribe.claim()
        await line.ask("s2", BOB, agent=SLOW)
        await line.ask("a0", ANN)
        await line.claims(1)
        await line.end(first)
        assert await line.claims(1) == ["s2"]

    # -- spots -----------------------------------------------------------------------------------------------

    async def test_spots_are_the_order_of_claims(self, line: Line) -> None:
        """What is told is what then happens: place n is claimed after n others."""
        await line.ask_all("a0 a1 a2", ANN)
        await line.ask("a3", ANN, "high")
        await line.ask("l0", CAT, "low")
        await line.ask_all("b0 b1", BOB)
        await line.claims(1)
        names = ["a0", "a1", "a2", "b0", "b1", "l0"]
        spots = await line.spots(*names)
        assert {spot.reason for spot in spots.values()} == {"slots"}
        assert sorted(spot.place for spot in spots.values()) == list(range(6))
        told = sorted(spots, key=lambda name: spots[name].place)
        assert await line.claims(6) == told

    async def test_spots_change_as_things_change(self, line: Line) -> None:
        """A claim, a cancel and another's turn move those behind; what runs or has ended is left out."""
        await line.ask_all("a0 a1 a2", ANN)
        assert (await line.spots("a2"))["a2"].place == 2
        await line.claims(1)
        assert (await line.spots("a0", "a2")).keys() == {"a2"}
        assert (await line.spots("a2"))["a2"].place == 1
        await line.store.seal(key("a1"), cancelled())
        assert (await line.spots("a1", "a2", "nobody"))["a2"].place == 0
        await line.ask("b0", BOB)
        assert (await line.spots("a2"))["a2"].place == 1

    async def test_spots_tell_what_the_user_waits_for(self, strict: Line) -> None:
        """Who runs as many as one may waits for one of these, and others are not before them for that."""
        await strict.ask_all("a0 a1 a2", ANN)
        held = await strict.scribe.claim()
        await strict.claims(1)
        await strict.ask("b0", BOB)
        spots = await strict.spots("a2", "b0")
        assert (spots["a2"].reason, spots["b0"].reason, spots["b0"].place) == ("user", "slots", 0)
        await strict.end(held)
        assert (await strict.spots("a2"))["a2"].reason == "slots"

    async def test_spots_tell_what_the_agent_waits_for(self, line: Line) -> None:
        """What waits for its agent says so, and is not before what asked another."""
        await line.ask("s0", ANN, agent=SLOW)
        held = await line.scribe.claim()
        await line.ask("s1", BOB, agent=SLOW)
        await line.ask("c0", CAT)
        spots = await line.spots("s1", "c0")
        assert (spots["s1"].reason, spots["c0"].reason, spots["c0"].place) == ("agent", "slots", 0)
        await line.end(held)
        assert (await line.spots("s1"))["s1"].reason == "slots"

    async def test_spots_tell_of_the_chat_and_the_time(self, line: Line) -> None:
        """What follows another waits for its end, and what is for later for its time, of which it is known how long."""
        await line.ask("a0", ANN)
        held = await line.scribe.claim()
        await line.ask("a1", ANN, after="a0")
        await line.ask("a2", ANN, not_before=line.clock.now + 5_000)
        assert await line.store.claim() is None
        spots = await line.spots("a1", "a2")
        assert (spots["a1"].reason, spots["a2"].reason) == ("after", "not_before")
        assert spots["a2"].estimate_s == pytest.approx(5, abs=0.5)
        await line.end(held)
        line.clock.now += 5_000
        spots = await line.spots("a1", "a2")
        assert (spots["a1"].reason, spots["a2"].reason) == ("slots", "slots")

    async def test_an_estimate_is_made_of_what_was_seen(self, line: Line) -> None:
        """Before anything was seen nobody can tell; then whoever is further back is told a longer time."""
        await line.ask_all(" ".join(f"a{number}" for number in range(20)), ANN)
        assert (await line.spots("a19"))["a19"].estimate_s is None
        for _ in range(8):
            held = await line.scribe.claim()
            line.clock.now += 1_000
            await line.end(held)
        spots = await line.spots("a9", "a19")
        near, far = spots["a9"].estimate_s, spots["a19"].estimate_s
        assert near is None or far is None or 0 < near < far


class Line:
    """A store, and who stands in line at it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.scribe = Scribe(store, clock)
        self._owners: dict[str, Owner] = {}

    async def ask(self, name: str, owner: Owner = ANN, priority: Priority = "normal", **fields: Any) -> None:
        """A request, asked now."""
        self._owners[name] = owner
        fields = {"created_at": self.clock.now, **fields}
        await self.scribe.open(name, owner=owner, priority=priority, **fields)

    async def ask_all(self, names: str, owner: Owner = ANN, priority: Priority = "normal") -> None:
        """Several, one after the other."""
        for name in names.split():
            await self.ask(name, owner, priority)

    async def claims(self, count: int) -> list[str]:
        """The next claims; there must be so many."""
        return [(await self.scribe.claim()).key.request_id for _ in range(count)]

    async def claims_all(self) -> list[str]:
        """Claims until there is none."""
        names: list[str] = []
        while (claim := await self.store.claim()) is not None:
            names.append(claim.log.key.request_id)
        return names

    async def end(self, held: Held) -> None:
        """It ends well."""
        await held.begin()
        await held.complete()

    async def spots(self, *names: str) -> dict[str, Spot]:
        """Where these stand, by name."""
        keys: Sequence[Any] = [key(name, self._owners.get(name, ANN)) for name in names]
        return {found.request_id: spot for found, spot in (await self.store.spots(keys)).items()}
