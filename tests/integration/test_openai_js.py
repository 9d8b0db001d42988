"""OpenAI's JavaScript SDK, unmodified, before a real server: cut after every event, killed in mid-answer, refused by name."""

import json
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.node_program import NodeProgram, run_program
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, ToolCall, Upstream, expected_reasoning, expected_text, scripted

PROGRAM = "openai_responses.mjs"
THOUGHTFUL = Script(deltas=5, reasoning_deltas=2, delta_chars=9, split_utf8=True, seed=7)
CALLING = Script(
    deltas=2,
    reasoning_deltas=2,
    tool_calls=(
        ToolCall(id="call_1", name="weather", arguments='{"city":"Zürich"}', fragments=3),
        ToolCall(id="call_2", name="weather", arguments="{}"),
    ),
)
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
OF_OURS = {"include": ["holdfast.events"]}


@pytest.fixture
async def upstream():
    """A model that says what it is told to."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def server(tmp_path, upstream):
    """A server with that model, and the demo agent."""
    extra = (
        '[limits]\ncommands_per_s = 10000\ncommands_burst = 10000\n[agents.demo]\nkind = "demo"\npace = 5000'
    )
    async with Server(tmp_path, toml=openai_toml(upstream.base_url, extra=extra)) as running:
        yield running


@pytest.fixture
def js(tmp_path, server):
    """Does one thing with the SDK; what it said."""

    async def do(what, **more):
        return await run_program(tmp_path, PROGRAM, task(server, what, **more))

    return do


def task(server, do, **more):
    """What a program is told."""
    return {"base_url": f"http://127.0.0.1:{server.port}/v1", "do": do, "model": "model", **more}


def events(said, leg=0):
    """The events of a leg, in order."""
    return [line["event"] for line in said if line["type"] == "event" and line["leg"] == leg]


def one(said, kind):
    """The one line of a type; nothing failed."""
    assert [line["error"] for line in said if line["type"] == "error"] == []
    (line,) = [line for line in said if line["type"] == kind]
    return line


def error(said):
    """What failed."""
    (line,) = [line for line in said if line["type"] == "error"]
    return line["error"]


def text_of(response):
    """What an object's messages say."""
    items = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in items for part in item["content"])


async def uncut(server, response_id, query=""):
    """All events of a response, read without any SDK."""
    url = f"http://127.0.0.1:{server.port}/v1/responses/{response_id}?stream=true{query}"
    async with ClientSession() as session, session.get(url) as response:
        body = await response.read()
    lines = [line for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


@pytest.mark.parametrize("include", [None, OF_OURS], ids=["theirs", "ours-too"])
async def test_cut_after_every_event_it_goes_on_exactly_there(server, js, include):
    """Broken off after every n-th event of create(background, stream), retrieve(stream, starting_after) gives the others."""
    agent = {"model": "demo", "body": {"holdfast": {"options": {"words": 8}}, **OF_OURS}}
    asked = agent if include else {"input": scripted("Hello", THOUGHTFUL)}
    asked = {"input": "Hello", **asked}
    whole = events(await js("stream", **asked))
    cuts = [*range(1, len(whole) + 1)]
    said = await js("create_cut_resume", cut_after=cuts, **asked)
    cut = [line for line in said if line["type"] == "cut"]
    assert [line["cut_after"] for line in cut] == cuts
    for leg, place in enumerate(cut):
        query = "&include=holdfast.events" if include else ""
        all_ = await uncut(server, place["response_id"], query)
        if include:  # the way back does not ask for them
            mine = [event for event in all_ if not event["type"].startswith("holdfast.")]
            first = events(said, leg)[: place["events"]]
            assert events(said, leg) == first + [
                event for event in mine if event["sequence_number"] > place["starting_after"]
            ]
        else:
            assert events(said, leg) == all_
        assert all_[-1]["type"] == "response.completed"
    # One after another, each once, whatever the cut: the same kinds of events as in one piece.
    kinds = {
        tuple(event["type"] for event in events(said, leg) if ".delta" not in event["type"])
        for leg in range(len(cut))
    }
    assert len(kinds) == 1


async def test_the_helper_reads_what_a_model_thinks_says_and_calls(js):
    """`responses.stream` makes of the events the response that the server keeps: reasoning, text, and calls for the client."""
    tools = {"tools": [{"type": "function", "strict": False, **WEATHER}]}
    said = await js("helper", input=scripted("Hello", CALLING), body=tools)
    made = one(said, "response")["response"]
    assert [item["type"] for item in made["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert text_of(made) == made["output_text"] == expected_text(CALLING)
    (thought,) = made["output"][0]["content"]
    assert thought["text"] == expected_reasoning(CALLING)
    assert [(call["call_id"], json.loads(call["arguments"])) for call in made["output"][2:]] == [
        ("call_1", {"city": "Zürich"}),
        ("call_2", {}),
    ]
    kept = one(await js("retrieve", response_id=made["id"]), "response")["response"]
    assert without_parsed(made) == without_parsed(kept)
    # The same over what is kept, and from a place in it.
    again = await js("helper", response_id=made["id"])
    assert one(again, "response")["response"] == made
    assert events(again) == events(said)
    place = events(said)[6]["sequence_number"]
    rest = await js("helper", response_id=made["id"], starting_after=place)
    assert one(rest, "response")["response"] == made
    assert events(rest) == [event for event in events(said) if event["sequence_number"] > place]
    # What the tools said goes into the next question.
    outputs = [{"type": "function_call_output", "call_id": f"call_{n}", "output": "Sun."} for n in (1, 2)]
    outputs.append({"role": "user", "content": scripted("And?", THOUGHTFUL)})
    more = {"body": {**tools, "previous_response_id": made["id"], "input": outputs}}
    assert one(await js("helper", **more), "response")["response"]["output_text"] == expected_text(THOUGHTFUL)


def without_parsed(value):
    """An object without what the SDK's helper adds for its own users."""
    if isinstance(value, dict):
        added = ("parsed", "parsed_arguments", "output_parsed")
        return {key: without_parsed(each) for key, each in value.items() if key not in added}
    return [without_parsed(each) for each in value] if isinstance(value, list) else value


async def test_the_helper_reads_all_that_the_demo_shows(server, js):
    """Progress, data, sources and a tool of the server: `responses.stream` gets through, for events of ours are left out."""
    said = await js("helper", model="demo", input="How many words are these?")
    made = one(said, "response")["response"]
    assert {item["type"] for item in made["output"]} == {"reasoning", "mcp_call", "message"}
    (call,) = [item for item in made["output"] if item["type"] == "mcp_call"]
    assert json.loads(call["output"])["words"] == 5
    assert not [event["type"] for event in events(said) if event["type"].startswith("holdfast.")]
    kept = one(await js("retrieve", response_id=made["id"]), "response")["response"]
    assert without_parsed(made) == without_parsed(kept)
    numbers = [event["sequence_number"] for event in events(said)]
    whole = await uncut(server, made["id"], "&include=holdfast.events")
    ours = [event for event in whole if event["type"].startswith("holdfast.")]
    assert {event["type"] for event in ours} >= {"holdfast.progress", "holdfast.data"}
    assert sorted(numbers + [event["sequence_number"] for event in ours]) == list(range(len(whole)))


async def test_events_of_ours_are_for_those_who_ask(js):
    """With `include: ["holdfast.events"]` a plain stream has them too; the helper breaks off at the first of them."""
    asked = {"model": "demo", "input": "How many?", "body": OF_OURS}
    whole = events(await js("stream", **asked))
    assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
    assert any(event["type"] == "holdfast.progress" for event in whole)
    assert "Unhandled response stream event" in error(await js("helper", **asked))["message"]


async def test_a_server_killed_in_mid_answer_is_a_lost_connection(tmp_path, server, upstream, js):
    """SIGKILL ends the stream with an error, not as if it were whole; after the restart the numbers go on where they stood."""
    held = Script(deltas=20, delta_chars=8, hold=9, seed=11, reseed=True)
    asking = task(server, "stream", input=scripted("Hold", held), body={"background": True})
    async with NodeProgram(tmp_path, PROGRAM, asking) as program:
        await program.said("event")
        await upstream.log.level.until(lambda: any(call.stalled for call in upstream.log.calls))
        await server.kill()
        said = await program.end()
    assert error(said)["class"]
    before = events(said)
    response_id, place = before[0]["response"]["id"], before[-1]["sequence_number"]
    await server.start()
    upstream.release()
    said = await js("resume", response_id=response_id, starting_after=place)
    assert [line for line in said if line["type"] == "error"] == []
    after = events(said)
    assert before + after == await uncut(server, response_id)
    assert after[-1]["type"] == "response.completed"
    made = one(await js("helper", response_id=response_id), "response")["response"]
    assert made["output_text"] in [expected_text(held, attempt) for attempt in (1, 2)]
    assert text_of(after[-1]["response"]) == made["output_text"]


async def test_chat_completions_with_tools(js):
    """A streamed completion's chunks give text and tool calls; not streamed it is the same in one object."""
    body = {"tools": [{"type": "function", "function": WEATHER}]}
    asked = {"input": scripted("Hello", CALLING)}
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    said = await js("completion", **asked, body=streamed)
    assert [line for line in said if line["type"] == "error"] == []
    chunks = [line["chunk"] for line in said if line["type"] == "chunk"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == expected_text(CALLING)
    calls: dict[str, Any] = {}
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls", ())):
        call = calls.setdefault(piece["index"], {"id": piece.get("id"), "name": "", "arguments": ""})
        call["name"] += piece["function"].get("name") or ""
        call["arguments"] += piece["function"].get("arguments") or ""
    assert [calls[n] for n in sorted(calls)] == [
        {"id": tool.id, "name": tool.name, "arguments": tool.arguments} for tool in CALLING.tool_calls
    ]
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]][-1] == "tool_calls"
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    whole = one(await js("completion", **asked, body=body), "completion")["completion"]
    assert whole["choices"][0]["message"]["content"] == expected_text(CALLING)
    assert [call["id"] for call in whole["choices"][0]["message"]["tool_calls"]] == ["call_1", "call_2"]


async def test_what_can_be_done_with_a_response(upstream, server, tmp_path, js):
    """Its input is listed; it is cancelled in mid-answer, again, and deleted; the models are the agents."""
    models = one(await js("models"), "models")["models"]
    assert {model["id"] for model in models} == {"model", "demo"}
    made = one(
        await js("create", model="demo", input="Hello", body={"instructions": "Be brief."}), "response"
    )
    kept = {"response_id": made["response"]["id"]}
    (item,) = one(await js("input_items", **kept), "items")["items"]
    assert item["content"][0]["text"] == "Hello"
    held = scripted("Hold", Script(deltas=20, hold=4))
    async with NodeProgram(tmp_path, PROGRAM, task(server, "stream", input=held)) as program:
        running = {"response_id": (await program.said("event"))["event"]["response"]["id"]}
        await upstream.log.level.until(lambda: any(call.stalled for call in upstream.log.calls))
        cancelled = one(await js("cancel", **running), "response")["response"]
        said = await program.end()
    assert cancelled["status"] == "cancelled"
    assert [line for line in said if line["type"] == "error"] == []
    assert one(await js("cancel", **running), "response")["response"] == cancelled
    one(await js("delete", **kept), "deleted")
    gone = error(await js("retrieve", **kept))
    assert (gone["class"], gone["status"], gone["code"]) == ("NotFoundError", 404, "response_not_found")


@pytest.mark.parametrize(
    ("do", "more", "expected"),
    [
        ("create", {"body": {"prompt": {"id": "p"}}}, ("BadRequestError", 400, "unsupported_parameter", "prompt")),
        ("create", {"body": {"tempreature": 1}}, ("BadRequestError", 400, "unknown_parameter", "tempreature")),
        ("create", {"body": {"temperature": 7}}, ("BadRequestError", 400, "invalid", "temperature")),
        ("create", {"model": "nobody"}, ("NotFoundError", 404, "model_not_found", "model")),
        ("stream", {"model": "nobody"}, ("NotFoundError", 404, "model_not_found", "model")),
        ("completion", {"body": {"n": 2}}, ("BadRequestError", 400, "unsupported_value", "n")),
        ("retrieve", {"response_id": "resp_x"}, ("NotFoundError", 404, "response_not_found", None)),
        ("helper", {"response_id": "resp_x"}, ("NotFoundError", 404, "response_not_found", None)),
    ],
)  # fmt: skip
async def test_refusals_are_typed(js, do, more, expected):
    """The SDK throws its own class of error, with the code and the name of the parameter."""
    given = {"input": "Hello", **more}
    wrong = error(await js(do, **given))
    assert (wrong["class"], wrong["status"], wrong["code"], wrong["param"]) == expected


async def test_a_place_ahead_is_refused_and_the_end_is_empty(js):
    """`starting_after` the last number gives an empty stream that ends; one beyond it is an error, not silence."""
    whole = events(await js("stream", model="demo", input="Hello", body={"background": True}))
    kept = {"response_id": whole[0]["response"]["id"]}
    last = whole[-1]["sequence_number"]
    assert events(said := await js("resume", **kept, starting_after=last)) == []
    assert [line["type"] for line in said] == ["end"]
    ahead = error(await js("resume", **kept, starting_after=last + 1))
    assert (ahead["class"], ahead["code"], ahead["param"]) == (
        "BadRequestError",
        "cursor_ahead",
        "starting_after",
    )
