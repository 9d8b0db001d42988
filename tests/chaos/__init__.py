"""Chaos: real processes under faults, a history of all that was asked, said and shown, and a checker that judges it."""
