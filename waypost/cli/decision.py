"""A line of the decision log for people: `brief` is one line of a terminal, `told` all that is known of the call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from waypost.cli import show

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Line = Mapping[str, Any]

TERMS = ("latency", "queue", "fit", "health", "feedback")
WIDE = 110
"""Columns of a terminal from which on a brief line also says why, for whom and at what price.

Where there are fewer, a call that failed has its code where others have who answered.
"""

MODEL_REASONS = {
    "named": "the caller named it",
    "best_fit": "it does the work best of those that can",
    "fallback": "a better one was not there, or had failed",
    "first": "the route begins with it",
    "overloaded": "the one before had too much to do",
    "error": "the one before failed",
    "poor": "the answer before was poor",
    "complex": "the prompt needs more than most",
    "unsure": "the head is not sure of the prompt",
    "coverage_low": "the prompt is unlike what the head was trained on",
    "budget_low": "money is short",
    "stable": "the stable side of a rollout",
    "canary": "the canary of a rollout",
}
REPLICA_REASONS = {
    "only": "there was no other",
    "session": "its session lives there",
    "expected_completion": "it would be done first",
    "power_of_two": "of two that were drawn, it would be done first",
    "score": "of two that were drawn, it had the better score",
    "round_robin": "it was its turn",
    "weighted": "it was drawn, in proportion to its slots",
}
TIER_REASONS = {
    "head": "as the head has it",
    "length": "by its length: it is unlike what the head was trained on",
    "hint": "as the caller asked",
    "budget": "made smaller to save money",
}
CACHED = {
    "hit": "the same call was answered before: its answer came from the cache",
    "near": "a prompt that means the same was answered before: its answer came from the cache",
    "miss": "the answer was not in the cache",
}


def moment(line: Line) -> datetime:
    """When the call came in."""
    return datetime.fromisoformat(str(line["timestamp"]))


def reason(line: Line) -> str:
    """Why that model and that replica, in one word each."""
    return "/".join(filter(None, (line.get("model_reason"), line.get("reason"))))


def trace_id(line: Line) -> str:
    """32 hexadecimal digits, or nothing."""
    return str(line.get("trace_id") or "")


def method(line: Line) -> str:
    """Without the package and the service: "Embed"."""
    return str(line.get("method", "")).rpartition("/")[2]


# ---- one line ----


def brief(line: Line, width: int, now: datetime) -> Text:
    """When, what, who answered, how long it took, how it ended."""
    from rich.text import Text

    narrow, ok = width < WIDE, line.get("code") == "OK"
    answered = show.shortened(_answered(line), 26 if narrow else 36)
    code = (str(line.get("code")), style(line))
    cells = [
        (_clock(line, now), "dim"),
        (f"{method(line):<14}", "bold"),
        (f"{code[0]:<26}", code[1]) if narrow and not ok else (f"{answered:<{26 if narrow else 36}}", ""),
        (f"{show.milliseconds(line['latency_ms'] / 1e3):>11}", ""),
        (f"{str(line.get('request_id') or '')[:8]:<8}", "dim"),
        *(() if narrow else (code, *_why(line))),
        (show.shortened(line.get("error") or "", 200), "red"),
    ]
    said = Text()
    for text, how in cells:
        said.append(f"{show.printable(text)}  " if text else "", how)
    said.rstrip()
    return said


def style(line: Line) -> str:
    """How its code is shown."""
    if line.get("code") == "OK":
        return "green"
    return "yellow" if line.get("code") == "CANCELLED" else "bold red"


def _clock(line: Line, now: datetime) -> str:
    at = moment(line).astimezone(now.tzinfo)
    day = "" if at.date() == now.date() else f"{at:%m-%d} "
    return f"{day}{at:%H:%M:%S}.{at.microsecond // 1000:03d}"


def _answered(line: Line) -> str:
    """ "small → big on w-1", "minilm (hit)", or nothing."""
    models = " → ".join(hop["model"] for hop in line.get("hops", ())) or str(line.get("model") or "")
    if line.get("cache") in ("hit", "near"):
        return f"{models} ({line['cache']})"
    tries = len(line.get("attempts", ()))
    again = f", {tries} tries" if tries > max(1, len(line.get("hops", ()))) else ""
    return f"{models} on {line['chosen']}{again}" if line.get("chosen") else models


def _why(line: Line) -> Iterator[tuple[str, str]]:
    yield reason(line), "dim"
    yield str(line.get("tenant") or ""), "cyan"
    yield (show.usd(line["cost_usd"]) if line.get("cost_usd") else ""), "dim"


# ---- all of it ----


def told(line: Line) -> Iterator[RenderableType]:
    """What happened to the call, in the order in which it happened."""
    yield _title(line)
    yield _facts(_came(line))
    if line.get("features"):
        yield _facts([("prompt", _prompt(line["features"]))])
    if hops := line.get("hops"):
        yield _facts(_hops(line, hops))
    if candidates := line.get("candidates"):
        yield _candidates(line, candidates)
    if attempts := line.get("attempts"):
        yield _attempts(attempts, line["latency_ms"])
    yield _facts(_ended(line))


def _title(line: Line) -> Text:
    from rich.text import Text

    at = moment(line).astimezone()
    said = Text(show.printable(f"{line.get('request_id')}"), "bold")
    said.append(f"  {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}", "not bold dim")
    return said


def _facts(pairs: Iterable[tuple[str, str | None]]) -> Table:
    """Words on the left, what they mean on the right; pairs that say nothing are left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", width=9)
    made.add_column(overflow="fold")
    for word, text in pairs:
        if text:
            made.add_row(word, Text(show.printable(text)))
    return made


def _came(line: Line) -> Iterator[tuple[str, str | None]]:
    whose = f" for {line['tenant']}" if line.get("tenant") else ""
    yield (
        "call",
        f"{str(line.get('method')).removeprefix('/waypost.v1.')}{whose}, {line.get('request_bytes', 0):,} bytes",
    )
    yield "trace", trace_id(line)


def _prompt(features: Line) -> str:
    tier = f"tier {features['tier']}: {TIER_REASONS.get(features['tier_reason'], features['tier_reason'])}"
    needs = (
        f"complexity {features['complexity']:.2f} (more than {show.percent(features['quantile'])} of recent prompts), "
        f"confidence {features['confidence']:.2f}, coverage {features['coverage']:.2f}"
    )
    tags = f"calls for {', '.join(features['tags'])}" if features.get("tags") else ""
    guard = f"the guard remarks {features['guard']} ({features['guard_score']:.2f})" if features.get("guard") else ""
    return "\n".join(filter(None, (tier, needs, tags, guard)))


def _hops(line: Line, hops: Sequence[Line]) -> Iterator[tuple[str, str]]:
    if line.get("route"):
        yield "route", str(line["route"])
    for number, hop in enumerate(hops, 1):
        words = "; ".join(MODEL_REASONS.get(each, each) for each in hop["reason"].split("+"))
        faults = f": {', '.join(hop['faults'])}" if hop.get("faults") else ""
        judged = f"\nits answer was judged {hop['quality']:.2f}{faults}" if hop.get("quality") is not None else ""
        yield ("model" if len(hops) == 1 else f"model {number}"), f"{hop['model']}: {words}{judged}"


def _candidates(line: Line, candidates: Sequence[Line]) -> Table:
    names = ("", "instance", "chance ", "score ", *(f"{term} " for term in TERMS), "busy ")
    chosen = _first(line)
    marks = ["→" if each["instance"] == chosen else "" if each["admitted"] else "✗" for each in candidates]
    rows = (
        (
            mark,
            each["instance"],
            show.percent(each["propensity"]),
            f"{each['score']:.2f}",
            *(f"{each['terms'][term]:.2f}" for term in TERMS),
            each["in_flight"],
        )
        for mark, each in zip(marks, candidates, strict=True)
    )
    why = REPLICA_REASONS.get(str(line.get("reason")), line.get("reason"))
    left_out = "; ✗ left out: failing, too slow, or full" if "✗" in marks else ""
    styles = ({"→": "green", "✗": "dim"}.get(mark, "") for mark in marks)
    return _light(show.grid(f"replica: {chosen}, {why}{left_out}", names, rows, styles))


def _light(table: Table) -> Table:
    """Without lines, so that it has room in 80 columns."""
    table.box, table.pad_edge, table.padding = None, False, (0, 2, 0, 0)
    return table


def _first(line: Line) -> str | None:
    """Where the first attempt went: the candidates are those of that choice."""
    attempts = line.get("attempts")
    first = attempts[0]["instance"] if attempts else line.get("chosen")
    return str(first) if first else None


def _attempts(attempts: Sequence[Line], whole_ms: float) -> Table:
    width = 24
    rows = (
        (
            number,
            each["instance"],
            each["code"],
            show.milliseconds(each["latency_ms"] / 1e3),
            show.bar(each["latency_ms"] / whole_ms if whole_ms else 0.0, width),
        )
        for number, each in enumerate(attempts, 1)
    )
    return _light(show.grid("attempts", ("#", "instance", "code", "time ", "of the call"), rows, map(style, attempts)))


def _ended(line: Line) -> Iterator[tuple[str, str | None]]:
    spent = sum(each["latency_ms"] for each in line.get("attempts", ()))
    own = f", of which {show.milliseconds(max(0.0, line['latency_ms'] - spent) / 1e3)} in the router" if spent else ""
    yield "cache", CACHED.get(str(line.get("cache")))
    yield "cost", show.usd(line["cost_usd"]) if line.get("cost_usd") else None
    yield "took", f"{show.milliseconds(line['latency_ms'] / 1e3)}{own}"
    answered = f", answered by {line['chosen']}" if line.get("chosen") and line.get("code") == "OK" else ""
    yield "ended", f"{line.get('code')}{answered}"
    yield "error", line.get("error")
