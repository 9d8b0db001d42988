"""The waits between attempts to connect."""

from __future__ import annotations

from holdfast_client.backoff import BASE_S, CAP_S, STABLE_S, Backoff


def test_the_bound_doubles_up_to_the_cap():
    """With the worst dice the waits are 0.25 s, 0.5 s, 1 s, … and never above the cap."""
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.next_wait() for _ in range(12)]
    assert waits[:4] == [BASE_S, 2 * BASE_S, 4 * BASE_S, 8 * BASE_S]
    assert max(waits) == waits[-1] == CAP_S


def test_jitter_is_full():
    """The dice choose from nothing to the bound, so that a crowd comes back spread out."""
    assert Backoff(lambda: 0.0).next_wait() == 0.0
    assert Backoff(lambda: 0.5).next_wait() == BASE_S / 2


def test_what_the_server_asks_for_is_the_least():
    """A Retry-After is waited out, with jitter on top."""
    assert Backoff(lambda: 0.0).next_wait(7.0) == 7.0
    assert Backoff(lambda: 1.0).next_wait(7.0) == 7.0 + BASE_S


def test_only_a_stable_connection_forgives():
    """A connection that lasted starts the waits anew; one that flaps does not."""
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.next_wait()
    backoff.lasted(STABLE_S / 2)
    assert backoff.next_wait() == 32 * BASE_S
    backoff.lasted(STABLE_S)
    assert backoff.next_wait() == BASE_S


def test_failures_without_end_do_not_overflow():
    """A client that has been offline for a year still computes a wait."""
    backoff = Backoff(lambda: 1.0)
    backoff.failures = 100_000
    assert backoff.next_wait() == CAP_S
