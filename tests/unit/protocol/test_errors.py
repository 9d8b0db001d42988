"""Errors say what to do, and close codes whether to come back."""

from __future__ import annotations

import re

import pytest

from holdfast_protocol.errors import CLOSE_CODES, ERRORS, ProtocolError


@pytest.mark.parametrize("code", ERRORS)
def test_codes_are_words_and_advice_is_a_sentence(code: str) -> None:
    """A code is a stable snake_case word; its advice is a sentence for people."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert re.fullmatch(r"[A-Z].*\.", ERRORS[code].advice)


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_close_codes_are_ours_to_send(code: int) -> None:
    """Only codes that an endpoint may send are in the table: registered ones, or 4000 to 4999; each has a sentence."""
    assert code in {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013} or 4000 <= code <= 4999
    assert re.fullmatch(r"[A-Z].*\.", CLOSE_CODES[code].meaning)


def test_an_error_takes_its_text_from_the_table() -> None:
    """Without a text of its own an error says the advice; `retryable` is the table's."""
    assert str(ProtocolError("draining")) == ERRORS["draining"].advice
    assert str(ProtocolError("draining", "Soon.")) == "Soon."
    assert ProtocolError("draining").retryable
    assert not ProtocolError("invalid").retryable


def test_a_code_that_is_not_in_the_table_is_a_bug() -> None:
    """Nobody can send a code that the document does not list."""
    with pytest.raises(AssertionError):
        ProtocolError("oops")
