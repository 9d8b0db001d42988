"""Addresses as people write them."""

from __future__ import annotations

import pytest

from holdfast_client.addresses import DEFAULT_URL, websocket_url


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://127.0.0.1:8080", DEFAULT_URL),
        ("127.0.0.1:8080", DEFAULT_URL),
        (" ws://127.0.0.1:8080/ ", DEFAULT_URL),
        ("https://chat.example.org", "wss://chat.example.org/ws"),
        ("https://example.org/chat/ws", "wss://example.org/chat/ws"),
        ("wss://example.org/ws?ticket=1", "wss://example.org/ws?ticket=1"),
        ("http://[::1]:9000", "ws://[::1]:9000/ws"),
    ],
)
def test_an_address_becomes_that_of_the_websocket(written, meant):
    """Scheme and path are filled in; a path that is given stays."""
    assert websocket_url(written) == meant


@pytest.mark.parametrize(
    "written", ["", "ftp://example.org", "http://", "http://host:port", "ws://host:99999"]
)
def test_what_is_not_an_address_is_refused(written):
    """The error repeats what was written and shows how to write it."""
    with pytest.raises(ValueError, match="write it like"):
        websocket_url(written)
