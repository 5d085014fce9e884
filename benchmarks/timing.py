"""Interleaved timing: what is compared takes turns, so that a slow minute of the machine is everybody's."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], float]


@dataclass(frozen=True)
class Candidate:
    """Something to time. ``units`` is how many (characters, calls, pages) one call of ``run`` does."""

    run: Callable[[], Any]
    units: float


@dataclass(frozen=True)
class Spread:
    """Median of some numbers, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Of at least one number."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)


def interleave(
    candidates: Mapping[str, Candidate], rounds: int, clock: Clock = time.thread_time
) -> dict[str, list[float]]:
    """Seconds per unit of each candidate in each round, one warm-up round before.

    The clock counts this thread's processor time, not what other processes of the machine take from it.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, candidate in candidates.items():
            gc.collect()
            begin = clock()
            candidate.run()
            spent = clock() - begin
            if number:
                times[name].append(max(spent, 1e-9) / candidate.units)
    return times


def ratio(slow: list[float], fast: list[float]) -> Spread:
    """How many times the one is the other, by rounds."""
    return Spread.of([a / b for a, b in zip(slow, fast, strict=True)])
