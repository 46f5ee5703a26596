"""What the processes of a mesh tell of themselves: the section `telemetry` of the configuration."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from waypost._config_fields import MIB, Count, Section, Share, beside, looks_like_path


def _log(value: str, info: ValidationInfo) -> str:
    if value in ("stderr", "file"):
        return value
    if not looks_like_path(value):
        raise ValueError('neither "stderr", "file", nor the path of a folder, which has a slash')
    return beside(value, info)


class Telemetry(Section):
    """Metrics, traces and logs of every process."""

    metrics: bool = True
    """Whether anything is counted beyond what decisions need; `/metrics` is nearly empty without."""
    otlp: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where spans are sent by OTLP over gRPC, such as "http://127.0.0.1:4317"; absent: there are none."""
    sample: Share = 0.01
    """Share of the calls traced that bring no trace of their own; those that do are traced as it says."""
    span_queue: Count = 8192
    """Spans of a process that wait to be sent; beyond it they are counted and lost."""
    log: Annotated[str, AfterValidator(_log)] = "stderr"
    """"stderr"; "file": in Waypost's home, `log/router.jsonl`, `log/local-0.jsonl`, … one for each process; or the path
    of another folder for these.  Native code has no more than stderr."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is not below is written; WAYPOST_LOG_LEVEL and `waypost logs level` may say otherwise."""
    log_max_bytes: Count = 16 * MIB
    """Bytes of such a file; at that size it becomes `….1`, which becomes `….2`, and so on."""
    log_keep: Count = 3
    """Files that are kept beside each that is written; the oldest goes."""

    @property
    def level(self) -> str:
        """What is written at first."""
        return os.environ.get("WAYPOST_LOG_LEVEL") or self.log_level

    def core(self) -> dict[str, Any]:
        """As the Rust side reads it."""
        traces = {"endpoint": self.otlp, "sample": self.sample, "queue": self.span_queue} if self.otlp else None
        return {"metrics": self.metrics, "traces": traces, "log_level": self.level.lower()}
