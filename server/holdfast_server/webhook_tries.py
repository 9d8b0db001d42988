"""Tries of webhooks that are due: as many at once as the bounds allow, each once, what became of it written down.

One is begun when it is due, and while its host and all of them together are below their bounds. What is due is read past
hosts at their bound. A host whose last try failed has one place only, so many dead receivers cost little more than one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import msgspec
import structlog

from .projections.webhook import webhook_body
from .reels import asked_of
from .stores.base import Damaged, Key, Owner, StoreError, UnknownRequest
from .stores.log import Log
from .tasks import Tasks
from .webhook_addresses import Reach, UrlRefused
from .webhook_signing import Signer
from .webhook_terms import (
    FAILING_HOST_SENDING_MAX,
    HOST_SENDING_MAX,
    SENDING_MAX,
    TRIES_KEPT_MAX,
    Answer,
    Hook,
    Rows,
    Sender,
    SendFailed,
    State,
    Try,
    WebhookSettings,
    one_line,
    retry_after_s,
    wait_ms,
)

IDLE_S: Final = 30.0
"""The longest that nothing is read, though nothing seems due: the wall clock may jump."""

TAKEN_S: Final = 30.0
"""Beyond its own time-out, how long a try is one node's: it has to be written down too."""

FAILING_HOSTS_MAX: Final = 1_000
"""Hosts remembered as failing, the latest; one that is forgotten has its whole bound again."""

CLOSE_GRACE_S: Final = 2.0
"""How long tries under way may still take when the server stops; what is cut off is made again at the next start."""

log = structlog.get_logger(__name__)


class Tries:
    """The tries of one node. `freed` is called whenever one has ended. `trouble` is set when what became of one could not
    be written: it is due still, so wait a little before the next look. Raises: ValueError for a secret that is none."""

    def __init__(
        self,
        rows: Rows,
        find: Callable[[Owner, str], Awaitable[Log]],
        sender: Sender,
        settings: WebhookSettings,
        reach: Reach,
        *,
        tasks: Tasks,
        now_ms: Callable[[], int],
        dice: Callable[[], float],
        freed: Callable[[], None],
        alone: bool = True,
    ) -> None:
        """`alone`: no other node makes tries of these rows."""
        self._alone = alone
        self._rows = rows
        self._find = find
        self._sender = sender
        self._settings = settings
        self._reach = reach
        self._signer = Signer(settings.secrets)
        self._tasks = tasks
        self._now_ms = now_ms
        self._dice = dice
        self._freed = freed
        self._sending: dict[Key, tuple[str, asyncio.Task[None]]] = {}
        self._let_go_of: set[Key] = set()  # since the rows that are looked at now were asked for
        self._failing: dict[str, None] = {}
        self.trouble = False

    @property
    def signs(self) -> bool:
        """Whether there is a secret to sign with."""
        return bool(self._signer)

    async def begin_due(self) -> float:
        """Begin as many as the bounds allow. How long nothing more is to be begun, in seconds, unless one ends. Raises:
        Unavailable."""
        while len(self._sending) < SENDING_MAX:
            now = self._now_ms()
            self._let_go_of.clear()
            hooks = await self._rows.due(now, 2 * SENDING_MAX, self._full_hosts())
            begun = [hook for hook in hooks if self._is_current(hook.key) and self._begin(hook)]
            if not begun:
                next_at = await self._rows.next_at(now)
                return IDLE_S if next_at is None else min(IDLE_S, (next_at - now) / 1000)
        return IDLE_S

    def stop(self, keys: Collection[Key]) -> None:
        """Break off those for these requests."""
        for key in keys:
            if key in self._sending:
                self._sending[key][1].cancel()

    async def close(self) -> None:
        """Let those under way end, for a moment; whoever made the tasks then ends them."""
        if self._sending:
            await asyncio.wait([task for _, task in self._sending.values()], timeout=CLOSE_GRACE_S)

    def _is_current(self, key: Key) -> bool:
        """Whether its row is as it was read: one whose try ended while it was read may be settled by now."""
        return key not in self._sending and key not in self._let_go_of

    def _bound(self, host: str) -> int:
        return FAILING_HOST_SENDING_MAX if host in self._failing else HOST_SENDING_MAX

    def _full_hosts(self) -> list[str]:
        counts = Counter(host for host, _ in self._sending.values())
        return [host for host, count in counts.items() if count >= self._bound(host)]

    def _begin(self, hook: Hook) -> bool:
        if len(self._sending) >= SENDING_MAX or hook.host in self._full_hosts():
            return False
        task = self._tasks.start(self._deliver(hook), "try")
        self._sending[hook.key] = (hook.host, task)
        task.add_done_callback(lambda _: self._let_go(hook.key))
        return True

    def _let_go(self, key: Key) -> None:
        self._sending.pop(key, None)
        self._let_go_of.add(key)
        self._freed()

    async def _deliver(self, hook: Hook) -> None:
        try:
            if not self._alone and not await self._take(hook):
                return  # another node was faster
            try:
                body = await self._body_of(hook.key)
            except UnknownRequest:
                await self._rows.remove([hook.key])
                return
            except Damaged:
                done, answer = self._fruitless("the answer is damaged where it is kept"), None
            except StoreError:
                raise
            except Exception:  # one answer must not hold up all others
                log.exception("a webhook's body cannot be made", request_id=hook.key.request_id)
                done, answer = self._fruitless("its body cannot be made"), None
            else:
                done, answer = await self._try(hook, body)
            await self._rows.settle(self._settled(hook, done, answer))
        except Exception:
            self.trouble = True
            log.exception("what became of a webhook cannot be noted", request_id=hook.key.request_id)

    async def _take(self, hook: Hook) -> bool:
        """Keep other nodes from making the same try. Should this one die in it, it is made again after that time. Raises:
        Unavailable."""
        until = self._now_ms() + int((self._settings.timeout_s + TAKEN_S) * 1000)
        return await self._rows.take(hook, until)

    def _fruitless(self, error: str) -> Try:
        """A try that did not get as far as the wire."""
        return Try(at=self._now_ms(), duration_ms=0, error=error)

    async def _body_of(self, key: Key) -> bytes:
        """What the receiver is told. Raises: UnknownRequest if the request is no more, Damaged, Unavailable."""
        source = await self._find(key.owner, key.request_id)
        if source.erased or source.outcome is None:
            raise UnknownRequest(key.request_id)
        settings = self._settings
        url = f"{settings.base_url.rstrip('/')}/v1/requests/{key.request_id}"
        body = webhook_body(
            asked_of(source), source.fold().transcript(), url=url, text_bytes_max=settings.text_bytes_max
        )
        return msgspec.json.encode(body)

    async def _try(self, hook: Hook, body: bytes) -> tuple[Try, Answer | None]:
        at = self._now_ms()
        began = asyncio.get_running_loop().time()
        headers = {"content-type": "application/json", **self._signer.headers(hook.delivery_id, at, body)}
        answer: Answer | None = None
        error = ""
        try:
            self._reach.target(hook.url)  # the settings may be others than when it was armed
            async with asyncio.timeout(self._settings.timeout_s):
                answer = await self._sender.send(hook.url, body, headers)
        except TimeoutError:
            error = f"no answer within {self._settings.timeout_s:g} s"
        except (SendFailed, UrlRefused) as failed:
            error = one_line(str(failed))
        except Exception as unforeseen:  # one address must not hold up all others
            log.exception("a webhook could not be sent", request_id=hook.key.request_id)
            error = f"it could not be sent ({type(unforeseen).__name__})"
        took_ms = round(1000 * (asyncio.get_running_loop().time() - began))
        if answer is None:
            return Try(at=at, duration_ms=took_ms, error=error), None
        return Try(at=at, duration_ms=took_ms, status=answer.status, said=one_line(answer.said)), answer

    def _settled(self, hook: Hook, done: Try, answer: Answer | None) -> Hook:
        """The webhook after that try."""
        now = self._now_ms()
        tried = hook.tried + 1
        state: State = "delivered"
        next_at = 0
        self._failing.pop(hook.host, None)
        if done.status == 410:
            state = "gone"
        elif not done.good:
            self._failing[hook.host] = None
            if len(self._failing) > FAILING_HOSTS_MAX:
                del self._failing[next(iter(self._failing))]
            put_off_s = retry_after_s(answer.retry_after, now) if answer is not None else None
            wait = wait_ms(self._settings, tried, put_off_s, self._dice())
            state, next_at = ("given_up", 0) if wait is None else ("due", now + wait)
        if state != "delivered":
            log.warning(
                "a webhook was not taken", request_id=hook.key.request_id, host=hook.host, tried=tried,
                status=done.status, error=done.error, state=state,
            )  # fmt: skip
        return msgspec.structs.replace(
            hook, state=state, tried=tried, next_at=next_at, updated_at=now,
            tries=[*hook.tries, done][-TRIES_KEPT_MAX:],
        )  # fmt: skip
