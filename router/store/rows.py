"""Rows of the tables, made of the journal's lines.

A log that is anonymised has hashes for names of tenants and calls, no trace, no words of errors, and texts of the mode
"full" redacted; with the same key, equal names have equal hashes, so that rows can still be counted by tenant.  The
record of changes (`audit`) keeps its names: it is there to say who it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Table

from router.payload_texts import redacted
from router.store import feed
from router.store.feed import row_id
from router.store.journal import Entry
from waypost.database import tables

Line = dict[str, Any]
Row = dict[str, Any]

NUL = re.compile(rb"\\u0000")
"""What no text of PostgreSQL may have."""
TEXT_COLUMNS = ("payload_mode", "prompt", "answer")
"""What is known of a call by its texts alone,"""
FACT_COLUMNS = ("version", "queue_ms", "prompt_tokens", "cached_tokens", "completion_tokens")
"""and by its texts where its decision does not say it, as that of a kept answer does not."""
NO_TEXT: Row = dict.fromkeys((*TEXT_COLUMNS, *FACT_COLUMNS))


@dataclass
class Batch:
    """Rows by table, and texts of calls whose rows are in the database already."""

    rows: dict[Table, list[Row]] = field(default_factory=dict)
    texts: list[Row] = field(default_factory=list)
    unreadable: int = 0

    def add(self, table: Table, row: Row) -> None:
        self.rows.setdefault(table, []).append(row)


class Anonymous:
    """Hides who it was.

    Args:
        key: of the hashes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def name(self, name: str | None) -> str | None:
        """A name's hash."""
        return None if name is None else hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()[:32]

    def call(self, line: Line) -> Line:
        """A decision's line."""
        kept = {key: value for key, value in line.items() if key not in ("trace_id", "span_id", "error")}
        return kept | {key: self.name(kept[key]) for key in ("tenant", "request_id") if key in kept}

    def text(self, line: Line) -> Line:
        """Texts of a call: as hashes, or without what has a form."""
        kept = line | {key: self.name(line.get(key)) for key in ("tenant", "request_id")}
        for side in ("request", "reply"):
            if side in kept:
                kept[side] = _of_nobody(kept[side])
                if line["mode"] == "full":
                    kept[side] = orjson.loads(redacted(_text(kept[side])))
        return kept | ({"mode": "redacted"} if line["mode"] == "full" else {})


def _of_nobody(said: Any) -> Any:
    """A message without the hints that say for whom it is."""
    if isinstance(said, list):
        return [_of_nobody(each) for each in said]
    if isinstance(said.get("route"), dict):
        return said | {
            "route": {key: value for key, value in said["route"].items() if key not in ("tenant", "session")}
        }
    return said


def read(journal: str, entries: Iterable[Entry], hide: Anonymous | None = None) -> Batch:
    """The rows of some lines."""
    batch = Batch()
    calls: dict[str, Row] = {}
    for entry in entries:
        try:
            _add(batch, calls, row_id(journal, entry.position), entry, hide)
        except (ValueError, KeyError, TypeError, AttributeError):
            batch.unreadable += 1
    return batch


def _add(batch: Batch, calls: dict[str, Row], identity: str, entry: Entry, hide: Anonymous | None) -> None:
    raw = NUL.sub(rb"\\ufffd", entry.line)
    line = orjson.loads(raw)
    if entry.kind == feed.CALL:
        calls[identity] = row = _call(identity, hide.call(line) if hide else line, None if hide else raw)
        batch.add(tables.model_inferences, row)
    elif entry.kind == feed.TEXT:
        _add_text(batch, calls, identity, hide.text(line) if hide else line)
    else:
        table, make = OTHERS[entry.kind]
        for row in make(line, hide):
            batch.add(table, {"id": identity, **row})


# ---- calls ----


def _call(identity: str, line: Line, raw: bytes | None) -> Row:
    hops, tokens = line["hops"], line.get("tokens") or NO_TEXT
    reasons = (line["model_reason"], line["reason"])
    return {
        "id": identity,
        "time": datetime.fromisoformat(line["timestamp"]),
        "request_id": line["request_id"],
        "trace_id": line.get("trace_id"),
        "tenant": line.get("tenant"),
        "task": task(line["method"]),
        "method": line["method"],
        "model": line["model"],
        "instance": line["chosen"],
        "tier": (line.get("features") or NO_TEXT).get("tier"),
        "reason": "/".join(filter(None, reasons)) or None,
        "status": line["code"],
        "error": line.get("error"),
        "latency_ms": line["latency_ms"],
        "cost_usd": line["cost_usd"],
        "cached": line.get("cache"),
        "quality": hops[-1].get("quality") if hops else None,
        "decision": raw.decode() if raw else _text(line),
        **dict.fromkeys(TEXT_COLUMNS),
        "version": line.get("version"),
        "queue_ms": line.get("queue_ms"),
        **{f"{kind}_tokens": tokens.get(kind) for kind in ("prompt", "cached", "completion")},
    }


@lru_cache(maxsize=256)
def task(method: str) -> str:
    """ "/waypost.v1.EmbedService/EmbedStream" is "embed"."""
    return method.split("/")[1].rpartition(".")[2].removesuffix("Service").lower()


# ---- their texts ----


def _add_text(batch: Batch, calls: dict[str, Row], identity: str, line: Line) -> None:
    told = _told(line)
    if line["of"] in calls:
        row = calls[line["of"]]
        row.update({key: value for key, value in told.items() if row[key] is None})
    elif line["of"]:
        batch.texts.append({"call": line["of"], **told})
    else:
        batch.add(tables.model_inferences, _orphan(identity, line) | told)


def _told(line: Line) -> Row:
    reply = line.get("reply")
    told = {"payload_mode": line["mode"], "prompt": _json(line.get("request")), "answer": _json(reply)}
    return NO_TEXT | told | dict(_facts(reply if isinstance(reply, list) else [reply or {}]))


def _orphan(identity: str, line: Line) -> Row:
    """Of a call whose own line was lost."""
    known = {key: line[key] or None for key in ("request_id", "tenant", "method", "model", "status")}
    row = dict.fromkeys(each.name for each in tables.model_inferences.columns)
    time = datetime.fromisoformat(line["timestamp"])
    return row | {"id": identity, "time": time, "task": task(line["method"])} | known


def _facts(replies: list[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What replies tell about themselves: who served, how long it waited, how many tokens it was."""
    served = [each["served_by"]["version"] for each in replies if "version" in (each.get("served_by") or ())]
    if served:
        yield "version", served[-1]
    waits = [each["timings"]["queue"] for each in replies if "queue" in (each.get("timings") or ())]
    if waits:
        yield "queue_ms", max(waits) * 1e3
    usages = [each["usage"] for each in replies if each.get("usage")]
    if usages and isinstance(usages[0], list):
        yield "prompt_tokens", sum(text.get("tokens", 0) for usage in usages for text in usage)
    elif usages:
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
            yield name, sum(usage.get(name, 0) for usage in usages)


# ---- the others ----


def _audit(line: Line, hide: Anonymous | None) -> Iterator[Row]:
    who = line.get("who") or {}
    yield {
        "time": datetime.fromisoformat(line["timestamp"]),
        "tenant": who.get("tenant"),
        "role": who.get("role"),
        "token": who.get("token"),
        "origin": line.get("from"),
        **{key: line.get(key) for key in ("door", "method", "outcome", "detail")},
    }


def _rollout(line: Line, hide: Anonymous | None) -> Iterator[Row]:
    """A change; what was seen without one is in the log only."""
    if "verdict" not in line:
        rollout = line["rollout"]
        known = {key: rollout[key] for key in ("name", "revision", "state", "step")}
        reason = rollout.get("reason")
        yield {"time": datetime.fromisoformat(line["timestamp"]), **known, "reason": reason, "rollout": _text(rollout)}


def _feedback(line: Line, hide: Anonymous | None) -> Iterator[Row]:
    row = {key: line.get(key) for key in ("request_id", "tenant", "model", "score")}
    names = {key: hide.name(row[key]) for key in ("request_id", "tenant")} if hide else {}
    yield {"time": datetime.fromisoformat(line["timestamp"]), **row, **names}


OTHERS: dict[str, tuple[Table, Callable[[Line, Anonymous | None], Iterator[Row]]]] = {
    feed.AUDIT: (tables.audit, _audit),
    feed.ROLLOUT: (tables.rollouts, _rollout),
    feed.FEEDBACK: (tables.feedback, _feedback),
}


def _json(value: Any) -> str | None:
    return None if value is None else _text(value)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
