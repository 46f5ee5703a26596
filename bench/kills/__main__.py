"""Does what was acknowledged outlive a `kill -9`, fifty times in the middle of ten thousand changes?

Parts are listed in `parts.py`, a file each; each starts real processes, kills them while they are kept busy, starts
them again on the same files or database, and looks at the end whether everything that somebody was told is kept is
there, once, and whole.  The table is the same for all.

    python -m bench.kills                            # all parts: some twenty minutes on two cores
    python -m bench.kills journal calls --kills 3 --changes 600

Exit status: 1 where something was lost or half.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import table
from bench.kills.evidence import HEADER, Evidence, Plan
from bench.kills.parts import PARTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts and prints what they found."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description="Kills, and what is left.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all where none is named")
    parser.add_argument("--kills", type=int, default=Plan.kills)
    parser.add_argument("--changes", type=int, default=Plan.changes, help="of each row of the table, in all lives")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    plan = Plan(options.kills, options.changes)
    found = [_told(evidence) for name in options.parts or PARTS for evidence in PARTS[name](plan)]
    table.show(
        f"{plan.kills} kills among {plan.changes:,} changes ({table.machine()})", HEADER, [e.row() for e in found]
    )
    return 0 if all(evidence.holds for evidence in found) else 1


def _told(evidence: Evidence) -> Evidence:
    """Says at once what is found: the rest may take a quarter of an hour."""
    print(evidence, file=sys.stderr)
    return evidence


if __name__ == "__main__":
    sys.exit(main())
