"""What a delta, a request, a reader and a silent second cost where several nodes share Redis and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import aiohttp
import msgspec

from tests.support.cluster import Cluster
from tests.support.postgres_rig import PostgresServer
from tests.support.script import Script

from . import machine
from .cluster_load import RATE, Asked, Kept, Streamed, idle, keep, requests, stream
from .cluster_model import Costs, table
from .cluster_rig import POSTGRES, Stand, Usage, cluster, sqlite
from .nodes import program
from .paced import DELTA_CHARS, FILL
from .report import Report, Scale, Table, quantile, spread, times

REQUEST_DELTAS = 20
COMPACT_S = 1.0
PACKED_S = 4.0  # after the end of the last answer: all are packed, and in the history

METHOD = f"""`main.py serve` processes with a real redis-server (append-only file, everysec) and a real PostgreSQL (fsync on). What runs answers is
on one core; Redis, PostgreSQL, the load and nodes that only deliver share the others: on a machine with two cores everything but the first node stands in
each other's way, so throughput says little about more machines, and what counts is the CPU time of each process per unit of work, read
from the kernel, Redis and PostgreSQL each by itself. What an idle stand uses in the same time is taken off, and told apart. Answers are made at {RATE} deltas of
{DELTA_CHARS} characters a second in the node that runs them (bench/paced.py), in one row by a model in another process (OpenAI stream); they belong to 64 users. The SQLite node does
the same by turns. Redis per delta is from its own counters (INFO), writes of PostgreSQL are transactions and bytes of its log. A
request has an answer of {REQUEST_DELTAS} deltas, from submit to seal, and is packed, and in the history, where it has a chat."""


@dataclass(slots=True)
class Row:
    """Repetitions of one arrangement."""

    name: str
    readers: int
    got: list[Streamed] = field(default_factory=list)

    def us(self, *parts: int) -> list[float]:
        """CPU µs per delta of these nodes."""
        return [one.us(sum(one.used.nodes[part] for part in parts)) for one in self.got]

    def late(self, share: float) -> list[float]:
        """That quantile of the latency, ms."""
        return [quantile(one.late_ms, share) for one in self.got]


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    report = Report("Several nodes", METHOD)
    machine.cores()
    with PostgresServer(POSTGRES) as postgres:
        version = (await postgres.do("SHOW server_version"))[0][0].split()[0]
        costs = Costs()
        rest = await _deltas(report, costs, postgres, scale)
        await _nodes(report, costs, rest, postgres, scale)
        await _requests(report, costs, postgres, scale)
    report.tables.append(table(costs))
    report.reading.append(
        f"PostgreSQL {version}; {len(machine.cores()[0] | machine.cores()[1])} cores for everything."
    )
    return report


# -- deltas ------------------------------------------------------------------------------------------------------


async def _deltas(report: Report, costs: Costs, postgres: PostgresServer, scale: Scale) -> Usage:
    """One node beside SQLite; a node that runs and others that deliver. What one node uses that has never done anything."""
    answers = scale.pick(60, 6)
    alone, one, model = Row("SQLite, 1 node", 1), Row("1 node", 1), Row("1 node, model over HTTP", 1)
    away = Row("a node runs, another delivers", 1)
    same = Row("the same, 2 readers on that other", 2)
    fan = Row("the same, a reader on each of 2 others", 2)
    async with program("tests.support.upstream", measured=False) as upstream:
        await _speak(upstream.port, scale)
        agent = (
            '[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\napi_key = "none"\n'
            f'base_url = "http://127.0.0.1:{upstream.port}/v1"\n'
        )
        async with (
            sqlite() as plain,
            cluster(postgres, ["both"], [0], agent) as (single, _),
            cluster(postgres, ["worker", "gateway", "gateway"], [0, 1, 1]) as (apart, _),
        ):
            await asyncio.sleep(scale.settle_s)
            await asyncio.gather(*(idle(stand, scale.measured_s) for stand in (plain, single, apart)))
            await stream(
                single, 1, [0], Scale(quick=True), agent="model"
            )  # it imports what it needs at its first answer
            for _ in range(scale.pick(2, 1)):
                alone.got.append(await stream(plain, answers, [0], scale))
                one.got.append(await stream(single, answers, [0], scale))
                model.got.append(await stream(single, answers, [0], scale, agent="model"))
                away.got.append(await stream(apart, answers, [1], scale))
                same.got.append(await stream(apart, answers, [1, 1], scale))
                fan.got.append(await stream(apart, answers, [1, 2], scale))
    cost = Table(
        f"{answers} answers: CPU µs per delta, and ms from its making to its reader; median and range",
        ["arrangement", "node that runs", "nodes that deliver", "Redis", "PostgreSQL", "p50", "p99"],
    )
    for row in (alone, one, model):
        cost.add(*_cells(row, row.us(0), []))
    for row in (away, same, fan):
        cost.add(*_cells(row, row.us(0), row.us(1, 2)))
    report.tables += [cost, _redis_per_delta([one, model, away, same, fan])]
    costs.run, costs.follow = median(away.us(0)) / 1e6, median(away.us(1, 2)) / 1e6
    costs.model = (median(model.us(0)) - median(one.us(0))) / 1e6
    costs.reader = max(0.0, median(same.us(1, 2)) - median(away.us(1, 2))) / 1e6
    costs.moved = median(got.each(got.used.in_bytes + got.used.out_bytes) for got in away.got)
    mine, theirs = median(one.late(0.5)), median(alone.late(0.5))
    report.reading.append(
        f"Beside SQLite in the same run a delta through Redis comes {times(mine / theirs)} as late at the median ({mine:.1f} to {theirs:.1f} ms), "
        f"and costs the node {times(median(one.us(0)) / median(alone.us(0)))} the CPU, and Redis {_redis_us(one):.0f} µs."
    )
    report.reading.append(
        f"One more node that follows an answer costs that node {median(fan.us(1, 2)) - median(same.us(1, 2)):.0f} µs per delta more than one more reader on a node "
        f"that follows it already, Redis {_redis_us(fan) - _redis_us(same):.0f} µs, and the node that runs it nothing "
        f"({median(fan.us(0)):.0f} to {median(same.us(0)):.0f} µs)."
    )
    assert single.idle is not None
    return single.idle


def _redis_us(row: Row) -> float:
    return median(one.us(one.used.redis) for one in row.got)


def _cells(row: Row, runs: list[float], only: list[float]) -> list[str]:
    shared = bool(row.got[0].used.calls)
    late = [spread(row.late(share)) if row.got[0].late_ms else "" for share in (0.5, 0.99)]
    return [
        row.name, spread(runs, 0), spread(only, 0) if only else "",
        spread((one.us(one.used.redis) for one in row.got), 1) if shared else "",
        spread((one.us(one.used.postgres) for one in row.got), 1) if shared else "", *late,
    ]  # fmt: skip


def _redis_per_delta(rows: Sequence[Row]) -> Table:
    table = Table(
        "Redis per delta; medians",
        [
            "arrangement",
            "appends",
            "calls of functions",
            "commands inside",
            "messages",
            "bytes in",
            "bytes out",
        ],
    )

    def each(row: Row, *names: str) -> float:
        return median(one.each(sum(one.used.calls.get(name, 0) for name in names)) for one in row.got)

    for row in rows:
        inside = median(one.each(sum(one.used.calls.values())) for one in row.got) - each(
            row, "fcall", "fcall_ro"
        )
        table.add(
            row.name, f"{each(row, 'xadd'):.2f}", f"{each(row, 'fcall', 'fcall_ro'):.2f}", f"{inside:.1f}",
            f"{each(row, 'publish'):.2f}", f"{median(one.each(one.used.in_bytes) for one in row.got):,.0f}",
            f"{median(one.each(one.used.out_bytes) for one in row.got):,.0f}",
        )  # fmt: skip
    return table


async def _speak(port: int, scale: Scale) -> None:
    """Tell the model what to say to everybody."""
    deltas = int((scale.streamed_s + 2) * RATE)
    text = ("x" * (DELTA_CHARS - len(FILL)) + FILL.decode()) * deltas
    script = Script(text=text, delta_chars=DELTA_CHARS, gap_ms=1000 / RATE, usage="never")
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"http://127.0.0.1:{port}/script", data=msgspec.json.encode(script)) as response,
    ):
        response.raise_for_status()


# -- nodes -------------------------------------------------------------------------------------------------------


async def _nodes(report: Report, costs: Costs, alone: Usage, postgres: PostgresServer, scale: Scale) -> None:
    """Several equal nodes, and fewer and fewer: what they cost when idle, at a load that fits, and at one that does not."""
    fits, too_many, widest = scale.pick(90, 6), scale.pick(300, 12), scale.pick(3, 2)
    load = Table(
        "Every node has both roles, readers and answers are spread over all",
        [
            "nodes",
            "answers",
            "deltas/s",
            "of what is due",
            "CPU µs per delta: nodes",
            "Redis",
            "PostgreSQL",
            "a core of its own would carry",
        ],
    )
    rest = Table(
        "Nothing to do: per second",
        [
            "nodes",
            "CPU ms of a node",
            "CPU ms of Redis",
            "calls of functions",
            "commands inside",
            "KiB to Redis and back",
        ],
    )
    quiet = {1: alone}
    rows: dict[int, list[list[str]]] = {}
    async with cluster(postgres, ["both"] * widest, [0, 1, 0][:widest]) as (stand, rig):
        for count in range(widest, 0, -1):
            await asyncio.sleep(scale.settle_s)
            used = await idle(stand, scale.measured_s)
            quiet.setdefault(widest, used)  # later ones still tidy up after what has been
            for answers in (fits, too_many):
                got = await stream(stand, answers, [], scale)
                nodes_us = got.us(sum(got.used.nodes))
                if count == widest:  # the last one counts: Redis is busy, as one would have it
                    costs.redis = got.us(got.used.redis) / 1e6
                rows.setdefault(count, []).append([
                    str(count), str(answers), f"{got.made / got.used.at:,.0f}", f"{got.made / got.due:.2f}", f"{nodes_us:.0f}",
                    f"{got.us(got.used.redis):.0f}", f"{got.us(got.used.postgres):.1f}", f"{1e6 / nodes_us:,.0f}",
                ])  # fmt: skip
            await _less(stand, rig)
    for count in sorted(rows):
        for row in rows[count]:
            load.add(*row)
    for count, used in sorted(quiet.items()):
        inside = sum(used.calls.values()) - used.calls.get("fcall", 0) - used.calls.get("fcall_ro", 0)
        rest.add(
            str(count), f"{sum(used.nodes) / count / used.at * 1000:.1f}", f"{used.redis / used.at * 1000:.1f}",
            f"{(used.calls.get('fcall', 0) + used.calls.get('fcall_ro', 0)) / used.at:.0f}", f"{inside / used.at:,.0f}",
            f"{(used.in_bytes + used.out_bytes) / used.at / 1024:.0f}",
        )  # fmt: skip
    report.tables += [load, rest]
    more = (quiet[widest].redis / quiet[widest].at - alone.redis / alone.at) / (widest - 1)
    costs.node_rest = more
    report.reading.append(
        f"Each further idle node costs Redis {more * 1000:.1f} ms a second: {more:.2%} of its one core, whatever the load."
    )


async def _less(stand: Stand, rig: Cluster) -> None:
    """One node fewer."""
    if len(stand.nodes) > 1:
        stand.nodes.pop()
        await rig.nodes[len(stand.nodes)].stop()
    stand.idle = None


# -- requests, and what is kept ----------------------------------------------------------------------------------


async def _requests(report: Report, costs: Costs, postgres: PostgresServer, scale: Scale) -> None:
    """Short answers; then what Redis holds of live and of ended ones."""
    count, callers, live, deltas = (
        scale.pick(320, 8),
        scale.pick(16, 4),
        scale.pick(200, 8),
        scale.pick(150, 20),
    )
    async with (
        sqlite(compact_s=COMPACT_S) as plain,
        cluster(postgres, ["both"], [0], compact_s=COMPACT_S) as (single, _),
    ):
        await asyncio.sleep(scale.settle_s)
        await asyncio.gather(idle(plain, scale.measured_s), idle(single, scale.measured_s))
        after_s = PACKED_S if not scale.quick else 1.0
        rows: list[tuple[str, Asked]] = []
        for chat in (False, True):
            for name, stand in (("SQLite", plain), ("Redis, PostgreSQL", single)):
                await requests(stand, callers, callers, REQUEST_DELTAS, 0.5, chat=chat)  # connections, plans
                asked = await requests(stand, count, callers, REQUEST_DELTAS, after_s, chat=chat)
                rows.append((f"{name}, {'in a new chat' if chat else 'without a chat'}", asked))
        kept = await keep(single, live, deltas, scale.measured_s, after_s)
    table = Table(
        f"{count} requests on {callers} connections: per request",
        [
            "store", "CPU ms: node", "Redis", "PostgreSQL", "calls of functions", "commands inside", "KiB to Redis and back",
            "PostgreSQL: transactions that write", "KiB of its log", "ms p50",
        ],
    )  # fmt: skip
    for name, asked in rows:
        table.add(name, *_per_request(asked))
    report.tables += [table, _kept(kept, live)]
    count, used = asked.requests, asked.used  # of the last row: in a chat, with Redis and PostgreSQL
    costs.request, costs.redis_request = used.nodes[0] / count, used.redis / count
    costs.postgres_request = used.postgres / count
    costs.transactions, costs.wal = used.transactions / count, used.wal_bytes / count
    costs.entry, costs.ended = kept.live / deltas, kept.ended
    silent = kept.silent
    report.reading.append(
        f"A live answer that is silent costs its node {silent.nodes[0] / silent.at / live * 1e6:.0f} µs a second, Redis "
        f"{silent.redis / silent.at / live * 1e6:.0f} µs; it holds {kept.live / 1024:.1f} KiB of Redis with {kept.text_bytes / 1024:.1f} KiB of text, and "
        f"{kept.ended / 1024:.1f} KiB when it has ended and is packed."
    )


def _per_request(asked: Asked) -> list[str]:
    used, count = asked.used, asked.requests
    cells = [f"{used.nodes[0] / count * 1000:.2f}"]
    if used.calls:
        calls = used.calls.get("fcall", 0) + used.calls.get("fcall_ro", 0)
        cells += [
            f"{used.redis / count * 1000:.2f}", f"{used.postgres / count * 1000:.2f}", f"{calls / count:.1f}",
            f"{(sum(used.calls.values()) - calls) / count:.0f}", f"{(used.in_bytes + used.out_bytes) / count / 1024:.1f}",
            f"{used.transactions / count:.1f}", f"{used.wal_bytes / count / 1024:.1f}",
        ]  # fmt: skip
    else:
        cells += [""] * 7
    return [*cells, f"{median(asked.wait_ms):.1f}"]


def _kept(kept: Kept, live: int) -> Table:
    table = Table(
        f"Redis's memory per answer: {live} answers, appended as they were made at {RATE} a second",
        ["answer", "KiB of text", "KiB in Redis", "of the text"],
    )
    for name, held in (("live", kept.live), ("ended, packed", kept.ended)):
        table.add(name, f"{kept.text_bytes / 1024:.1f}", f"{held / 1024:.1f}", times(held / kept.text_bytes))
    return table
