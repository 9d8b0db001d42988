"""This node among the others: its leases are renewed, what the dead held is taken, and everybody knows who lives.

A lease belongs to a node, one in each shard where it holds something, by Redis's own clock. Whoever does not renew in
time loses what it held to the first that looks. A node that stood still and was not replaced goes on; one that was
replaced is told when it writes. What Redis thinks that this node holds is compared with what it holds: a claim whose
answer was lost goes back without a strike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog

from holdfast_server.stores.base import StoreError
from holdfast_server.tasks import Tasks

from .book import Book
from .keys import TAGS
from .link import Call
from .tokens import FLEET, Fleet, Tokens

log = structlog.get_logger(__name__)

TEND_S: Final = 0.5
"""Between two looks at all shards: a dead node's requests are taken so late at most, and a lost wake-up costs no more; and
so long at most a node without work does not notice that Redis takes none."""

RENEWALS: Final = 3
"""In the time of a lease: two may be lost or late."""

HASTE: Final = 10
"""A renewal that failed is tried again after this part of the lease."""

LEAVE_ROUNDS_MAX: Final = 100
"""Calls to give back what is still held at the end, some hundred requests each; the rest lapses."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself. `rate`: claims in a second, of late."""

    node: str
    roles: list[str] = []
    slots: int = 0
    running: int = 0
    rate: float = 0.0
    name: str = ""


class ShelfPort(Protocol):
    """What claims need of the store."""

    async def condemn(self, prefix: str) -> None:
        """Seal this journal as failed with the code `poison`, if it is not sealed. Raises: StoreError."""

    async def moved(self, prefixes: Sequence[str]) -> None:
        """The leases of these have ended by what this node did: its own logs of them are to be what Redis holds."""


class Presence:
    """Keeps this node alive among the others, and takes what the dead held. `start` is its life's begin, `close` its end."""

    def __init__(
        self,
        fleet: Fleet,
        book: Book,
        tokens: Tokens,
        *,
        terms: Callable[[], list[str | int]],
        seen: Callable[[int, Any], None],
        said: Callable[[], Member],
        shelf: ShelfPort,
        ticked: Callable[[], Awaitable[None]],
    ) -> None:
        """`terms` of a look (see queue.lua); `seen` gets what each look at a shard saw; `said`: what this node says of itself;
        `ticked` runs after each look at all shards."""
        self.members: list[Member] = []
        self._fleet = fleet
        self._link = fleet.link
        self._node = fleet.node
        self._book = book
        self._tokens = tokens
        self._terms = terms
        self._seen = seen
        self._said = said
        self._shelf = shelf
        self._ticked = ticked
        self._tasks = Tasks("presence")
        self._renewed = 0.0
        self._condemning: set[str] = set()

    async def start(self) -> None:
        """Say that this node is there, and begin. Raises: Unavailable."""
        self._renewed = asyncio.get_running_loop().time()
        await self.beat()
        self._tasks.start(self._renewing(), "renew")
        self._tasks.start(self._tending(), "tend")

    async def close(self) -> None:
        """Give everything back at once, without a strike, and be gone."""
        await self._tasks.close()
        held = list(range(len(TAGS)))
        for _ in range(LEAVE_ROUNDS_MAX):
            answers = await self._link.call_many(
                [Call("leave", TAGS[shard], (self._node,)) for shard in held]
            )
            held = [shard for shard, answer in zip(held, answers, strict=True) if answer and _fine(answer)]
            left = [prefix.decode() for answer in answers if isinstance(answer, list) for prefix in answer]
            if left:
                await self._shelf.moved(left)
            if not held:
                break
        try:
            await self._link.call("bye", FLEET, self._node)
        except StoreError as error:
            log.info("could not say goodbye; it lapses", error=str(error))

    # -- renewing --------------------------------------------------------------------------------------------

    async def _renewing(self) -> None:
        lease_s = self._fleet.lease_ms / 1000
        loop = asyncio.get_running_loop()
        told = 0.0
        while True:
            began = loop.time()
            if began - self._renewed > lease_s and self._book.count and told != self._renewed:
                told = self._renewed
                log.warning(
                    "leases have lapsed; what others took is fenced", stood_s=round(began - self._renewed, 1)
                )
            fine, beaten = await asyncio.gather(self.renew(self._shards()), self._beaten())
            if fine:
                self._renewed = began
            every = lease_s / (RENEWALS if fine and beaten else HASTE)
            await asyncio.sleep(max(0.0, began + every - loop.time()))

    def _shards(self) -> list[int]:
        book = self._book
        return [shard for shard in range(len(TAGS)) if book.held(shard) or book.flights[shard]]

    async def renew(self, shards: Sequence[int]) -> bool:
        """Renew the leases in these shards, and give back what Redis thinks this node holds and it does not. Whether all
        are renewed."""
        book = self._book
        before = [(book.flights[shard], book.begun[shard]) for shard in shards]
        answers: list[Any] = await self._link.call_many(
            [Call("renew", TAGS[shard], (self._node, self._fleet.lease_ms)) for shard in shards]
        )
        fine, strays = True, []
        for shard, (flights, begun), answer in zip(shards, before, answers, strict=True):
            if not _fine(answer):
                fine = False
            elif flights == 0 and book.begun[shard] == begun:  # no claim can be on its way back
                strays += [
                    Call("back", TAGS[shard], (self._node, *claim)) for claim in self._strays(shard, answer)
                ]
        if strays:
            log.info("giving back claims whose answer was lost", claims=len(strays))
            await self._link.call_many(strays)
        return fine

    def _strays(self, shard: int, answer: Sequence[bytes]) -> list[tuple[str, int, str]]:
        """What Redis thinks that this node holds there and it does not; what it does not hold any more is let go."""
        book, strays = self._book, []
        known = {
            (prefix.decode(), int(term or 0)): nonce.decode()
            for prefix, term, nonce in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        }
        for row in book.lapse(shard, known):
            self._tokens.free(row.agent)
        for (prefix, term), nonce in known.items():
            held = book.row(shard, prefix, term)
            if held is None and (again := book.revive(shard, prefix, term, nonce)) is not None:
                self._tokens.use(again.agent)
            elif held is None or held.nonce != nonce:
                strays.append((prefix, term, nonce))
        return strays

    async def beat(self) -> None:
        """Say that this node lives, and what it has; learn who else does. Raises: Unavailable."""
        fleet = self._fleet
        row = msgspec.json.encode(self._said())
        flat = await self._link.call(
            "beat", FLEET, fleet.node, fleet.numbered(), fleet.lease_ms, row, *self._tokens.had()
        )
        here = {node.decode() for node in flat[::2]}
        for gone in self.members:
            if gone.node not in here and gone.node != fleet.node:
                log.info("a node is gone", node=gone.node, name=gone.name, running=gone.running)
        self.members = [member for text in flat[1::2] if (member := _member(text)) is not None]

    async def _beaten(self) -> bool:
        try:
            await self.beat()
        except StoreError:
            return False
        return True

    # -- looking after all shards ----------------------------------------------------------------------------

    async def _tending(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await asyncio.gather(self._tend(), self._link.try_room())
                await self._ticked()
            except StoreError as error:
                log.debug("cannot look after the shards", error=str(error))
            await asyncio.sleep(max(TEND_S / 2, began + TEND_S - loop.time()))

    async def _tend(self) -> None:
        book, terms = self._book, self._terms()
        lease_ms = self._fleet.lease_ms
        answers: list[Any] = await self._link.call_many(
            [
                Call("tend", tag, (self._node, lease_ms, book.held(shard), *terms))
                for shard, tag in enumerate(TAGS)
            ]
        )
        others: list[int] = []
        taken: list[str] = []
        for shard, answer in enumerate(answers):
            if not _fine(answer):
                continue
            if answer == 0:
                self._seen(shard, 0)
                continue
            look, other, poison, its = answer
            taken += [prefix.decode() for prefix in its]
            self._seen(shard, look)
            if other:
                others.append(shard)
            for prefix in poison:
                self._end(prefix.decode())
        if taken:
            self._tasks.start(self._shelf.moved(taken), "read what was taken")
        if others:
            await self.renew(others)

    def _end(self, prefix: str) -> None:
        if prefix not in self._condemning:
            self._condemning.add(prefix)
            self._tasks.start(self._ending(prefix), f"condemn {prefix}")

    async def _ending(self, prefix: str) -> None:
        try:
            log.warning("a request ended its node twice while it ran alone", journal=prefix)
            await self._shelf.condemn(prefix)
        except StoreError as error:
            log.info("could not be ended; somebody will try again", journal=prefix, error=str(error))
        finally:
            self._condemning.discard(prefix)


def _fine(answer: Any) -> bool:
    return not isinstance(answer, StoreError)


def _member(text: bytes) -> Member | None:
    try:
        return msgspec.json.decode(text, type=Member)
    except msgspec.DecodeError:
        return None  # of another release
