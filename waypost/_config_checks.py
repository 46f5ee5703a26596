"""What can be wrong between the fields of a parsed file; `_config_router_checks` has what concerns the router."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from waypost import _config_life_checks, _config_router_checks, _config_security_checks
from waypost._config_problems import ABSENT, Problem, Table, duplicates, models, table, tables


def cross_problems(raw: Table, base: Path) -> list[Problem]:
    """What is wrong between fields of the parsed file."""
    checks = (*CHECKS, *_config_life_checks.CHECKS, *_config_router_checks.CHECKS, *_config_security_checks.CHECKS)
    return [problem for check in checks for problem in check(raw, base)]


def _serves_nothing(raw: Table, base: Path) -> Iterator[Problem]:
    router = table(raw, "router")
    if not (raw.get("workers") or router.get("instances") or router.get("instances_file")):
        yield Problem("workers", ABSENT, "missing, and router.instances too", "add [[workers]] or router.instances")


def _idle_workers(raw: Table, base: Path) -> Iterator[Problem]:
    for place, worker in tables(raw, "workers"):
        if worker.get("models") == []:
            yield Problem(f"{place}.models", [], "empty", "add [[workers.models]]")


def _weighs_nothing(raw: Table, base: Path) -> Iterator[Problem]:
    weights = table(table(raw, "router"), "weights")
    names = ("latency", "queue", "fit", "health", "feedback")
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield Problem("router.weights", weights, "all zero", "give at least one term a weight")


def _duplicate_workers(raw: Table, base: Path) -> Iterator[Problem]:
    yield from duplicates(tables(raw, "workers"), "name")


def _duplicate_models(raw: Table, base: Path) -> Iterator[Problem]:
    for place, worker in tables(raw, "workers"):
        yield from duplicates(tables(worker, "models", f"{place}."), "name")


def _unfit_listen(raw: Table, base: Path) -> Iterator[Problem]:
    used = [table(raw, "router").get("listen", "127.0.0.1:50051")]
    if "http" in raw:
        yield from _unfit_http(raw, used[0])
        used.append(table(raw, "http").get("listen", "127.0.0.1:8080"))
    for place, worker in tables(raw, "workers"):
        listen = worker.get("listen")
        if not isinstance(listen, str):
            continue
        key = f"{place}.listen"
        if listen in used:
            yield Problem(key, listen, "used before", "give each its own, or leave it out for a Unix socket")
        if listen.endswith(":0"):
            yield Problem(key, listen, "a port the router cannot know", "name the port, or leave it out")
        if worker.get("replicas", 1) not in (0, 1):
            yield Problem(key, listen, "one address for several replicas", "leave it out, or write several workers")
        used.append(listen)


def _unfit_http(raw: Table, router: object) -> Iterator[Problem]:
    listen = table(raw, "http").get("listen", "127.0.0.1:8080")
    if listen == router and not str(listen).endswith(":0"):
        yield Problem("http.listen", listen, "the router's own", "give the gateway another")


ENGINES = ("llama", "xllama")
GENERATING = (*ENGINES, "remote", "template")

NEEDED = {
    "onnx": ("source", "name an entry of the catalogue, or a model folder"),
    "llama": ("source", "name an entry of the catalogue, or a GGUF file"),
    "xllama": ("source", "name an entry of the catalogue, or a GGUF file"),
    "remote": ("remote", "add [workers.models.remote]"),
}
"""What a backend cannot do without."""

ONLY = {
    "source": ("onnx", *ENGINES, "template"),
    "heads": ("onnx", "hash"),
    "precision": ("onnx",),
    "dimensions": ("hash",),
    "max_tokens": ("onnx",),
    "batching": ("onnx",),
    "generate": GENERATING,
    "llama": ENGINES,
    "remote": ("remote",),
    "encoder": ("retrieve",),
    "reranker": ("retrieve",),
    "retrieve": ("retrieve",),
    "cost_per_1k_output_tokens_usd": GENERATING,
}
"""Keys of a model that mean something to some backends only."""

ONLY_LLAMA = ("weights", "kv_layout", "adapters")
"""Of `llama`, what llama-server's own engine does not offer."""


def _missing_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in models(raw):
        key, fix = NEEDED.get(_backend(model), ("name", ""))
        if fix and model.get(key) is None:
            yield Problem(f"{place}.{key}", ABSENT, "missing", fix)


def _misplaced_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in models(raw):
        backend = _backend(model)
        for key in (key for key, backends in ONLY.items() if backend not in backends):
            if model.get(key) is not None:
                yield Problem(f"{place}.{key}", model[key], f"not for the {backend} backend", _others(key))
        for key in (key for key in ONLY_LLAMA if backend == "xllama" and key in table(model, "llama")):
            yield Problem(f"{place}.llama.{key}", model["llama"][key], "not for the xllama backend", "remove it")


def _backend(model: Table) -> str:
    return str(model.get("backend", "onnx"))


def _others(key: str) -> str:
    return f"remove it: it is for {', '.join(ONLY[key])}"


def _engines_in_company(raw: Table, base: Path) -> Iterator[Problem]:
    """llama.cpp may abort its process: nothing else should go with it."""
    for place, worker in tables(raw, "workers"):
        served = list(tables(worker, "models", f"{place}."))
        for key, model in served:
            if _backend(model) in ENGINES and len(served) > 1:
                yield Problem(f"{key}.backend", model["backend"], "not alone in its worker", "give it one of its own")


def _unfit_libraries(raw: Table, base: Path) -> Iterator[Problem]:
    """A store's helpers are models of its own worker; the embedded store's files have one owner."""
    for place, worker in tables(raw, "workers"):
        served = list(tables(worker, "models", f"{place}."))
        names = [model.get("name") for _, model in served if _backend(model) not in (*GENERATING, "retrieve")]
        for key, model in served:
            for helper in ("encoder", "reranker"):
                if model.get(helper) is not None and model[helper] not in names:
                    yield Problem(f"{key}.{helper}", model[helper], "no model of this worker", _serve_it(helper))
            embedded = table(model, "retrieve").get("store", "embedded") == "embedded"
            if _backend(model) == "retrieve" and embedded and worker.get("replicas", 1) != 1:
                fix = "use one, or a database that replicas share: see workers.models.retrieve.store"
                yield Problem(f"{place}.replicas", worker["replicas"], f"more than one embedded store {key}", fix)


def _serve_it(helper: str) -> str:
    return f"serve the {helper} in the same worker, with backend onnx or hash"


def _unfit_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in models(raw):
        remote = table(model, "remote")
        if remote.get("key_env") is not None and remote.get("key_file") is not None:
            yield Problem(f"{place}.remote.key_file", remote["key_file"], "beside key_env", "keep one of them")


def _names_for_paths(raw: Table, base: Path) -> Iterator[Problem]:
    """Only what has a slash is taken for a path."""
    for place, model in models(raw):
        source = model.get("source") if _backend(model) == "template" else None
        paths = [("source", source), ("remote.key_file", table(model, "remote").get("key_file"))]
        for key, value in paths:
            if isinstance(value, str) and "/" not in value:
                yield Problem(f"{place}.{key}", value, "not a path", f"write ./{value}")


def _missing_files(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in models(raw):
        heads = model.get("heads")
        named = [("source", model.get("source"))]
        named += [(f"heads[{i}]", head) for i, head in enumerate(heads if isinstance(heads, list) else [])]
        for key, value in named:
            if isinstance(value, str) and "/" in value and not (base / Path(value).expanduser()).exists():
                yield Problem(f"{place}.{key}", value, "no such file or folder", "correct the path")


def _unfit_limits(raw: Table, base: Path) -> Iterator[Problem]:
    """A call must fit an empty queue: else it would be told to try again for ever.  A rerank queues its query too."""
    for place, worker in tables(raw, "workers"):
        limits = table(worker, "limits")
        texts, room = limits.get("max_texts", 1024), limits.get("queue_limit", 4096)
        if isinstance(texts, int) and isinstance(room, int) and room <= texts:
            yield Problem(f"{place}.limits.queue_limit", room, f"not above max_texts = {texts}", "use more")


CHECKS: tuple[Callable[[Table, Path], Iterator[Problem]], ...] = (
    _serves_nothing,
    _idle_workers,
    _weighs_nothing,
    _duplicate_workers,
    _duplicate_models,
    _unfit_listen,
    _missing_keys,
    _misplaced_keys,
    _engines_in_company,
    _unfit_libraries,
    _unfit_keys,
    _names_for_paths,
    _unfit_limits,
    _missing_files,
)
