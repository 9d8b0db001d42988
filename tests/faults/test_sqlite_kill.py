"""SIGKILL of a real process that writes a real SQLite file: nothing it acknowledged is lost, nothing it left is torn."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast_protocol.fold import fold
from holdfast_server.stores.sqlite import SqliteStore
from tests.support.journals import Clock
from tests.support.scribe import Scribe, key, text_of

ROUNDS = 15
LIFE_MAX_S = 0.5

pytestmark = [pytest.mark.faults, pytest.mark.slow]

# Prints what was acknowledged, each line after the call returned: a request's name and how many words of it are durable.
CHILD = """
import asyncio, itertools, sys
import structlog
from holdfast_server.stores.sqlite import SqliteStore
from tests.support.journals import Clock
from tests.support.scribe import Scribe, key

folder, round_ = sys.argv[1], int(sys.argv[2])
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

def tell(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

async def answer(scribe, name):
    await scribe.open(name, chat_id="c")
    tell("open", name)
    held = await scribe.claim()
    name = held.key.request_id
    await held.begin("first" if held.claim.how == "first" else "recovered", keep="all" if held.claim.how == "first" else "none")
    for word in range(40):
        held.say(f"{word} ")
        await held.writer.flush()
        tell("word", name, held.claim.term, word + 1)
    await held.complete()
    tell("end", name)

async def upkeep(store):
    for turn in itertools.count():
        await store.compact()
        tell("compact", turn)
        await store.projected([log.key for log in await store.unprojected(5)])
        await asyncio.sleep(0.01)

async def main():
    store = SqliteStore(folder, durability="power" if round_ % 3 == 0 else "process", lock_wait_s=5)
    await store.start()
    scribe = Scribe(store, Clock())
    tell("ready")
    keep = asyncio.ensure_future(upkeep(store))
    for turn in itertools.count():
        await asyncio.gather(*(answer(scribe, f"k{round_}-{turn}-{n}") for n in range(6)))

asyncio.run(main())
"""


def live_and_die(folder: Path, number: int, life_s: float) -> list[list[str]]:
    """Run the child, kill it after `life_s` from its being ready; what it had said by then."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first in {"ready\n", ""}, first  # nothing, where it did not start: its errors say why
        time.sleep(life_s)
    finally:
        child.send_signal(signal.SIGKILL)
        said, errors = child.communicate()
    assert "Traceback" not in errors, errors
    return [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Killed at random moments, again and again over one folder: every opened request is there, every acknowledged word,
    every outcome; every log folds; and what had not ended can be claimed at once (G1). Mutant: an answer to `flush`
    before the commit ends is red in the first rounds."""
    dice = random.Random(20_261_120)
    opened: set[str] = set()
    ended: set[str] = set()
    for number in range(ROUNDS):
        words: dict[tuple[str, int], int] = {}
        for line in live_and_die(tmp_path, number, dice.uniform(0.02, LIFE_MAX_S)):
            match line:
                case ["open", name]:
                    opened.add(name)
                case ["word", name, term, words_said]:
                    words[name, int(term)] = int(words_said)
                case ["end", name]:
                    ended.add(name)
        store = SqliteStore(tmp_path, lock_wait_s=5)
        await store.start()
        scribe = Scribe(store, Clock())
        rows, _ = await store.summaries(None, active=False, chat_id=None, limit=100_000, before=None)
        assert opened <= {row.key.request_id for row in rows}
        for row in rows:
            log = await store.log(row.key)
            assert fold(log.events).offset == log.tail
            assert log.sealed or row.key.request_id not in ended
        for (name, reign), count in words.items():
            text = text_of(await store.log(key(name)))
            assert "".join(f"{word} " for word in range(count)) in text, (name, reign, count, text)
        live = {row.key.request_id for row in rows if row.outcome is None}
        claimed = set()
        while (claim := await store.claim()) is not None:
            claimed.add(claim.log.key.request_id)
        assert claimed == live
        assert await scribe.ids(None, active=True) == sorted(
            live, key=lambda name: -[r.key.request_id for r in rows][::-1].index(name)
        )
        await store.close()
    assert len(opened) > ROUNDS
    assert ended
