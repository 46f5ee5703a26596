"""Everything wrong with a configuration, said at once: each problem names the key, the value, what it was not, the fix.

Problems of single fields come from pydantic.  Problems between fields are found on the parsed file itself
(`_config_checks`), so that a typo in one place does not hide a duplicate in another.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Table = dict[str, Any]
Placed = Iterator[tuple[str, Table]]

ABSENT = object()


@dataclass(frozen=True)
class Problem:
    """One thing wrong: `key = value: not this; do that`."""

    key: str
    value: Any
    wrong: str
    fix: str

    def __str__(self) -> str:
        place = self.key if self.value is ABSENT else f"{self.key} = {_shown(redacted(self.key, self.value))}"
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
        return cls(origin, [Problem("file", ABSENT, why, "correct it, or start without --config for the default")])


def field_problems(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """What pydantic found in single fields of `root`."""
    return [_field_problem(each, root) for each in error.errors(include_url=False)]


def _field_problem(error: Any, root: type[BaseModel]) -> Problem:
    kind, location, value = error["type"], error["loc"], error["input"]
    context = error.get("ctx", {})
    if kind == "missing":
        return Problem(_key(location), ABSENT, "missing", "add it")
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
    "less_than": ("not below {lt}", "use less than {lt}"),
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


_SECRET = re.compile(r"(?:^|\.)(?:\w*_)?(?:key|token|secret|password)(?:\[\d+\])*$", re.IGNORECASE)
"""Keys whose values are likely to be secrets, where no such key belongs."""
_URL = re.compile(r"(redis[a-z]*:/*|[a-z][a-z0-9+.-]*:/+)(.*)", re.IGNORECASE | re.DOTALL)


def redacted(key: str, value: Any) -> Any:
    """A value without what may be a secret, in whatever place it stands by mistake: problems end up in logs."""
    if isinstance(value, dict):
        return {name: redacted(f"{key}.{name}", each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(key, each) for each in value]
    if not isinstance(value, str):
        return value
    is_file = key.endswith("tls.key") and "-----" not in value
    return "…" if _SECRET.search(key) and not is_file else _without_login(value)


def _without_login(value: str) -> str:
    """An address without user and password, also where it is too wrong to be taken apart as one."""
    found = _URL.match(value)
    scheme, rest = found.groups() if found else ("", value)
    login, at, place = rest.rpartition("@")
    if at and (scheme or ":" in login):
        rest = f"…@{place}"
    elif scheme and not scheme.lower().startswith("http"):
        rest = ":".join([rest.partition(":")[0], *["…"] * (":" in rest)])
    return scheme + (rest.partition("?")[0] if scheme else rest)


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


def tables(raw: Table, key: str, prefix: str = "") -> Placed:
    """The tables of a list, with their keys; whatever else stands there is pydantic's to complain about."""
    value = raw.get(key)
    entries = value if isinstance(value, list) else []
    return ((f"{prefix}{key}[{i}]", entry) for i, entry in enumerate(entries) if isinstance(entry, dict))


def table(raw: Table, key: str) -> Table:
    """The table `key`; empty where there is none."""
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def models(raw: Table) -> Placed:
    """Every model of every worker."""
    return (found for place, worker in tables(raw, "workers") for found in tables(worker, "models", f"{place}."))


def duplicates(placed: Placed, key: str) -> Iterator[Problem]:
    """Entries whose `key` an entry before them has."""
    seen: Counter[str] = Counter()
    for place, entry in placed:
        value = str(entry.get(key, ""))
        seen[value] += 1
        if value and seen[value] > 1:
            yield Problem(f"{place}.{key}", value, "used before", "give each its own")
