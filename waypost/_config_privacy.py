"""What is kept of what callers say and are told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from waypost._config_fields import MIB, Count, NameOrPath, Section, looks_like_path

PayloadMode = Literal["off", "hash", "redacted", "full"]
TenantPayloads = Literal["inherit", "off", "hash", "redacted", "full"]


def _checked_place(value: str) -> str:
    if value not in ("file", "none") and not looks_like_path(value):
        raise ValueError(f'not a path; write "file", "none" or "./{value}"')
    return value


Place = Annotated[NameOrPath, AfterValidator(_checked_place)]


class Payloads(Section):
    """Where the router writes one JSON line per call with what was asked and answered, and how much of that.

    A call with `route.no_store` is in it for nobody.
    """

    mode: PayloadMode = "off"
    """"off": nothing; "hash": of each text a keyed hash, so that equal ones are recognised; "redacted": texts without
    personal data and secrets, as far as these have a form; "full": texts as they are; tenants may have it otherwise."""
    to: Place = "file"
    """"file": `log/payloads.jsonl` in Waypost's home; "none"; or a path."""
    max_bytes: Count = 64 * MIB
    """Bytes of the file; at that size it becomes `….1`, replacing the one before."""
    retention_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """Days after which a line is removed."""
    max_text_bytes: Count = 65536
    """Bytes of a call's request, and of its reply, that are logged; the rest is left out, and the line says so."""
