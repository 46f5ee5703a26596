"""All benches that need nothing but this repository: `python -m bench`, or some: `python -m bench hop embed`.

Their tables go to bench/README.md by hand, with the date and the machine: a figure is read before it is published.
"""

from __future__ import annotations

import importlib
import sys

BENCHES = (
    "features",
    "embed",
    "classify",
    "hop",
    "door",
    "http",
    "think",
    "observe",
    "faults",
    "strike",
    "budget",
    "adapt",
    "generate",
    "fusion",
    "retrieve",
)

for name in sys.argv[1:] or BENCHES:
    importlib.import_module(f"bench.{name}").main()
