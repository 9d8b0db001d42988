"""What keeps the store small, and what the history has of it: packing, marking, erasing, purging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import structlog

from holdfast_protocol.events import Cancelled
from holdfast_server.stores.base import Damaged, Key, Owner, StoreError, Summary, UnknownRequest, key_of
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

    # -- the history -----------------------------------------------------------------------------------------

    async def unprojected(self, limit: int) -> list[Log]:
        """See Store.unprojected. Raises: Unavailable."""
        found: list[tuple[int, str]] = []
        for answer in await self._everywhere("oldest", "unproj", limit):
            found += [
                (int(float(number)), prefix.decode())
                for prefix, number in zip(answer[::2], answer[1::2], strict=True)
            ]
        journals: list[Log] = []
        for _, prefix in sorted(found):
            if len(journals) >= limit:
                break
            try:
                journal = await self._follow.load(key_in(prefix))
                if not journal.sealed:
                    await self._follow.sync(journal)
            except UnknownRequest:
                continue
            except Damaged as error:
                log.warning("an answer cannot go into the history", request=prefix, reason=str(error))
                continue
            journals.append(journal)
        return journals

    async def projected(self, keys: Sequence[Key]) -> None:
        """See Store.projected. Raises: Unavailable."""
        by_tag: dict[str, list[str]] = {}
        for prefix in map(prefix_of, keys):
            by_tag.setdefault(tag_in(prefix), []).append(prefix)
        calls = [Call("projected", tag, (self._node, *some)) for tag, some in by_tag.items()]
        for answer in await self._all(calls):
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
        """How many requests have no outcome. Raises: Unavailable."""
        return sum(int(count) for count in await self._everywhere("count"))

    # -- gone ------------------------------------------------------------------------------------------------

    async def erase(self, keys: Sequence[Key], now: int) -> None:
        """See Store.erase. Raises: Unavailable."""
        outcome = Cancelled(at=now, code="chat_deleted", message="The chat was deleted.")
        blob = encoded_events([outcome])
        if self._acceptances is not None and keys:
            await self._acceptances.forget(keys)
        prefixes = [prefix_of(key) for key in keys]
        calls = [Call("erase", tag_in(prefix), (self._node, prefix, now, blob, blob)) for prefix in prefixes]
        for prefix, answer in zip(prefixes, await self._all(calls), strict=True):
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

    async def compact(self) -> int:
        """See Store.compact. Raises: Unavailable."""
        count = 0
        failed: set[str] = set()
        while True:
            prefixes = [
                name
                for answer in await self._everywhere("oldest", "sealed", SLICE)
                for prefix in answer[::2]
                if (name := prefix.decode()) not in failed
            ]
            if not prefixes:
                return count
            for prefix in prefixes:
                if await self._pack(prefix):
                    count += 1
                else:
                    failed.add(prefix)

    async def _pack(self, prefix: str) -> bool:
        """One; a journal that cannot be packed stays as it is."""
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
        """See Store.purge. Raises: Unavailable."""
        await self.compact()
        count = 0
        while True:
            over = sum(int(size) for size in await self._everywhere("bytes")) - bytes_max
            below = "+inf" if over > 0 else f"({older_than_ms}"
            rows: list[tuple[float, str, int]] = []
            for answer in await self._everywhere("purgeable", below, SLICE):
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
        removed = [prefix.decode() for answer in await self._all(calls) for prefix in answer]
        for prefix in removed:
            journal = self._shelf.at(prefix)
            if journal is not None:
                self._shelf.drop(journal)
        return len(removed)

    # -- many ------------------------------------------------------------------------------------------------

    async def _everywhere(self, function: str, *args: bytes | str | int) -> list[Any]:
        """The answers of all shards."""
        return await self._all([Call(function, tag, args) for tag in TAGS])

    async def _all(self, calls: Sequence[Call]) -> list[Any]:
        answers = await self._calls.many(calls)
        for answer in answers:
            if isinstance(answer, StoreError):
                raise answer
        return answers
