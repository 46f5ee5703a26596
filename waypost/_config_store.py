"""The log of calls in a database: the section `router.store`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from waypost._config_fields import MIB, Amount, Count, Seconds, Section, Strings, beside, looks_like_path

Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _checked_url(value: str, info: ValidationInfo) -> str:
    """Not opened here: the database may be away while the file is checked."""
    if value == "file" or value.startswith("postgresql://"):
        return value
    path = value.removeprefix("sqlite:")
    if path == value or not path or path.startswith("//"):
        raise ValueError('no database; write "file", "sqlite:/path" or "postgresql://user@host/name"')
    return f"sqlite:{(info.context or {}).get('base', Path.cwd()) / Path(path).expanduser()}"


def _checked_folder(value: str, info: ValidationInfo) -> str:
    if value == "file":
        return value
    if not looks_like_path(value):
        raise ValueError(f'not a path; write "file" or "./{value}"')
    return beside(value, info)


class Store(Section):
    """Where the router keeps a row for each call, and for changes, refusals and rollouts: to search, export, learn.

    Texts are in it as the tenant's payloads are kept (`router.payloads`), and never those of a call with
    `route.no_store`.
    """

    enabled: bool = False
    """Off: nothing but the logs is kept."""
    url: Annotated[str, AfterValidator(_checked_url)] = "file"
    """"file": `store.db` in Waypost's home; "sqlite:/path"; or "postgresql://user:password@host/name", which several
    routers may share."""
    retention_days: Days = 90.0
    """Days after which a row is removed, wherever it is; not versions of models."""
    anonymise: bool = False
    """Whether names of tenants and calls are hashes (of the key `payloads.key` at home), and texts at most redacted."""
    without: Strings = ()
    """Tenants of whose calls nothing is kept here."""
    journal_bytes: Count = 256 * MIB
    """Bytes on disk of what waits for the database; beyond it lines are lost, counted and reported."""
    batch: Count = 2000
    """Lines that are written to the database at once."""
    flush_s: Seconds = 0.5
    """Seconds for which lines gather before they are written to the database; they are in the journal meanwhile."""
    compact_days: Amount = 7.0
    """Days after which calls are moved to Parquet files; 0: never.  Needs the extra `parquet`."""
    cold: Annotated[str, AfterValidator(_checked_folder)] = "file"
    """Folder of these files; "file": `store` in Waypost's home.  Routers that share a database share it."""
