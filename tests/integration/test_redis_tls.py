"""Redis over TLS: one server, sentinels and a cluster, which ask for certificates as Redis does by default; and every mistake."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlencode

import pytest

from holdfast_server.stores.base import Owner, Unavailable
from holdfast_server.stores.redis.address import Address
from holdfast_server.stores.redis.link import Link
from holdfast_server.stores.redis.store import RedisStore
from tests.support.certificates import Papers
from tests.support.journals import Clock
from tests.support.redis_rig import RedisServer
from tests.support.redis_rig_more import ClusterRig
from tests.support.redis_stores import peers, same, until
from tests.support.scribe import key, text_of
from tests.support.serving import free_port

pytestmark = [pytest.mark.needs("redis-server")]

HOST = "127.0.0.1"
NOT_TRUSTED = "certificate required|unknown ca|does Redis trust this node's certificate"  # its alert may be lost in its hanging up


class Secured:
    """What servers and nodes of a test show each other."""

    def __init__(self, folder: Path) -> None:
        self.papers = Papers(folder)
        self.server = self.papers.issued(HOST)
        self.node = self.papers.issued("node.example.org")

    def options(self) -> dict[str, str]:
        """Lines for one more server."""
        return {
            "tls-port": str(free_port()),
            "tls-ca-cert-file": self.papers.ca_file,
            "tls-cert-file": self.server.cert_file,
            "tls-key-file": self.server.key_file,
        }

    def url(self, *servers: RedisServer, scheme: str = "rediss", path: str = "", **said: str) -> str:
        """The address of the ports with TLS; `said` replaces what stands behind the question mark."""
        places = ",".join(f"{HOST}:{server.options['tls-port']}" for server in servers)
        files = {"ca_file": self.papers.ca_file, **self.node._asdict(), **said}
        shown = {name: file for name, file in files.items() if file}
        return f"{scheme}://{places}{path}{'?' if shown else ''}{urlencode(shown)}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """Made once: keys take a while."""
    return Secured(tmp_path_factory.mktemp("papers"))


async def test_nodes_over_tls(tmp_path: Path, secured: Secured) -> None:
    """What one node writes another shows, by messages too, and both go on when the server was killed and is back."""
    async with (
        RedisServer(tmp_path, secured.options()) as redis,
        peers(secured.url(redis), Clock(), 2, lease_s=20) as (a, b),
    ):
        held = await a.running()
        seen = await b.store.log(key())
        held.say("before ")
        await held.writer.flush()
        async with asyncio.timeout(20):
            await until(lambda: text_of(seen) == "before ")
            await redis.kill()
            held.say("after")
            await redis.start()
            await held.complete()
            await seen.wait_sealed()
        assert same(seen, held.log)
        assert text_of(seen) == "before after"
        clients = await redis.do("CLIENT", "LIST")
        assert len(clients) >= 4, "two connections a node"


async def test_a_cluster_over_tls(tmp_path: Path, secured: Secured) -> None:
    """The masters name their ports with TLS, and requests of owners on each of them go through."""

    def options() -> dict[str, str]:
        return {**secured.options(), "tls-cluster": "yes"}

    owners = [Owner("acme", f"user-{number}") for number in range(8)]
    async with (
        ClusterRig(tmp_path, options) as rig,
        peers(secured.url(rig.servers[0], scheme="rediss+cluster"), Clock(), 1) as (a,),
    ):
        await asyncio.gather(*(a.open("r1", owner=owner) for owner in owners))
        for server in rig.servers:
            assert await server.do("DBSIZE") > 0


async def test_a_sentinel_over_tls(tmp_path: Path, secured: Secured) -> None:
    """A sentinel with TLS names a master with TLS."""
    async with RedisServer(tmp_path / "master", secured.options()) as master:
        options = {
            **secured.options(),
            "tls-replication": "yes",
            "sentinel monitor": f"mymaster {HOST} {master.options['tls-port']} 1",
        }
        async with RedisServer(tmp_path / "sentinel", options, sentinel=True) as sentinel:
            url = secured.url(sentinel, scheme="rediss+sentinel", path="/mymaster/0")
            async with peers(url, Clock(), 1) as (a,):
                await a.open()
            assert await master.do("DBSIZE") > 0


async def test_mistakes(tmp_path: Path, secured: Secured) -> None:
    """Whatever does not fit is refused at the start, in a sentence about it, and nothing is said in clear text."""
    strangers = Papers(tmp_path / "strangers")
    elsewhere = secured.papers.issued("elsewhere.example.org")
    locked = secured.papers.locked("node.example.org")
    other = {"tls-cert-file": elsewhere.cert_file, "tls-key-file": elsewhere.key_file}
    async with (
        RedisServer(tmp_path / "right", secured.options()) as right,
        RedisServer(tmp_path / "wrong", {**secured.options(), **other}) as wrong,
    ):
        for url, why in (
            (secured.url(wrong), "certificate is not valid for"),
            (secured.url(right, ca_file=""), "certificate verify failed"),
            (secured.url(right, ca_file=strangers.ca_file), "certificate verify failed"),
            (secured.url(right, cert_file="", key_file=""), NOT_TRUSTED),
            (secured.url(right, **strangers.issued("node.example.org")._asdict()), NOT_TRUSTED),
            (
                secured.url(right, cert_file=str(tmp_path / "none.pem")),
                "cert_file .*cannot be read: .*none.pem",
            ),
            (secured.url(right, key_file=locked), "without a password"),
            (secured.url(right, key_file=secured.server.key_file), "its own key"),
            (secured.url(right, ca_file=secured.node.key_file), "ca_file .*no certificates"),
            (secured.url(right, scheme="redis", ca_file="", cert_file="", key_file=""), "begins with rediss"),
            (f"rediss://{HOST}:{right.port}", "does not answer"),
        ):
            with pytest.raises(Unavailable, match=why):
                await Link.connect(Address.parse(url), name="node", wait_s=0.5)
        store = RedisStore(secured.url(right))
        await store.start()
        await store.close()
