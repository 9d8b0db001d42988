"""The OpenAPI document of the native API: that it is one, that it says what is there, and that the server does what it says."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import sys
from pathlib import Path

import jsonschema
import pytest
from aiohttp import ClientSession

from holdfast_protocol import events as ev
from holdfast_server.doors.http.docs_page import curl
from holdfast_server.doors.http.openapi import document, types_of
from holdfast_server.doors.http.table import OPERATIONS
from holdfast_server.stores.base import StoreError
from tests.support.http_door import HttpRig, answer_events, http_serving

RUN_S = 60.0
"""For a run that takes a few seconds on an idle machine."""

UNKNOWABLE = ("before", "cursor")
"""Parameters that only an answer before can give: no schema says which of them are good."""

NOT_IN_A_SCHEMA = {
    "submitRequest",  # `text` or `messages`, `parent_id` with a `chat_id`, agents that are there
    "createBatch",  # as above, and no id twice
}
"""Operations whose good calls follow from more than their schemas."""


def checked():
    """The checks, as its configuration: good calls must be taken, where the document can tell which are good."""
    blocks = [
        f'[[operations]]\ninclude-operation-id = "{one.id}"\nchecks.positive_data_acceptance.enabled = false\n'
        for one in OPERATIONS
        if one.id in NOT_IN_A_SCHEMA or set(UNKNOWABLE) & set(one.query.__struct_fields__)
    ]
    return "\n".join(blocks)


@pytest.fixture
async def ann(tmp_path):
    """A server on which nothing waits long, with an answer under the id that every example uses, and ann's way to it."""
    async with http_serving(HttpRig(tmp_path, desk={"wait_max_s": 0.02})) as caller:
        await caller.submit("r-1")
        pen = await caller.rig.pen("r-1")
        await pen.put(*answer_events(caller.rig.now_ms(), "Hello"))
        await caller.submit("r-2", chat_id="c-1", message_id="m-1")
        await (await caller.rig.pen("r-2")).end()
        batch = {"batch_id": "b-1", "requests": [{"text": "Hello?", "agent": "nobody"}]}
        assert (await caller.call("POST", "/v1/batches", batch)).status == 202
        yield caller


async def answer_all(rig):
    """End every request that is asked: a stream of one that nobody answers would not end either."""
    while True:
        await rig.store.claimable()
        while (claim := await rig.store.claim()) is not None:
            writer = rig.store.writer(claim)
            writer.put(ev.Started(at=1, attempt=1, term=claim.term, nonce=claim.nonce))
            writer.put(ev.Completed(at=1, code="stop"))
            with contextlib.suppress(StoreError):  # it was cancelled, or deleted, meanwhile
                await writer.flush()
        await asyncio.sleep(0)


async def test_the_server_does_what_its_document_says(ann, tmp_path):
    """Generated calls, good and bad, are answered with the statuses, headers and shapes of the document; none with a bug."""
    (tmp_path / "schemathesis.toml").write_text(checked(), "utf-8")
    pens = asyncio.create_task(answer_all(ann.rig))
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", f"{ann.rig.base}/openapi.json",
        "-H", "Authorization: Bearer ann-token", "--phases", "examples,coverage,fuzzing", "-n", "25",
        "--generation-deterministic", "--continue-on-failure", "--request-timeout", "10",
        cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(program.communicate(), RUN_S)
    finally:
        pens.cancel()
        if program.returncode is None:
            program.kill()
            await program.wait()
    text = said.decode()
    assert program.returncode == 0, text
    assert f"Tested: {len(OPERATIONS)}" in text


async def test_the_document_is_served_as_it_is_kept(ann):
    """/openapi.json is the table's document, under the address that it was asked at; it needs no token, and 304 says that
    it has not changed."""
    async with ClientSession() as session:
        async with session.get(f"{ann.rig.base}/openapi.json") as response:
            served = await response.json()
            tag = response.headers["ETag"]
        async with session.get(f"{ann.rig.base}/openapi.json", headers={"If-None-Match": tag}) as response:
            assert response.status == 304
    assert served.pop("servers") == [{"url": ann.rig.base}]
    wanted = json.loads(json.dumps(document(OPERATIONS, served["info"]["version"])))
    del wanted["servers"]
    assert served == wanted


def test_every_operation_is_described():
    """Each has an id of its own, a summary, a text, a schema for every parameter, and the errors that any call may have."""
    whole = document(OPERATIONS, "0")
    found = [spec for path in whole["paths"].values() for spec in path.values()]
    assert len({spec["operationId"] for spec in found}) == len(OPERATIONS)
    for spec in found:
        assert spec["summary"]
        assert spec["description"].endswith(".")
        assert {"400", "401", "403", "429", "500", "503"} <= set(spec["responses"])
        assert "requestBody" not in spec or {"408", "413", "415"} <= set(spec["responses"])
        for parameter in spec.get("parameters", ()):
            assert parameter["schema"], parameter
            assert parameter.get("description") or parameter["in"] == "path", parameter
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/(\w+)"', json.dumps(whole)))
    assert all(name in whole["components"][kind] for kind, name in references)


def test_names_of_shapes_are_single():
    """No two types share a name: a component's name never depends on what else there is."""
    named = [kind.__name__ for kind in types_of(OPERATIONS)]
    assert len(named) == len(set(named))
    for name, schema in document(OPERATIONS, "0")["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z]+", name)
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
async def test_examples_run(ann, operation):
    """The command that /docs shows for an operation does what it says."""
    command = curl(operation).replace("{base}", ann.rig.base).replace("$TOKEN", "ann-token")
    program = await asyncio.create_subprocess_exec(
        *shlex.split(command.replace("\\\n", "")), "-sS", "-m", "10", "-w", "\n%{http_code}", stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    said, _ = await program.communicate()
    assert program.returncode == 0
    status = int(said.decode().rsplit("\n", 1)[1])
    # A decision's example is for a request that waits, others' may be for what nobody has made here.
    mine = operation.group in ("Requests", "Tickets") and operation.id != "decideRequest"
    assert status in (200, 201, 202, 204) or (not mine and status in (404, 409)), said


async def test_the_page_shows_everything_and_runs_nothing(ann):
    """/docs names every operation and every shape, every link on it leads somewhere, and it can run nothing."""
    async with ClientSession() as session, session.get(f"{ann.rig.base}/docs") as response:
        text = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert "<script" not in text
    assert "style=" not in text
    ids = set(re.findall(r' id="([^"]+)"', text))
    links = re.findall(r'href="([^"]+)"', text)
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert {operation.id for operation in OPERATIONS} <= ids
    others = {link for link in links if not link.startswith("#")}
    assert others == {"docs/style.css", "openapi.json"}
    assert "{base}" not in text
    async with ClientSession() as session, session.get(f"{ann.rig.base}/docs/style.css") as response:
        assert response.content_type == "text/css"


async def test_the_page_begins_with_its_text_on_a_phone(ann):
    """Where there is no room beside the text the index is folded behind the introduction; and the page sends nobody to files
    that the server does not serve."""
    async with ClientSession() as session:
        async with session.get(f"{ann.rig.base}/docs") as response:
            text = await response.text()
        async with session.get(f"{ann.rig.base}/docs/style.css") as response:
            narrow = (await response.text()).partition("@media (max-width")[2]
    assert (
        text.index("<h1>")
        < text.index("Bodies are JSON")
        < text.index('<nav class="folded"')
        < text.index("<section")
    )
    assert "<details><summary>All operations</summary>" in text
    assert ".side { display: none; }" in narrow
    assert ".folded { display: block; }" in narrow
    assert ".md" not in text


async def test_the_documents_can_be_left_out(tmp_path):
    """Without `doors.docs` neither is there."""
    from holdfast_server.doors.http import HttpDoor

    rig = HttpRig(tmp_path)
    rig.http = HttpDoor(rig.desk, docs=False)
    async with http_serving(rig) as ann:
        for path in ("/docs", "/openapi.json"):
            assert (await ann.call("GET", path)).status == 404
        assert "/docs" not in (await ann.call("GET", "/v1/nothing")).body["error"]["message"]


async def test_the_examples_of_the_page_about_it_run(tmp_path):
    """Every command in docs/http.md, one after another, does what it says against a server that answers."""
    text = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert commands.count("curl ") >= 14
    async with http_serving(HttpRig(tmp_path)) as ann:
        pens = asyncio.create_task(answer_all(ann.rig))
        script = "set -eu\n" + commands.replace("http://127.0.0.1:8080", ann.rig.base)
        program = await asyncio.create_subprocess_exec(
            "bash", "-c", script.replace("curl ", "curl --fail-with-body -m 20 "), stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env={**os.environ, "TOKEN": "ann-token"},
        )  # fmt: skip
        said, _ = await program.communicate()
        pens.cancel()
    assert program.returncode == 0, said.decode()
    assert said.count(b'"status":"completed"') >= 3
    assert b"event: caught_up" in said
