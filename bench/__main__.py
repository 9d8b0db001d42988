"""`python -m bench [names…] [--quick]`: run the scenarios, print what they say, and write RESULTS.md after a full run."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import time
from pathlib import Path

from . import machine
from .report import Report, Scale

SCENARIOS = (
    "latency",
    "streams",
    "readers",
    "resume",
    "growth",
    "history",
    "memory",
    "commits",
    "cluster",
    "doors",
    "page",
)
RESULTS = Path(__file__).parent / "RESULTS.md"

_HEAD = """# Results

Written by `make bench`; do not edit. Every comparison is between things measured by turns in this one run: read the
ratios, the absolute figures belong to the machine. Figures are medians, with the range of the repetitions in parentheses.

## Machine

"""


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; all without any"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small, and without meaning: does the bench still work?"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the sections of the named scenarios into RESULTS.md"
    )
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SCENARIOS))
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    facts = machine.facts()
    print("\n".join(facts) + "\n", flush=True)
    reports = [_run(name, Scale(options.quick)) for name in options.names or SCENARIOS]
    if not options.quick and not options.names:
        head = _HEAD + "\n".join(f"- {fact}" for fact in facts)
        RESULTS.write_text("\n\n".join([head, *(report.markdown().strip() for report in reports)]) + "\n")
        print(f"written: {RESULTS}")
    elif options.write and not options.quick:
        for report in reports:
            RESULTS.write_text(with_section(RESULTS.read_text(), report))
        print(f"written: {RESULTS}")


def with_section(page: str, report: Report) -> str:
    """The page with this report's section in place of the one it had, or at its end."""
    sections = re.split(r"(?m)^(?=## )", page)
    mine = report.markdown().strip() + "\n\n"
    head = f"## {report.title}\n"
    if not any(section.startswith(head) for section in sections):
        sections[-1] = sections[-1].rstrip() + "\n\n"
        sections.append(mine)
    return "".join(mine if section.startswith(head) else section for section in sections).rstrip() + "\n"


def _run(name: str, scale: Scale) -> Report:
    began = time.monotonic()
    report: Report = asyncio.run(importlib.import_module(f".{name}", __package__).run(scale))
    print(report.text() + f"({name}: {time.monotonic() - began:.0f} s)\n", flush=True)
    return report


if __name__ == "__main__":
    main()
