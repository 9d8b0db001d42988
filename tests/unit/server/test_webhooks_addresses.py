"""Which addresses webhooks may go to."""

from __future__ import annotations

import pytest

from holdfast_server.webhook_addresses import Reach, UrlRefused

PUBLIC = [
    ("https://example.org/hook?a=1&b=%2F", "example.org:443"),
    ("https://EXAMPLE.org./", "example.org:443"),
    ("https://example.org:8443/x", "example.org:8443"),
    ("https://example.org", "example.org:443"),
    ("https://xn--bcher-kva.example/", "xn--bcher-kva.example:443"),
    ("https://93.184.216.34/x", "93.184.216.34:443"),
    ("https://[2606:2800:220:1::1]/x", "2606:2800:220:1::1:443"),
]

REFUSED = [
    "", "example.org", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "javascript:alert(1)", "//example.org",
    "http://example.org/", "https://", "https:///x", "https://?x", "https://user@example.org/", "https://user:word@example.org/",
    "https://example.org@127.0.0.1/", "https://example.org:0/", "https://example.org:65536/", "https://example.org:99999999999/",
    "https://example.org:/", "https://example.org:x/", "https://example.org:22/", "https://example.org:25/",
    "https://example.org/a b", "https://example.org/\r\nX: y", "https://exa\tmple.org/", "https://example.org\\@127.0.0.1/",
    "https://bücher.example/", "https://ⓛocalhost/", "https://127。0。0。1/", "https://%6c%6f/", "https://a..b/", "https://example.org#x",
    "https://" + "a." * 150 + "org/", "https://example.org/" + "x" * 2100, "https://[::1", "https://[fe80::1%25eth0]/",
    "https://127.0.0.1/", "https://127.0.0.1:8443/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/",
    "https://0177.0.0.1/", "https://127.0.0.0x1/", "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://0.0.0.0/",
    "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/", "https://192.0.2.1/", "https://198.18.0.1/", "https://224.0.0.1/", "https://240.0.0.1/", "https://255.255.255.255/",
    "https://[::]/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/",
    "https://[fe80::1]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[ff02::1]/", "https://[2001:db8::1]/",
    "https://[2002:7f00:1::]/", "https://[2002:a9fe:a9fe::1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::1]/", "https://[2001:0:7f00:1::]/",
]  # fmt: skip


@pytest.mark.parametrize(("url", "place"), PUBLIC)
def test_public_addresses_pass(url: str, place: str) -> None:
    """An https address of the public Internet is taken, in whatever usual way it is written."""
    assert Reach().target(url).place == place


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_not_public_or_can_be_read_in_two_ways_is_refused(url: str) -> None:
    """Everything else is refused with a sentence."""
    with pytest.raises(UrlRefused, match=r"^[A-Z].*\.$"):
        Reach().target(url)


def test_networks_of_ones_own_only_where_the_operator_says_so() -> None:
    """With `allow_private` this machine and private networks pass, without TLS too; what hands out a machine's credentials
    and what is no single receiver never do."""
    reach = Reach(allow_private=True)
    for url in ("http://127.0.0.1:9000/x", "http://localhost:81/", "https://10.0.0.1/", "http://[::1]:8080/"):
        reach.target(url)
    for url in (
        "http://169.254.169.254/",
        "http://[fe80::1]/",
        "http://224.0.0.1/",
        "http://0.0.0.0/",
        "http://2130706433/",
    ):
        with pytest.raises(UrlRefused):
            reach.target(url)  # fmt: skip


def test_a_host_that_the_operator_names_may_be_anything() -> None:
    """A named host may resolve to anything, on any port, without TLS; names that only look like it may not."""
    reach = Reach(allowed_hosts=["Hooks.internal", "127.0.0.1", "[::1]"])
    for url in (
        "http://hooks.internal:81/x",
        "http://HOOKS.internal./",
        "http://127.0.0.1:22/",
        "http://[::1]/",
    ):
        reach.target(url)
    assert reach.permits("hooks.internal", "10.0.0.1")
    for url in ("http://xhooks.internal/", "http://hooks.internal.example.org/", "http://127.0.0.2/"):
        with pytest.raises(UrlRefused):
            reach.target(url)
    assert not reach.permits("other.internal", "10.0.0.1")


def test_what_a_name_resolves_to_is_judged_too() -> None:
    """A connection goes to public numeric addresses only; what is no numeric address is none."""
    reach = Reach()
    assert reach.permits("example.org", "93.184.216.34")
    for address in ("127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "2130706433", "localhost", ""):
        assert not reach.permits("example.org", address)
