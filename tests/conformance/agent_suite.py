"""What every agent keeps to: subclass AgentSuite, say how to make the agent, and the port's promises are tested.

    class TestMine(AgentSuite):
        async def make(self):
            return my_agent

The heart of it is a claim boundary after each output: whatever the agent has yielded up to there is written, the run is
given up as a crash or a hand-over would, and the agent is entered again as its own `recovery` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold
from holdfast_protocol.transcript import Transcript
from holdfast_server.agents import Agent, Context, End, Message, Output, Wait
from holdfast_server.composer import Composer
from holdfast_server.recovery import kept
from holdfast_server.stores.base import InboxItem, Owner

CLOSE_S = 2.0  # an agent closes what it has open far sooner than the runner's grace
OUTPUTS_MAX = 2_000  # of one run in the suite: give the agent something short to do


class Journal:
    """The writer's side of one request, without a store."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = [ev.Accepted(at=0, nonce="00000000", agent="a")]
        self.inbox: list[InboxItem] = []
        self.composer = Composer(self.events)
        self.parked: ev.Waiting | None = None
        self.finish: str | None = None

    def start(self, attempt: int, term: int, keep: ev.Keep, reason: ev.Reason) -> None:
        self.events += self.composer.started(
            term, attempt=attempt, term=term, nonce=f"{term:08x}", keep=keep, reason=reason
        )
        self.events += self.composer.decided(self.inbox, term)
        self.composer.entered()

    @property
    def transcript(self) -> Transcript:
        return fold(self.events)

    def decide(self, value: Any) -> None:
        assert self.parked is not None
        self.events.append(self.parked)
        self.inbox.append(
            InboxItem(kind="decision", id=self.parked.wait_id, at=1, digest=self.parked.digest, value=value)
        )
        self.parked = None
        self.composer = Composer(self.events)


class AgentSuite:
    """The promises of the agent port."""

    prompt = "Say something short."
    options: ClassVar[dict[str, Any]] = {}
    deterministic = True  # the same request gives the same text
    decision: Any = True  # what a person answers if the agent asks

    async def make(self) -> Agent:
        """A new agent, ready to run."""
        raise NotImplementedError

    # -- tools -----------------------------------------------------------------------------------------------

    def messages(self) -> Sequence[Message]:
        return [Message("user", "Hello."), Message("assistant", "Hello!"), Message("user", self.prompt)]

    def context(self, journal: Journal, steps: dict[str, Any]) -> Context:
        started = journal.composer.fold.started
        assert started is not None

        async def step(name: str, fn: Any) -> Any:
            if name not in steps:
                steps[name] = await fn()
            return steps[name]

        return Context(
            request_id="suite", owner=Owner("", "local"), chat_id=None, messages=self.messages(),
            options=dict(self.options), attempt=started.attempt, reason=started.reason,
            transcript=journal.transcript, inputs=tuple(journal.inbox), step=step,
        )  # fmt: skip

    async def play(
        self, agent: Agent, journal: Journal, steps: dict[str, Any], stop_after: int = OUTPUTS_MAX
    ) -> int:
        """Run the agent into the journal until it ends, waits, or has yielded so many outputs; how many it did."""
        count = 0
        outputs: Any = agent.run(self.context(journal, steps))
        async with aclosing(outputs):
            async for output in outputs:
                count += 1
                assert count <= OUTPUTS_MAX, "give the agent something shorter to do"
                if isinstance(output, Wait):
                    assert agent.profile.resumable, "an agent that waits is entered again"
                    events, journal.parked = journal.composer.waiting(output, 1)
                    journal.events += events
                    return count
                self.take(journal, output)
                if count == stop_after:
                    return count
        journal.finish = journal.finish or "stop"
        return count

    def take(self, journal: Journal, output: Output) -> None:
        if isinstance(output, End):
            journal.finish = output.finish
        else:
            journal.events += journal.composer.compose(output, 1)

    async def complete(
        self, agent: Agent, journal: Journal, steps: dict[str, Any], term: int, attempt: int
    ) -> Transcript:
        """Run on to the end, deciding whatever is asked on the way."""
        for _ in range(10):
            await self.play(agent, journal, steps)
            if journal.parked is None:
                break
            journal.decide(self.decision)
            term += 1
            journal.start(attempt, term, "all", "resumed")
        assert journal.parked is None, "it asks again and again"
        journal.events += journal.composer.ended(ev.Completed(at=9, code=journal.finish or "stop"))
        return journal.transcript

    async def whole(self, agent: Agent) -> tuple[Transcript, int]:
        """An undisturbed answer, and how many outputs its first run had."""
        journal, steps = Journal(), dict[str, Any]()
        journal.start(1, 1, "all", "first")
        count = await self.play(agent, journal, steps)
        if journal.parked is not None:
            journal.decide(self.decision)
            journal.start(1, 2, "all", "resumed")
            return await self.complete(agent, journal, steps, 2, 1), count
        journal.events += journal.composer.ended(ev.Completed(at=9, code=journal.finish or "stop"))
        return journal.transcript, count

    # -- promises --------------------------------------------------------------------------------------------

    async def test_it_is_an_agent(self):
        """It has a profile with a name, and the two methods of the port."""
        agent = await self.make()
        assert isinstance(agent, Agent)
        assert agent.profile.name
        await agent.close()

    async def test_what_it_yields_can_be_written(self):
        """Every output is lawful where it comes, the answer is not empty, and nothing is left running at its end."""
        agent = await self.make()
        transcript, _ = await self.whole(agent)
        assert transcript.parts
        assert transcript.status == "completed"
        states = [getattr(part, "state", "done") for part in transcript.parts]
        assert not {"running", "input", "unknown"} & set(states)
        await agent.close()

    async def test_the_same_request_gives_the_same_text(self):
        """Where an agent says that it is deterministic, two runs agree in text and shape."""
        agent = await self.make()
        if self.deterministic:
            first, second = (await self.whole(agent))[0], (await self.whole(agent))[0]
            assert first.text == second.text
            assert [type(part) for part in first.parts] == [type(part) for part in second.parts]
        await agent.close()

    async def test_a_claim_boundary_after_each_output(self):
        """Given up after any output and entered again as its recovery says, it comes to the same end; what it continues is
        not said twice."""
        agent = await self.make()
        whole, count = await self.whole(agent)
        recovery = agent.profile.recovery
        for boundary in range(1, count + 1):
            journal, steps = Journal(), dict[str, Any]()
            journal.start(1, 1, "all", "first")
            await self.play(agent, journal, steps, boundary)
            if journal.parked is not None:
                journal.decide(self.decision)
                journal.start(1, 2, "all", "resumed")
                transcript = await self.complete(agent, journal, steps, 2, 1)
            elif recovery == "interrupt":
                journal.events += journal.composer.ended(ev.Interrupted(at=9, code="not_repeatable"))
                assert journal.transcript.status == "interrupted"
                continue
            else:
                journal.composer = Composer(journal.events)
                keep: ev.Keep = "all" if recovery == "continue" else kept(journal.composer.fold)
                journal.finish = None
                journal.start(2, 2, keep, "recovered")
                transcript = await self.complete(agent, journal, steps, 2, 2)
            if self.deterministic:
                assert transcript.text == whole.text, f"given up after output {boundary}"
        await agent.close()

    async def test_it_ends_when_it_is_cancelled(self):
        """Cancelled wherever it waits, it closes what it has open, soon, and lets the cancellation through."""
        agent = await self.make()
        loop = asyncio.get_running_loop()
        for turns in (0, 1, 2, 3, 5, 8, 13):
            journal, steps = Journal(), dict[str, Any]()
            journal.start(1, 1, "all", "first")
            task = loop.create_task(self.play(agent, journal, steps))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=CLOSE_S)
            assert done, "it holds on to its cancellation"
            assert task.cancelled() or task.exception() is None
        await agent.close()

    async def test_it_can_be_left_in_its_middle(self):
        """Closed between two outputs, as after a Wait, it ends without another."""
        agent = await self.make()
        journal = Journal()
        journal.start(1, 1, "all", "first")
        outputs: Any = agent.run(self.context(journal, {}))
        iterator: AsyncIterator[Output] = aiter(outputs)
        await anext(iterator)
        await asyncio.wait_for(outputs.aclose(), CLOSE_S)
        await agent.close()

    async def test_runs_do_not_disturb_each_other(self):
        """Several runs at once give each what one gives alone."""
        agent = await self.make()
        alone, _ = await self.whole(agent)
        together = await asyncio.gather(*(self.whole(agent) for _ in range(4)))
        if self.deterministic:
            assert {transcript.text for transcript, _ in together} == {alone.text}
        await agent.close()
