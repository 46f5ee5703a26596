"""The calls that a router answered: the rows of its log, and the lines of its ledger, both in one database.

**Ledger**: a call is acknowledged when it is answered.  Its line must be there then, at no less than the call came to,
and all totals must be the sums of their lines; what a killed router had under way counts in full once its time is over.
**Log**: answers wait for no journal.  So a call counts as acknowledged that `waypost logs` can tell of: the router
writes it there when the journal has taken it.  It must have one row then, with its texts where these were told, too.
How many were answered and have no row, since the kill came before Python had taken them from the ring, and for how long
the oldest of them had been answered, is told beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson

import waypost
from bench.kills import databases, ledger, routers, rows
from bench.kills.databases import Database
from bench.kills.evidence import Evidence, Plan
from bench.kills.ledger import Ledger
from bench.kills.routers import Life, Routers
from bench.kills.rows import Texts
from tests.plane import eventually

CONFIG = """
[router.payloads]
mode = "full"
[router.store]
enabled = true
url = "{url}"
flush_s = 0.05
[router.budget]
store = "{ledger}"
monthly_usd = 1000.0
"""


def run(plan: Plan) -> Iterator[Evidence]:
    """Two rows for each database."""
    for place in databases.each():
        yield from _run(plan, place)


def _run(plan: Plan, place: Database) -> Iterator[Evidence]:
    with routers.routers(place.home, CONFIG.format(url=place.url, ledger=place.ledger)) as started:
        lives = []
        for number, life in enumerate(started.killed(plan)):
            lives.append(life)
            place.crash(number)
        before = ledger.read(place.ledger)
        _end_well(started, place.ledger)
    yield _log(plan, place, lives, rows.found(place.url))
    yield _ledger(plan, place, lives, [before, ledger.read(place.ledger)])


def _end_well(started: Routers, url: str) -> None:
    """The last router brings in what the others left, and takes for lost what they had under way."""
    ledger.pass_time(url)
    with started.started() as router, waypost.Client(router.address) as client:
        eventually(lambda: client.budget().reserved_usd == 0.0)


# ---- the log ----


def _log(plan: Plan, place: Database, lives: list[Life], found: Texts) -> Evidence:
    told, said = (_told(place.home, name) for name in ("decisions", "payloads"))
    half = {request for request, asked in found.items() if len(asked) > 1}
    half |= {request for request in said & found.keys() if not found[request][0]}
    sent = sum(life.sent for life in lives)
    what = f"log of calls, {place.name}: calls that a router told of"
    return Evidence(what, plan.kills, sent, len(told), len(told - found.keys()), len(half), _missing(lives, found))


def _told(home: Path, name: str) -> set[str]:
    """The calls of a log; the last line of a life may be torn."""
    told = set()
    for line in (home / "log" / f"{name}.jsonl").read_bytes().splitlines():
        with suppress(orjson.JSONDecodeError):
            told.add(orjson.loads(line)["request_id"])
    return told


def _missing(lives: list[Life], found: Texts) -> str:
    aged = {answer.request: life.age_ms(answer) for life in lives for answer in life.answers}
    ages = sorted(age for request, age in aged.items() if request not in found)
    oldest = f", the oldest answered {ages[-1]:.0f} ms before its kill" if ages else ""
    return f"{len(ages)} of {len(aged)} answered calls have no row{oldest}"


# ---- the ledger ----


def _ledger(plan: Plan, place: Database, lives: list[Life], seen: list[Ledger]) -> Evidence:
    """`seen`: after the last kill, and when all was over."""
    answers = [answer for life in lives for answer in life.answers]
    lost = {answer.request for answer in answers for each in seen if not _has(each, answer.request, answer.nanos)}
    half = sum(each.disagreements() for each in seen) + sum(line.outcome == ledger.UNDER_WAY for line in seen[-1].lines)
    sent = sum(life.sent for life in lives)
    what = f"ledger, {place.name}: calls that a router answered"
    return Evidence(what, plan.kills, sent, len(answers), len(lost), half, _held(lives, seen[-1]))


def _has(seen: Ledger, request: str, nanos: int) -> bool:
    line = seen.by_request.get(request)
    return line is not None and line.counted >= nanos


def _held(lives: list[Life], seen: Ledger) -> str:
    lines = seen.by_request
    answers = {answer.request: answer.nanos for life in lives for answer in life.answers}
    full = sum(lines[request].outcome == ledger.LOST for request in answers.keys() & lines.keys())
    billed, spent = sum(answers.values()), sum(line.cost for line in seen.lines)
    money = f"answered ${billed / 1e9:.6f}, booked ${spent / 1e9:.6f}"
    return f"{full} answered calls count at all that was held for them: {money}"
