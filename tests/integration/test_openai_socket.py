"""OpenAI's socket mode of responses, with its unmodified Python SDK, before a real server and a scripted model."""

import asyncio
import json
import signal
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType
from openai import AsyncOpenAI

from tests.support.openai_rig import openai_rig
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_text, scripted


@pytest.fixture
async def upstream():
    """A model that says what it is told to."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def server(tmp_path, upstream):
    """A server with that model."""
    async with Server(tmp_path, toml=openai_toml(upstream.base_url)) as running:
        yield running


@pytest.fixture
async def client(server):
    """The SDK, pointed at it."""
    async with AsyncOpenAI(
        base_url=f"http://127.0.0.1:{server.port}/v1", api_key="any", max_retries=0
    ) as sdk:
        yield sdk


WRONG = [
    ("no json", "malformed", None),
    ("[]", "invalid", None),
    ({"type": "response.steer", "previous_response_id": "x", "input": "y"}, "unsupported_event", None),
    ({"type": "response.create", "stream_id": "a b"}, "invalid_stream_id", None),
    (
        {"type": "response.create", "stream_id": "a", "model": "none", "input": "x"},
        "model_not_found",
        "a",
    ),
    ({"type": "response.create", "input": "x", "colour": 1}, "unknown_parameter", None),
    ({"type": "response.create", "input": "x", "generate": False}, "unsupported_value", None),
    ({"type": "response.create", "input": "x", "idempotency_key": 5}, "invalid", None),
    ({"type": "response.subscribe", "response_id": "resp_none"}, "response_not_found", None),
    ({"type": "response.subscribe"}, "missing_parameter", None),
    (
        {"type": "response.create", "input": "x", "previous_response_id": "resp_none"},
        "previous_response_not_found",
        None,
    ),
]


def text_of(events):
    """What the deltas say."""
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


async def until_end(connection, events, lanes=1):
    """Take events until so many answers have ended."""
    while sum(event.type in ("response.completed", "response.failed", "error") for event in events) < lanes:
        events.append(await asyncio.wait_for(connection.recv(), 30))
    return events


async def test_an_answer_comes_over_the_socket(client):
    """The events of one answer, numbered without a gap, and the object that HTTP gives for it."""
    script = Script(deltas=20)
    async with client.responses.connect() as connection:
        await connection.response.create(model="model", input=scripted("Hello", script))
        events = await until_end(connection, [])
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text_of(events) == expected_text(script)
    stored = await client.responses.retrieve(events[0].response.id)
    assert stored.output_text == expected_text(script)
    assert events[-1].response.to_dict() == stored.to_dict()


async def test_lanes_run_side_by_side_and_each_in_order(client, upstream):
    """What is held in one lane holds nobody else's; two in one lane come one after the other."""
    held, quick = Script(deltas=8, hold=4), Script(deltas=6, seed=2)
    async with client.responses.connect() as connection:
        first, second = scripted("held", held), scripted("after it", quick)
        await connection.response.create(model="model", input=first, stream_id="a", background=True)
        await connection.response.create(model="model", input=second, stream_id="a")
        await connection.response.create(model="model", input=scripted("beside", quick), stream_id="b")
        events = await until_end(connection, [])
        assert events[-1].stream_id == "b"
        upstream.release()
        await until_end(connection, events, 3)
    lane = [event for event in events if event.stream_id == "a"]
    ends = [place for place, event in enumerate(lane) if event.type == "response.completed"]
    assert text_of(lane[: ends[0]]) == expected_text(held)
    assert text_of(lane[ends[0] :]) == expected_text(quick)
    assert [event.sequence_number for event in lane[ends[0] + 1 :]] == list(range(len(lane) - ends[0] - 1))


async def test_a_cut_socket_subscribes_again_without_a_gap(client):
    """After a break at any event, a new socket goes on behind the last one that came, also once the answer has ended."""
    script = Script(deltas=12)
    async with client.responses.connect() as connection:
        await connection.response.create(model="model", input=scripted("whole", script))
        whole = await until_end(connection, [])
    name = whole[0].response.id
    for number in range(0, len(whole) - 1, 3):
        async with client.responses.connect() as connection:
            await connection.send(
                {"type": "response.subscribe", "response_id": name, "starting_after": number}
            )
            rest = await until_end(connection, [])
        assert [event.to_dict() for event in rest] == [event.to_dict() for event in whole[number + 1 :]]


async def test_an_answer_survives_socket_and_server(client, server, upstream):
    """The socket breaks in mid-answer and the server is killed; the subscription after it has every byte once."""
    script = Script(deltas=10, hold=5)
    events: list[Any] = []
    async with client.responses.connect() as connection:
        await connection.response.create(
            model="model", input=scripted("cut", script), include=["holdfast.events"]
        )
        while not any(event.type == "response.output_text.delta" for event in events):
            events.append(await asyncio.wait_for(connection.recv(), 30))
    await server.kill()
    await server.start()
    upstream.release()
    async with client.responses.connect() as connection:
        await connection.send(
            {
                "type": "response.subscribe",
                "response_id": events[0].response.id,
                "starting_after": events[-1].sequence_number,
                "include": ["holdfast.events"],
            }
        )
        await until_end(connection, events)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == expected_text(script)


async def test_the_same_key_is_the_same_answer(client, upstream):
    """A frame that is sent again with its key runs nothing twice."""
    names = set()
    frame = {
        "type": "response.create",
        "model": "model",
        "input": scripted("once", Script(deltas=3)),
        "idempotency_key": "one of a kind",
    }
    for _ in range(2):
        async with client.responses.connect() as connection:
            await connection.send(frame)
            names.add((await until_end(connection, []))[0].response.id)
    assert len(names) == 1
    assert len(upstream.log.calls) == 1


async def test_what_is_wrong_is_told_and_the_socket_lives(server):
    """Each wrong frame gets one error, on its lane, in OpenAI's shape; the next frame is answered."""
    for frame, code, lane in WRONG:
        await one_wrong(server, frame, code, lane)


async def test_what_a_frame_says_wrong_has_the_frames_own_name(tmp_path):
    """A key that is empty, or another request's, is the frame's `idempotency_key`, not a header; `generate` is yes or no."""
    async with (
        openai_rig(tmp_path) as rig,
        ClientSession(headers={"Authorization": "Bearer ann-token"}) as http,
        http.ws_connect(f"{rig.base_url}/responses") as ws,
    ):

        async def told(**more):
            await ws.send_json({"type": "response.create", "model": "demo", "input": "x", **more})
            return await ws.receive_json(timeout=30)

        for more, status, code, param in (
            ({"idempotency_key": ""}, 400, "invalid", "idempotency_key"),
            ({"generate": False}, 400, "unsupported_value", "generate"),
            ({"generate": 0}, 400, "invalid", "generate"),
            ({"generate": "no"}, 400, "invalid", "generate"),
        ):
            answer = await told(**more)
            error = answer["error"]
            assert (answer["status"], error["code"], error["param"]) == (status, code, param)
            assert "Idempotency-Key" not in error["message"]
        created = await told(generate=True, idempotency_key="k", stream_id="one")
        assert created["type"] == "response.created"
        answer = await told(input="y", idempotency_key="k", stream_id="two")
        while answer["stream_id"] != "two":
            answer = await ws.receive_json(timeout=30)
        assert (answer["status"], answer["error"]["code"]) == (409, "request_conflict")
        assert answer["error"]["param"] == "idempotency_key"


async def one_wrong(server, frame, code, lane):
    """Send it, then something right."""
    text = frame if isinstance(frame, str) else json.dumps(frame)
    async with (
        ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{server.port}/v1/responses") as ws,
    ):
        await ws.send_str(text)
        told = json.loads(await ws.receive_str(timeout=30))
        assert told["type"] == "error"
        assert told["error"]["code"] == code
        assert set(told["error"]) == {"message", "type", "param", "code"}
        assert told["status"] >= 400
        assert told.get("stream_id") == lane
        await ws.send_str(
            json.dumps(
                {"type": "response.create", "model": "model", "input": scripted("x", Script(deltas=1))}
            )
        )
        assert json.loads(await ws.receive_str(timeout=30))["type"] == "response.created"


async def test_noise_ends_the_socket(server):
    """Who sends nothing but noise is closed, and not told to come back."""
    async with (
        ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{server.port}/v1/responses") as ws,
    ):
        for _ in range(30):
            await ws.send_str("noise")
        while (message := await ws.receive(timeout=30)).type is WSMsgType.TEXT:
            pass
        assert ws.close_code == 1008
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING)


async def test_a_call_without_an_upgrade(server):
    """The path is a WebSocket; who asks for a list is told where there is one."""
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}/v1/responses") as response,
    ):
        assert response.status == 426
        assert "/v1/requests" in await response.text()


async def test_a_stopping_server_says_come_back(client, server, upstream):
    """Open sockets are closed with 1012 when the server stops."""
    async with (
        ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{server.port}/v1/responses") as ws,
    ):
        server.process.send(signal.SIGTERM)
        message = await ws.receive(timeout=30)
        assert message.type is WSMsgType.CLOSE
        assert message.data == 1012
