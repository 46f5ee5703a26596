"""What the board shows: a row of a table for each panel, with one sentence that says what to read in it.

Queries take rates over `$__rate_interval`, which fits every zoom; what rules.yml records, over five minutes, is for
alerts.  tests/test_prometheus.py executes every query of the board against a live mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from grafana_foundation_sdk.models import units

Kind = Literal["figure", "lines", "stack", "states", "heatmap"]
MESH = 'job=~"$mesh"'
MODEL = f'{MESH}, model=~"$model"'
INSTANCE = f'{MESH}, instance=~"$instance"'
BOTH = f'{INSTANCE}, model=~"$model"'
FAULTS = 'code=~"UNKNOWN|DEADLINE_EXCEEDED|ABORTED|INTERNAL|UNAVAILABLE|DATA_LOSS"'
"""Codes that the mesh is to blame for, as in rules.yml."""


@dataclass(frozen=True)
class Query:
    """An expression, and what its series are called."""

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True)
class Panel:
    """A row of the table.

    Attributes:
        most: end of its axis.
        warn, bad: from where on it is yellow, and red.
    """

    kind: Kind
    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    most: float | None = None
    warn: float | None = None
    bad: float | None = None


def figure(title: str, about: str, unit: str, expr: str, **more: Any) -> Panel:
    """One number: now."""
    return replace(Panel("figure", title, about, unit, (Query(expr),), width=4, height=4), **more)


def lines(title: str, about: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """Each series by itself."""
    return Panel("lines", title, about, unit, queries, **more)


def stack(title: str, about: str, unit: str, *queries: Query) -> Panel:
    """Parts of a whole."""
    return Panel("stack", title, about, unit, queries)


def states(title: str, about: str, query: Query, **more: Any) -> Panel:
    """What each series is, as coloured bars."""
    return Panel("states", title, about, units.Short, (query,), **more)


def rate(name: str, labels: str, by: str = "") -> str:
    """Per second, summed over everything but `by`."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({name}{{{labels}}}[$__rate_interval]))"


def quantile(share: float, name: str, labels: str, by: str = "") -> str:
    """Of a histogram."""
    return f"histogram_quantile({share}, {rate(f'{name}_bucket', labels, f'{by}, le' if by else 'le')})"


def quantiles(name: str, labels: str, by: str) -> tuple[Query, ...]:
    """The middle and the slow end; exemplars are fetched once."""
    legend = " ".join(f"{{{{{each}}}}}" for each in by.split(", "))
    return tuple(
        Query(quantile(share, name, labels, by), f"{legend} p{share * 100:g}", exemplars=share == 0.99)
        for share in (0.5, 0.95, 0.99)
    )


def mean(name: str, labels: str, by: str) -> str:
    """Of a histogram's values."""
    return f"{rate(f'{name}_sum', labels, by)} / {rate(f'{name}_count', labels, by)}"


def share(name: str, labels: str, part: str, by: str = "") -> str:
    """Of a counter, of what has the labels `part`: 0, not absent, where there is none of it."""
    whole = rate(name, labels, by)
    return f"({rate(name, f'{labels}, {part}', by)} or 0 * {whole}) / {whole}"


def most(name: str, by: str) -> str:
    """A gauge that a router tells for all of its mesh."""
    return f"max by ({by}) ({name}{{{MESH}}})"


NOW = (
    figure("Calls", "Calls that ended, a second.", units.RequestsPerSecond, rate("waypost_calls_total", MODEL)),
    figure(
        "Failed",
        "Share of the calls that failed by the mesh's fault: refused ones and bad requests are none of these.",
        units.PercentUnit,
        share("waypost_calls_total", MODEL, FAULTS),
        warn=0.01,
        bad=0.05,
    ),
    figure(
        "Generation p95",
        "One in twenty answers takes longer, from arrival to end.",
        units.Seconds,
        quantile(0.95, "tsa_generation_latency_seconds", MODEL),
        warn=10,
        bad=30,
    ),
    figure(
        "Tokens written",
        "Tokens of answers, a second, over all instances.",
        units.OpsPerSecond,
        rate("tsa_tokens_generated_total", MODEL),
    ),
    figure(
        "Budget used",
        "Spent and reserved of this month's money, of who is nearest to the cap.",
        units.PercentUnit,
        f"max((waypost_budget_spent_usd{{{MESH}}} + waypost_budget_reserved_usd{{{MESH}}})"
        f" / (waypost_budget_cap_usd{{{MESH}}} > 0))",
        warn=0.8,
        bad=0.95,
    ),
    figure("Instances ready", "Those that take calls.", units.Short, f"sum(waypost_instance_ready{{{MESH}}})"),
)
LATENCY = (
    Panel(
        "heatmap",
        "Generation latency",
        "How many answers take how long, arrival to end.  Two bands are two kinds of traffic, or a slow instance.",
        units.Seconds,
        (Query(rate("tsa_generation_latency_seconds_bucket", MODEL, "le"), "{{le}}"),),
        width=12,
    ),
    lines(
        "Generation by model",
        "Points are traced calls: each leads to its trace where the data source knows a tracing one.",
        units.Seconds,
        *quantiles("tsa_generation_latency_seconds", MODEL, "model"),
        width=12,
    ),
    lines(
        "Latency by task",
        "All calls, arrival to end; points are traced calls.",
        units.Seconds,
        *quantiles("waypost_call_seconds", MODEL, "task"),
        width=12,
    ),
    lines(
        "Own overhead",
        "What the router adds: a call without the time of its attempts.",
        units.Seconds,
        *quantiles("waypost_overhead_seconds", MESH, "task"),
        width=6,
    ),
    lines(
        "Stages",
        "Mean time of a call's stages in the router.",
        units.Seconds,
        Query(mean("waypost_stage_seconds", MESH, "stage"), "{{stage}}"),
        width=6,
    ),
)
TRAFFIC = (
    stack(
        "Calls by task",
        "Calls that ended, a second.",
        units.RequestsPerSecond,
        Query(rate("waypost_calls_total", MODEL, "task"), "{{task}}"),
    ),
    stack(
        "Errors by code",
        "Everything that was not OK, by what its caller was told.",
        units.RequestsPerSecond,
        Query(rate("waypost_calls_total", f'{MODEL}, code!="OK"', "code, model"), "{{code}} {{model}}"),
    ),
    stack(
        "Refusals by reason",
        "What the router refused itself, without asking an instance.",
        units.RequestsPerSecond,
        Query(rate("waypost_refusals_total", MESH, "reason"), "{{reason}}"),
    ),
    stack(
        "Fallbacks by reason",
        "Why another model than the first was asked.",
        units.RequestsPerSecond,
        Query(rate("waypost_fallbacks_total", MESH, "reason"), "{{reason}}"),
    ),
    lines(
        "Retries and hedges",
        "Second attempts, after a failure and ahead of one; they stop when their budget is used up.",
        units.RequestsPerSecond,
        Query(rate("waypost_retries_total", MESH), "retries"),
        Query(rate("waypost_hedges_total", MESH), "hedges"),
        Query(f"sum(waypost_retry_budget{{{MESH}}})", "retries that may be made now"),
    ),
    stack(
        "gRPC by method",
        "Everything the router is asked, control included.",
        units.RequestsPerSecond,
        Query(rate("grpc_server_handled_total", MESH, "grpc_method"), "{{grpc_method}}"),
    ),
)
ROUTING = (
    stack(
        "Decisions by reason",
        "Why the model was chosen that was asked first.",
        units.RequestsPerSecond,
        Query(rate("tsa_routing_decisions_total", MESH, "reason"), "{{reason}}"),
    ),
    stack(
        "Decisions by capability",
        "What the calls required, or were found to need.",
        units.RequestsPerSecond,
        Query(rate("tsa_routing_decisions_total", MESH, "selected_capability"), "{{selected_capability}}"),
    ),
    lines(
        "Tiers against targets",
        "Share of the prompts that each tier gets, beside the share it is meant to get.",
        units.PercentUnit,
        Query(most("waypost_tier_share", "tier"), "{{tier}}"),
        Query(most("waypost_tier_target_share", "tier"), "{{tier}} target"),
        most=1,
    ),
)
MONEY = (
    stack(
        "Tokens by kind",
        "Read, read from a cache, and written, a second.",
        units.OpsPerSecond,
        Query(rate("waypost_tokens_total", MODEL, "model, kind"), "{{model}} {{kind}}"),
    ),
    stack(
        "Token throughput",
        "Tokens of answers, a second, by instance and model.",
        units.OpsPerSecond,
        Query(rate("tsa_tokens_generated_total", BOTH, "instance, model"), "{{instance}} {{model}}"),
    ),
    stack(
        "Cache",
        "Calls that were, and were not, answered from what is kept.",
        units.RequestsPerSecond,
        Query(rate("waypost_cache_requests_total", MESH, "result"), "{{result}}"),
    ),
    lines(
        "Budget",
        "This month's money.  Reserved: held for calls under way, at the most they can come to.",
        units.Dollars,
        Query(most("waypost_budget_spent_usd", "tenant"), "{{tenant}} spent"),
        Query(most("waypost_budget_reserved_usd", "tenant"), "{{tenant}} reserved"),
        Query(most("waypost_budget_cap_usd", "tenant"), "{{tenant}} cap"),
    ),
    stack(
        "Cost",
        "US dollars an hour, by model.",
        units.Dollars,
        Query(f"3600 * {rate('waypost_cost_usd_total', MODEL, 'model')}", "{{model}}"),
    ),
    lines("Answers kept", "Size of the cache.", units.BytesIEC, Query(most("waypost_cache_bytes", "job"), "{{job}}")),
)
INSTANCES = (
    lines(
        "Queue depth by instance",
        "Calls of the router under way at each.",
        units.Short,
        Query(f"tsa_instance_queue_depth{{{INSTANCE}}}", "{{instance}}"),
    ),
    lines(
        "Latency p95 by instance",
        "As the router sees it, over its last calls.",
        units.Seconds,
        Query(f"waypost_instance_latency_p95_seconds{{{INSTANCE}}}", "{{instance}}"),
    ),
    stack(
        "Attempts by code",
        "How calls to each instance ended; what failed here may have been answered elsewhere.",
        units.RequestsPerSecond,
        Query(rate("waypost_attempts_total", INSTANCE, "instance, code"), "{{instance}} {{code}}"),
    ),
    states(
        "Taking calls",
        "1: yes; 0: starting, draining, ejected, drained or down.",
        Query(f"waypost_instance_ready{{{INSTANCE}}}", "{{instance}}"),
    ),
    states(
        "Breakers",
        "0: closed; 1: half open, one call is tried; 2: open, none is.",
        Query(f"waypost_instance_breaker_state{{{INSTANCE}}}", "{{instance}}"),
        warn=1,
        bad=2,
    ),
    lines(
        "Ejections",
        "Times an instance was left out for failing or being too slow, an hour.",
        units.Short,
        Query(f"3600 * {rate('waypost_instance_ejections_total', INSTANCE, 'instance')}", "{{instance}}"),
    ),
)
WORKERS = (
    lines(
        "Wait, tokenise, compute",
        "p95 of a call's parts in the worker.",
        units.Seconds,
        Query(quantile(0.95, "waypost_worker_queue_seconds", BOTH, "model"), "{{model}} queue"),
        Query(quantile(0.95, "waypost_worker_tokenize_seconds", BOTH, "model"), "{{model}} tokenise"),
        Query(quantile(0.95, "waypost_worker_inference_seconds", BOTH, "model"), "{{model}} compute"),
    ),
    lines(
        "First token, each token",
        "p95 of streams: what a reader waits for, and how it then goes on.",
        units.Seconds,
        Query(quantile(0.95, "waypost_worker_first_token_seconds", BOTH, "model"), "{{model}} first"),
        Query(quantile(0.95, "waypost_worker_token_seconds", BOTH, "model"), "{{model}} each"),
        Query(quantile(0.95, "waypost_worker_stream_seconds", BOTH, "model"), "{{model}} first to last"),
    ),
    lines(
        "Worker queues",
        "Texts and prompts inside each worker, of the most it takes; beyond that calls are refused.",
        units.PercentUnit,
        Query(
            f"waypost_worker_queue_depth{{{INSTANCE}}} / (waypost_worker_queue_limit{{{INSTANCE}}} > 0)", "{{instance}}"
        ),
        most=1,
    ),
    lines(
        "Texts a run",
        "Mean size of batches.",
        units.Short,
        Query(mean("waypost_worker_batch_texts", BOTH, "model"), "{{model}}"),
    ),
    lines(
        "Padding",
        "Share of the computed tokens that only fill up a batch.",
        units.PercentUnit,
        Query(share("waypost_worker_batch_tokens_total", BOTH, 'kind="padding"', "model"), "{{model}}"),
        most=1,
    ),
    lines(
        "Vectors that were kept",
        "Share of the texts whose vector the worker still had.",
        units.PercentUnit,
        Query(share("waypost_worker_vector_cache_requests_total", BOTH, 'result="hit"', "model"), "{{model}}"),
        most=1,
    ),
    lines(
        "Slots busy",
        "Answers that are being written at once.",
        units.Short,
        Query(f"waypost_worker_slots_busy{{{BOTH}}}", "{{instance}} {{model}}"),
    ),
    stack(
        "Runs",
        "Runs of the models, a second.",
        units.OpsPerSecond,
        Query(rate("waypost_worker_runs_total", BOTH, "instance, model"), "{{instance}} {{model}}"),
    ),
    stack(
        "Calls by worker",
        "As the workers count them.",
        units.RequestsPerSecond,
        Query(rate("waypost_worker_calls_total", BOTH, "instance, task, code"), "{{instance}} {{task}} {{code}}"),
    ),
)
CANARY = (
    states(
        "State",
        "1 for the state that each rollout is in.",
        Query(most("waypost_canary_state", "rollout, state"), "{{rollout}} {{state}}"),
    ),
    lines(
        "Share",
        "Of the calls, that the new model gets.",
        units.PercentUnit,
        Query(most("waypost_canary_share", "rollout"), "{{rollout}}"),
        most=1,
    ),
    lines(
        "Errors",
        "Share of failed calls of both sides since the step began.",
        units.PercentUnit,
        Query(most("waypost_canary_error_ratio", "rollout, arm"), "{{rollout}} {{arm}}"),
    ),
    lines(
        "Calls",
        "Of both sides, since the step began.",
        units.Short,
        Query(most("waypost_canary_calls", "rollout, arm"), "{{rollout}} {{arm}}"),
        width=12,
    ),
    lines(
        "Quality",
        "Mean of what answers of both sides were judged, 0 to 1.",
        units.PercentUnit,
        Query(most("waypost_canary_quality", "rollout, arm"), "{{rollout}} {{arm}}"),
        width=12,
        most=1,
    ),
)
PROCESSES = (
    lines("Memory", "Resident.", units.BytesIEC, Query(f"waypost_memory_bytes{{{INSTANCE}}}", "{{instance}}")),
    lines(
        "Memory left",
        "Of each process's machine, or container.",
        units.PercentUnit,
        Query(f"waypost_machine_memory_free_ratio{{{INSTANCE}}}", "{{instance}}"),
        most=1,
    ),
    lines(
        "CPU",
        "Cores that each process keeps busy.",
        units.Short,
        Query(rate("waypost_cpu_seconds_total", INSTANCE, "instance"), "{{instance}}"),
        Query(rate("process_cpu_seconds_total", MESH, "job"), "gateway of {{job}}"),
    ),
    lines(
        "Calls under way",
        "Beside the most that the router takes at once.",
        units.Short,
        Query(most("waypost_in_flight", "job"), "{{job}}"),
        Query(most("waypost_in_flight_limit", "job"), "{{job}} limit"),
    ),
    stack(
        "Gateway",
        "HTTP requests a second.",
        units.RequestsPerSecond,
        Query(rate("waypost_http_requests_total", MESH, "path, status"), "{{path}} {{status}}"),
    ),
    lines(
        "Events lost",
        "Decisions, audit lines, payloads and spans that nobody took down in time.",
        units.OpsPerSecond,
        Query(rate("waypost_events_dropped_total", MESH, "ring"), "{{ring}}"),
    ),
)
ROWS: dict[str, tuple[Panel, ...]] = {
    "Now": NOW,
    "Latency": LATENCY,
    "Traffic": TRAFFIC,
    "Routing": ROUTING,
    "Tokens, cache and money": MONEY,
    "Instances": INSTANCES,
    "Workers": WORKERS,
    "Canary": CANARY,
    "Processes": PROCESSES,
}
