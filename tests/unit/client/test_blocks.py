"""Markdown in a stream, block by block."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_client.cli.blocks import TAIL_CHARS_MAX, Blocks


def split(text: str) -> list[str]:
    blocks = Blocks()
    return [*blocks.feed(text), *blocks.finish()]


def test_paragraphs_and_headings_end_where_they_should():
    """A heading is a block of its own, a paragraph ends at a blank line."""
    assert split("# One\ntext\nmore\n\n## Two\n\n\nend") == ["# One", "text\nmore", "## Two", "end"]


def test_code_is_one_block_whatever_is_in_it():
    """Blank lines, headings and shorter fences inside a fence do not end it; its own closing fence does."""
    code = "````python\n# not a heading\n\n```\n- no item\n````"
    assert split(f"before\n{code}\nafter") == ["before", code, "after"]


def test_code_that_never_closes_is_shown_at_the_end():
    """An answer that was cut off inside a fence keeps what it has."""
    assert split("```\nx = 1\n\ny = 2") == ["```\nx = 1\n\ny = 2"]


def test_a_list_is_one_block_with_its_code_and_blank_lines():
    """Items, their paragraphs and their code belong together, so that numbers and spacing come out right."""
    items = "1. one\n\n   more of one\n\n2. two\n   ```\n   a\n\n   b\n   ```\n3. three"
    assert split(f"Steps:\n{items}\n\nDone.") == ["Steps:", items, "Done."]


def test_what_does_not_belong_ends_a_list():
    """A heading, a fence at the edge, or text after a blank line end the list; a lazy line does not."""
    assert split("- a\nlazy\n# h") == ["- a\nlazy", "# h"]
    assert split("- a\n```\nx\n```\n") == ["- a", "```\nx\n```"]
    assert split("- a\n\nb") == ["- a", "b"]


def test_a_table_is_one_block():
    """Rows stay together until a blank line."""
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    assert split(f"{table}\n\nafter") == [table, "after"]


def test_a_block_is_given_as_soon_as_it_is_finished():
    """The text after a blank line is not needed to know that the paragraph is over."""
    blocks = Blocks()
    assert blocks.feed("one") == []
    assert blocks.feed("\n") == []
    assert blocks.feed("\n") == ["one"]
    assert blocks.tail(10) == ""


def test_the_tail_is_bounded():
    """Of a long open block only its last lines are drawn, with the fence that makes them code; of a long line its end."""
    blocks = Blocks()
    blocks.feed("```python\n" + "".join(f"line {n}\n" for n in range(1000)))
    assert blocks.tail(3) == "```python\nline 998\nline 999"
    blocks = Blocks()
    for _ in range(100):
        blocks.feed("x" * 1000)
    assert len(blocks.tail(3)) == TAIL_CHARS_MAX


LINES = st.lists(
    st.sampled_from(
        ["", "text", "# h", "- item", "  more", "```", "~~~py", "1. one", "| a |", "> q", "    code", "  ```"]
    )
)


@given(LINES, st.data())
def test_how_the_stream_was_cut_makes_no_difference(lines, data):
    """Any cuts give the same blocks as the whole text."""
    text = "\n".join(lines)
    blocks, out, rest = Blocks(), [], text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        out += blocks.feed(rest[:size])
        rest = rest[size:]
    assert [*out, *blocks.finish()] == split(text)


@given(LINES)
def test_nothing_is_lost_or_moved(lines):
    """The blocks hold every line that is not blank, in order, and no block is empty."""
    blocks = split("\n".join(lines))
    assert all(block.strip() for block in blocks)
    assert [x for block in blocks for x in block.split("\n") if x.strip()] == [x for x in lines if x.strip()]


@pytest.mark.parametrize(
    "kind", ["word ", "word\n", "word\n\n"], ids=["one line", "one block", "many blocks"]
)
def test_the_cost_is_linear_in_the_text(kind):
    """Ten times the text costs about ten times the work, not a hundred times (joining the open line at each piece does:
    mutant, 60 times)."""

    def cost_s(count: int) -> float:
        blocks = Blocks()
        begin = time.process_time()
        for number in range(count):
            blocks.feed(kind)
            if number % 1000 == 0:
                blocks.tail(3)
        blocks.finish()
        return time.process_time() - begin

    assert cost_s(100_000) < 35 * min(cost_s(10_000) for _ in range(3))
