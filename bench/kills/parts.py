"""The parts of the bench, by the names that the command line takes."""

from __future__ import annotations

from bench.kills import calls, documents, journal
from bench.kills.evidence import Part

PARTS: dict[str, Part] = {
    "journal": journal.run,
    "calls": calls.run,
    "documents": documents.run,
}
