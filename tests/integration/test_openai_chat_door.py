"""/v1/chat/completions as OpenAI's unmodified SDK uses it, streaming and not."""

import asyncio
import contextlib
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientSession
from openai import (
    APIConnectionError,
    APIError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
)

from holdfast_protocol import events as ev
from holdfast_protocol.commands import InputMessage, InputToolCall
from tests.support.journals import ANN
from tests.support.openai_rig import openai_rig
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, ToolCall, Upstream, expected_text, scripted

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
async def rig(tmp_path):
    """A node whose answers are written by pens."""
    async with openai_rig(tmp_path) as rig:
        yield rig


async def test_a_completion_is_made_and_kept(rig):
    """A call waits for its answer, with usage; the answer can be got again, and as a response."""
    async with rig.client() as client:
        call = client.chat.completions.create(
            model="demo", messages=[{"role": "developer", "content": "Brief."}, *HI], metadata={"a": "b"}
        )
        waiting = asyncio.gather(call)
        name = (await rig.opened(1)).key.request_id
        await rig.answer(name, "Hello ", "there.")
        [completion] = await waiting
        choice = completion.choices[0]
        assert (choice.finish_reason, choice.message.content) == ("stop", "Hello there.")
        assert (completion.usage.prompt_tokens, completion.usage.total_tokens) == (3, 8)
        assert completion.id == f"chatcmpl-{name}"
        assert completion._request_id == name
        again = await client.chat.completions.retrieve(completion.id)
        assert again.metadata == {"a": "b"}
        assert again.choices == completion.choices
        assert (await client.responses.retrieve(f"resp_{name}")).output_text == "Hello there."
        messages = (await rig.newest()).record.messages
        assert messages == [
            InputMessage(role="system", text="Brief."),
            InputMessage(role="user", text="Hi"),
        ]
        assert (await client.chat.completions.delete(completion.id)).deleted
        with pytest.raises(NotFoundError) as caught:
            await client.chat.completions.retrieve(completion.id)
        assert caught.value.code == "completion_not_found"


@pytest.mark.parametrize(
    ("tier", "priority"), [("flex", "low"), ("priority", "high"), ("auto", "normal"), ("default", "normal")]
)
async def test_a_tier_is_a_priority(rig, tier, priority):
    """`service_tier` is the request's order in the queue, over both calls."""
    async with rig.client() as client:
        response = await client.responses.create(model="demo", input="Hi", background=True, service_tier=tier)
        name = response.id.removeprefix("resp_")
        assert (await rig.requests.find(ANN, name)).record.priority == priority
        call = asyncio.ensure_future(
            client.chat.completions.create(model="demo", messages=HI, service_tier=tier)
        )
        log = await rig.opened(2)
        assert log.record.priority == priority
        await rig.requests.cancel(ANN, log.key.request_id)
        with contextlib.suppress(APIError):
            await call


@pytest.mark.parametrize(
    ("given", "shown"),
    [({"service_tier": "priority"}, "priority"), ({"service_tier": "auto"}, "default"), ({}, None)],
)
async def test_a_tier_is_shown_where_it_was_given(rig, given, shown):
    """In a response, in its events, in a completion and in each of its chunks; `auto` is what it comes to."""
    async with rig.client() as client:
        response = await client.responses.create(model="demo", input="Hi", background=True, **given)
        await rig.answer(response.id, "Hello.")
        events = [event async for event in await client.responses.retrieve(response.id, stream=True)]
        stream = await client.chat.completions.create(model="demo", messages=HI, stream=True, **given)
        log = await rig.opened(2)
        await rig.answer(log.key.request_id, "Hello.")
        chunks = [chunk async for chunk in stream]
        completion = await client.chat.completions.retrieve(f"chatcmpl-{log.key.request_id}")
        for value in (response, events[0].response, events[-1].response, completion, *chunks):
            assert value.service_tier == shown
            assert ("service_tier" in value.model_fields_set) == bool(given)


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_completion_streams(rig, include_usage):
    """Chunks come as they are written, with the tokens at the end for who wants them; the request takes no text back."""
    async with rig.client() as client:
        stream = await client.chat.completions.create(
            model="demo", messages=HI, stream=True, stream_options={"include_usage": include_usage}
        )
        log = await rig.newest()
        assert log.record.append_only
        assert stream.response.headers["x-request-id"] == log.key.request_id
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        await rig.answer(log.key.request_id, "One ", "two.")
        chunks = [chunk async for chunk in stream]
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert "".join(texts) == "One two."
        assert chunks[-1].usage.total_tokens == 8 if include_usage else chunks[-1].usage is None
        finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
        assert [reason for reason in finishes if reason] == ["stop"]


async def test_tool_calls_go_round(rig):
    """Calls come out of the stream, and go back in with their results as the conversation so far."""
    async with rig.client() as client:
        stream = await client.chat.completions.create(
            model="demo", messages=HI, stream=True, tools=[TOOL], parallel_tool_calls=False
        )
        log = await rig.newest()
        assert log.record.options == {"tools": [TOOL], "parallel_tool_calls": False}
        await rig.call_tools(log.key.request_id, ("c1", "weather", '{"a":1}'))
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        shown = (await client.chat.completions.retrieve(f"chatcmpl-{log.key.request_id}")).choices[0].message
        result = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "Rain"}]}
        stream = await client.chat.completions.create(
            model="demo", messages=[*HI, shown.model_dump(), result], stream=True
        )
        assert (await rig.newest()).record.messages == [
            InputMessage(role="user", text="Hi"),
            InputMessage(
                role="assistant",
                tool_calls=[InputToolCall(call_id="c1", name="weather", arguments='{"a":1}')],
            ),
            InputMessage(role="tool", call_id="c1", text="Rain"),
        ]
        await stream.close()


async def test_what_takes_too_long_is_pending(tmp_path):
    """A call that waits no longer says under which name its answer will be; the SDK does not ask twice."""
    async with openai_rig(tmp_path, wait_max_s=0.05) as rig, rig.client() as client:
        with pytest.raises(InternalServerError) as caught:
            await client.with_options(max_retries=2).chat.completions.create(model="demo", messages=HI)
        assert (caught.value.status_code, caught.value.code) == (504, "pending")
        name = caught.value.request_id or ""
        rows, _ = await rig.requests.list_requests(ANN, True, None, 9, None)
        assert [row.request_id for row in rows] == [name]
        with pytest.raises(ConflictError) as refused:
            await client.chat.completions.retrieve(f"chatcmpl-{name}")
        assert refused.value.code == "pending"
        await rig.answer(name, "Late.")
        again = await client.chat.completions.retrieve(f"chatcmpl-{name}")
        assert again.choices[0].message.content == "Late."


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_not_stored_is_gone_once_it_was_read(rig, stream):
    """With `store: false` an answer is erased when it was handed over, and so is a failure."""
    async with rig.client() as client:
        for failed in (False, True):
            call = client.chat.completions.create(model="demo", messages=HI, stream=stream, store=False)
            waiting = asyncio.gather(call)
            name = (await rig.opened(1)).key.request_id
            pen = await rig.pen(name)
            await pen.say("So.")
            if failed:
                await pen.put(ev.Failed(at=1, code="upstream", message="It is down."))
            else:
                await pen.end()
            with pytest.raises(APIError) if failed else contextlib.nullcontext():
                [got] = await waiting
                if stream:
                    assert [chunk async for chunk in got]
            await rig.emptied()


async def test_a_failure_is_an_error(rig):
    """An answer that is not whole is never told as one: a status for who waits, an error in the stream."""
    async with rig.client() as client:
        failed = ev.Failed(at=1, code="upstream", message="It is down.")
        waiting = asyncio.gather(client.chat.completions.create(model="demo", messages=HI))
        name = (await rig.opened(1)).key.request_id
        await (await rig.pen(name)).put(failed)
        with pytest.raises(InternalServerError, match="It is down") as caught:
            await waiting
        assert (caught.value.status_code, caught.value.code) == (500, "upstream")
        stream = await client.chat.completions.create(model="demo", messages=HI, stream=True)
        pen = await rig.pen((await rig.newest()).key.request_id)
        await pen.say("Half")
        await pen.put(failed)
        with pytest.raises(APIError, match="It is down") as broken:
            [_ async for _ in stream]
        assert broken.value.code == "upstream"


async def test_an_option_that_the_agent_refuses_is_the_callers_mistake(rig):
    """What fails as `bad_option` is told as a wrong request, which nobody should repeat, and not as a broken server."""
    async with rig.client() as client:
        refused = ev.Failed(at=1, code="bad_option", message="The option seed is a number.", retryable=True)
        waiting = asyncio.gather(client.chat.completions.create(model="demo", messages=HI))
        await (await rig.pen((await rig.opened(1)).key.request_id)).put(refused)
        with pytest.raises(BadRequestError, match="seed is a number") as caught:
            await waiting
        assert (caught.value.code, caught.value.type) == ("bad_option", "invalid_request_error")
        assert caught.value.response.headers["x-should-retry"] == "false"
        stream = await client.chat.completions.create(model="demo", messages=HI, stream=True)
        await (await rig.pen((await rig.newest()).key.request_id)).put(refused)
        with pytest.raises(APIError) as broken:
            [_ async for _ in stream]
        assert (broken.value.code, broken.value.type) == ("bad_option", "invalid_request_error")


@pytest.mark.parametrize("call", ["responses", "completions"])
async def test_unknown_words_in_the_address_are_refused_by_name(rig, call):
    """What is asked in the query of a call that asks is not ignored, and nothing is opened."""
    async with rig.client() as client:
        create: Any = (
            partial(client.responses.create, input="Hi")
            if call == "responses"
            else partial(client.chat.completions.create, messages=HI)
        )
        with pytest.raises(BadRequestError) as caught:
            await create(model="demo", extra_query={"beta": "1"})
        assert (caught.value.code, caught.value.param) == ("unknown_parameter", "beta")
    assert (await rig.requests.list_requests(ANN, False, None, 10, None))[0] == []


async def test_a_closing_server_breaks_streams_off(rig):
    """A stream that ends before its answer does not look whole."""
    async with rig.client() as client:
        stream = await client.chat.completions.create(model="demo", messages=HI, stream=True)
        await rig.pen((await rig.newest()).key.request_id)
        await anext(aiter(stream))
        rig.reception.close()
        with pytest.raises(APIConnectionError):
            [_ async for _ in stream]


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"n": 2}, "unsupported_value", "n"),
        ({"logprobs": True}, "unsupported_value", "logprobs"),
        ({"functions": [{"name": "f"}]}, "unsupported_parameter", "functions"),
        ({"audio": {"voice": "a", "format": "mp3"}}, "unsupported_parameter", "audio"),
        ({"extra_body": {"max_token": 1}}, "unknown_parameter", "max_token"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "invalid", "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "invalid", "stream_options"),
        ({"model": "narrow", "seed": 1}, "unsupported_parameter", "seed"),
        ({"messages": []}, "invalid", "messages"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "unsupported_value", "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x", "name": "n"}]}, "unsupported_parameter", "messages[0].name"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "unsupported_value",
            "messages[0].content[0].type",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}, "invalid", "messages"),
    ],
)  # fmt: skip
async def test_what_is_not_supported_is_refused_by_name(rig, given, code, param):
    """Nothing is ignored in silence: each error names what is wrong."""
    async with rig.client() as client:
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(**{"model": "demo", "messages": HI} | given)
        assert (caught.value.code, caught.value.param) == (code, param)


async def test_a_real_agent_answers_through_this_door(tmp_path):
    """A server with a model behind it: text, tools and formats reach the model, and its answer comes back whole."""
    from openai import AsyncOpenAI

    script = Script(deltas=12, tool_calls=(ToolCall(id="c1", name="weather", arguments="{}"),))
    async with Upstream() as upstream:
        toml = openai_toml(upstream.base_url, extra="[server]\npage = false\n")
        async with Server(tmp_path, toml=toml) as server:
            url = f"http://127.0.0.1:{server.port}/v1"
            sdk: Any = AsyncOpenAI(base_url=url, api_key="any", max_retries=0)
            async with sdk as client:
                given = {"tools": [TOOL], "temperature": 0.5, "response_format": {"type": "json_object"}}
                stream = await client.chat.completions.create(
                    model="model", messages=[{"role": "user", "content": scripted("A", script)}], stream=True, **given
                )  # fmt: skip
                chunks = [chunk async for chunk in stream]
                text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
                assert text == expected_text(script)
                assert chunks[-1].choices[0].finish_reason == "tool_calls"
                name = chunks[0].id
                shown = (await client.chat.completions.retrieve(name)).choices[0].message.model_dump()
                asked = {"role": "user", "content": "A"}
                result = {"role": "tool", "tool_call_id": "c1", "content": "Rain"}
                await client.chat.completions.create(model="model", messages=[asked, shown, result])
                sent = upstream.log.calls[-1].messages or []
                assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
                assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "c1"


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
async def test_a_wish_about_hanging_up_that_is_not_understood_is_refused(rig, path):
    """Whoever says it counts on something: what is neither yes nor no is refused before anything is begun."""
    asked = {"model": "demo", "input": "Hi"} if path == "/responses" else {
        "model": "demo", "messages": [{"role": "user", "content": "Hi"}],
    }  # fmt: skip
    async with rig.client() as client:
        for said in ("yes", "", "2"):
            with pytest.raises(BadRequestError) as caught:
                await client.post(
                    path, cast_to=object, body=asked, options={"headers": {"X-Cancel-On-Disconnect": said}}
                )
            assert (caught.value.code, caught.value.param) == ("invalid", "X-Cancel-On-Disconnect")
    assert (await rig.requests.list_requests(ANN, False, None, 10, None))[0] == []
    for said in ("0", "False", "TRUE", " 1 "):
        headers = {"Authorization": "Bearer ann-token", "X-Cancel-On-Disconnect": said}
        async with ClientSession() as http:
            call = http.post(rig.base_url + path, json={**asked, "stream": True}, headers=headers)
            async with call as response:
                assert response.status == 200


async def test_models_can_be_looked_for_by_head(rig):
    """HEAD of what answers at once has the headers of GET; of an answer, which may be streamed, there is none."""
    headers = {"Authorization": "Bearer ann-token"}
    async with ClientSession(headers=headers) as http:
        for path in ("/models", "/models/demo"):
            async with http.get(rig.base_url + path) as got, http.head(rig.base_url + path) as response:
                assert (response.status, response.headers["Content-Length"]) == (
                    200, got.headers["Content-Length"],
                )  # fmt: skip
        async with http.head(f"{rig.base_url}/models/nobody") as response:
            assert response.status == 404
        async with http.head(f"{rig.base_url}/responses/resp_x") as response:
            assert response.status == 405
