"""The end of a run: every journal as each node shows it, read without faults, and what the upstream was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from tests.support.upstream import Upstream

from .history import History
from .nodes import Node, token_of
from .plan import USERS, Item

EVENTS_PER_CALL = 1000
ROWS_PER_CALL = 200
CALL_S = 20.0


async def look(
    nodes: Sequence[Node], upstream: Upstream, history: History, http: ClientSession, plan: Sequence[Item]
) -> None:
    """Note it all."""
    for number, item in enumerate(plan):
        # Every journal from one node, by turns; one in three from all of them.
        chosen = nodes if number % 3 == 0 else [nodes[number % len(nodes)]]
        for node in chosen:
            await _journal(node, item, history, http)
    for user in USERS:
        await _list(nodes[0], user, history, http)
    for call in upstream.log.calls:
        history.add(
            "call", key=call.key, nth=call.nth, outcome=call.outcome, started=history.at(call.started),
            ended=history.at(call.ended) if call.ended is not None else None,
        )  # fmt: skip


async def _get(node: Node, user: str, path: str, http: ClientSession, **query: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token_of(user)}"}
    timeout = ClientTimeout(total=CALL_S)
    async with http.get(node.direct + path, headers=headers, params=query, timeout=timeout) as response:
        return response.status, await response.json()


async def _journal(node: Node, item: Item, history: History, http: ClientSession) -> None:
    about = {"user": item.user, "request": item.request, "node": node.name}
    path = f"/v1/requests/{item.request}"
    events: list[Any] = []
    sealed = False
    while True:
        status, said = await _get(
            node, item.user, f"{path}/log", http, start=len(events), limit=EVENTS_PER_CALL
        )
        if status != 200:
            history.add("unread", **about, status=status)
            return
        events += said["events"]
        sealed = said["sealed"]
        if sealed or not said["events"]:
            break
    history.add("journal", **about, events=events, sealed=sealed)
    status, said = await _get(node, item.user, path, http, parts="false")
    if status == 200:
        history.add("row", **about, status=said["status"], text=said.get("text", ""))


async def _list(node: Node, user: str, history: History, http: ClientSession) -> None:
    """Every request that the user has, which must be those that were asked."""
    requests: list[str] = []
    query: dict[str, Any] = {"limit": ROWS_PER_CALL}
    while True:
        status, said = await _get(node, user, "/v1/requests", http, **query)
        if status != 200:
            history.add("unread", user=user, node=node.name, status=status)
            return
        requests += [row["request_id"] for row in said["requests"]]
        if not said.get("next"):
            break
        query["before"] = said["next"]
    history.add("listed", user=user, node=node.name, requests=requests)
