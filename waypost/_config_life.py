"""How the processes of workers live, where they run on demand: the section `router.life`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from waypost._config_fields import Amount, Count, Seconds, Section, Share


class Life(Section):
    """When processes of workers are started and ended by `waypost up`; nothing of it counts without a worker for that.

    Workers say the rest: `start`, `replicas`, `min_replicas`, `idle_s`, `priority`, `memory_bytes`.
    """

    memory_bytes: Count | None = None
    """Bytes that all workers take together; one that is wanted waits, or others are ended, before it would be passed.
    Absent: 80 % of what machine and control group have free when the mesh starts."""
    max_starts: Count = 2
    """Processes that are being started at once; more wait."""
    patience_s: Seconds = 10.0
    """Seconds that calls wait for memory before a process makes room that has calls all the time: it gets no new ones,
    and is ended when it has finished those under way."""
    evict_idle_s: Seconds = 21_600.0
    """Seconds without a call after which a process is ended when free memory is low, beyond its `min_replicas`."""
    low_memory: Annotated[Share, Field(lt=1)] = 0.2
    """Share of the machine's (or control group's) memory: with less free than this, memory is low, and a warning says
    so.  With less than half of this free also others that are idle are ended, one after another."""
    warm_s: Amount = 0.0
    """Seconds between the shortest of requests to each model that runs and was called within its `idle_s`, so that
    what it needs stays in memory; 0: none."""
    busy_per_replica: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8.0
    """Calls per process, those that wait included, above which another is started, up to `replicas`, where memory is
    free; when fewer processes would have half of this for `idle_s`, one is ended."""
