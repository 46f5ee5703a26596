"""What can be wrong between the fields of the router's sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

from waypost._config_policy import Shares
from waypost._config_problems import ABSENT, Placed, Problem, Table, duplicates, models, table, tables

TIERS = ("simple", "medium", "high", "creative", "premium")
SHARES = Shares().model_dump()


def _router(raw: Table) -> Table:
    return table(raw, "router")


def _tenants(raw: Table) -> Placed:
    return tables(_router(raw), "tenants", "router.")


def _duplicate_tenants(raw: Table, base: Path) -> Iterator[Problem]:
    yield from duplicates(_tenants(raw), "name")


def _unfit_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, tenant in _tenants(raw):
        file = tenant.get("key_file")
        if file is not None and tenant.get("key_env") is not None:
            yield Problem(f"{place}.key_file", file, "beside key_env", "keep one of them")
        if isinstance(file, str) and "/" not in file:
            yield Problem(f"{place}.key_file", file, "not a path", f"write ./{file}")


def _missing_heads(raw: Table, base: Path) -> Iterator[Problem]:
    for section in ("tiers", "guard"):
        head = table(_router(raw), section).get("head")
        if isinstance(head, str) and "/" in head and not (base / Path(head).expanduser()).is_file():
            yield Problem(f"router.{section}.head", head, "no such file", "correct the path, or name a shipped head")


def _unfit_shares(raw: Table, base: Path) -> Iterator[Problem]:
    shares = table(table(_router(raw), "tiers"), "shares")
    given = [shares.get(tier, usual) for tier, usual in SHARES.items()]
    if all(map(_is_number, given)) and abs(sum(given) - 1.0) > 1e-6:
        yield Problem("router.tiers.shares", shares, f"{sum(given):g} in sum", "make simple, medium, high, premium 1")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unfit_thresholds(raw: Table, base: Path) -> Iterator[Problem]:
    """Each must come later than the one before, and allow less."""
    before: Table = {}
    for place, soft in tables(table(_router(raw), "budget"), "soft", "router.budget."):
        yield from _unfit_threshold(place, before, soft)
        before = soft


def _unfit_threshold(place: str, before: Table, soft: Table) -> Iterator[Problem]:
    at, most = soft.get("at"), soft.get("most")
    last, allowed = before.get("at"), before.get("most")
    if _is_number(at) and _is_number(last) and at <= last:
        yield Problem(f"{place}.at", at, f"not above {last}, which is before it", "order them by at")
    if most in TIERS and allowed in TIERS and TIERS.index(most) >= TIERS.index(allowed):
        yield Problem(f"{place}.most", most, f"not below {allowed}, which is before it", "name a lower tier")


def _routes(raw: Table) -> Placed:
    return tables(_router(raw), "routes", "router.")


def _duplicate_routes(raw: Table, base: Path) -> Iterator[Problem]:
    seen = set()
    for place, route in _routes(raw):
        key = (str(route.get("name")), str(route.get("task", "generate")))
        if key in seen:
            yield Problem(f"{place}.name", key[0], f"used before for {key[1]}", "give each its own")
        seen.add(key)


def _unfit_hops(raw: Table, base: Path) -> Iterator[Problem]:
    for place, route in _routes(raw):
        if route.get("hops") == []:
            yield Problem(f"{place}.hops", [], "empty", "name a model: hops = [{ model = … }]")
        for key, hop in tables(route, "hops", f"{place}."):
            yield from _unfit_hop(key, hop, first=key.endswith("[0]"))


def _unfit_hop(key: str, hop: Table, *, first: bool) -> Iterator[Problem]:
    when = hop.get("when")
    if first and when:
        yield Problem(f"{key}.when", when, "a condition for the first hop, where every call begins", "remove it")
    if not first and when in (None, []):
        yield Problem(f"{key}.when", ABSENT, "missing: only the first hop has no condition", 'write when = ["error"]')


def _unknown_models(raw: Table, base: Path) -> Iterator[Problem]:
    """Workers elsewhere may serve anything; a rollout's sides are known when it has begun."""
    router = _router(raw)
    if router.get("instances") or router.get("instances_file"):
        return
    known = {str(model.get("name")) for _, model in models(raw)}
    for key, name in _named_models(raw, router):
        if isinstance(name, str) and "@" not in name and name not in known:
            yield Problem(key, name, "no model of these workers", f"name one of {', '.join(sorted(known)) or 'them'}")


def _named_models(raw: Table, router: Table) -> Iterator[tuple[str, Any]]:
    for place, route in _routes(raw):
        for key, hop in tables(route, "hops", f"{place}."):
            yield f"{key}.model", hop.get("model")
    semantic = table(table(router, "cache"), "semantic")
    if semantic.get("enabled"):
        yield "router.cache.semantic.model", semantic.get("model", "minilm")
    styled = table(router, "style").get("models")
    for i, name in enumerate(styled if isinstance(styled, list) else []):
        yield f"router.style.models[{i}]", name
    yield "router.policies.model", table(router, "policies").get("model")
    yield "router.quality.model", table(router, "quality").get("model") or None


def _unfit_policies(raw: Table, base: Path) -> Iterator[Problem]:
    """The model must be able to compare texts; workers elsewhere are not known here."""
    key, policies = "router.policies.model", table(_router(raw), "policies")
    name = policies.get("model")
    if policies and name is None:
        yield Problem(key, ABSENT, "missing, so the section does nothing", "name a model with documents")
    for _, model in models(raw):
        if name is not None and model.get("name") == name:
            yield from _unfit_library(key, model)


def _unfit_library(key: str, model: Table) -> Iterator[Problem]:
    if model.get("backend", "onnx") != "retrieve":
        yield Problem(key, model["name"], "a model without documents", 'name one of backend = "retrieve"')
    elif model.get("encoder") is None:
        yield Problem(key, model["name"], "documents without an encoder", "give the model an encoder")


def _idle_judge(raw: Table, base: Path) -> Iterator[Problem]:
    quality = table(_router(raw), "quality")
    if quality.get("model") and quality.get("relevance", "off") in ("off", "hash"):
        fix = 'remove it, or write relevance = "embed" or "rerank"'
        yield Problem("router.quality.model", quality["model"], "not asked by this relevance", fix)


def _homeless_answers(raw: Table, base: Path) -> Iterator[Problem]:
    store = table(_router(raw), "budget").get("store", "file")
    if table(_router(raw), "cache").get("shared") is True and not str(store).startswith("redis"):
        yield Problem("router.cache.shared", True, "without a Redis", 'write budget.store = "redis://host:port/0"')


CHECKS: tuple[Callable[[Table, Path], Iterator[Problem]], ...] = (
    _duplicate_tenants,
    _unfit_keys,
    _missing_heads,
    _unfit_shares,
    _unfit_thresholds,
    _duplicate_routes,
    _unfit_hops,
    _unknown_models,
    _unfit_policies,
    _idle_judge,
    _homeless_answers,
)
