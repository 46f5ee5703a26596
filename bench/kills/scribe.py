"""A process that writes calls down and is killed: `python -m bench.kills.scribe URL FOLDER FIRST`.

It does what a router's process does with what the ring gives: into the journal, and from there into the database.  It
prints "sent N" before it writes down calls up to N, and "kept N" when the journal has taken them and their texts.
"""

from __future__ import annotations

import sys
import threading
from itertools import count
from pathlib import Path

from router.store.feed import Feed
from router.store.journal import open_journals
from router.store.writer import Writer
from tests.stores import GENERATE, PLENTY, decision, texts
from waypost import database
from waypost.config import Router

BATCH = 7


class Nowhere:
    """Takes lines and forgets them."""

    def write(self, lines: list[str]) -> None:
        pass

    def forget(self, before: float) -> None:
        pass


def main(url: str, folder: str, first: int) -> None:
    """Until somebody ends it."""
    own, left = open_journals(Path(folder), PLENTY)
    writer = Writer(database.open_engine(url), own, left, batch=50, flush_s=0.001)
    threading.Thread(target=writer.run, args=(threading.Event(),), daemon=True).start()
    feed = Feed(own, Router.model_validate({"payloads": {"mode": "full"}}))
    calls, said = feed.decisions(Nowhere()), feed.texts(Nowhere())
    for start in count(first, BATCH):
        names = [f"r{number}" for number in range(start, start + BATCH)]
        print("sent", start + BATCH - 1, flush=True)
        calls.write([decision(name, method=GENERATE) for name in names])
        said.write([texts(name, f"asked in {name}") for name in names])
        print("kept", start + BATCH - 1, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
