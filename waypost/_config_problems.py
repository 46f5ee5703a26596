"""Everything wrong with a configuration, said at once: each problem names the key, the value, what it was not, the fix.

Problems of single fields come from pydantic.  Problems between fields are found on the parsed file itself, so that a
typo in one place does not hide a duplicate in another.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Table = dict[str, Any]
Placed = Iterator[tuple[str, Table]]

_ABSENT = object()


@dataclass(frozen=True)
class Problem:
    """One thing wrong: `key = value: not this; do that`."""

    key: str
    value: Any
    wrong: str
    fix: str

    def __str__(self) -> str:
        place = self.key if self.value is _ABSENT else f"{self.key} = {_shown(self.value)}"
        return f"{place}: {self.wrong}; {self.fix}"


class ConfigError(Exception):
    """The configuration cannot be used: `problems` has everything that is wrong with it."""

    def __init__(self, origin: str, problems: Iterable[Problem]) -> None:
        self.origin = origin
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"
        super().__init__("\n  ".join([f"{origin}: {count}", *map(str, self.problems)]))

    @classmethod
    def unreadable(cls, origin: str, why: str) -> ConfigError:
        """The file itself is at fault."""
        return cls(origin, [Problem("file", _ABSENT, why, "correct it, or start without --config for the default")])


def field_problems(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """What pydantic found in single fields of `root`."""
    return [_field_problem(each, root) for each in error.errors(include_url=False)]


def cross_problems(raw: Table, base: Path) -> list[Problem]:
    """What is wrong between fields of the parsed file."""
    return [problem for check in CHECKS for problem in check(raw, base)]


def _field_problem(error: Any, root: type[BaseModel]) -> Problem:
    kind, location, value = error["type"], error["loc"], error["input"]
    context = error.get("ctx", {})
    if kind == "missing":
        return Problem(_key(location), _ABSENT, "missing", "add it")
    if kind == "extra_forbidden":
        return Problem(_key(location), value, "no such key", _nearest(str(location[-1]), _fields(root, location[:-1])))
    if kind == "value_error":
        wrong, _, fix = str(context["error"]).partition("; ")
        return Problem(_key(location), value, wrong, fix)
    wrong, fix = WORDS.get(kind, ("{message}", "correct it"))
    return Problem(_key(location), value, wrong.format(message=error["msg"], **context), fix.format(**context))


WORDS = {
    "bool_type": ("not true or false", "write true or false"),
    "dict_type": ("not a table", "write a table"),
    "finite_number": ("not a finite number", "use a finite number"),
    "float_type": ("not a number", "write a number, without quotes"),
    "greater_than": ("not above {gt}", "use more than {gt}"),
    "greater_than_equal": ("below {ge}", "use at least {ge}"),
    "int_type": ("not a whole number", "write a whole number, without quotes"),
    "less_than_equal": ("above {le}", "use at most {le}"),
    "literal_error": ("not {expected}", "choose one of these"),
    "model_type": ("not a table", "write a table"),
    "string_pattern_mismatch": ("not a name", "use letters, digits, dot, dash and underscore, a letter or digit first"),
    "string_too_long": ("longer than {max_length}", "shorten it"),
    "string_too_short": ("empty", "write a name or a path"),
    "string_type": ("not a string", "put it in quotes"),
    "tuple_type": ("not a list", "write a list: […]"),
}
"""pydantic's error type to what the value was not, and the fix."""


def _key(location: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).lstrip(".")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _fields(root: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    section = root
    for part in location:
        if isinstance(part, str):
            section = next(each for each in _types(section.model_fields[part].annotation) if _is_section(each))
    return list(section.model_fields)


def _types(annotation: Any) -> list[Any]:
    return [annotation, *(inner for each in get_args(annotation) for inner in _types(each))]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"remove it; there is {', '.join(known)}"


def _tables(raw: Table, key: str, prefix: str = "") -> Placed:
    """The tables of a list, with their keys; whatever else stands there is pydantic's to complain about."""
    value = raw.get(key)
    entries = value if isinstance(value, list) else []
    return ((f"{prefix}{key}[{i}]", entry) for i, entry in enumerate(entries) if isinstance(entry, dict))


def _table(raw: Table, key: str) -> Table:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _models(raw: Table) -> Placed:
    return (found for place, worker in _tables(raw, "workers") for found in _tables(worker, "models", f"{place}."))


def _serves_nothing(raw: Table, base: Path) -> Iterator[Problem]:
    router = _table(raw, "router")
    if not (raw.get("workers") or router.get("instances") or router.get("instances_file")):
        yield Problem("workers", _ABSENT, "missing, and router.instances too", "add [[workers]] or router.instances")


def _idle_workers(raw: Table, base: Path) -> Iterator[Problem]:
    for place, worker in _tables(raw, "workers"):
        if worker.get("models") == []:
            yield Problem(f"{place}.models", [], "empty", "add [[workers.models]]")


def _weighs_nothing(raw: Table, base: Path) -> Iterator[Problem]:
    weights = _table(_table(raw, "router"), "weights")
    names = ("latency", "queue", "fit", "health", "feedback")
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield Problem("router.weights", weights, "all zero", "give at least one term a weight")


def _duplicate_workers(raw: Table, base: Path) -> Iterator[Problem]:
    yield from _duplicates(_tables(raw, "workers"), "name")


def _duplicate_models(raw: Table, base: Path) -> Iterator[Problem]:
    for place, worker in _tables(raw, "workers"):
        yield from _duplicates(_tables(worker, "models", f"{place}."), "name")


def _duplicates(tables: Placed, key: str) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    for place, table in tables:
        value = str(table.get(key, ""))
        seen[value] += 1
        if value and seen[value] > 1:
            yield Problem(f"{place}.{key}", value, "used before", "give each its own")


def _unfit_listen(raw: Table, base: Path) -> Iterator[Problem]:
    used = [_table(raw, "router").get("listen", "127.0.0.1:50051")]
    for place, worker in _tables(raw, "workers"):
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
    "cost_per_1k_output_tokens_usd": GENERATING,
}
"""Keys of a model that mean something to some backends only."""

ONLY_LLAMA = ("weights", "kv_layout", "adapters")
"""Of `llama`, what llama-server's own engine does not offer."""


def _missing_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in _models(raw):
        key, fix = NEEDED.get(_backend(model), ("name", ""))
        if fix and model.get(key) is None:
            yield Problem(f"{place}.{key}", _ABSENT, "missing", fix)


def _misplaced_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in _models(raw):
        backend = _backend(model)
        for key in (key for key, backends in ONLY.items() if backend not in backends):
            if model.get(key) is not None:
                yield Problem(f"{place}.{key}", model[key], f"not for the {backend} backend", _others(key))
        for key in (key for key in ONLY_LLAMA if backend == "xllama" and key in _table(model, "llama")):
            yield Problem(f"{place}.llama.{key}", model["llama"][key], "not for the xllama backend", "remove it")


def _backend(model: Table) -> str:
    return str(model.get("backend", "onnx"))


def _others(key: str) -> str:
    return f"remove it: it is for {', '.join(ONLY[key])}"


def _engines_in_company(raw: Table, base: Path) -> Iterator[Problem]:
    """llama.cpp may abort its process: nothing else should go with it."""
    for place, worker in _tables(raw, "workers"):
        models = list(_tables(worker, "models", f"{place}."))
        for key, model in models:
            if _backend(model) in ENGINES and len(models) > 1:
                yield Problem(f"{key}.backend", model["backend"], "not alone in its worker", "give it one of its own")


def _unfit_keys(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in _models(raw):
        remote = _table(model, "remote")
        if remote.get("key_env") is not None and remote.get("key_file") is not None:
            yield Problem(f"{place}.remote.key_file", remote["key_file"], "beside key_env", "keep one of them")


def _names_for_paths(raw: Table, base: Path) -> Iterator[Problem]:
    """Only what has a slash is taken for a path."""
    for place, model in _models(raw):
        source = model.get("source") if _backend(model) == "template" else None
        paths = [("source", source), ("remote.key_file", _table(model, "remote").get("key_file"))]
        for key, value in paths:
            if isinstance(value, str) and "/" not in value:
                yield Problem(f"{place}.{key}", value, "not a path", f"write ./{value}")


def _missing_files(raw: Table, base: Path) -> Iterator[Problem]:
    for place, model in _models(raw):
        heads = model.get("heads")
        named = [("source", model.get("source"))]
        named += [(f"heads[{i}]", head) for i, head in enumerate(heads if isinstance(heads, list) else [])]
        for key, value in named:
            if isinstance(value, str) and "/" in value and not (base / Path(value).expanduser()).exists():
                yield Problem(f"{place}.{key}", value, "no such file or folder", "correct the path")


def _unfit_limits(raw: Table, base: Path) -> Iterator[Problem]:
    """A call must fit an empty queue: else it would be told to try again for ever.  A rerank queues its query too."""
    for place, worker in _tables(raw, "workers"):
        limits = _table(worker, "limits")
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
    _unfit_keys,
    _names_for_paths,
    _unfit_limits,
    _missing_files,
)
