"""Full-text search: what is found, in which order, and that no query can break it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_server.chats import Chats
from holdfast_server.history import search as module
from holdfast_server.history.titles import title_from
from holdfast_server.history.words import SNIPPET_CHARS_MAX
from tests.support.histories import Histories
from tests.support.journals import ANN, BOB, answered, asked

NASTY = [
    '"', '""', "'", "*", "a*", "-a", "NOT", "AND OR", "a NEAR b", "NEAR(a b, 2)", "owner:x", "{owner body}:a", "^a", "(", ")",
    "a:b", "\x00", "a\x00b", "\x01\x02\x03", "\ud800", "%", "\\", ";--", "🎉", "\u200d", "a+b", "[a]", '"a"', 'a"b', 'a" OR b:"', "\u0301", "漢*", "…",
]  # fmt: skip

TEXTS = {
    "r0": "Der Überblick über das Café am Fluß",
    "r1": "東京都の天気は晴れです。漢字変換",
    "r2": "snake_case and kebab-case, C++ and naïve e-mail addresses: ann@example.com",
    "r3": "대한민국 서울특별시 ภาษาไทย",
    "r4": "İstanbul cafe\u0301 ＡＢＣ",
}


def history_at(url: str) -> Chats:
    return Chats(url, now_ms=lambda: 1_000_000)


@pytest.fixture
async def chats(histories: Histories, tmp_path: Path) -> AsyncIterator[Chats]:
    history = history_at(histories.at(tmp_path / "history.db"))
    await history.start()
    for number, (name, text) in enumerate(TEXTS.items()):
        record = asked(name, text, chat_id=f"c-{name}", at=1_000 + number)
        await history.project_opened(record)
        await history.update_chat(ANN, f"c-{name}", title=f"Title {name}")
    yield history
    await history.close()


async def found(chats: Chats, query: str) -> list[str]:
    hits, _ = await chats.search(ANN, query, 200)
    return [hit.message_id or f"title of {hit.chat_id}" for hit in hits]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cafe", ["q-r4", "q-r0"]),
        ("CAFÉ", ["q-r4", "q-r0"]),
        ("cafe\u0301", ["q-r4", "q-r0"]),
        ("uber", ["q-r0"]),
        ("über fluß", ["q-r0"]),
        ("天", ["q-r1"]),
        ("天気", ["q-r1"]),
        ("京都の天", ["q-r1"]),
        ("漢", ["q-r1"]),
        ("字漢", []),
        ("漢 東", ["q-r1"]),
        ("국", ["q-r3"]),
        ("특별", ["q-r3"]),
        ("ไทย", ["q-r3"]),
        ("snake_case", ["q-r2"]),
        ("kebab-c", ["q-r2"]),
        ("c++", ["q-r4", "q-r2", "q-r0"]),
        ("ann@example.com", ["q-r2"]),
        ("example ann", ["q-r2"]),
        ("naive addr", ["q-r2"]),
        ("missing", []),
        ("cafe missing", []),
        ("title r3", ["title of c-r3"]),
        ("… cafe !!!", ["q-r4", "q-r0"]),
        ("   ", []),
        ("!!!", []),
    ],
)
async def test_what_is_found(chats: Chats, query: str, expected: list[str]) -> None:
    """Words by their beginnings, without case or accents; substrings in scripts that put no spaces; all words must be
    there; titles first, then the newest."""
    assert await found(chats, query) == expected


async def test_snippets_mark_what_was_found(chats: Chats) -> None:
    """A snippet holds the words between U+0002 and U+0003 and no other mark, and is short even if words are endless."""
    hits, _ = await chats.search(ANN, "天気 晴れ")
    assert hits[0].snippet == "東京都の\x02天気\x03は\x02晴れ\x03です。漢字変換"
    assert (hits[0].title, hits[0].role, hits[0].created_at) == ("Title r1", "user", 1_001)
    long = f"\x02fake\x03 {'x' * 5_000} needle {'y' * 5_000}"
    await chats.project_sealed(answered(asked("long", "q", chat_id="long", at=9_000), long))
    hits, _ = await chats.search(ANN, "needle")
    assert "\x02needle\x03" in hits[0].snippet
    assert hits[0].role == "assistant"
    hits, _ = await chats.search(ANN, "xxx")
    assert len(hits[0].snippet) <= SNIPPET_CHARS_MAX + 3
    assert (hits[0].snippet.count("\x02"), hits[0].snippet.count("\x03")) == (1, 1)


async def test_an_unknown_place_marks_nothing_twice(chats: Chats) -> None:
    """Pages neither repeat nor skip a hit while hits are added and removed."""
    for number in range(9):
        await chats.project_opened(asked(f"p{number}", "needle", chat_id=f"p{number}", at=2_000 + number))
    first, mark = await chats.search(ANN, "needle", 5)
    await chats.project_opened(asked("new", "needle", chat_id="new", at=9_000))
    await chats.delete_chat(ANN, "p8")
    seen = [(hit.chat_id, hit.message_id) for hit in first]
    while mark is not None:
        hits, mark = await chats.search(ANN, "needle", 3, mark)
        seen += [(hit.chat_id, hit.message_id) for hit in hits]
    assert len(seen) == len(set(seen)) == 18
    assert all(message_id is None for _, message_id in seen[:9])


async def test_renaming_is_found_by_the_new_name_only(chats: Chats) -> None:
    """The index follows titles as they change."""
    await chats.update_chat(ANN, "c-r0", title="Aardvark")
    assert await found(chats, "aardvark") == ["title of c-r0"]
    assert await found(chats, "title r0") == []


@pytest.mark.parametrize("query", NASTY)
async def test_no_query_is_an_error(chats: Chats, query: str) -> None:
    """What the expression language would choke on is a word like others, or none."""
    for text in (query, f"cafe {query}", query * 50):
        await chats.search(ANN, text)
    assert (await chats.search(BOB, query))[0] == []


@pytest.fixture(scope="module")
def any_search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Chats]]:
    """One history for all examples, on a loop of its own."""
    with asyncio.Runner() as runner:
        histories = Histories()
        chats = history_at(histories.at(tmp_path_factory.mktemp("search") / "history.db"))
        runner.run(chats.start())
        for name, text in TEXTS.items():
            runner.run(chats.project_opened(asked(name, text)))
        yield runner, chats
        runner.run(chats.close())
        histories.close()


@given(
    query=st.text(st.characters(), min_size=1, max_size=30)
    | st.lists(st.sampled_from([*NASTY, " "])).map("".join)
)
def test_any_string_can_be_searched(any_search: tuple[asyncio.Runner, Chats], query: str) -> None:
    """No string raises, and nobody finds what is another's."""
    runner, chats = any_search
    runner.run(chats.search(ANN, query))
    assert runner.run(chats.search(BOB, query)) == ([], None)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), data=st.data())
def test_a_word_finds_its_message(
    any_search: tuple[asyncio.Runner, Chats], text: str, data: st.DataObject
) -> None:
    """A message is found by each of its words of letters and digits, whatever else it holds."""
    runner, chats = any_search
    word = data.draw(st.text("abcdefgéüß漢字한국日本語0123", min_size=1, max_size=8))
    name = f"m{abs(hash((text, word))):x}"
    runner.run(chats.project_opened(asked(name, f"{text} {word} {text}", chat_id=name, at=1)))
    hits, mark = runner.run(chats.search(ANN, word, 200))
    while mark is not None:
        more, mark = runner.run(chats.search(ANN, word, 200, mark))
        hits += more
    assert name in {hit.chat_id for hit in hits}


async def test_the_index_can_be_made_again(
    chats: Chats, histories: Histories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start with another version of the index makes it anew from the tables, with the same hits."""
    before = [await chats.search(ANN, query) for query in ("cafe", "title", "漢")]
    await chats.close()
    monkeypatch.setattr(module, "INDEX_VERSION", 99)
    again = history_at(histories.at(tmp_path / "history.db"))
    await again.start()
    assert [await again.search(ANN, query) for query in ("cafe", "title", "漢")] == before
    await again.update_chat(ANN, "c-r0", title="Aardvark")
    assert await found(again, "aardvark") == ["title of c-r0"]
    await again.close()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("\n\n  ## A **bold** `move`  \nmore", "A bold move"),
        ("> 1. [Read *this*](https://example.com/a_b) now", "Read this now"),
        ("- [ ] to do", "to do"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("---\n***\nText", "Text"),
        ("2 * 3 * 4 = snake_case_name", "2 * 3 * 4 = snake_case_name"),
        ("_all_ of __it__", "all of it"),
        ("![alt](x.png)", "alt"),
        ("word " * 20, "word " * 11 + "word…"),
        ("x" * 80, "x" * 59 + "…"),
        ("漢" * 80, "漢" * 59 + "…"),
        ("a" * 58 + "e\u0301" * 9, "a" * 58 + "…"),
        ("", ""),
        ("***", ""),
        ("tab\tand\x00nul", "tab and nul"),
    ],
)
def test_titles(text: str, title: str) -> None:
    """A title is the first line that says something, without Markdown's marks, at most 60 characters, cut at a word."""
    assert title_from(text) == title


@given(st.text(max_size=200))
def test_any_text_has_a_title(text: str) -> None:
    """A title is one line within its bound, whatever the message."""
    title = title_from(text)
    assert len(title) <= 60
    assert len(title.splitlines()) <= 1
