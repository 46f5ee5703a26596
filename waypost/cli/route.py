"""`waypost route`: where a prompt would go, and why, without sending it there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from waypost.cli import show
from waypost.cli.options import Address, Json, MaxTokens, Model, Tag, Tier, Timeout, address_or_running

if TYPE_CHECKING:
    from waypost.control import Explanation, PolicyMatch, ScoreTerms

TERMS = ("latency ", "queue ", "fit ", "health ", "feedback ")

Text = Annotated[str, typer.Argument(help='What would be asked; "-" reads it from standard input.')]
Task = Annotated[str, typer.Option(help='"generate", "embed", "classify" or "rerank".')]
Head = Annotated[str, typer.Option(help="Label set of classify.")]
MaxCost = Annotated[float, typer.Option(help="Most the call may cost, in US dollars; 0: no limit.", min=0)]
Tenant = Annotated[str, typer.Option(help="For whom the call would be made.")]


def route(
    prompt: Text,
    address: Address = "",
    task: Task = "generate",
    model: Model = "",
    tier: Tier = "",
    tag: Tag = None,
    head: Head = "",
    max_tokens: MaxTokens = 0,
    max_cost: MaxCost = 0.0,
    tenant: Tenant = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Where a prompt would go, and why: what is read in it, models with their scores, replicas with their chances."""
    from waypost.client import Client

    text = sys.stdin.read() if prompt == "-" else prompt
    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.explain(
            text,
            task=task,
            model=model,
            head=head,
            max_tokens=max_tokens,
            tier=tier,
            tags=tag or (),
            max_cost_usd=max_cost,
            tenant=tenant,
        )
    if json:
        return show.as_json(found)
    _show(found)


def _show(found: Explanation) -> None:
    say = show.console()
    for name, value in _facts(found):
        say.print(f"[dim]{name:<10}[/dim] {value}", soft_wrap=True)
    for shown, of in ((_show_hops, found.hops), (_show_models, found.models), (_show_instances, found.instances)):
        if of:
            shown(found)
    if found.cost_usd:
        say.print(f"at most {show.usd(found.cost_usd)} at the first")
    if found.error:
        say.print("it would fail:", found.error, style="red", markup=False, soft_wrap=True)


def _facts(found: Explanation) -> Iterator[tuple[str, str]]:
    """The route, and what is read in the prompt: a line each."""
    features = found.features
    if found.policy:
        yield "policy", _policy(found, found.policy)
    if found.route:
        yield "route", found.route
    if features.tier_reason:
        yield "tier", f"[bold]{features.tier}[/bold], by {WHY.get(features.tier_reason, features.tier_reason)}"
        yield "complexity", f"{show.gauge(features.complexity)}, above {show.percent(features.quantile)} of late"
        yield "sure", show.gauge(features.confidence)
        yield "known", f"{show.gauge(features.coverage)} of it is like what the head was trained on"
    if features.tags:
        yield "calls for", ", ".join(features.tags)
    if features.guard:
        yield "guard", f"[red]{features.guard} {features.guard_score:.2f}[/red]"


def _policy(found: Explanation, policy: PolicyMatch) -> str:
    answers = "" if found.hops or found.error else ", which has the answer"
    return f"[bold]{escape(policy.id)}[/bold], {policy.cosine:.2f} near{answers}"


WHY = {
    "policy": "the policy",
    "head": "the head's score of it",
    "length": "its length: it is unlike what the head knows",
    "hint": "the caller's own wish",
    "budget": "what is left of the budget",
}
"""`PromptFeatures.tier_reason` for people."""


def _show_hops(found: Explanation) -> None:
    rows = ((place, hop.model, hop.reason) for place, hop in enumerate(found.hops, start=1))
    show.table("hops", ("# ", "model", "because"), rows, styles=("bold", *[""] * len(found.hops)))


def _show_models(found: Explanation) -> None:
    rows = (
        (each.model, each.tier, f"{each.score:.3f}", *_terms(each.terms), each.excluded or "may answer")
        for each in found.models
    )
    styles = ["dim" if each.excluded else "" for each in found.models]
    show.table("models", ("model", "tier", "score ", *TERMS, ""), rows, styles)


def _show_instances(found: Explanation) -> None:
    rows = (
        (each.instance, show.gauge(each.propensity), f"{each.score:.3f}", *_terms(each.terms), each.in_flight)
        for each in found.instances
    )
    styles = ["" if each.admitted else "dim" for each in found.instances]
    show.table("instances of the first", ("instance", "chance", "score ", *TERMS, "busy "), rows, styles)


def _terms(terms: ScoreTerms) -> Iterator[str]:
    each = (terms.latency, terms.queue, terms.fit, terms.health, terms.feedback)
    return (f"{value:.2f}" for value in each)
