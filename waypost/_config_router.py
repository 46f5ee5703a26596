"""The router's part of the configuration: what it refuses, repeats and leaves out, and how it picks a replica.

Which model answers, for whom and at what price is in `_config_policy`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from waypost._config_fields import MIB, Address, Amount, Count, NameOrPath, Seconds, Section, Share
from waypost._config_life import Life
from waypost._config_policy import (
    Budget,
    Cache,
    Guard,
    Policies,
    Quality,
    Rollouts,
    Route,
    Style,
    Tags,
    Tenant,
    TenantDefault,
    Tiers,
)
from waypost._config_privacy import Payloads
from waypost._config_security import Audit, Auth, ClientTls, ServerTls
from waypost._config_shared import Hotset, Rates
from waypost._config_store import Store


class Weights(Section):
    """Weights of the score's terms; only their proportions count."""

    latency: Amount = 1.0
    queue: Amount = 1.0
    fit: Amount = 1.0
    health: Amount = 1.0
    feedback: Amount = 1.0


class RouterLimits(Section):
    """What the router refuses."""

    max_receive_bytes: Count = 32 * MIB
    """Bytes of one request message; a larger one fails with RESOURCE_EXHAUSTED, MESSAGE_TOO_LARGE."""
    max_in_flight: Count = 4096
    """Calls under way in the whole router; one more fails at once with RESOURCE_EXHAUSTED, QUEUE_FULL."""
    instance_in_flight: Annotated[int, Field(ge=0)] = 0
    """Calls under way at one instance; beyond it others are taken, or the call fails as above; 0: thrice the slots that
    the instance tells."""
    max_waiting: Count = 256
    """Calls that wait for one instance that is being started for them; one more fails at once with RESOURCE_EXHAUSTED,
    QUEUE_FULL."""
    event_ring: Count = 65536
    """Decision events that wait to be written; beyond it they are counted and lost."""


class Retry(Section):
    """Second tries at another instance, of calls without side effects."""

    max_attempts: Count = 2
    """Tries per call, the first included; 1 switches retries off."""
    budget_ratio: Share = 0.2
    """Retries per first try, over the whole router; beyond it the first failure is the answer."""
    min_tokens: Amount = 100.0
    """Retries that are granted whatever the ratio, so that a quiet router can retry at all."""


class Hedge(Section):
    """A second try of a slow call at another instance while the first goes on: the first answer counts.

    Only of calls without side effects; the other one is cancelled.
    """

    enabled: bool = False
    """Off, because it is more work just when the mesh is slow."""
    quantile: Share = 0.95
    """Share of the model's calls that are faster than the wait before the second try."""
    min_delay_s: Seconds = 0.01
    """Seconds to wait at least."""
    budget_ratio: Share = 0.05
    """Second tries per call, over the whole router; beyond it there are none."""


class Breaker(Section):
    """Stops calls to an instance that fails."""

    failures: Count = 5
    """Failures in a row that open it."""
    open_s: Seconds = 1.0
    """Seconds it stays open before one call may try again."""


class Outlier(Section):
    """Leaves out instances that are too slow."""

    p95_limit_s: Seconds | None = None
    """Seconds of p95 latency over which an instance is left out; absent: never."""
    exclude_s: Seconds = 5.0
    """Seconds it is left out before it is tried again."""
    panic_share: Share = 0.5
    """When a smaller share than this of the ready instances is left in, all of them are."""


class Decisions(Section):
    """Where the router writes one JSON line per routing decision."""

    to: str = "file"
    """"file": `log/decisions.jsonl` in Waypost's home; "stderr"; "none"; or a path."""
    max_bytes: Count = 64 * MIB
    """Bytes of the file; at that size it becomes `….1`, which becomes `….2`, and so on."""
    keep: Count = 1
    """Files that are kept beside the one that is written; the oldest goes."""


class Router(Section):
    """The door of the mesh."""

    listen: Address = "127.0.0.1:50051"
    """ "host:port" (port 0: any free one) or "unix:/path"."""
    tls: ServerTls | None = None
    """Absent: plain text."""
    insecure: bool = False
    """Whether plain text may be spoken on other addresses than the machine's own: everybody on the way can read it."""
    auth: Auth = Auth()
    policy: Literal["expected_completion", "power_of_two", "score", "round_robin", "weighted"] = "expected_completion"
    """How one of several instances of a model is chosen: which will be done first; which of two drawn will be; the
    better score of two drawn; in turns; at random, in proportion to the slots they tell."""
    slow_start_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0
    """Seconds over which the share of a fresh instance grows to its due; 0: it has it at once."""
    seed: int | None = None
    """Seeds the tie-breaks, for tests; absent: random."""
    default_timeout_s: Seconds = 60.0
    """Seconds a call may take that brings no deadline of its own; then DEADLINE_EXCEEDED."""
    probe_interval_s: Seconds = 1.0
    """Seconds between pings to each instance, which has as long to answer."""
    drain_s: Seconds = 20.0
    """Seconds the calls under way get to finish at shutdown; then they are cut."""
    io_threads: Annotated[int, Field(ge=0)] = 0
    """Threads that serve sockets, on which also the choices are made; 0: half the machine's cores, at least one."""
    connections: Count = 1
    """Connections per instance; more help only where one core cannot keep up with a connection."""
    instances: Annotated[tuple[Address, ...], Strict(False)] = ()
    """Workers elsewhere, beside those of this file."""
    instances_file: NameOrPath | None = None
    """A file of further addresses, one a line, read again whenever it changes."""
    worker_tls: ClientTls | None = None
    """How workers at "host:port" are called; absent: in plain text.  Those at Unix sockets always are."""
    weights: Weights = Weights()
    limits: RouterLimits = RouterLimits()
    retry: Retry = Retry()
    hedge: Hedge = Hedge()
    breaker: Breaker = Breaker()
    outlier: Outlier = Outlier()
    decisions: Decisions = Decisions()
    audit: Audit = Audit()
    payloads: Payloads = Payloads()
    store: Store = Store()
    life: Life = Life()
    tenants: Annotated[tuple[Tenant, ...], Strict(False)] = ()
    tenant_default: TenantDefault = TenantDefault()
    tiers: Tiers = Tiers()
    guard: Guard = Guard()
    policies: Policies = Policies()
    tags: Tags = Tags()
    cache: Cache = Cache()
    budget: Budget = Budget()
    quality: Quality = Quality()
    style: Style = Style()
    routes: Annotated[tuple[Route, ...], Strict(False)] = ()
    rollout: Rollouts = Rollouts()
    hotset: Hotset = Hotset()
    rates: Rates = Rates()
