"""Tenants as the core reads them, with their keys: read at start-up, handed to the core and to nobody else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from waypost.config import ConfigError, Problem, Tenant

Found = tuple[str, str, str]
"""Key of the configuration that points to a tenant's key, where that is, and the key."""


def keyed(tenants: Iterable[Tenant]) -> list[dict[str, Any]]:
    """Each tenant with its key in plain text, None where it has none.

    Raises:
        ConfigError: a key is not there, cannot be sent, or is used twice: all that is wrong.
    """
    listed = tuple(tenants)
    found = [_found(f"router.tenants[{i}]", tenant) for i, tenant in enumerate(listed)]
    if problems := [*_unusable(found), *_shared(found)]:
        raise ConfigError("keys", problems)
    return [_plain(tenant, key) for tenant, (_, _, key) in zip(listed, found, strict=True)]


def _plain(tenant: Tenant, key: str) -> dict[str, Any]:
    return tenant.model_dump(exclude={"key_env", "key_file"}) | {"key": key or None}


def _found(place: str, tenant: Tenant) -> Found:
    if tenant.key_env is not None:
        return f"{place}.key_env", tenant.key_env, os.environ.get(tenant.key_env, "").strip()
    if tenant.key_file is not None:
        return f"{place}.key_file", tenant.key_file, _read(Path(tenant.key_file))
    return place, "", ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _unusable(found: Iterable[Found]) -> Iterator[Problem]:
    for place, where, key in found:
        if where and not key:
            yield Problem(place, where, "no key there that can be read", "put it there, for the router's process")
        if not all("!" <= letter <= "~" for letter in key):
            yield Problem(place, where, "a key that no header may have", "use visible ASCII without spaces")


def _shared(found: Iterable[Found]) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    for place, where, key in found:
        seen[key] += 1
        if key and seen[key] > 1:
            yield Problem(place, where, "a key that another tenant has", "give each its own")
