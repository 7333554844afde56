"""How long runs take and wait, and when one last succeeded: kept in Redis, for GET /metrics.

A script adds a run to them in the step that ends it. So they are the same for all API processes,
and survive a restart of each.
"""

import time
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from ..connection import api_redis
from ..names import names
from ..outcome import Status
from ..runs import Run

# Upper bounds of the buckets, in seconds: from a moment to a day.
BOUNDS = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)
DURATION, WAIT, LAST_SUCCESS = "duration", "wait", "last_success"


def of_run(run: Run) -> list[str | float]:
    """What a run that has ended adds: names and amounts, in turn."""
    if run.started_at is None or run.finished_at is None:
        return []
    took = (run.finished_at - run.started_at).total_seconds()
    waited = (run.started_at - run.queued_at).total_seconds()
    return [*_observed(DURATION, took), *_observed(WAIT, waited)]


def _observed(name: str, seconds: float) -> list[str | float]:
    seconds = max(0.0, seconds)  # two machines' clocks may differ
    bucket = next((str(bound) for bound in BOUNDS if seconds <= bound), "+Inf")
    return [f"{name}:{bucket}", 1, f"{name}:sum", seconds]


async def totals() -> dict[str, int]:
    """How many runs ended in which status, and how many starts were "refused"."""
    counts = await api_redis().hgetall(names().totals)
    return {str(name): int(count) for name, count in counts.items()}


async def kept() -> dict[str, float]:
    """What Redis holds for Measures."""
    measured = await api_redis().hgetall(names().measures)
    return {str(name): float(value) for name, value in measured.items()}


class Measures:
    """What Redis holds of them, as a Prometheus collector."""

    def __init__(self, kept: Mapping[str, float]) -> None:
        self._kept = kept

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        told = {
            DURATION: ("nb_runner_run_duration_seconds", "From the claim of a run to its end"),
            WAIT: ("nb_runner_queue_wait_seconds", "From the start of a run to its claim"),
        }
        for name, (metric, words) in told.items():
            yield self._histogram(name, metric, words)
        if at := self._kept.get(LAST_SUCCESS):
            yield GaugeMetricFamily(
                "nb_runner_seconds_since_last_success",
                "Since a run last SUCCEEDED",
                max(0.0, time.time() - at),
            )

    def _histogram(self, name: str, metric: str, words: str) -> Metric:
        counts: list[tuple[str, float]] = []
        total = 0.0
        for bound in [*map(str, BOUNDS), "+Inf"]:
            total += self._kept.get(f"{name}:{bound}", 0)
            counts.append((bound if bound == "+Inf" else f"{bound}.0", total))
        return HistogramMetricFamily(metric, words, counts, self._kept.get(f"{name}:sum", 0))


def success_time(run: Run) -> float:
    """When the run succeeded, in seconds since 1970; 0: it did not."""
    succeeded = run.status is Status.SUCCEEDED and run.finished_at
    return run.finished_at.timestamp() if succeeded and run.finished_at else 0
