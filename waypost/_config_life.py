"""How the processes of workers live, where they run on demand: the section `router.life`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from waypost._config_fields import Amount, Count, Seconds, Section, Share


def _time_of_day(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", value):
        raise ValueError('not a time of day; write such as "03:30"')
    return value


class Restart(Section):
    """When the processes of a worker are started anew by `waypost up`: one after another, and no call fails."""

    at: Annotated[str, AfterValidator(_time_of_day)]
    """When the window opens, by the machine's local time, such as "03:30"."""
    lasts_s: Annotated[float, Field(gt=0, le=86_400)] = 3600.0
    """Seconds that it is open; who could not be restarted meanwhile waits for the next day."""
    min_age_days: Amount = 0.0
    """Days that a process must have run by the window's end; 7: once a week."""
    growth: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    """Only a process that takes so many times the memory that it took in its first ten minutes; absent: any."""


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
