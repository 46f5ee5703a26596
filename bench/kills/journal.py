"""The log of calls from the journal on: the smallest process that does what a router does with what the ring gives.

A call is acknowledged when the journal has taken its line and its texts, and whole when its row has these texts.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.kills import databases, rows
from bench.kills.databases import Database
from bench.kills.evidence import Evidence, Plan
from router.store.journal import open_journals
from router.store.writer import Writer
from tests.stores import PLENTY, empty

APART = 1_000_000
"""Between the numbers of two lives."""


def run(plan: Plan) -> Iterator[Evidence]:
    """A row for each database."""
    return (_run(plan, place) for place in databases.each())


def _run(plan: Plan, place: Database) -> Evidence:
    chance, journals = random.Random(8), place.folder / "journal"
    sent, kept = set[str](), set[str]()
    for number in range(plan.kills):
        first = number * APART
        told = _killed(place.url, journals, first, round(plan.each * chance.uniform(0.5, 1.5)))
        sent |= {f"r{each}" for each in range(first, told["sent"] + 1)}
        kept |= {f"r{each}" for each in range(first, told["kept"] + 1)}
        place.crash(number)
    _take_over(place.url, journals)
    found = rows.found(place.url)
    half = {name for name, asked in found.items() if len(asked) > 1 or name not in sent}
    half |= {name for name in kept & found.keys() if found[name] != [f"asked in {name}"]}
    what = f"log of calls, {place.name}: what the journal took"
    return Evidence(what, plan.kills, len(sent), len(kept), len(kept - found.keys()), len(half))


def _killed(url: str, folder: Path, first: int, calls: int) -> Counter[str]:
    """Starts a process that writes calls from `first` on, and kills it after some; the last that it sent and kept."""
    command = [sys.executable, "-P", "-m", "bench.kills.scribe", url, str(folder), str(first)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    told = Counter(sent=first - 1, kept=first - 1)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout
        for line in child.stdout:
            word, _, number = line.partition(" ")
            if line.endswith("\n"):
                told[word] = int(number)
            if told["kept"] >= first + calls:
                child.send_signal(signal.SIGKILL)
    return told


def _take_over(url: str, folder: Path) -> None:
    own, left = open_journals(folder, PLENTY)
    with empty(url) as engine:
        assert Writer(engine, own, left).flush()
    own.close()
