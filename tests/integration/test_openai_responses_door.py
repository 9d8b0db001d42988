"""/v1/responses as OpenAI's unmodified SDK uses it: nothing of an answer is lost or told twice, wherever a reader breaks off."""

import asyncio
from contextlib import aclosing

import pytest
from openai import APIConnectionError, APIStatusError, APITimeoutError, BadRequestError, NotFoundError

from holdfast_protocol import events as ev
from holdfast_server.projections import versions
from holdfast_server.stores.base import JournalSealed
from tests.support.journals import ANN
from tests.support.openai_rig import openai_rig
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_text, scripted

WORDS = ("One ", "two ", "três ", "四 ", "five.")


@pytest.fixture
async def rig(tmp_path):
    """A node whose answers are written by pens."""
    async with openai_rig(tmp_path) as rig:
        yield rig


async def all_of(stream):
    """What a stream tells, to its end."""
    return [event.model_dump() async for event in stream]


async def asked(client, **more):
    """A response that runs in the background; its id."""
    given = {"model": "demo", "input": "Hi", "background": True} | more
    return (await client.responses.create(**given)).id


async def ended(rig, client, *texts, **more):
    """The id of a response that was answered so."""
    name = await asked(client, **more)
    await rig.answer(name, *(texts or WORDS))
    return name


async def test_every_cut_of_a_finished_answer_gives_the_rest(rig):
    """Whoever comes back with any sequence number gets exactly the events after it; with the last one, none."""
    async with rig.client() as client:
        name = await ended(rig, client)
        whole = await all_of(await client.responses.retrieve(name, stream=True))
        assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
        assert whole[-1]["type"] == "response.completed"
        for event in whole:
            after = event["sequence_number"]
            rest = await all_of(await client.responses.retrieve(name, stream=True, starting_after=after))
            assert rest == whole[after + 1 :]


@pytest.mark.parametrize("step", [1, 2, 5])
async def test_cutting_a_running_answer_after_every_nth_event_loses_nothing(rig, step):
    """A reader whose connection ends again and again while the answer is written has in the end what one has that stayed."""
    async with rig.client() as client:
        stream = await client.responses.create(model="demo", input="Hi", background=True, stream=True)
        have = [(await anext(stream)).model_dump()]
        name = have[0]["response"]["id"]
        stayed = asyncio.gather(all_of(await client.responses.retrieve(name, stream=True)))
        writing = asyncio.gather(rig.answer(name, *WORDS))
        while have[-1]["type"] != "response.completed":
            for _ in range(step):
                have.append((await anext(stream)).model_dump())
                if have[-1]["type"] == "response.completed":
                    break
            await stream.close()
            last = have[-1]["sequence_number"]
            stream = await client.responses.retrieve(name, stream=True, starting_after=last)
        await stream.close()
        await writing
        [whole] = await stayed
        assert have == whole


async def test_the_helper_replays_an_answer_that_has_ended(rig):
    """`responses.stream(response_id=...)` gathers the whole answer after its end, from the start or from the middle."""
    async with rig.client() as client:
        name = await ended(rig, client)
        for more in ({}, {"starting_after": 5}):
            async with client.responses.stream(response_id=name, **more) as stream:
                final = await stream.get_final_response()
            assert final.output_text == "".join(WORDS)
            assert (final.usage.input_tokens, final.usage.output_tokens) == (3, 5)


async def test_the_four_ways_to_ask(rig):
    """With `background` the object comes at once, without it at the end; with `stream` the events come in both cases."""
    async with rig.client() as client:
        name = await asked(client)
        queued = await client.responses.retrieve(name)
        assert (queued.status, queued.background, queued.output) == ("queued", True, [])
        await rig.answer(name, "Done.")
        assert (await client.responses.retrieve(name)).output_text == "Done."
        waiting = asyncio.gather(client.responses.create(model="demo", input="Hi", user="u-1"))
        await rig.answer((await rig.opened(2)).key.request_id, *WORDS)
        [response] = await waiting
        assert (response.status, response.output_text, response.user) == ("completed", "".join(WORDS), "u-1")
        for background in (True, False):
            stream = await client.responses.create(
                model="demo", input="Hi", stream=True, background=background
            )
            first = await anext(stream)
            await rig.answer(first.response.id, "So.")
            rest = await all_of(stream)
            assert rest[-1]["response"]["background"] is background
            assert rest[-1]["response"]["output"][0]["content"][0]["text"] == "So."


async def test_who_waits_too_long_gets_the_object_as_it_is(tmp_path):
    """A call without `background` ends at its bound with the running response, which goes on and can be got."""
    async with openai_rig(tmp_path, wait_max_s=0.05) as rig, rig.client() as client:
        raw = await client.responses.with_raw_response.create(model="demo", input="Hi")
        response = raw.parse()
        assert response.status == "queued"
        assert raw.headers["x-request-id"] == response.id.removeprefix("resp_")
        await rig.answer(response.id, "Late.")
        assert (await client.responses.retrieve(response.id)).output_text == "Late."


async def test_a_place_ahead_of_the_log_is_an_error(rig):
    """A sequence number that was never given is told as `cursor_ahead`, running or ended, and no stream begins."""
    async with rig.client() as client:
        name = await asked(client)
        for ahead in (2, 10_000):
            with pytest.raises(BadRequestError) as caught:
                await client.responses.retrieve(name, stream=True, starting_after=ahead)
            assert (caught.value.code, caught.value.param) == ("cursor_ahead", "starting_after")
        await rig.answer(name)
        whole = await all_of(await client.responses.retrieve(name, stream=True))
        with pytest.raises(BadRequestError, match=f"number {len(whole) - 1}"):
            await client.responses.retrieve(name, stream=True, starting_after=len(whole))


async def test_numbers_that_cannot_be_made_are_gone(rig, monkeypatch):
    """After its purge, or if another release numbered it, a response has its object and no stream."""
    async with rig.client() as client:
        name = await ended(rig, client, "Kept.")
        log = await rig.newest()
        log.purged = True
        for more in ({}, {"starting_after": 1}):
            with pytest.raises(APIStatusError) as caught:
                await client.responses.retrieve(name, stream=True, **more)
            assert (caught.value.status_code, caught.value.code) == (410, "purged")
        assert (await client.responses.retrieve(name)).output_text == "Kept."
        monkeypatch.setitem(versions.VERSIONS, "responses", 99)
        name = await ended(rig, client, "Kept.")
        with pytest.raises(APIStatusError) as caught:
            await client.responses.retrieve(name, stream=True)
        assert (caught.value.status_code, caught.value.code) == (410, "projection_unknown")
        assert (await client.responses.retrieve(name)).output_text == "Kept."


async def test_a_superseded_attempt_ends_incomplete_and_what_stands_follows(rig):
    """Text that a second attempt replaced is in no final object; who asks for events of ours is told what does not stand,
    and the numbers are the same for who does not."""
    async with rig.client() as client:
        name = await asked(client)
        pen = await rig.pen_of(name)
        await pen.say("Wrong")
        await pen.begin("none")
        await pen.say("Right")
        await pen.end()
        whole = await all_of(await client.responses.retrieve(name, stream=True, include=["holdfast.events"]))
        usual = await all_of(await client.responses.retrieve(name, stream=True))
        own = [event for event in whole if event["type"].startswith("holdfast.")]
        assert [event["type"] for event in own] == ["holdfast.superseded"]
        assert usual == [event for event in whole if event not in own]
        after = own[0]["sequence_number"]
        rest = await all_of(await client.responses.retrieve(name, stream=True, starting_after=after - 1))
        assert rest == [event for event in usual if event["sequence_number"] > after]
        assert (await client.responses.retrieve(name)).output_text == "Right"


async def test_cancel_is_idempotent_and_keeps_what_ended(rig):
    """A cancelled response is cancelled however often; one that has ended stays as it is; its streams end."""
    async with rig.client() as client:
        name = await asked(client)
        stream = await client.responses.retrieve(name, stream=True)
        for _ in range(2):
            assert (await client.responses.cancel(name)).status == "cancelled"
        last = (await all_of(stream))[-1]
        assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
        name = await ended(rig, client)
        assert (await client.responses.cancel(name)).status == "completed"


@pytest.mark.parametrize("stream", [True, False])
async def test_only_who_asks_for_it_ends_a_run_by_hanging_up(rig, stream):
    """A caller that goes leaves its run alone, unless it said by the header that both belong together."""
    async with rig.client() as client:
        for header, goes_on in (({}, True), ({"X-Cancel-On-Disconnect": "1"}, False)):
            if stream:
                events = await client.responses.create(
                    model="demo", input="Hi", stream=True, extra_headers=header
                )
                await events.close()
            else:
                with pytest.raises(APITimeoutError):
                    await client.with_options(timeout=0.3).responses.create(
                        model="demo", input="Hi", extra_headers=header
                    )
            log = await rig.newest()
            pen = await rig.pen_of(log.key.request_id)
            if goes_on:
                await pen.say(*WORDS)
                await pen.end()
                assert log.status == "completed"
                continue
            with pytest.raises(JournalSealed):
                await _write_on(pen)
            assert log.status == "cancelled"


async def _write_on(pen):
    """A stream notices at its next write that nobody reads; a call that waits looks now and then."""
    async with asyncio.timeout(10):
        while True:
            await pen.say("more ")
            await asyncio.sleep(0.05)


async def test_delete(rig):
    """A deleted response is not there any more, running or not."""
    async with rig.client() as client:
        for name in (await asked(client), await ended(rig, client)):
            await client.responses.delete(name)
            with pytest.raises(NotFoundError) as caught:
                await client.responses.retrieve(name)
            assert caught.value.code == "response_not_found"


async def test_others_have_nothing_of_it(rig):
    """What is somebody else's looks like what never was, through every call."""
    async with rig.client() as client, rig.client("bob-token") as other:
        name = await ended(rig, client)
        for call in (
            other.responses.retrieve(name),
            other.responses.retrieve(name, stream=True, starting_after=1),
            other.responses.cancel(name),
            other.responses.delete(name),
            other.responses.input_items.list(name),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.code == "response_not_found"
        with pytest.raises(BadRequestError) as refused:
            await other.responses.create(model="demo", input="Hi", previous_response_id=name)
        assert refused.value.code == "previous_response_not_found"


async def test_one_key_is_one_response(rig):
    """The same call under one Idempotency-Key is one run; another body under it is a conflict."""
    async with rig.client() as client:
        headers = {"Idempotency-Key": "once, please"}
        names = {await asked(client, extra_headers=headers) for _ in range(2)}
        assert len(names) == 1
        with pytest.raises(APIStatusError) as caught:
            await asked(client, input="Other", extra_headers=headers)
        error = caught.value
        assert (error.status_code, error.code, error.param) == (409, "request_conflict", "Idempotency-Key")


async def test_what_is_not_stored_is_gone_once_it_was_read(rig):
    """With `store: false` the answer is erased when its end was handed over, and not before, should the reader break off."""
    async with rig.client() as client:
        stream = await client.responses.create(model="demo", input="Hi", stream=True, store=False)
        name = (await anext(stream)).response.id
        await stream.close()
        await rig.answer(name, *WORDS)
        rest = await all_of(await client.responses.retrieve(name, stream=True, starting_after=0))
        assert rest[-1]["type"] == "response.completed"
        await rig.emptied()
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(name)
        with pytest.raises(BadRequestError) as caught:
            await asked(client, store=False)
        assert (caught.value.code, caught.value.param) == ("unsupported_value", "background")


async def test_a_closing_server_breaks_streams_off(rig):
    """A stream that ends before its answer does not look whole; the reader goes on where it is."""
    async with rig.client() as client:
        stream = await client.responses.create(model="demo", input="Hi", stream=True)
        await anext(stream)
        rig.reception.close()
        with pytest.raises(APIConnectionError):
            await all_of(stream)


async def test_the_sdk_takes_what_keeps_a_silent_line_alive(tmp_path):
    """Between two events the line is kept alive, and the SDK reads on."""
    async with openai_rig(tmp_path, keep_alive_s=0.02) as rig, rig.client() as client:
        stream = await client.responses.create(model="demo", input="Hi", stream=True)
        name = (await anext(stream)).response.id
        pen = await rig.pen_of(name)
        for word in WORDS[:2]:
            await pen.say(word)
            await asyncio.sleep(0.1)
        await pen.end()
        rest = await all_of(stream)
        assert rest[-1]["response"]["output"][0]["content"][0]["text"] == "".join(WORDS[:2])


async def test_a_failure_is_told_as_one(rig):
    """A response whose request failed is `failed`, with an error, in the object and in the stream."""
    async with rig.client() as client:
        name = await asked(client)
        pen = await rig.pen_of(name)
        await pen.put(ev.Failed(at=rig.now_ms(), code="upstream", message="It is down.", retryable=True))
        response = await client.responses.retrieve(name)
        assert (response.status, response.error.message) == ("failed", "It is down.")
        last = (await all_of(await client.responses.retrieve(name, stream=True)))[-1]
        assert last["type"] == "response.failed"


async def test_a_long_answer_is_folded_in_pieces(rig):
    """Getting a long answer anew lets others have the loop in between."""
    async with rig.client() as client:
        name = await asked(client)
        pen = await rig.pen_of(name)
        await pen.say(*["word "] * 1000)
        await pen.end()
        assert len((await client.responses.retrieve(name)).output_text) == 5000
        rest = await all_of(await client.responses.retrieve(name, stream=True, starting_after=900))
        assert rest[0]["sequence_number"] == 901
        assert len((await rig.requests.find(ANN, name[5:])).events) > 1000


async def test_numbers_survive_the_end_of_the_process(tmp_path):
    """After a kill and a restart of the server a reader goes on with the number it has, in an answer of before and in one
    that was cut off."""
    script = Script(deltas=30, gap_ms=20)
    async with Upstream() as upstream:
        toml = openai_toml(upstream.base_url, extra="[server]\npage = false\n")
        async with Server(tmp_path, toml=toml) as server:
            client = _client(server)
            first = await client.responses.create(model="model", input=scripted("A", script), stream=True)
            before = await all_of(first)
            name = before[0]["response"]["id"]
            cut = await client.responses.create(
                model="model", input=scripted("B", script), stream=True, background=True
            )
            have = []
            async with aclosing(cut.__aiter__()) as events:
                async for event in events:
                    have.append(event.model_dump())
                    if len(have) > 12:
                        break
            await server.kill()
            await server.start()
            for after in (0, len(before) // 2, len(before) - 1):
                rest = await all_of(await client.responses.retrieve(name, stream=True, starting_after=after))
                assert rest == before[after + 1 :]
            last = have[-1]["sequence_number"]
            other = have[0]["response"]["id"]
            have += await all_of(await client.responses.retrieve(other, stream=True, starting_after=last))
            assert have == await all_of(await client.responses.retrieve(other, stream=True))
            assert (await client.responses.retrieve(other)).output_text == expected_text(script)
            await client.close()


def _client(server):
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="any", max_retries=0)
