"""Ready, and in numbers: GET /ready and GET /metrics."""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from pydantic import BaseModel
from redis import RedisError

from . import executor, runs
from .config import get_settings
from .runs import Run, Status

OK = "ok"
router = APIRouter()


class Readiness(BaseModel):
    """What has to be there for a start to work: "ok", or a sentence that says what is wrong."""

    redis: str = OK
    worker: str = OK
    notebook: str = OK


@router.get("/ready", responses={503: {"model": Readiness, "description": "Not ready"}})
def ready(response: Response) -> Readiness:
    """Whether a start would work: Redis and a worker answer, and the notebook can be read."""
    state = Readiness()
    try:
        if runs.workers() == 0:
            state.worker = "No worker has been heard of lately. Start one, or look at its log."
    except RedisError as error:
        state.redis = f"Redis does not answer ({type(error).__name__})."
        state.worker = "Unknown without Redis."
    try:
        executor.read(get_settings().notebook_path)
    except executor.Unusable as unusable:
        state.notebook = str(unusable)
    if state != Readiness():
        response.status_code = 503
    return state


@router.get("/metrics", response_class=Response)
def metrics() -> Response:
    """Prometheus's format. Computed from Redis each time, so that all API processes agree."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(runs.latest(), runs.totals()))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)


class _Snapshot:
    """What is known at one moment, as a Prometheus collector."""

    def __init__(self, latest: Run | None, totals: dict[str, int]) -> None:
        self._latest, self._totals = latest, totals

    def collect(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "nb_runner_runs", "Runs that a worker has ended, by how", labels=["status"]
        )
        # A LOST run has no worker that could count it.
        for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
            ended.add_metric([status], self._totals.get(status, 0))
        yield ended
        active = bool(self._latest and self._latest.status.active)
        yield GaugeMetricFamily("nb_runner_active", "1 while a run is queued or running", active)
        refused = self._totals.get(runs.REFUSED, 0)
        yield CounterMetricFamily("nb_runner_refused_starts", "Answers 409 to a start", refused)
