"""What a node holds of a store that it shares: what lapses is not held, and what runs alone runs alone until it is over."""

from __future__ import annotations

from holdfast_server.stores.redis.book import Book, ClaimRow


def row(name: str, *, alone: bool = False) -> ClaimRow:
    return ClaimRow(f"{{h1}}:j:/ann/{name}", 1, "0000beef", 1, "recovered", alone, "echo")


def test_what_lapsed_runs_alone_until_it_is_over() -> None:
    """Redis knows nothing of it any more, its run does not know that yet: nothing else is claimed beside it."""
    for term in (1, None):
        book, solo = Book(), row("solo", alone=True)
        book.add(1, solo)
        assert book.lapse(1, ()) == [solo]
        assert (book.count, book.alone) == (0, solo)
        book.drop(1, solo.prefix, term)
        assert book.alone is None
        assert book.revive(1, solo.prefix, 1, solo.nonce) is None


def test_what_lapsed_is_held_again_once_the_store_knows_of_it() -> None:
    """It was written again after a failover: the same claim, alone as before."""
    book, solo = Book(), row("solo", alone=True)
    book.add(1, solo)
    book.lapse(1, ())
    assert book.revive(1, solo.prefix, 1, solo.nonce) is solo
    assert (book.count, book.alone) == (1, solo)
    book.lapse(1, ())
    book.add(1, row("other"))
    book.drop(1, row("other").prefix, 1)
    assert book.alone is solo
