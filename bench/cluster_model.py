"""What so many answers at once would need: a calculation from what was measured in the same run, with its assumptions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from .report import Table

SIZES = (10_000, 100_000, 1_000_000)
DELTAS_PER_S = 30
READERS = 1.2
ANSWER_S = 40
KEPT_S = 900
"""For so long an ended answer stays in Redis, for those who come back; then it is in the history alone."""

NODE_LOAD = 0.6
SHARD_LOAD = 0.5
"""What may be used of a core: above it nodes merge what they append, and Redis has nothing left for a failover."""

ASSUMED = f"""answers of {ANSWER_S} s with {DELTAS_PER_S} deltas a second, each in a chat, from a model over HTTP; {READERS} readers, all on other nodes than the
one that runs it; ended answers are kept in Redis for {KEPT_S // 60} minutes; nodes may use {NODE_LOAD:.0%} of a core, Redis and PostgreSQL {SHARD_LOAD:.0%}"""


@dataclass(slots=True)
class Costs:
    """Measured. CPU in seconds, sizes in bytes."""

    run: float = 0.0  # a node that runs an answer, per delta
    model: float = 0.0  # more, where the delta comes from a model over HTTP
    follow: float = 0.0  # another node with one reader, per delta
    reader: float = 0.0  # one more reader there
    redis: float = 0.0  # Redis, per delta that another node follows
    moved: float = 0.0  # bytes to Redis and back, per delta
    node_rest: float = 0.0  # Redis, per node and second
    request: float = 0.0  # a node, per request in a chat
    redis_request: float = 0.0
    postgres_request: float = 0.0
    transactions: float = 0.0  # of PostgreSQL that write, per request
    wal: float = 0.0
    entry: float = 0.0  # bytes of Redis's memory for one delta of a live answer
    ended: float = 0.0  # and for an ended one, packed


def table(costs: Costs) -> Table:
    """A row per size."""
    made = Table(
        f"Calculated, not measured. Assumed: {' '.join(ASSUMED.split())}",
        [
            "answers at once", "deltas/s", "cores for nodes", "cores for Redis", "Redis GiB, live", "GiB, ended",
            "Redis GB/s, in and out", "requests/s", "cores for PostgreSQL", "its transactions/s", "MB/s of its log",
        ],
    )  # fmt: skip
    for answers in SIZES:
        deltas, asked = answers * DELTAS_PER_S, answers / ANSWER_S
        each = costs.run + costs.model + costs.follow + (READERS - 1) * costs.reader
        nodes = ceil((deltas * each + asked * costs.request) / NODE_LOAD)
        redis = deltas * costs.redis + asked * costs.redis_request + nodes * costs.node_rest
        live = answers * ANSWER_S * DELTAS_PER_S / 2 * costs.entry  # on average half of it is there
        made.add(
            f"{answers:,}", f"{deltas:,}", f"{nodes:,}", f"{ceil(redis / SHARD_LOAD):,}", f"{live / 1024**3:,.1f}",
            f"{asked * KEPT_S * costs.ended / 1024**3:,.1f}", f"{deltas * costs.moved / 1e9:,.2f}", f"{asked:,.0f}",
            f"{ceil(asked * costs.postgres_request / SHARD_LOAD):,}", f"{asked * costs.transactions:,.0f}",
            f"{asked * costs.wal / 1e6:,.1f}",
        )  # fmt: skip
    return made
