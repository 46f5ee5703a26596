"""What the mesh decides, what that costs and who may ask: `explain`, `budget`, `feedback`, rollouts and tokens.

    started = client.set_rollout(Rollout("writer", stable="small", canary="large"))
    client.set_rollout(replace(started, state="rolled_back", reason="does not rhyme"))

Frozen dataclasses; words and durations are as in `waypost.results`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

RUNNING = "running"
PROMOTED = "promoted"
ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class PromptFeatures:
    """What the router reads in a prompt; numbers are 0 to 1.

    Attributes:
        complexity: how likely it needs a strong model.
        quantile: the share of recent prompts that need less.
        confidence: how sure the head is.
        coverage: how much of the prompt is like what the head was trained on.
        tier_reason: "head", "length", "hint" or "budget".
        tags: capabilities it calls for.
        guard: the label the guard remarks; empty: none.
    """

    complexity: float
    quantile: float
    tier: str
    confidence: float
    coverage: float
    tier_reason: str
    tags: tuple[str, ...]
    guard: str
    guard_score: float


@dataclass(frozen=True)
class ScoreTerms:
    """The terms of the score, each 0 to 1 and relative to the best candidate."""

    latency: float
    queue: float
    fit: float
    health: float
    feedback: float


@dataclass(frozen=True)
class ModelCandidate:
    """A model that does the work; `excluded` says why it is left out, empty where it is not."""

    model: str
    tier: str
    score: float
    terms: ScoreTerms
    excluded: str


@dataclass(frozen=True)
class RouteHop:
    """A model that would be tried, and why."""

    model: str
    reason: str


@dataclass(frozen=True)
class InstanceCandidate:
    """A replica of the first model; `propensity` is how likely it is picked, 0 to 1."""

    instance: str
    score: float
    terms: ScoreTerms
    in_flight: int
    admitted: bool
    propensity: float


@dataclass(frozen=True)
class PolicyMatch:
    """A document of `[router.policies]` that applies to a prompt.

    Attributes:
        cosine: how near the prompt is, -1 to 1.
    """

    id: str
    cosine: float


@dataclass(frozen=True)
class Explanation:
    """Where a request would go now and why.

    Attributes:
        route: the configured route whose hops apply; empty: the models' own order.
        models: best first, with those that are left out.
        hops: in the order they would be tried.
        instances: replicas of the first.
        cost_usd: most the first hop could cost.
        error: what the call would fail with; empty: nothing.
        policy: the document that decides; none: no one is near enough.  Where it has the answer, there are no hops.
    """

    route: str
    features: PromptFeatures
    models: tuple[ModelCandidate, ...]
    hops: tuple[RouteHop, ...]
    instances: tuple[InstanceCandidate, ...]
    cost_usd: float
    error: str
    policy: PolicyMatch | None = None


@dataclass(frozen=True)
class ModelSpend:
    """What calls of one model came to this month."""

    model: str
    calls: int
    spent_usd: float


@dataclass(frozen=True)
class Budget:
    """The month's money, of a tenant or of all; None where there is no limit."""

    month: str
    cap_usd: float | None
    spent_usd: float
    reserved_usd: float
    remaining_usd: float | None
    models: tuple[ModelSpend, ...]


@dataclass(frozen=True)
class Rollout:
    """The replacement of the model `stable` by `canary` under the name that callers use.

    Attributes:
        steps: shares of the calls that the canary gets, one after the other, each above 0 and at most 1.
        step: the one it is at, from 0.
        shadow_share: of the other calls, so many go to the canary as well, whose answer is kept and not returned.
        step_limit: longest time at one step, in seconds; beyond it the rollout ends as "inconclusive".
        state: "running", "promoted", "rolled_back" or "inconclusive".
        revision: counts changes; one that is not the latest makes `set_rollout` fail with `Conflict`.
    """

    name: str
    stable: str
    canary: str
    steps: tuple[float, ...] = (0.1, 0.3, 0.8)
    step: int = 0
    shadow_share: float = 0.0
    step_limit: float = 1800.0
    state: str = RUNNING
    reason: str = ""
    revision: int = 0


@dataclass(frozen=True)
class RolloutArm:
    """What one side has shown since the step began, over all routers; None where nothing was judged."""

    calls: int
    errors: int
    latency_p50: float
    latency_p95: float
    quality: float | None
    feedback: float | None


@dataclass(frozen=True)
class RolloutStatus:
    """A rollout and what its two sides have shown."""

    rollout: Rollout
    stable: RolloutArm
    canary: RolloutArm


@dataclass(frozen=True)
class Token:
    """Who may ask, without the secret.

    Attributes:
        id: its public part, in lists and in the audit log.
        tenant: for whom calls with it are made; empty: nobody in particular.
        role: "infer", "operate" or "admin".
        created, expires, revoked: in UTC; None: it does not expire, it is not revoked.
    """

    id: str
    tenant: str
    role: str
    note: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None


@dataclass(frozen=True)
class NewToken:
    """A token just made; `secret` is what callers send as `key`, told this once, and left out when this is printed."""

    token: Token
    secret: str = field(repr=False)
