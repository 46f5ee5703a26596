"""Measures how fast a model's file runs here under each plan of batches, so that the choice rests on this machine.

The texts are token ids drawn at random: time depends on their number alone.  Plans take turns, round after round, and
the median counts, because machines wobble.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from services.backend import Integers, Run
from services.profile import Machine, Plan, Profile
from waypost import cpus
from waypost.config import Batching

ROUNDS = 5
TEXTS = 64
PLANS = (
    Batching(mode="single"),
    Batching(mode="equal", token_budget=128),
    Batching(mode="equal", token_budget=512),
    Batching(mode="budget", token_budget=512),
)
LENGTHS = {"short": (8, 16), "long": (120, 180), "mixed": (6, 200)}
"""Fewest and most tokens of a text; those of "mixed" are spread evenly on a logarithmic scale."""

Batch = tuple[Integers, Integers, Integers]
Progress = Callable[[int, int], None]


def measure(run: Run, max_tokens: int, progress: Progress = lambda done, total: None) -> Profile:
    """Texts per second of every plan, on as many threads as there are cores."""
    jobs = [(plan, kind) for _ in range(ROUNDS) for kind in LENGTHS for plan in PLANS]
    rates: dict[tuple[Batching, str], list[float]] = {}
    with ThreadPoolExecutor(cpus.available()) as pool:
        for done, (plan, kind) in enumerate(jobs):
            progress(done, len(jobs))
            rates.setdefault((plan, kind), []).append(_rate(run, pool, batches(plan, kind, max_tokens)))
    progress(len(jobs), len(jobs))
    found = (Plan(plan, {kind: statistics.median(rates[plan, kind]) for kind in LENGTHS}) for plan in PLANS)
    return Profile(Machine.this(), tuple(found))


def batches(plan: Batching, kind: str, max_tokens: int) -> list[Batch]:
    """The same texts, as a plan would run them."""
    random = np.random.default_rng(0)
    low, high = (min(each, max_tokens) for each in LENGTHS[kind])
    lengths = np.exp(random.uniform(np.log(low), np.log(high), TEXTS)).astype(int).tolist()
    return [_padded([lengths[index] for index in group]) for group in groups(plan, lengths)]


def groups(plan: Batching, lengths: Sequence[int]) -> list[list[int]]:
    """Indices of the texts that share a run, the short ones first, were all of them known beforehand."""
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda each: lengths[each]):
        if found and _joins(plan, [lengths[each] for each in found[-1]], lengths[index]):
            found[-1].append(index)
        else:
            found.append([index])
    return found


def _joins(plan: Batching, group: Sequence[int], length: int) -> bool:
    if plan.mode == "single" or (plan.mode == "equal" and length != group[0]):
        return False
    return len(group) < plan.max_rows and length * (len(group) + 1) <= plan.token_budget


def _padded(lengths: Sequence[int]) -> Batch:
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    return np.random.default_rng(0).integers(1, 64, mask.shape) * mask, mask, np.zeros_like(mask)


def _rate(run: Run, pool: ThreadPoolExecutor, work: list[Batch]) -> float:
    began = time.perf_counter()
    list(pool.map(lambda batch: run(*batch), work))
    return TEXTS / (time.perf_counter() - began)
