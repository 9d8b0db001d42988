"""What keeps the store small, and what the history has of it: packing, marking, erasing, purging.

Where some servers of several are away, what lies on the others is done all the same, and the rest by a later call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import structlog

from holdfast_protocol.events import Cancelled
from holdfast_server.stores.base import (
    Damaged,
    Key,
    Owner,
    StoreError,
    Summary,
    Unavailable,
    UnknownRequest,
    key_of,
)
from holdfast_server.stores.blob import pack
from holdfast_server.stores.log import Log
from holdfast_server.stores.shared import Acceptances

from .calls import Calls
from .follow import Follow
from .keys import TAGS, key_in, owner_prefix, prefix_of, tag_in, tag_of
from .link import Call
from .rows import encoded_events, fields_in, summary_in
from .shelf import Shelf

SLICE: Final = 200
"""Journals of one shard looked at in one call."""

K = TypeVar("K")

log = structlog.get_logger(__name__)


class Upkeep:
    """Called from a timer, by any node; what two do at a time is done once."""

    def __init__(
        self,
        calls: Calls,
        follow: Follow,
        shelf: Shelf,
        node: str,
        *,
        acceptances: Acceptances | None,
        told: Callable[[Summary, bool], None],
    ) -> None:
        """`told` gets the rows of what this node removed and had not in memory: it is told of those by nobody else."""
        self._calls = calls
        self._follow = follow
        self._shelf = shelf
        self._node = node
        self._acceptances = acceptances
        self._told = told
        self._counts: dict[str, int] = {}  # open requests by shard, as it said last
        self._away = False

    # -- the history -----------------------------------------------------------------------------------------

    async def unprojected(self, limit: int) -> list[Log]:
        """See Store.unprojected; what lies on servers that are away is left out. Raises: Unavailable if all are."""
        found: list[tuple[int, str]] = []
        for answer in (await self._everywhere("oldest", "unproj", limit)).values():
            found += [
                (int(float(number)), prefix.decode())
                for prefix, number in zip(answer[::2], answer[1::2], strict=True)
            ]
        journals: list[Log] = []
        away: dict[str, Unavailable] = {}
        for _, prefix in sorted(found):
            if len(journals) >= limit:
                break
            if tag_in(prefix) in away:
                continue
            try:
                journal = await self._follow.load(key_in(prefix))
                if not journal.sealed:
                    await self._follow.sync(journal)
            except UnknownRequest:
                continue
            except Damaged as error:
                log.warning("an answer cannot go into the history", request=prefix, reason=str(error))
                continue
            except Unavailable as error:
                away[tag_in(prefix)] = error
                continue
            journals.append(journal)
        if away and not journals:
            raise next(iter(away.values()))
        return journals

    async def projected(self, keys: Sequence[Key]) -> None:
        """See Store.projected; what lies on servers that are away is asked after again, and noted then. Raises: Unavailable if
        all are."""
        by_tag: dict[str, list[str]] = {}
        for prefix in map(prefix_of, keys):
            by_tag.setdefault(tag_in(prefix), []).append(prefix)
        calls = [Call("projected", tag, (self._node, *some)) for tag, some in by_tag.items()]
        for answer in await self._some(calls):
            for prefix, row in answer:
                journal = self._shelf.at(prefix.decode())
                if journal is not None and not self._shelf.restate(journal, fields_in(row)):
                    self._follow.stale(journal)
        self._shelf.tell()

    async def dirty(self, owner: Owner) -> list[tuple[Key, int]]:
        """See Shared.dirty. Raises: Unavailable."""
        place = owner_prefix(owner)
        answer = await self._calls.ask("dirty", tag_of(owner), place)
        return [
            (key_of(owner, unquote(request.decode())), int(float(version)))
            for request, version in zip(answer[::2], answer[1::2], strict=True)
        ]

    async def clean(self, marks: Sequence[tuple[Key, int]]) -> None:
        """See Shared.clean. Raises: Unavailable."""
        by_tag: dict[str, list[str | int]] = {}
        for key, version in marks:
            by_tag.setdefault(tag_of(key.owner), []).extend((prefix_of(key), version))
        await self._all([Call("clean", tag, tuple(some)) for tag, some in by_tag.items()])

    async def count_open(self) -> int:
        """How many requests have no outcome; of a shard that is away, how many had none when it was asked last. Raises:
        Unavailable if it never was, or all are away."""
        answers = await self._everywhere("count")
        self._counts.update((tag, int(count)) for tag, count in answers.items())
        if len(self._counts) < len(TAGS):
            raise Unavailable(
                "Some servers of the store cannot be reached, and were not since this node started."
            )
        return sum(self._counts.values())

    # -- gone ------------------------------------------------------------------------------------------------

    async def erase(self, keys: Sequence[Key], now: int) -> None:
        """See Store.erase. Raises: Unavailable if that is not certain of all."""
        outcome = Cancelled(at=now, code="chat_deleted", message="The chat was deleted.")
        blob = encoded_events([outcome])
        if self._acceptances is not None and keys:
            await self._acceptances.forget(keys)
        prefixes = [prefix_of(key) for key in keys]
        calls = [Call("erase", tag_in(prefix), (self._node, prefix, now, blob, blob)) for prefix in prefixes]
        failure: StoreError | None = None
        for prefix, answer in zip(prefixes, await self._calls.many(calls), strict=True):
            if isinstance(answer, StoreError):
                failure = answer
                continue
            journal = self._shelf.at(prefix)
            if journal is None:
                if answer[0] == b"OK":
                    self._told(summary_in(prefix, fields_in(answer[1])), True)
                continue
            if answer[0] == b"OK":
                fields = fields_in(answer[1])
                if not journal.sealed and int(fields[b"tail"]) == journal.tail + 1:
                    self._shelf.grow(journal, journal.tail, [outcome])
                    self._shelf.restate(journal, fields)
            self._shelf.remove(journal)
        self._shelf.tell()
        if failure is not None:
            raise failure

    async def compact(self) -> int:
        """See Store.compact; what lies on servers that are away is left as it is. Raises: Unavailable if all are."""
        count = 0
        failed: set[str] = set()
        away: set[str] = set()
        while True:
            prefixes = [
                name
                for answer in (await self._everywhere("oldest", "sealed", SLICE)).values()
                for prefix in answer[::2]
                if (name := prefix.decode()) not in failed and tag_in(name) not in away
            ]
            if not prefixes:
                return count
            for prefix in prefixes:
                if (tag := tag_in(prefix)) in away:
                    continue
                try:
                    packed = await self._pack(prefix)
                except Unavailable:
                    away.add(tag)
                    continue
                count += packed
                if not packed:
                    failed.add(prefix)

    async def _pack(self, prefix: str) -> bool:
        """One; a journal that cannot be packed stays as it is. Raises: Unavailable."""
        try:
            journal = await self._follow.load(key_in(prefix))
            if not journal.sealed:
                await self._follow.sync(journal)
            packed = await asyncio.to_thread(partial(pack, journal))
        except (Damaged, UnknownRequest) as error:
            log.warning("a journal cannot be packed", request=prefix, reason=str(error))
            return False
        done = await self._calls.sure(
            "pack", tag_in(prefix), prefix, journal.tail, packed.data, packed.sha, packed.text_sha
        )
        journal.compacted = journal.compacted or bool(done)
        journal.forget_fold()
        return bool(done)

    async def purge(self, older_than_ms: int, bytes_max: int) -> int:
        """See Store.purge; of servers that are away nothing goes, and then nowhere what is only too much: the oldest may be
        there. Raises: Unavailable if all are."""
        await self.compact()
        count = 0
        while True:
            sizes = await self._everywhere("bytes")
            over = sum(map(int, sizes.values())) - bytes_max if len(sizes) == len(TAGS) else 0
            below = "+inf" if over > 0 else f"({older_than_ms}"
            rows: list[tuple[float, str, int]] = []
            for answer in (await self._everywhere("purgeable", below, SLICE)).values():
                rows += [(float(at), prefix.decode(), int(float(size))) for prefix, at, size in answer]
            gone: list[str] = []
            for at, prefix, size in sorted(rows):
                if at >= older_than_ms and over <= 0:
                    break
                gone.append(prefix)
                over -= size
            if not gone:
                return count
            removed = await self._purge(gone)
            if not removed:
                return count
            count += removed

    async def _purge(self, prefixes: list[str]) -> int:
        if self._acceptances is not None:
            await self._acceptances.ended([key_in(prefix) for prefix in prefixes])
        by_tag: dict[str, list[str]] = {}
        for prefix in prefixes:
            by_tag.setdefault(tag_in(prefix), []).append(prefix)
        calls = [Call("purge", tag, (self._node, *some)) for tag, some in by_tag.items()]
        removed = [prefix.decode() for answer in await self._some(calls) for prefix in answer]
        for prefix in removed:
            journal = self._shelf.at(prefix)
            if journal is not None:
                self._shelf.drop(journal)
        return len(removed)

    # -- many ------------------------------------------------------------------------------------------------

    async def _everywhere(self, function: str, *args: bytes | str | int) -> dict[str, Any]:
        """The answers of all shards that can be reached, by their tags. Raises: Unavailable if none can."""
        answers = await self._calls.many([Call(function, tag, args) for tag in TAGS])
        given = dict(self._answered(zip(TAGS, answers, strict=True)))
        self._away = len(given) < len(TAGS)
        return given

    async def _some(self, calls: Sequence[Call]) -> list[Any]:
        """The answers of those that were answered. Raises: Unavailable if none was."""
        return [answer for _, answer in self._answered(enumerate(await self._calls.many(calls)))]

    def _answered(self, answers: Iterable[tuple[K, Any]]) -> list[tuple[K, Any]]:
        """Those that are answers. Raises: the first of the others, if there is none."""
        given: list[tuple[K, Any]] = []
        failure: StoreError | None = None
        for key, answer in answers:
            if isinstance(answer, StoreError):
                failure = failure or answer
            else:
                given.append((key, answer))
        if failure is not None:
            if not given:
                raise failure
            if not self._away:
                log.warning("some shards of the store are passed over", why=str(failure))
            self._away = True
        return given

    async def _all(self, calls: Sequence[Call]) -> list[Any]:
        answers = await self._calls.many(calls)
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
        return answers
