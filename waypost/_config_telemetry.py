"""What the processes of a mesh tell of themselves: the section `telemetry` of the configuration."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from waypost._config_fields import Count, Section, Share


class Telemetry(Section):
    """Metrics and traces of every process."""

    metrics: bool = True
    """Whether anything is counted beyond what decisions need; `/metrics` is nearly empty without."""
    otlp: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where spans are sent by OTLP over gRPC, such as "http://127.0.0.1:4317"; absent: there are none."""
    sample: Share = 0.01
    """Share of the calls traced that bring no trace of their own; those that do are traced as it says."""
    span_queue: Count = 8192
    """Spans of a process that wait to be sent; beyond it they are counted and lost."""

    def core(self) -> dict[str, Any]:
        """As the Rust side reads it."""
        traces = {"endpoint": self.otlp, "sample": self.sample, "queue": self.span_queue} if self.otlp else None
        return {"metrics": self.metrics, "traces": traces}
