"""Asking for a webhook: before the request is opened, again, in vain, and for a request that never comes."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_protocol.errors import ProtocolError
from holdfast_server.stores.base import Key, RequestConflict, Unavailable, key_of
from holdfast_server.webhook_terms import WebhookSettings
from tests.support.hooks import URL, Office, staged, state_of
from tests.support.journals import ANN, BOB


def test_one_whose_request_never_came_goes_after_an_hour() -> None:
    """Not earlier: the submit may be slow."""

    async def scene(office: Office) -> None:
        await office.hooks.arm(key_of(ANN, "r"), URL)
        await asyncio.sleep(3_500)
        assert await state_of(office) == ("armed", 0)
        await asyncio.sleep(200)
        assert await state_of(office) is None

    staged(scene)


def test_a_refused_request_takes_its_webhook_along() -> None:
    """Inside `arming` a refusal takes back what was armed; what another submit of the same request needs stays."""

    async def scene(office: Office) -> None:
        key = key_of(ANN, "r")

        async def refused(error: Exception, url: str = URL) -> None:
            with pytest.raises(type(error)):
                async with office.hooks.arming(key, url):
                    raise error

        await refused(ProtocolError("overloaded"))
        assert office.rows.hooks == {}
        async with office.hooks.arming(key, URL):
            await refused(ProtocolError("overloaded"))
            assert await state_of(office) == ("armed", 0)
            await office.desk.run("r")
        await refused(Unavailable("did it arrive?"))
        await refused(RequestConflict("r"), "https://other.example/")
        assert [hook.url for hook in office.rows.hooks.values()] == [URL]
        async with office.hooks.arming(key_of(ANN, "none"), None):
            assert await state_of(office, "none") is None

    staged(scene)


def test_arming_again() -> None:
    """The same again is harmless; another address counts only while there is no request; owners are apart."""

    async def scene(office: Office) -> None:
        key = key_of(ANN, "r")
        other = "https://other.example/"
        assert await office.hooks.arm(key, other)
        assert await office.hooks.arm(key, URL)
        pen = await office.desk.run("r")
        assert await office.hooks.arm(key, URL)
        assert not await office.hooks.arm(key, other)
        assert await office.hooks.arm(key_of(BOB, "r"), other)
        await pen.end()
        await office.sim.idle()
        assert [post[1] for post in office.receivers.posts] == [URL]
        assert await office.hooks.arm(key, URL)
        await office.desk.run("bare")
        assert not await office.hooks.arm(key_of(ANN, "bare"), URL)
        await asyncio.sleep(100)
        assert len(office.receivers.posts) == 1

    staged(scene)


def test_no_secret_no_webhooks() -> None:
    """Without a secret, and for an address that is none, asking is refused with a sentence, and nothing is written."""

    async def scene(office: Office) -> None:
        assert not office.hooks.configured
        with pytest.raises(ProtocolError, match=r"webhooks\.secrets"):
            await office.hooks.arm(Key("", "ann", "r"), URL)
        assert office.rows.hooks == {}

    staged(scene, WebhookSettings())

    async def other(office: Office) -> None:
        assert office.hooks.check_url(URL) is None
        assert "https" in (office.hooks.check_url("http://hooks.example/") or "")
        with pytest.raises(ProtocolError, match="public Internet"):
            await office.hooks.arm(Key("", "ann", "r"), "https://127.0.0.1/")

    staged(other)
