"""Bugs planted on purpose, each into one place of the real code: the proof that the checker still sees.

Every one of them has been shipped by somebody. A bug names the rules of the checker that may catch it, so that a plant
which merely breaks the run (because the code around it has changed) does not count as found.
"""

from tests.simulation import planted_readers, planted_runs, planted_store
from tests.simulation.planting import BUGS

__all__ = ["BUGS", "planted_readers", "planted_runs", "planted_store"]
