"""Prometheus' rules, the board, and a real Prometheus that scrapes a real mesh: its numbers are the mesh's own."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import waypost
from deploy.grafana import board
from tests import otlp, prometheus, traffic
from tests.otlp import Receiver
from tests.plane import eventually
from tests.prometheus import DEPLOY, Labels, Prometheus, promtool
from waypost.observed import MetricFamily, MetricSeries

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "docs" / "monitoring.md").read_text()
ALERTS = re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yml").read_text())
VARIABLES = {"$mesh": ".*", "$model": ".*", "$instance": ".*", "$__rate_interval": "1m"}
COMPARED = re.compile(r" (==|!=|<=|>=|<|>) ")
INFERENCE = 'grpc_service=~"waypost.v1.(Embed|Classify|Rerank|Generate)Service"'
TASKS = {
    "Embed": "embed",
    "Classify": "classify",
    "Rerank": "rerank",
    "Generate": "generate",
    "GenerateStream": "generate",
}
STRANGERS, GROWTH = 1500, 60

pytestmark = pytest.mark.timeout(300)
needs_prometheus = pytest.mark.skipif(
    bool(prometheus.missing()), reason=f"NOT RUN: {', '.join(prometheus.missing())} must be installed (`make programs`)"
)


# The files


@needs_prometheus
@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("test", "rules", "tests.yml")])
def test_promtool_passes(command: tuple[str, ...]) -> None:
    """The configuration with its rules; and when each alert fires."""
    assert "SUCCESS" in promtool(*command)


def test_every_alert_is_shown_to_fire() -> None:
    """By name, in what promtool tests."""
    tested = (DEPLOY / "tests.yml").read_text()
    assert [name for name in ALERTS if name not in tested] == []


def test_every_alert_has_a_runbook() -> None:
    """A heading of the manual that its annotation leads to, and a row of the table."""
    text = (DEPLOY / "alerts.yml").read_text()
    severities = re.findall(r"labels: \{severity: (\w+)\}", text)
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \|", MANUAL, re.MULTILINE)
    assert re.findall(r"runbook: docs/monitoring.md#(\w+)", text) == [name.lower() for name in ALERTS]
    assert re.findall(r"^### (Waypost\w+)$", MANUAL, re.MULTILINE) == ALERTS
    assert rows == [(name, name.lower(), severity) for name, severity in zip(ALERTS, severities, strict=True)]


def test_the_board_is_what_its_program_writes() -> None:
    """After a change run `python -m deploy.grafana.board`."""
    assert board.FILE.read_text() == board.board()


# A live mesh


@dataclass(frozen=True)
class Watched:
    """A mesh that was called ten thousand times and is at rest, and the Prometheus that watched it."""

    traffic: traffic.Traffic
    prometheus: Prometheus
    client: waypost.Client
    receiver: Receiver

    def rest(self) -> dict[Labels, float]:
        """What the mesh has counted, once nothing is under way any more and Prometheus has seen all of it."""
        found = [counted(self.client.metrics())]

        def same() -> bool:
            found.append(counted(self.client.metrics()))
            return found[-1] == found[-2]

        eventually(same)
        self.prometheus.wait_for_a_scrape()
        return found[-1]

    def text(self) -> str:
        """What the gateway tells in the plain format."""
        reply = httpx.get(f"{self.traffic.http}/metrics")
        assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/plain")
        return reply.text


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        receiver = stack.enter_context(otlp.receiving())
        made = stack.enter_context(traffic.mesh(folder, receiver.url))
        target = made.http.removeprefix("http://")
        watching = stack.enter_context(prometheus.scraping(target, folder / "prometheus"))
        client = stack.enter_context(waypost.Client(made.address))
        for share in traffic.SHARES:
            made.round(share)
            watching.wait_for_a_scrape()
        found = Watched(made, watching, client, receiver)
        found.rest()
        yield found


def counted(families: Iterable[MetricFamily]) -> dict[Labels, float]:
    """Every counter and histogram as Prometheus has it, but for what the reading itself moves."""
    steady = (each for each in families if each.type != "gauge" and each.name != "waypost_cpu_seconds")
    return {labels: value for family in steady for labels, value in samples(family) if not control(dict(labels))}


def control(labels: dict[str, str]) -> bool:
    """Whether it counts rpcs other than those of callers."""
    return not re.search(
        INFERENCE[len("grpc_service=~") :].strip('"'), labels.get("grpc_service", "waypost.v1.EmbedService")
    )


def samples(family: MetricFamily) -> Iterator[tuple[Labels, float]]:
    """The samples of a family, by name and labels."""
    for series in family.series:
        labels = {name: value for name, value in zip(family.labels, series.values, strict=True) if value}
        if family.type == "counter":
            yield named(f"{family.name}_total", labels), series.value
        else:
            yield from parts(family, series, labels)


def parts(family: MetricFamily, series: MetricSeries, labels: dict[str, str]) -> Iterator[tuple[Labels, float]]:
    """Of a histogram."""
    for end, so_far in zip([*family.bounds, math.inf], accumulate(series.buckets), strict=True):
        yield named(f"{family.name}_bucket", labels | {"le": str(float(end))}), so_far
    yield named(f"{family.name}_count", labels), sum(series.buckets)
    yield named(f"{family.name}_sum", labels), series.value


def named(name: str, labels: dict[str, str]) -> Labels:
    return frozenset({"__name__": name, **labels}.items())


def test_prometheus_has_what_the_mesh_counted(watched: Watched) -> None:
    """Every counter, every bucket of every histogram, of router and workers, to the last call."""
    theirs = watched.prometheus.values('{job="waypost", __name__!~".*:.*|ALERTS.*"}')
    stored = {
        frozenset((name, str(float(value)) if name == "le" else value) for name, value in labels): value
        for labels, value in theirs.items()
    }
    told = watched.rest()
    assert len(told) > 500
    assert {labels: (value, stored.get(labels)) for labels, value in told.items() if stored.get(labels) != value} == {}


def test_it_agrees_with_those_who_called(watched: Watched) -> None:
    """Ten thousand calls by method and code, by task and code, and by how long they took."""
    ended = watched.traffic.ended
    assert ended.total() >= 10_000
    assert {code for _, code in ended} >= {"OK", "NOT_FOUND", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "INTERNAL"}
    handled = watched.prometheus.values(f"sum by (grpc_method, grpc_code) (grpc_server_handled_total{{{INFERENCE}}})")
    assert keyed(handled, "grpc_method", "grpc_code") == ended
    by_task = Counter[tuple[str, str]]()
    for (method, code), count in ended.items():
        by_task[TASKS[method], code] += count
    calls = watched.prometheus.values("sum by (task, code) (waypost_calls_total)")
    assert keyed(calls, "task", "code") == by_task
    assert watched.prometheus.value("sum(waypost_call_seconds_count)") == ended.total()


def keyed(values: dict[Labels, float], *names: str) -> dict[tuple[str, ...], float]:
    """By the values of these labels."""
    return {tuple(dict(labels).get(name, "") for name in names): value for labels, value in values.items() if value}


def test_it_agrees_with_what_the_router_says_otherwise(watched: Watched) -> None:
    """GetStatus, ListInstances, GetBudget and ListRollouts."""
    ask, client = watched.prometheus, watched.client
    kept = client.status().cache
    assert keyed(ask.values("waypost_cache_requests_total"), "result") == {
        (result,): count
        for result, count in (("hit", kept.hits), ("near", kept.near_hits), ("miss", kept.misses))
        if count
    }
    requests = keyed(ask.values("waypost_instance_requests_total"), "instance")
    assert requests == {(each.instance,): each.requests for each in client.instances()}
    failures = keyed(ask.values("waypost_instance_failures_total"), "instance")
    assert failures == {(each.instance,): each.failures for each in client.instances() if each.failures}
    acme = client.budget("acme")
    assert acme.spent_usd > 0
    assert ask.value('waypost_budget_spent_usd{tenant="acme"}') == acme.spent_usd
    assert ask.value('waypost_budget_cap_usd{tenant="acme"}') == 50.0
    (rollout,) = client.rollouts()
    arms = {("stable",): rollout.stable.calls, ("canary",): rollout.canary.calls}
    assert keyed(ask.values("waypost_canary_calls"), "arm") == arms


def test_every_query_of_the_board_has_an_answer(watched: Watched) -> None:
    """With all meshes, models and instances chosen; a number, not NaN."""
    panels = [panel for panel in json.loads(board.FILE.read_text())["panels"] if panel["type"] != "row"]
    asked = {target["expr"]: panel["title"] for panel in panels for target in panel["targets"]}
    assert len(asked) > 60
    assert {expression: title for expression, title in asked.items() if not answered(watched, filled(expression))} == {}


def test_every_choice_above_the_board_has_something_to_choose(watched: Watched) -> None:
    """`label_values` of Grafana is a question for the values of a label."""
    queries = [
        each["definition"] for each in json.loads(board.FILE.read_text())["templating"]["list"] if "definition" in each
    ]
    for query in queries:
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(query)).groups()  # type: ignore[union-attr]
        assert watched.prometheus.ask(f"label/{label}/values", **{"match[]": series}), query


def filled(query: str) -> str:
    """With what Grafana puts in."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


def answered(watched: Watched, expression: str) -> bool:
    """Whether there is a number."""
    return any(math.isfinite(value) for value in watched.prometheus.values(expression).values())


def test_every_rule_has_something_to_say(watched: Watched) -> None:
    """What is recorded is there, and what an alert compares."""
    recorded = prometheus.rules(watched.prometheus, "record")
    alerts = prometheus.rules(watched.prometheus, "alert")
    assert {rule["name"] for rule in alerts} == {*ALERTS}
    assert {rule["name"]: rule.get("lastError") for rule in (*recorded, *alerts) if rule["health"] != "ok"} == {}
    eventually(lambda: all(answered(watched, rule["name"]) for rule in recorded))
    compared = {rule["name"]: COMPARED.split(rule["query"])[0] for rule in alerts}
    assert {name: left for name, left in compared.items() if not answered(watched, left)} == {}


def test_alerts_tell_what_is_away_and_nothing_else(watched: Watched) -> None:
    """Three of its workers tell no figures; gateway and router are there."""
    alerts = {each["labels"]["alertname"] for each in watched.prometheus.ask("alerts")["alerts"]}
    assert "WaypostInstanceSilent" in alerts
    assert alerts & {"WaypostGatewayDown", "WaypostRouterDown", "WaypostNoInstance"} == set()


def test_exemplars_lead_to_traces(watched: Watched) -> None:
    """Each id that Prometheus has belongs to spans that were sent."""
    now = float(watched.prometheus.ask("query", query="time()")["result"][1])
    for name in ("waypost_call_seconds_bucket", "tsa_generation_latency_seconds_bucket"):
        found = watched.prometheus.ask("query_exemplars", query=name, start=now - 600, end=now)
        ids = {each["labels"]["trace_id"] for series in found for each in series["exemplars"]}
        assert ids and all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
        eventually(lambda ids=ids: ids <= {each.trace_id for each in watched.receiver.spans})


def test_promtool_finds_nothing_to_improve(watched: Watched) -> None:
    """Names, units and help of everything that is told."""
    assert promtool("check", "metrics", said=watched.text().encode()) == ""


def test_the_manual_lists_what_is_told(watched: Watched) -> None:
    """Names with their labels, no more and no fewer."""
    _, _, catalogue = MANUAL.partition("## All figures")
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]*) ?\|", catalogue, re.MULTILINE)
    listed = {name: {label for label in labels.strip().split(", ") if label} for name, labels in rows}
    # This mesh has neither; `rust_core/plane/tests/router/metrics.rs` has both.
    assert (listed.pop("waypost_model_hot"), listed.pop("waypost_policies_total")) == ({"model"}, {"result"})
    assert listed == {
        family.name + ("_total" if family.type == "counter" else ""): {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in text_string_to_metric_families(watched.text())
        if not family.name.startswith("process_")
    }


def test_callers_cannot_add_series(watched: Watched) -> None:
    """Thousands of models, tenants and heads that nobody has heard of, each named once."""
    watched.rest()
    before = watched.prometheus.value('count({job="waypost"})')
    watched.traffic.strangers(STRANGERS)
    watched.rest()
    assert watched.prometheus.value('count({job="waypost"})') - before < GROWTH
    assert watched.prometheus.values('{job="waypost", model=~"model-.*"} or {job="waypost", tenant=~"tenant-.*"}') == {}
