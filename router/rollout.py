"""The slow loop that moves rollouts: on while the canary is no worse, back when it is.

Every few seconds each running rollout is judged by what both sides have shown since its step began, over all
routers.  The judge is a sequential test (`rust_core/decide/src/sequential.rs`), so looking often costs nothing: over
a whole rollout a canary as good as the stable model is rolled back with probability `alpha` at most, shared equally
by the steps.  A rollout ends as

- promoted, when the canary is no worse at the last step (or at the one before a step of 100 %, where nothing would be
  left to compare with),
- rolled back, as soon as it is worse,
- inconclusive, when a step takes longer than its limit: nothing was found, and too little was seen to say so.

Every router runs this loop.  A change names the revision it is based on, so the first one counts and the others look
again.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from router.events import Sink, write

log = structlog.get_logger()

WITHIN_S = 300.0
"""A regression is to end a rollout within this time, where the traffic can show it."""
REGRESSIONS = (
    {"metric": "errors", "from": 0.01, "to": 0.05},
    {"metric": "slow", "from": 0.05, "to": 0.15},
    {"metric": "quality", "from": 0.85, "to": 0.75},
)
"""Those that the traffic needed is told of."""
WORDS = {
    "errors": "the share of errors",
    "slow": "the share of slow calls",
    "quality": "the quality",
    "feedback": "the callers' feedback",
}

Json = Mapping[str, Any]
Call = Callable[[str], str]
"""A function of `_core` that takes and returns JSON."""


class Core(Protocol):
    """The part of `_core.Router` that rollouts need."""

    def rollouts(self) -> str: ...

    def set_rollout(self, rollout_json: str) -> str: ...


class Pace(Protocol):
    """The section `rollout` of the router's configuration."""

    @property
    def judge_s(self) -> float: ...

    @property
    def min_calls(self) -> int: ...

    @property
    def alpha(self) -> float: ...


class Watcher:
    """Looks at rollouts and moves them.

    Args:
        judge: `_core.judge_canary`.
        traffic: `_core.canary_traffic`.
        journal: gets a line of JSON for each look that saw something new, and for each change, whoever made it.
        ended: called with the name of a rollout that has ended.
    """

    def __init__(
        self,
        core: Core,
        judge: Call,
        traffic: Call,
        config: Pace,
        journal: Sink,
        ended: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._core = core
        self._judge = judge
        self._traffic = traffic
        self._config = config
        self._journal = journal
        self._ended = ended
        self._known: dict[str, Json] = {}
        self._seen: dict[str, int] = {}
        self._warned: dict[str, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Looks every `judge_s` until `stop` is set."""
        while not stop.wait(self._config.judge_s):
            self.look()

    def look(self) -> None:
        """Judges every running rollout once."""
        for status in self._statuses():
            self._notice(status["rollout"])
            if status["rollout"]["state"] == "running":
                self._move(status)

    def _statuses(self) -> list[Json]:
        try:
            statuses: list[Json] = json.loads(self._core.rollouts())
        except RuntimeError:  # the router is leaving; whoever comes after it looks again
            return []
        return statuses

    def _move(self, status: Json) -> None:
        name = status["rollout"]["name"]
        try:
            verdict = self.verdict(status)
            self._note(status, verdict)
            self._warn_if_thin(status)
            if change := decide(status, verdict):
                self._change(status, change)
        except (ValueError, RuntimeError, OSError) as error:  # one rollout must not end the watch over the others
            log.warning("rollout not moved", rollout=name, error=str(error))

    def verdict(self, status: Json) -> dict[str, Any]:
        """What the judge says of a rollout now."""
        case = {
            "stable": status["stable"],
            "canary": status["canary"],
            "alpha": self._alpha(status["rollout"]),
            "min_calls": self._config.min_calls,
        }
        judged: dict[str, Any] = json.loads(self._judge(json.dumps(case)))
        return judged

    def needed(self, rollout: Json) -> list[float | None]:
        """Calls a second over both sides at which each of `REGRESSIONS` shows in time; None: at no traffic."""
        case = {
            "share": share(rollout),
            "within_s": WITHIN_S,
            "alpha": self._alpha(rollout),
            "changes": REGRESSIONS,
        }
        calls_per_second: list[float | None] = json.loads(self._traffic(json.dumps(case)))
        return calls_per_second

    def _alpha(self, rollout: Json) -> float:
        return self._config.alpha / len(rollout["steps"])

    def _change(self, status: Json, change: Json) -> None:
        rollout = {**status["rollout"], **change}
        if rollout["state"] == "inconclusive":
            rollout["reason"] += f".  {traffic_words(self.needed(rollout), rollout, status)}"
        self._notice(json.loads(self._core.set_rollout(json.dumps(rollout))))

    def _notice(self, rollout: Json) -> None:
        """Tells of a change, also where another router or a person made it."""
        name = rollout["name"]
        before = self._known.setdefault(name, rollout)
        if before["revision"] >= rollout["revision"]:
            return
        self._known[name] = rollout
        log.info("rollout moved", rollout=name, **{key: rollout[key] for key in ("state", "step", "reason")})
        self._write({"rollout": rollout})
        if before["state"] == "running" != rollout["state"]:
            self._ended(name)

    def _note(self, status: Json, verdict: Json) -> None:
        name, calls = status["rollout"]["name"], _calls(status)
        if self._seen.get(name) != calls:
            self._write({**status, "verdict": verdict})
        self._seen[name] = calls

    def _write(self, entry: Json) -> None:
        line = {"event": "rollout", "timestamp": datetime.now(UTC).isoformat(), **entry}
        write(self._journal, [json.dumps(line)], "rollouts")

    def _warn_if_thin(self, status: Json) -> None:
        """Once per step, as soon as a minute has shown how much traffic there is."""
        rollout = status["rollout"]
        if status["since_s"] < 60 or self._warned.get(rollout["name"]) == rollout["revision"]:
            return
        self._warned[rollout["name"]] = rollout["revision"]
        needed = self.needed(rollout)
        tell = log.info if (needed[0] or math.inf) <= calls_per_second(status) else log.warning
        tell("rollout watched", rollout=rollout["name"], traffic=traffic_words(needed, rollout, status))


def decide(status: Json, verdict: Json) -> dict[str, Any] | None:
    """What changes in a rollout by its verdict; None: nothing yet."""
    rollout = status["rollout"]
    if verdict["verdict"] == "regression":
        return {"state": "rolled_back", "reason": regression_words(verdict)}
    if verdict["verdict"] == "no_worse":
        return _onward(rollout, f"no worse after {_calls(status, 'canary')} calls at {percent(share(rollout))}")
    if status["since_s"] >= rollout["step_limit_s"]:
        return {"state": "inconclusive", "reason": undecided_words(status, verdict)}
    return None


def _onward(rollout: Json, reason: str) -> dict[str, Any]:
    left = rollout["steps"][rollout["step"] + 1 :]
    if not left or left[0] >= 1:
        return {"state": "promoted", "reason": reason}
    return {"step": rollout["step"] + 1, "reason": reason}


def share(rollout: Json) -> float:
    """The canary's share at the step a rollout is at."""
    part: float = rollout["steps"][rollout["step"]]
    return part


def calls_per_second(status: Json) -> float:
    """Over both sides, since the step began."""
    return _calls(status) / max(status["since_s"], 1.0)


def _calls(status: Json, *sides: str) -> int:
    return sum(status[side]["calls"] for side in sides or ("stable", "canary"))


def regression_words(verdict: Json) -> str:
    """Why a canary is worse: "the share of errors is 5.1 % of 390 against 1.0 % of 7410, odds of 1500 to 1"."""
    metric, seen = verdict["metric"], verdict["evidence"]
    canary, stable = figure(metric, seen["canary"]), figure(metric, seen["stable"])
    odds = math.exp(min(seen["log_odds"], 20 * math.log(10)))
    sides = f"{canary} of {seen['canary_n']} against {stable} of {seen['stable_n']}"
    return f"{WORDS[metric]} is {sides}, odds of {odds:.0f} to 1 that it is no chance"


def undecided_words(status: Json, verdict: Json) -> str:
    """Why a step took too long: what is not settled, and what it would have taken."""
    took, of_canary = f"not settled within {status['since_s'] / 60:.0f} min", _calls(status, "canary")
    if not of_canary:
        return f"{took}: the canary had no calls"
    more = verdict["needs_calls"]
    would = f"{more} more would do" if more is not None else "nor would more settle it, as things are"
    return f"{took}: {WORDS[verdict['metric']]}, after {of_canary} calls of the canary; {would}"


def traffic_words(needed: list[float | None], rollout: Json, status: Json) -> str:
    """Which traffic shows what, and how much there is."""
    shown = ", ".join(_shows(needed))
    where = f"At a share of {percent(share(rollout))}, {WITHIN_S / 60:.0f} minutes show {shown}"
    return f"{where}; there were {calls_per_second(status):.1f} calls/s"


def _shows(needed: list[float | None]) -> Iterator[str]:
    for change, calls in zip(REGRESSIONS, needed, strict=True):
        metric = str(change["metric"])
        change_words = f"{metric} from {figure(metric, change['from'])} to {figure(metric, change['to'])}"
        yield f"{change_words} {'at no traffic' if calls is None else f'from {calls:.0f} calls/s on'}"


def figure(metric: str, mean: Any) -> str:
    """A mean as people know it: shares in per cent, scores as they are."""
    return percent(float(mean), 1) if metric in ("errors", "slow") else f"{float(mean):.2f}"


def percent(part: float, digits: int = 0) -> str:
    """A share: "5 %"."""
    return f"{100 * part:.{digits}f} %"
