"""The configuration: one TOML file, checked whole before a port opens.

    config = config.load(Path("waypost.toml"))    # or config.load(None): the embedded default.toml

`load` raises `ConfigError` with every problem of the file at once.  Paths in the file are relative to the file.  A
limit's comment states its unit, its scope and what happens beyond it.  The router's sections are in `_config_router`
and `_config_policy`, the workers' here.
"""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError

from waypost._config_checks import cross_problems
from waypost._config_fields import (
    MIB,
    Address,
    Amount,
    Count,
    Cpus,
    Name,
    NameOrPath,
    Seconds,
    Section,
    Share,
    Strings,
    looks_like_path,
)
from waypost._config_http import Http
from waypost._config_life import Life, Restart
from waypost._config_policy import Tenant
from waypost._config_privacy import Payloads, TenantPayloads
from waypost._config_problems import ConfigError, Problem, field_problems
from waypost._config_router import Decisions, Router
from waypost._config_security import Audit, Auth, ClientTls, ServerTls
from waypost._config_security_checks import exposed_worker
from waypost._config_telemetry import Telemetry

__all__ = [
    "Audit",
    "Auth",
    "Batching",
    "ClientTls",
    "Config",
    "ConfigError",
    "Decisions",
    "Generate",
    "Http",
    "Life",
    "Llama",
    "Model",
    "Payloads",
    "Problem",
    "Remote",
    "Restart",
    "Retrieve",
    "Router",
    "ServerTls",
    "Telemetry",
    "Tenant",
    "TenantPayloads",
    "Worker",
    "check",
    "check_listener",
    "default_text",
    "load",
    "looks_like_path",
]


class WorkerLimits(Section):
    """What a worker refuses."""

    max_receive_bytes: Count = 32 * MIB
    """Bytes of one request message; a larger one fails with RESOURCE_EXHAUSTED, MESSAGE_TOO_LARGE."""
    max_texts: Count = 1024
    """Texts (or documents) of one call; more fail with INVALID_ARGUMENT, TOO_MANY_INPUTS."""
    max_text_bytes: Count = MIB
    """Bytes of one text; a larger one fails with INVALID_ARGUMENT, TEXT_TOO_LARGE."""
    queue_limit: Count = 4096
    """Texts that wait in the worker; calls beyond fail at once with RESOURCE_EXHAUSTED, QUEUE_FULL."""


class Batching(Section):
    """How texts share a run of the model."""

    mode: Literal["auto", "single", "equal", "budget"] = "auto"
    """ "single": one text a run; "equal": texts of the same number of tokens, so that nothing is padded; "budget":
    sorted by length and padded; "auto": whichever `waypost models measure --plans` found fastest on this machine of
    those that leave answers alone, "equal" where it was not asked; "single" for a `model.onnx` that came as it is."""
    token_budget: Count = 128
    """Tokens of one run, padding included; a longer text runs alone.  More is a little faster and holds up others."""
    max_rows: Count = 32
    """Texts of one batch."""


class Generate(Section):
    """How many requests a generating model takes."""

    slots: Count = 8
    """Requests it works on at once; a local model shares each step among them."""
    queue_limit: Count = 64
    """Requests that wait for a slot; one more fails at once with RESOURCE_EXHAUSTED, QUEUE_FULL."""
    max_tokens: Count = 512
    """Tokens of an answer whose request sets no limit of its own."""


class Llama(Section):
    """How llama.cpp runs a GGUF file; what is "auto" is measured once per machine, and printed."""

    context: Annotated[int, Field(ge=64)] = 4096
    """Tokens of one slot, prompt and answer together.  A longer prompt fails with INVALID_ARGUMENT, TEXT_TOO_LONG."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Cores it computes on; 0: as many as its worker's `sessions`."""
    weights: Literal["auto", "as_is", "q8_0"] = "auto"
    """ "q8_0": requantised once into Waypost's home; "as_is": the file as it came; "auto": whichever is faster here."""
    kv_type: Literal["auto", "f16", "bf16", "f32", "q8_0"] = "auto"
    """Numbers of the KV cache."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    """Whether attention is computed in one fused kernel."""
    kv_layout: Literal["per_slot", "unified"] = "per_slot"
    """ "per_slot": answers do not depend on the neighbours; "unified": long shared prefixes cost less, and they do."""
    prompt_chunk: Annotated[int, Field(ge=8)] = 64
    """Tokens of a prompt that one step reads; on CPUs more is hardly faster and holds others up longer."""
    max_token_gap_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.4
    """Seconds that those who write should wait for their next token while prompts are read; at least one chunk is read
    between two tokens, however long it takes."""
    adapters: dict[Name, NameOrPath] = Field(default_factory=dict)
    """LoRA adapters (GGUF) by the name that requests use."""


class Remote(Section):
    """An OpenAI-compatible endpoint."""

    base_url: Annotated[str, Field(pattern=r"^https?://")]
    """Such as "http://127.0.0.1:8000/v1"."""
    model: Annotated[str, Field(min_length=1)]
    """Its name there."""
    key_env: str | None = None
    """Environment variable with the API key; the key itself never stands in a file or a log of ours."""
    key_file: NameOrPath | None = None
    """File with the API key, instead."""
    context: Annotated[int, Field(ge=0)] = 0
    """Tokens of prompt and answer together, for the registry; 0: not known."""
    schemas: Literal["strict", "prompt"] = "strict"
    """How it is told a JSON schema: "strict": `response_format` of the type json_schema; "prompt": JSON mode, and the
    schema in the system message, for those that know no other (DeepSeek, Claude).  Answers are checked either way."""
    connect_timeout_s: Seconds = 5.0
    """Seconds to connect; beyond it the attempt has failed."""
    idle_timeout_s: Seconds = 30.0
    """Seconds without a sign of life, be it a piece of the answer or a keep-alive; beyond it the attempt has failed."""
    max_attempts: Count = 3
    """Tries per request while nothing of the answer has been passed on; pauses are the provider's own, or grow."""
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """Attempts of one process; a request over it fails at once with RESOURCE_EXHAUSTED, RATE_LIMITED; 0: no limit."""
    tokens_per_minute: Annotated[int, Field(ge=0)] = 0
    """Tokens, as answers report them; beyond it as above; 0: no limit."""


class Retrieve(Section):
    """How documents are kept and searched."""

    store: Annotated[str, Field(min_length=1)] = "embedded"
    """ "embedded": files of this worker alone; else the URL of a database that workers share: postgresql://…,
    milvus://…"""
    folder: NameOrPath | None = None
    """Of the embedded store's files; absent: named after the model, in Waypost's home."""
    max_bytes: Count = 4096 * MIB
    """Bytes that the embedded store's documents, vectors and indexes take, on disk or in memory, whichever is more;
    what would pass it fails with RESOURCE_EXHAUSTED, STORE_FULL."""
    exact_up_to: Annotated[int, Field(ge=0)] = 20_000
    """Vectors of a namespace that are searched one by one, which misses none; beyond it by a graph (hnswlib)."""
    readers: Count = 2
    """Threads that answer queries, each up to 64 at once."""
    writers: Count = 2
    """Threads that store and delete."""
    sweep_s: Seconds = 60.0
    """Seconds after which what has expired is removed from every file and table, at the latest; it is found no more
    from the moment on that it expires.  Indexes are built at the same time."""


class Model(Section):
    """A model that a worker serves."""

    name: Name
    """What callers ask for."""
    backend: Literal["onnx", "hash", "llama", "xllama", "remote", "template", "retrieve"] = "onnx"
    """Who runs it."""
    source: NameOrPath | None = None
    """Entry of the catalogue, or the path of a model folder, GGUF file or Jinja template; hash and remote need none."""
    heads: Annotated[tuple[NameOrPath, ...], Strict(False)] = ()
    """Label sets: names of those that are shipped, or paths of head files."""
    tags: Strings = ()
    """Capability tags; empty: what the model's tasks imply."""
    precision: Literal["int8", "float32"] = "int8"
    """Of weights that are converted here.  int8 is faster and within 0.005 of fp32's STS-B; a `model.onnx` is run as it
    is."""
    tier: Literal["simple", "medium", "high", "creative", "premium"] = "simple"
    """How much model this is."""
    dimensions: Annotated[int, Field(ge=8, le=65536)] | None = None
    """Length of hash vectors, 1024 where absent; other models have their own."""
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    """Tokens of one text, special ones included; absent: what the model reads.  A longer text fails with
    INVALID_ARGUMENT, TEXT_TOO_LONG, unless the call asks for truncation."""
    cost_per_1k_tokens_usd: Amount = 0.0
    """US dollars, for the router's choice between models."""
    cost_per_1k_output_tokens_usd: Amount | None = None
    """US dollars for the tokens of an answer, where they cost otherwise."""
    quality: Share = 0.5
    """How good its answers are beside other models of the same task."""
    batching: Batching = Batching()
    generate: Generate = Generate()
    llama: Llama | None = None
    remote: Remote | None = None
    encoder: Name | None = None
    """Of a store of documents: the model of the same worker that makes the vectors of documents and queries; absent:
    they bring their own, or are found by their words."""
    reranker: Name | None = None
    """Of a store of documents: the model of the same worker that reads the best again; absent: the encoder."""
    retrieve: Retrieve | None = None


class Worker(Section):
    """A process that serves models."""

    name: Name
    """Instances are called `name-0`, `name-1`, …"""
    replicas: Count = 1
    """Processes of this kind, at most."""
    start: Literal["boot", "demand"] = "boot"
    """ "boot": its processes run from the start on; "demand": the first call for one of its models starts one and waits
    for it, and it is ended when it is idle, or when others need its memory.  `waypost up` does that, no other."""
    min_replicas: Annotated[int, Field(ge=0)] | None = None
    """Processes that run always; absent: all of them, and with `start = "demand"` none."""
    idle_s: Seconds = 900.0
    """Seconds without a call after which a process beyond `min_replicas` is ended."""
    priority: int = 0
    """Of two processes that could make room for another, the one of the lower priority does."""
    memory_bytes: Count | None = None
    """Bytes that a process takes at least; absent: as many as it took the last time, before that a guess from its
    files."""
    restart: Restart | None = None
    """When its processes are started anew; absent: never."""
    listen: Address | None = None
    """Absent: a Unix socket in the runtime folder."""
    tls: ServerTls | None = None
    """Absent: plain text.  With `client_ca` only its router may call it."""
    insecure: bool = False
    """Whether plain text may be spoken on other addresses than the machine's own, to anybody who calls."""
    sessions: Annotated[int, Field(ge=0)] = 0
    """Texts that run at once, one core each; 0: as many as the process has cores, see `cpus`."""
    cpus: Cpus | None = None
    """CPUs that its processes divide and that no other worker's run on: which, such as "0-3,6", or how many.  Absent:
    those that no worker has for itself, divided by the processes that run on them."""
    vector_cache: Annotated[int, Field(ge=0)] = 4096
    """Vectors kept per encoder, so that a text seen again is not run again; beyond it the oldest go.  0 keeps none."""
    default_timeout_s: Seconds = 60.0
    """Seconds a call may take that brings no deadline of its own; then DEADLINE_EXCEEDED."""
    drain_s: Seconds = 10.0
    """Seconds the calls under way get to finish at shutdown; then they are cut."""
    limits: WorkerLimits = WorkerLimits()
    models: Annotated[tuple[Model, ...], Strict(False)]

    @property
    def always(self) -> int:
        """Processes that run always."""
        usual = 0 if self.start == "demand" else self.replicas
        return usual if self.min_replicas is None else self.min_replicas

    def instance(self, replica: int) -> str:
        """Name of one of its processes."""
        return f"{self.name}-{replica}"


Profile = Literal["default", "2gb"]
"""A configuration that is embedded: a file of that name beside this one."""


class Config(Section):
    """The whole file."""

    router: Router = Router()
    workers: Annotated[tuple[Worker, ...], Strict(False)] = ()
    http: Http | None = None
    """The HTTP gateway; absent: none."""
    telemetry: Telemetry = Telemetry()

    def worker(self, name: str) -> Worker | None:
        """The worker called `name`."""
        return next((worker for worker in self.workers if worker.name == name), None)


def default_text(profile: str = "default") -> str:
    """One of those that are embedded, as TOML with comments."""
    return (files("waypost") / f"{profile}.toml").read_text()


def load(
    path: Path | None, *, listen: str = "", insecure: bool = False, profile: Literal["default", "2gb"] = "default"
) -> Config:
    """The configuration in `path`, or one that is embedded.

    A file is TOML, or JSON as written by `Config.model_dump_json(exclude_unset=True)`.

    Args:
        listen: address of the router, instead of the file's.
        insecure: plain text on any address is what is wanted, whatever the file says.

    Raises:
        ConfigError: the file cannot be read, or has problems: all of them.
    """
    raw = tomllib.loads(default_text(profile)) if path is None else _read(path)
    base = Path.cwd() if path is None else path.absolute().parent
    return check(_changed(raw, listen, insecure), base=base, origin=str(path or f"{profile}.toml"))


def _changed(raw: dict[str, Any], listen: str, insecure: bool) -> dict[str, Any]:
    """`raw` with what the command line says instead, so that it is checked like the rest."""
    said = ({"listen": listen} if listen else {}) | ({"insecure": True} if insecure else {})
    router, workers, http = raw.get("router", {}), raw.get("workers"), raw.get("http")
    if said and isinstance(router, dict):
        raw = raw | {"router": router | said}
    if insecure and isinstance(http, dict):
        raw = raw | {"http": http | {"insecure": True}}
    if insecure and isinstance(workers, list):
        raw = raw | {"workers": [each | {"insecure": True} if isinstance(each, dict) else each for each in workers]}
    return raw


def check_listener(worker: Worker, listen: str) -> None:
    """Sees whether `worker` may listen at `listen`, which is not the address of its configuration.

    Raises:
        ConfigError: everybody could call it there.
    """
    key = f"worker {worker.name}"
    if problems := [*exposed_worker(key, listen, worker.tls, worker.insecure)]:
        raise ConfigError("--listen", problems)


def http_at(http: Http, listen: str) -> Http:
    """`http` listening at `listen`, which is not the address of its configuration.

    Raises:
        ConfigError: it is no address, or everybody could call it there.
    """
    raw = {"http": http.model_dump(exclude_unset=True) | {"listen": listen}, "router": {"instances": ["unix:/router"]}}
    found = check(raw, base=Path.cwd(), origin="--listen").http
    assert found
    return found


def check(raw: dict[str, Any], *, base: Path, origin: str) -> Config:
    """The configuration in the parsed file `raw`.

    Raises:
        ConfigError: `raw` has problems: all of them.
    """
    try:
        config, problems = Config.model_validate(raw, context={"base": base}), []
    except ValidationError as error:
        config, problems = Config(), field_problems(error, Config)
    problems += cross_problems(raw, base)
    if problems:
        raise ConfigError(origin, problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError.unreadable(str(path), error.strerror or str(error)) from None
    except ValueError as error:
        raise ConfigError.unreadable(str(path), f"not valid {path.suffix.strip('.') or 'TOML'}: {error}") from None
