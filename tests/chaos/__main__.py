"""`python -m tests.chaos --seconds 120 --seed 7 [--nodes 3]`: break everything for a while, and tell whether something was lost.

Exits with 1 if anything was. The seed decides what is asked and what is broken, and in which order; processes and networks
keep times of their own, so that two runs of a seed are alike, and not the same.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from .check import SHOWN_MAX
from .figures import line, table
from .planted import PLANTS
from .run import Settings, run


def main(arguments: list[str]) -> int:
    """Run once."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long things are broken (60)")
    parser.add_argument("--seed", type=int, help="what decides everything; drawn and printed if left out")
    parser.add_argument(
        "--nodes", type=int, default=3, help="servers (3); 0: one alone, with SQLite, in place of a cluster"
    )
    parser.add_argument("--lease", type=float, default=3.0, help="seconds that a node keeps its leases (3)")
    parser.add_argument("--planted", default="", choices=["", *sorted(PLANTS)], help="a bug, to be found")
    parser.add_argument("--folder", type=Path, help="where history and logs go; a temporary one if left out")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    # Always a new one: journals of an earlier run would answer to this one's ids.
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-", dir=options.folder))
    sys.stdout.write(f"chaos: seed {seed}, {options.seconds:g} s, {options.nodes} nodes, in {folder}\n")
    sys.stdout.flush()
    settings = Settings(options.seconds, seed, folder, options.nodes, options.lease, options.planted)
    verdict = asyncio.run(run(settings))
    sys.stdout.write(f"{table(verdict.figures)}\n{line(verdict.figures)}\n")
    for violation in verdict.violations[:SHOWN_MAX]:
        sys.stdout.write(f"VIOLATION {violation}\n")
    if verdict.violations:
        sys.stdout.write(f"{len(verdict.violations)} violations; the history is {verdict.history}\n")
        return 1
    if options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
