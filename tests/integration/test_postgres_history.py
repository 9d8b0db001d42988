"""The history in PostgreSQL keeps every promise that it keeps in SQLite: the same tests, over a real server."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from random import Random

import pytest

from holdfast_server.chats import Chats
from tests.support.histories import VARIABLE
from tests.support.journals import ANN, asked
from tests.support.postgres_rig import PostgresServer
from tests.support.process import Process

pytestmark = pytest.mark.needs("postgres")

ROOT = Path(__file__).resolve().parents[2]
SUITES = (
    "test_chats", "test_chats_not_there", "test_search", "test_projector", "test_webhooks_rows", "test_reader_rows",
    "test_batches", "test_acceptances",
)  # fmt: skip
RUN_S = 240.0  # 10 s on a machine at rest
WORDS = [
    "cafe", "Café", "e\u0301a", "über", "Straße", "İst", "naïve", "天", "気", "天気", "東京都", "日本語text", "が", "か\u3099", "한국",
    "ไทย", "ภาษา", "नमस्ते", "ΑΒΓ", "Σίσυφος", "мой", "МОИ", "ＡＢＣ", "①", "½", "x²", "٣", "ﬁn", "ǅ", "\ue000x", "🎉", "…", "C++",
    "snake_case", "foo-bar", "don't", "ann@example.com", "1234", "a", "ab", "abc",
]  # fmt: skip


@pytest.mark.parametrize("suites", [SUITES[:2], SUITES[2:3], SUITES[3:]], ids=["chats", "search", "rows"])
async def test_the_same_promises(
    postgres_server: PostgresServer, tmp_path: Path, suites: tuple[str, ...]
) -> None:
    """What the unit tests hold of chats, search, projection, webhooks, readers and batches holds over PostgreSQL."""
    template = await postgres_server.database()
    files = [f"tests/unit/server/{name}.py" for name in suites]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
    env = {VARIABLE: template, "PYTEST_ADDOPTS": "", "PYTEST_XDIST_WORKER": ""}
    async with Process(command, output=tmp_path / "run.log", env=env, cwd=ROOT) as run:
        status = await run.wait(RUN_S)
    assert status == 0, run.tail()
    assert " passed" in run.output.read_text()


async def test_both_databases_find_the_same(postgres_url: str, tmp_path: Path) -> None:
    """Whatever is looked for in whatever language, PostgreSQL finds the messages that SQLite finds, in the same order."""
    dice = Random(5)
    both = [
        Chats(url, now_ms=lambda: 1_000_000)
        for url in (postgres_url, f"sqlite+aiosqlite:///{tmp_path}/history.db")
    ]
    for chats in both:
        await chats.start()
    for number in range(60):
        text = "".join(
            dice.choice(WORDS) + dice.choice(["", " ", "\n", ", "]) for _ in range(dice.randint(1, 40))
        )
        for chats in both:
            await chats.project_opened(asked(f"r{number}", text, chat_id=f"c{number}", at=1_000 + number))
    queries = [*WORDS, *(word[:1] for word in WORDS)]
    queries += [
        one + dice.choice(["", " "]) + two for one, two in dice.sample(list(product(WORDS, WORDS)), 150)
    ]
    found = 0
    for query in queries:
        hits = [
            [(hit.chat_id, hit.message_id) for hit in (await chats.search(ANN, query, 200))[0]]
            for chats in both
        ]
        assert hits[0] == hits[1], query
        found += len(hits[0])
    assert found > len(queries)
    for chats in both:
        await chats.close()
