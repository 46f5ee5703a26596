"""A process that writes calls down and is killed: `python -m tests.store_child URL FOLDER FIRST`.

It prints the number of each batch's last call as soon as the journal has taken it.
"""

from __future__ import annotations

import sys
import threading
from itertools import count
from pathlib import Path

from router.store.journal import open_journals
from router.store.writer import Writer
from tests.stores import PLENTY, decision
from waypost import database

BATCH = 7


def main(url: str, folder: str, first: int) -> None:
    """Until somebody ends it."""
    own, left = open_journals(Path(folder), PLENTY)
    writer = Writer(database.open_engine(url), own, left, batch=50, flush_s=0.001)
    threading.Thread(target=writer.run, args=(threading.Event(),), daemon=True).start()
    for start in count(first, BATCH):
        own.append("c", [decision(f"r{number}") for number in range(start, start + BATCH)])
        print(start + BATCH - 1, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
