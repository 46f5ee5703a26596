"""Which model may answer whom, at what price: tenants, tiers, guard, routes, cache, budget, quality, rollouts.

What a request asks for itself (model, tier, tags, most it may cost) goes before what is said here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, Strict, ValidationInfo

from waypost._config_fields import MIB, Amount, Count, Name, NameOrPath, Seconds, Section, Share, Strings
from waypost._config_privacy import TenantPayloads
from waypost._config_security import Role

Tier = Literal["simple", "medium", "high", "creative", "premium"]
GuardMode = Literal["off", "annotate", "block"]
Condition = Literal["overloaded", "unsure", "complex", "coverage_low", "budget_low", "error", "poor"]
Whole = Annotated[int, Field(ge=0)]
Below = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]

ServedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(@(stable|canary))?$", max_length=80)]
"""A model, or one side of a rollout."""

NamespaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
"""Of documents."""


_PYTHON_ONLY = re.compile(r"\(\?(?:[=!>#(]|<[=!]|P=)|\\[1-9Z]|[*+?}]\+")
"""Looking around, references, comments, conditions, possessive repeats, the end as Python writes it."""


def _checked_pattern(value: str) -> str:
    """A pattern that both Python and Rust take: Rust's engine, which never takes long, cannot look around."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error}); correct it") from None
    without_escapes = re.sub(r"\\[^1-9Z]", "", value)
    if found := _PYTHON_ONLY.search(re.sub(r"\[\^?\]?[^]]*\]", "", without_escapes)):
        raise ValueError(f"a pattern with {found[0]}, which the router's engine does not know; write it without")
    return value


Pattern = Annotated[str, AfterValidator(_checked_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Strict(False)]


def _checked_store(value: str, info: ValidationInfo) -> str:
    if value.startswith("sqlite:"):
        return f"sqlite:{_database(value.removeprefix('sqlite:'), info)}"
    if value.startswith(("postgresql://", "postgres://")):
        _check_postgres(value)
    elif value not in ("file", "memory:"):
        _check_redis(value)
    return value


def _database(path: str, info: ValidationInfo) -> Path:
    if not path:
        raise ValueError("a database without a path; write sqlite:/path/to/ledger.db")
    return (info.context or {}).get("base", Path.cwd()) / Path(path).expanduser()


def _check_postgres(value: str) -> None:
    """Several hosts are tried in turn: `postgresql://user@a:5432,b:5432/database`."""
    address, _, parameters = value.partition("?")
    hosts = address.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if not all(map(_is_host, hosts.split(","))):
        raise ValueError('a PostgreSQL address without a good host; write "postgresql://user@host:port/database"')
    if dict(parse_qsl(parameters)).get("sslmode", "prefer") not in ("disable", "prefer"):
        raise ValueError(
            "asks for TLS, which is not spoken with PostgreSQL; use a trusted network or a tunnel, no sslmode"
        )


def _is_host(text: str) -> bool:
    try:
        url = urlsplit(f"//{text}")
        return bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _check_redis(value: str) -> None:
    fix = 'write "file", "sqlite:/path", "redis://host:port/0" or "postgresql://user@host:port/database"'
    try:
        url = urlsplit(value)
        good = url.scheme == "redis" and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"neither a file nor a Redis or PostgreSQL address; {fix}")
    if url.path not in ("", "/") and not url.path.removeprefix("/").isdigit():
        raise ValueError(f"a Redis address whose database is no number; {fix}")


Store = Annotated[str, AfterValidator(_checked_store)]


class Tenant(Section):
    """Somebody for whom calls are made: who brings its key is this tenant, whatever the request says.

    With any key in the file, or any token, every call needs one: others fail with UNAUTHENTICATED.  Else the name in
    the request is believed.
    """

    name: Name
    """As in the ledger, the decision log and `waypost budget`."""
    key_env: str | None = None
    """Environment variable of the router with the tenant's key, which callers send as `authorization: Bearer …`."""
    key_file: NameOrPath | None = None
    """File with the key, instead."""
    role: Role = "infer"
    """What the key allows: "infer": to ask models; "operate": also to see and steer the mesh; "admin": also to give out
    tokens and take them back."""
    max_in_flight: Whole = 0
    """Calls under way at each router; more fail at once with RESOURCE_EXHAUSTED, QUOTA_EXCEEDED; 0: no limit."""
    calls_per_second: Amount = 0.0
    """Calls per second, over time and over all routers that share a Redis, else at each; more fail at once with
    RESOURCE_EXHAUSTED, QUOTA_EXCEEDED; 0: no limit."""
    burst: Whole = 0
    """Calls that may come at once after a pause; 0: as many as a second brings, at least one."""
    monthly_usd: Amount | None = None
    """US dollars per calendar month (UTC), over all routers of one store; a call that could pass it fails with
    RESOURCE_EXHAUSTED, QUOTA_EXCEEDED; absent: only the budget of all."""
    guard: Literal["inherit", "off", "annotate", "block"] = "inherit"
    """What the guard does with this tenant's texts; "inherit": as `guard.mode` says."""
    payloads: TenantPayloads = "inherit"
    """What is logged of this tenant's texts; "inherit": as `payloads.mode` says."""


class TenantDefault(Section):
    """Limits of each tenant that is not listed, and of calls without one; see `Tenant`."""

    max_in_flight: Whole = 0
    """Calls under way at each router; more fail at once with RESOURCE_EXHAUSTED, QUOTA_EXCEEDED; 0: no limit."""
    calls_per_second: Amount = 0.0
    """Calls per second, over time and over all routers that share a Redis, else at each; more fail at once with
    RESOURCE_EXHAUSTED, QUOTA_EXCEEDED; 0: no limit."""
    burst: Whole = 0
    """Calls that may come at once after a pause; 0: as many as a second brings, at least one."""
    monthly_usd: Amount | None = None
    """US dollars per calendar month; beyond as above; absent: only the budget of all."""


class Shares(Section):
    """Shares of the requests that choose no tier themselves; they sum to 1.  Nobody is put into "creative" unasked."""

    simple: Share = 0.60
    medium: Share = 0.20
    high: Share = 0.15
    premium: Share = 0.05


class Tiers(Section):
    """How much model a prompt deserves: a head scores it, thresholds that move slowly hold the shares."""

    enabled: bool = True
    """Off: a request that names no tier goes by the models' `quality` alone."""
    head: NameOrPath = "complexity-hash"
    """Shipped head, or the path of one, that says how likely a prompt needs a strong model."""
    shares: Shares = Shares()
    window: Annotated[int, Field(ge=100)] = 2000
    """Prompts whose scores are remembered, per router: the thresholds are their quantiles."""
    adjust_s: Seconds = 5.0
    """Seconds between two moves of the thresholds."""
    min_coverage: Share = 0.65
    """Share of a prompt's features that the head was trained on; below it the prompt's length decides."""


class Guard(Section):
    """What is done with prompts of Generate that the guard takes for an attack, before a model sees them."""

    mode: GuardMode = "off"
    """"block": fail with PERMISSION_DENIED, BLOCKED; "annotate": say so in the trailer `waypost-guard` and in the
    decision log; tenants may have it otherwise."""
    head: NameOrPath = "jailbreak-hash"
    """Shipped head, or the path of one."""
    label: Annotated[str, Field(min_length=1)] = "jailbreak"
    """Label of the head that is meant."""
    threshold: Share = 0.9
    """Score of the label from which on the guard acts."""


class Policies(Section):
    """Prompts of Generate that are decided by example: each is compared, by its meaning, with the documents of a
    namespace, whose metadata says what is done with prompts like them."""

    model: Name | None = None
    """Store of documents, with an encoder; absent: prompts are compared with nothing."""
    namespace: NamespaceName = "policies"
    """Where the documents are; whoever may write there decides over all prompts."""
    tenant: str = ""
    """Whose namespace it is; empty: nobody's."""
    threshold: Share = 0.8
    """Cosine from which on a document's policy is applied; a document may say `threshold` itself."""
    timeout_s: Seconds = 0.5
    """Seconds that looking up a prompt may take; beyond it the prompt goes on without a policy."""
    required: bool = False
    """Whether a prompt that could not be looked up fails instead, with UNAVAILABLE, STORE_UNAVAILABLE."""


class Tags(Section):
    """Capabilities that a text calls for, beside those the caller names."""

    detect: bool = True
    """Look for code, reasoning and vision in prompts; models that have the tag are preferred, never required."""
    ambiguous: Share = 0.15
    """Where the two likeliest are so close together, the generalist is preferred."""


class Semantic(Section):
    """Answers to prompts that mean the same; an answer may be wrong, so it is off unless it is asked for."""

    enabled: bool = False
    """Whether they are given."""
    model: Name = "minilm"
    """Encoder whose vectors are compared."""
    threshold: Share = 0.95
    """Cosine from which on two prompts may be the same; numbers, names, negations and their order must agree too."""
    max_entries: Count = 4096
    """Prompts that are remembered, per router; beyond it the oldest go."""
    audit_share: Share = 0.05
    """Share of the hits that are answered by the model all the same, to measure how many would have been wrong."""


class Cache(Section):
    """Answers that need no model: of the same call of the same tenant to the same version of a model.

    Only calls whose answer is determined are kept: everything but Generate, and Generate at temperature 0 or with a
    seed.  Several of the same at once are one call.
    """

    enabled: bool = True
    """Whether they are kept."""
    max_bytes: Count = 64 * MIB
    """Bytes of answers per router; beyond it those that were not asked for longest go."""
    ttl_s: Seconds = 300.0
    """Seconds an answer is kept."""
    shared: bool = False
    """Whether routers keep answers for each other, in the Redis that is `budget.store`.  They take memory there that
    the ledger needs: at most what is answered in `ttl_s`."""
    shared_max_bytes: Count = 64 * 1024
    """Bytes of one answer that is kept for other routers; a larger one is kept only where it was asked for."""
    semantic: Semantic = Semantic()


class Soft(Section):
    """A threshold below the cap, to save money in time."""

    at: Share
    """Share of the month's budget that is spent."""
    most: Tier
    """From there on no higher tier is chosen by itself; who names a model or a tier still gets it."""


class Budget(Section):
    """What all calls together may cost.  A call's highest price is reserved before it, and settled after it."""

    store: Store = "file"
    """Where ledger, rollouts, tokens and hotset are: "file": SQLite in Waypost's home, for the routers of one machine;
    "sqlite:/path"; "redis://host:port/0" or "postgresql://user@host:port/database", for several machines; "memory:",
    for trials: forgotten at the next start."""
    monthly_usd: Amount = 200.0
    """US dollars per calendar month (UTC), over all routers of one store; a call that could pass it fails with
    RESOURCE_EXHAUSTED, QUOTA_EXCEEDED."""
    soft: Annotated[tuple[Soft, ...], Strict(False)] = (Soft(at=0.5, most="high"), Soft(at=0.8, most="simple"))
    """Ascending in `at`."""


class Brand(Section):
    """Rules for the words of an answer; breaking one makes it poor."""

    forbid: Patterns = ()
    """Regular expressions that no answer may match, case-sensitive unless they begin with (?i)."""
    require: Patterns = ()
    """Regular expressions that each answer must match."""
    max_chars: Whole = 0
    """Most characters of an answer; 0: no limit."""


class Quality(Section):
    """Judges answers of Generate; a poor one is asked for again one tier higher, within deadline and budget.

    Streams are judged too, for feedback: what has been passed on is not asked for again.
    """

    enabled: bool = False
    """Whether they are judged."""
    floor: Share = 0.75
    """Score below which an answer is poor."""
    relevance: Literal["off", "hash", "embed", "rerank"] = "off"
    """How it is seen whether the answer is about the question: by common words, by vectors, or by a cross-encoder."""
    model: str = ""
    """Model of "embed" and "rerank"; empty: the router chooses."""
    refusals: bool = True
    """A refusal is poor."""
    repetition: bool = True
    """An answer that goes in circles is poor."""
    brand: Brand = Brand()


class Style(Section):
    """Makes answers of different models read alike."""

    prompt: str = ""
    """Put in front of a chat as a system message, before the caller's own; empty: nothing is."""
    models: Strings = ()
    """Models that get it; empty: all."""


class Hop(Section):
    """A model that may answer, and when it is its turn."""

    model: ServedName
    """Who answers; `name@stable` and `name@canary` are the sides of a rollout."""
    when: Annotated[tuple[Condition, ...], Strict(False)] = ()
    """Any of these makes it its turn; the first hop of a route has none.

    "overloaded": the hop before is full or told the router to wait; "error": it failed; "poor": its answer was, see
    `quality`; "complex": more complex than the share `complexity` of recent prompts; "unsure": the tier head is less
    sure than `confidence`; "coverage_low": less of the prompt is like the head's training data than `coverage`;
    "budget_low": the first soft threshold of the budget is passed."""
    all: bool = False
    """Every one of `when` must hold, instead of any."""
    complexity: Share = 0.85
    """Of "complex": share of recent prompts that are simpler."""
    confidence: Share = 0.6
    """Of "unsure": how sure the head must be."""
    coverage: Share = 0.2
    """Of "coverage_low": share of the prompt's features that the head must know."""
    max_share: Share | None = None
    """Most of the route's calls that this hop takes, over the last thousand; beyond it the hop is passed over; absent:
    no limit."""


class Route(Section):
    """A declared order of models for one kind of call."""

    name: Name
    """What callers name as model; "default": calls that name none."""
    task: Literal["embed", "classify", "rerank", "generate"] = "generate"
    """Of which kind of call."""
    hops: Annotated[tuple[Hop, ...], Strict(False)]
    """In the order they are tried.  None is tried once a piece of an answer has been passed on."""


class Rollouts(Section):
    """How the replacement of a model is judged; `waypost rollout` starts one."""

    judge_s: Seconds = 5.0
    """Seconds between two looks at the figures."""
    min_calls: Count = 100
    """Calls of each side before anything is concluded."""
    alpha: Below = 0.05
    """How often, at most, a canary as good as the stable model is rolled back by chance."""
