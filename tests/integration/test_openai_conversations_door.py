"""Turns, conversations, items and models as OpenAI's unmodified SDK uses them, and what is refused, by its name."""

import json

import pytest
from aiohttp import ClientSession
from openai import APIStatusError, BadRequestError, NotFoundError

from holdfast_protocol.commands import InputMessage, InputToolCall
from tests.support.openai_rig import openai_rig

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    "strict": True,
}


@pytest.fixture
async def rig(tmp_path):
    """A node whose answers are written by pens."""
    async with openai_rig(tmp_path) as rig:
        yield rig


async def asked(client, **more):
    """A response that runs in the background; its id."""
    given = {"model": "demo", "input": "Hi", "background": True} | more
    return (await client.responses.create(**given)).id


async def ended(rig, client, text, **more):
    """The id of a response that was answered so."""
    name = await asked(client, **more)
    await rig.answer(name, text)
    return name


def said(messages):
    """Roles and texts of what an agent gets."""
    return [(message.role, message.text) for message in messages]


async def test_a_turn_goes_on_after_the_one_before(rig):
    """Input and answer of the turns before are carried along, their instructions are not; input items are the new ones."""
    async with rig.client() as client:
        first = await ended(rig, client, "One.", input="First", instructions="Be brief.")
        second = await ended(rig, client, "Two.", input="Second", previous_response_id=first)
        third = await asked(
            client,
            input=[{"role": "developer", "content": "In French."}, {"role": "user", "content": "Third"}],
            instructions="Be long.",
            previous_response_id=second,
        )
        assert said((await rig.newest()).record.messages) == [
            ("system", "Be long."), ("user", "First"), ("assistant", "One."), ("user", "Second"),
            ("assistant", "Two."), ("system", "In French."), ("user", "Third"),
        ]  # fmt: skip
        response = await client.responses.retrieve(third)
        assert (response.previous_response_id, response.instructions) == (second, "Be long.")
        pages = client.responses.input_items.list(third, order="asc", limit=1)
        assert [item.content[0].text async for item in pages] == ["In French.", "Third"]
        newest = await client.responses.input_items.list(third)
        assert [item.content[0].text for item in newest.data] == ["Third", "In French."]


async def test_tool_calls_go_to_the_client_and_come_back(rig):
    """Calls end a response; their outputs go on after it, by its id or with the whole conversation sent again."""
    async with rig.client() as client:
        first = await asked(client, tools=[TOOL], tool_choice={"type": "function", "name": "weather"})
        log = await rig.newest()
        assert log.record.options == {
            "tools": [
                {
                    "type": "function",
                    "function": {key: value for key, value in TOOL.items() if key != "type"},
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        }
        await rig.call_tools(
            first, ("c1", "weather", '{"place":"Ulm"}'), ("c2", "weather", '{"place":"Bonn"}')
        )
        response = await client.responses.retrieve(first)
        assert response.status == "completed"
        assert response.tools[0].model_dump(exclude_unset=True) == TOOL
        calls = [item for item in response.output if item.type == "function_call"]
        assert [json.loads(call.arguments)["place"] for call in calls] == ["Ulm", "Bonn"]
        outputs = [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"Rain in {number}"}
            for number, call in enumerate(calls)
        ]
        expected = [
            InputMessage(role="user", text="Hi"),
            InputMessage(
                role="assistant",
                tool_calls=[
                    InputToolCall(call_id=call.call_id, name="weather", arguments=call.arguments)
                    for call in calls
                ],
            ),
            *(
                InputMessage(role="tool", call_id=output["call_id"], text=output["output"])
                for output in outputs
            ),
        ]
        await asked(client, input=outputs, previous_response_id=first)
        assert (await rig.newest()).record.messages == expected
        again = [
            {"role": "user", "content": "Hi"},
            *(item.model_dump() for item in response.output),
            *outputs,
        ]
        await asked(client, input=again)
        assert [
            message for message in (await rig.newest()).record.messages if message.text or message.tool_calls
        ] == [*expected]
        with pytest.raises(BadRequestError, match="no tool output found for function call 'c2'"):
            await asked(client, input=outputs[:1], previous_response_id=first)


async def test_a_turn_needs_its_turn_before_to_be_over(rig):
    """What was never there, or still runs, cannot be gone on after; both are told by code and parameter."""
    async with rig.client() as client:
        running = await asked(client)
        for name, code in (
            (running, "previous_response_not_ended"),
            ("resp_never", "previous_response_not_found"),
            ("never", "previous_response_not_found"),
        ):
            with pytest.raises(BadRequestError) as caught:
                await asked(client, previous_response_id=name)
            assert (caught.value.code, caught.value.param) == (code, "previous_response_id")


async def test_a_conversation_holds_its_turns(rig):
    """Each turn of a conversation goes on after the last; instructions are of one turn alone."""
    async with rig.client() as client:
        made = await client.conversations.create(metadata={"title": "Weather"})
        assert (made.object, made.metadata) == ("conversation", {"title": "Weather"})
        first = await ended(rig, client, "One.", input="First", conversation=made.id, instructions="Brief.")
        log = await rig.newest()
        assert said(await rig.requests.history(log.record)) == [("system", "Brief."), ("user", "First")]
        second = await ended(rig, client, "Two.", input="Second", conversation={"id": made.id})
        log = await rig.newest()
        assert said(await rig.requests.history(log.record)) == [
            ("user", "First"), ("assistant", "One."), ("user", "Second"),
        ]  # fmt: skip
        assert (await client.responses.retrieve(second)).conversation.id == made.id
        items = [item async for item in client.conversations.items.list(made.id, order="asc", limit=1)]
        assert [item.content[0].text for item in items] == ["First", "One.", "Second", "Two."]
        assert items[1].id == (await client.responses.retrieve(first)).output[0].id
        newest = await client.conversations.items.list(made.id, limit=3)
        assert [item.content[0].text for item in newest.data] == ["Two.", "Second", "One."]
        assert newest.has_more
        one = await client.conversations.items.retrieve(items[1].id, conversation_id=made.id)
        assert one == items[1]


async def test_items_of_one_answer_are_paged_in_order(rig):
    """Items come one by one in either order, also those of one answer, whichever of them is the last that one has."""
    async with rig.client() as client:
        made = await client.conversations.create()
        name = await asked(client, conversation=made.id)
        await rig.call_tools(name, ("c1", "f", "{}"), ("c2", "f", "{}"))
        await ended(rig, client, "One.", conversation=made.id)
        pages = client.conversations.items.list(made.id, order="asc", limit=1)
        ids = [item.id async for item in pages]
        output = (await client.responses.retrieve(name)).output
        assert ids[1:4] == [item.id for item in output]
        assert len(ids) == 6
        for limit in (1, 2, 100):
            pages = client.conversations.items.list(made.id, limit=limit)
            assert [item.id async for item in pages] == ids[::-1]
        with pytest.raises(BadRequestError) as caught:
            await client.conversations.items.list(made.id, after="msg_never")
        assert caught.value.param == "after"


async def test_a_response_of_a_conversation_can_be_branched_from(rig):
    """`previous_response_id` of a conversation's response goes on in that conversation, beside what followed it."""
    async with rig.client() as client:
        made = await client.conversations.create()
        first = await ended(rig, client, "One.", input="First", conversation=made.id)
        await ended(rig, client, "Two.", input="Second", conversation=made.id)
        await asked(client, input="Other", previous_response_id=first)
        log = await rig.newest()
        assert log.record.chat_id == made.id.removeprefix("conv_")
        assert said(await rig.requests.history(log.record)) == [
            ("user", "First"), ("assistant", "One."), ("user", "Other"),
        ]  # fmt: skip


async def test_conversations_change_and_go(rig):
    """The title can be changed; items and conversations can be deleted, and are then not there."""
    async with rig.client() as client, rig.client("bob-token") as other:
        made = await client.conversations.create()
        changed = await client.conversations.update(made.id, metadata={"title": "New"})
        assert changed.metadata == {"title": "New"}
        assert (await client.conversations.retrieve(made.id)).metadata == {"title": "New"}
        name = await ended(rig, client, "One.", input="First", conversation=made.id)
        items = (await client.conversations.items.list(made.id, order="asc")).data
        with pytest.raises(APIStatusError) as caught:
            await client.responses.delete(name)
        assert (caught.value.status_code, caught.value.code) == (409, "in_conversation")
        await client.conversations.items.delete(items[1].id, conversation_id=made.id)
        left = (await client.conversations.items.list(made.id)).data
        assert [item.id for item in left] == [items[0].id]
        with pytest.raises(NotFoundError) as caught:
            await client.conversations.items.retrieve(items[1].id, conversation_id=made.id)
        assert caught.value.code == "item_not_found"
        with pytest.raises(NotFoundError):
            await other.conversations.retrieve(made.id)
        assert (await client.conversations.delete(made.id)).deleted
        for call in (
            client.conversations.retrieve(made.id),
            client.conversations.items.list(made.id),
            asked(client, conversation=made.id),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.code == "conversation_not_found"


async def test_agents_are_models(rig):
    """Agents are listed and found as models; one that is not there is OpenAI's `model_not_found`."""
    async with rig.client() as client:
        models = (await client.models.list()).data
        assert [(model.id, model.object, model.owned_by) for model in models] == [
            ("demo", "model", "holdfast"),
            ("narrow", "model", "holdfast"),
        ]
        assert await client.models.retrieve("narrow") == models[1]
        for call in (client.models.retrieve("gpt"), asked(client, model="gpt")):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


IMAGE = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"max_tool_calls": 3}, "unsupported_parameter", "max_tool_calls"),
        ({"prompt": {"id": "p"}}, "unsupported_parameter", "prompt"),
        ({"include": ["message.output_text.logprobs"]}, "unsupported_value", "include"),
        ({"service_tier": "scale"}, "unsupported_value", "service_tier"),
        ({"extra_body": {"temprature": 1}}, "unknown_parameter", "temprature"),
        ({"temperature": 3}, "invalid", "temperature"),
        ({"metadata": {"k": "v" * 513}}, "invalid", "metadata.k"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_value", "tools[0].type"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "invalid", "tools[0].name"),
        ({"tool_choice": "required"}, "invalid", "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "unsupported_value", "text.format"),
        ({"reasoning": {"summary": "concise"}}, "invalid", "reasoning.summary"),
        ({"input": []}, "invalid", "input"),
        ({"input": IMAGE}, "unsupported_value", "input[0].content[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "unsupported_value", "input[0].type"),
        ({"model": "narrow", "top_p": 0.5}, "unsupported_parameter", "top_p"),
        ({"model": "narrow", "max_output_tokens": 5}, "unsupported_parameter", "max_output_tokens"),
        ({"model": "narrow", "tools": [TOOL]}, "unsupported_parameter", "tools"),
        ({"conversation": "conv_a", "previous_response_id": "resp_a"}, "unsupported_parameter", "conversation"),
    ],
)  # fmt: skip
async def test_what_is_not_supported_is_refused_by_name(rig, given, code, param):
    """Nothing is ignored in silence: each error names what is wrong, and nothing was opened."""
    async with rig.client() as client:
        with pytest.raises(BadRequestError) as caught:
            await asked(client, **given)
        assert (caught.value.code, caught.value.param, caught.value.type) == (
            code,
            param,
            "invalid_request_error",
        )
        with pytest.raises(IndexError):
            await rig.newest()


TWICE = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
] * 2}  # fmt: skip
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "Rain."}


async def test_what_the_core_refuses_is_said_in_the_words_of_this_door(rig):
    """What is empty, too long or of two minds is named as the caller sent it, in the sentence too."""
    async with rig.client() as client:
        made = await client.conversations.create()

        async def refused(call):
            with pytest.raises(APIStatusError) as caught:
                await call
            return caught.value.status_code, caught.value.code, caught.value.param, caught.value.message

        *told, sentence = await refused(asked(client, conversation=made.id, input=""))
        assert told == [400, "invalid", "input"]
        assert "`input` is empty." in sentence
        for conversation in ({}, {"conversation": made.id}):
            told = await refused(asked(client, input="x" * 600_000, **conversation))
            assert told[:3] == (413, "too_large", "input")
        create = client.chat.completions.create
        for messages, error in (
            ([{"role": "user", "content": "x" * 600_000}], (413, "too_large", "messages")),
            ([TWICE, RESULT], (400, "invalid", "messages[0].tool_calls")),
        ):
            assert (await refused(create(model="demo", messages=messages)))[:3] == error
        with pytest.raises(IndexError):
            await rig.newest()


async def test_a_cancel_needs_nothing(rig):
    """A body that says something is refused, and nothing was done; without one, or with an empty one, it is cancelled."""
    async with rig.client() as client, ClientSession(headers={"Authorization": "Bearer ann-token"}) as http:
        name = await asked(client)
        path = f"{rig.base_url}/responses/{name}/cancel"
        async with http.post(path, data=b'{"x":1}') as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"], error["param"]) == (400, "unknown_parameter", "x")
        assert (await client.responses.retrieve(name)).status == "queued"
        for body in (b"", b"{}"):
            async with http.post(path, data=body) as response:
                assert (response.status, (await response.json())["status"]) == (200, "cancelled")


async def test_nobody_on_its_way_keeps_an_answer(rig):
    """Every object has `Cache-Control: no-store`: it is one person's, and another one a moment later."""
    async with rig.client() as client:
        name = await ended(rig, client, "One.")
        for raw in (
            await client.models.with_raw_response.list(),
            await client.models.with_raw_response.retrieve("demo"),
            await client.responses.with_raw_response.retrieve(name),
            await client.responses.input_items.with_raw_response.list(name),
            await client.conversations.with_raw_response.create(),
            await client.chat.completions.with_raw_response.retrieve(name.replace("resp_", "chatcmpl-")),
        ):
            assert raw.headers["cache-control"] == "no-store"


async def test_a_conversation_takes_one_message_of_a_person(rig):
    """Tool outputs and turns of the caller's own do not go into a conversation, nor does metadata but the title."""
    async with rig.client() as client:
        made = await client.conversations.create()
        for given in (
            [{"type": "function_call_output", "call_id": "c", "output": "x"}],
            [{"role": "user", "content": "A"}, {"role": "user", "content": "B"}],
            [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}],
        ):
            with pytest.raises(BadRequestError) as caught:
                await asked(client, conversation=made.id, input=given)
            assert (caught.value.code, caught.value.param) == ("unsupported_value", "input")
        for call, param in (
            (client.conversations.create(metadata={"team": "a"}), "metadata.team"),
            (client.conversations.create(items=[{"role": "user", "content": "A"}]), "items"),
            (client.conversations.items.create(made.id, items=[{"role": "user", "content": "A"}]), "items"),
            (asked(client, conversation=made.id, store=False, background=False), "store"),
        ):
            with pytest.raises(BadRequestError) as caught:
                await call
            assert caught.value.param == param
