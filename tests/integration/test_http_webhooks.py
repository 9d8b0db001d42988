"""Webhooks through the HTTP API of a real server: armed with a request, told once it has ended, through the server's death."""

import asyncio
import json

import pytest
from aiohttp import ClientSession, web

from tests.integration.test_webhooks import SECRETS, receiving, verified
from tests.support.http_door import HttpRig, http_serving
from tests.support.serving import Server

ENOUGH_S = 20.0

TOML = f"""
default_agent = "demo"
[agents.demo]
kind = "demo"
pace = 400
[webhooks]
secrets = {json.dumps(SECRETS)}
allow_private = true
retry_s = [0.2, 0.2, 600]
"""


async def call(session, method, url, body=None):
    """A call with JSON both ways: the status, and what came."""
    data = None if body is None else json.dumps(body).encode()
    async with session.request(method, url, data=data) as response:
        raw = await response.read()
        return response.status, json.loads(raw) if raw else None


async def state_is(session, url, state):
    """The request's webhook, once it is in this state."""
    async with asyncio.timeout(ENOUGH_S):
        while True:
            status, body = await call(session, "GET", f"{url}/webhooks")
            assert status == 200, body
            (hook,) = body["webhooks"]
            if hook["state"] == state:
                return hook
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.faults
async def test_the_outcome_is_told_and_told_again_by_hand(tmp_path):
    """A receiver that fails first is called again; the signature is good; the log shows each try; by hand it is called once
    more with the same id; a batch's requests have theirs; a request without an outcome has nothing to tell."""
    async with receiving() as receiver, Server(tmp_path, toml=TOML) as server, ClientSession() as session:
        base = f"http://127.0.0.1:{server.port}/v1"
        receiver.answers = [web.Response(status=503, text="not now")]
        ask = {
            "request_id": "r1",
            "text": "Hello?",
            "webhook": {"url": receiver.url},
            "options": {"words": 5},
        }
        status, _ = await call(session, "POST", f"{base}/requests", ask)
        assert status == 202
        hook = await state_is(session, f"{base}/requests/r1", "delivered")
        assert [one["status"] for one in hook["tries"]] == [503, 204]
        assert hook["tries"][0]["said"] == "not now"
        assert (hook["url"], hook["next_at"]) == (receiver.url, None)
        told = [verified(post, secret) for post in receiver.posts for secret in SECRETS]
        assert {one["type"] for one in told} == {"request.completed"}
        assert told[0]["data"]["request_id"] == "r1"
        assert len(told[0]["data"]["text"].split()) == 5
        status, _ = await call(session, "POST", f"{base}/requests/r1/webhooks/redeliver")
        assert status == 202
        await receiver.posts_are(3)
        assert {headers["webhook-id"] for headers, _ in receiver.posts} == {hook["delivery_id"]}
        slow = {
            "request_id": "r2",
            "text": "Hello?",
            "webhook": {"url": receiver.url},
            "options": {"pace": 1},
        }
        status, body = await call(
            session, "POST", f"{base}/batches", {"batch_id": "b1", "requests": [slow, {"text": "?"}]}
        )
        assert status == 202
        assert body["results"][0]["accepted"] is not None
        assert (await state_is(session, f"{base}/requests/r2", "armed"))["tries"] == []
        status, body = await call(session, "POST", f"{base}/requests/r2/webhooks/redeliver")
        assert (status, body["error"]["code"]) == (409, "no_outcome")
        status, body = await call(session, "POST", f"{base}/requests/b1-1/webhooks/redeliver")
        assert (status, body["error"]["code"]) == (404, "unknown_webhook")
        await call(session, "POST", f"{base}/batches/b1/cancel")
        await state_is(session, f"{base}/requests/r2", "delivered")
        assert verified(receiver.posts[-1], SECRETS[0])["type"] == "request.cancelled"
        status, _ = await call(session, "DELETE", f"{base}/requests/r1")
        assert status == 204
        status, _ = await call(session, "GET", f"{base}/requests/r1/webhooks")
        assert status == 404


@pytest.mark.slow
@pytest.mark.faults
async def test_a_death_between_outcome_and_delivery(tmp_path):
    """The server is killed while the receiver holds the first try: the next process tells it, under the same id."""
    async with receiving() as receiver, Server(tmp_path, toml=TOML) as server, ClientSession() as session:
        base = f"http://127.0.0.1:{server.port}/v1"

        async def never(_):
            await asyncio.sleep(60)
            return web.Response()

        receiver.answers = [never]
        ask = {
            "request_id": "r1",
            "text": "Hello?",
            "webhook": {"url": receiver.url},
            "options": {"words": 5},
        }
        await call(session, "POST", f"{base}/requests", ask)
        await receiver.posts_are(1)
        await server.kill()
        await server.start()
        await receiver.posts_are(2)
        hook = await state_is(session, f"{base}/requests/r1", "delivered")
        first, second = receiver.posts
        assert first[0]["webhook-id"] == second[0]["webhook-id"] == hook["delivery_id"]
        assert first[1] == second[1]
        assert verified(second, SECRETS[0])["data"]["status"] == "completed"


@pytest.mark.parametrize(
    ("url", "param"),
    [
        ("http://127.0.0.1/", "webhook.url"),
        ("https://user:secret@example.org/", "webhook.url"),
        ("ftp://example.org/", "webhook.url"),
        ("https://169.254.169.254/latest", "webhook.url"),
        ("", "webhook.url"),
        (None, "webhook.url"),
    ],
)
async def test_addresses_that_are_refused(tmp_path, url, param):
    """A request whose webhook cannot be is refused and not there, and the field is named."""
    async with http_serving(HttpRig(tmp_path, desk={"webhooks": Strict()})) as ann:
        body = {"request_id": "r1", "text": "Hello?", "webhook": {"url": url}}
        reply = await ann.call("POST", "/v1/requests", body)
        assert (reply.status, reply.body["error"]["param"]) == (400, param)
        assert (await ann.call("GET", "/v1/requests/r1")).status == 404


async def test_what_is_anothers_or_has_no_webhook(tmp_path):
    """Bob sees no delivery log of ann's; a request without a webhook has an empty one."""
    async with http_serving(HttpRig(tmp_path)) as ann:
        await ann.submit("r1")
        assert (await ann.call("GET", "/v1/requests/r1/webhooks")).body == {"webhooks": []}
        bob = ann.user("bob-token")
        for method, path in (("GET", "/webhooks"), ("POST", "/webhooks/redeliver")):
            reply = await bob.call(method, f"/v1/requests/r1{path}")
            assert (reply.status, reply.code) == (404, "unknown_request")


class Strict:
    """Webhooks with the judgement of the real ones, of which none is ever armed."""

    configured = True

    def check_url(self, url):
        from holdfast_server.webhook_addresses import Reach, UrlRefused

        try:
            Reach().target(url)
        except UrlRefused as error:
            return str(error)
        return None
