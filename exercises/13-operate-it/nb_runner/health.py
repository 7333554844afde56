"""Ready, and in numbers: GET /ready and GET /metrics."""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from pydantic import BaseModel
from redis import RedisError

from . import runs
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
        # TODO(13.2): ready means that a start would work. Without a worker it would not.
        #   `runs.workers()` counts them. Say in `worker` what is missing.
        runs.workers()
    except RedisError as error:
        state.redis = f"Redis does not answer ({type(error).__name__})."
        state.worker = "Unknown without Redis."
    # TODO(13.2): with a notebook that cannot be read, a start would not work, either.
    #   Notebooks change, so read it for each answer. `executor.read` of the settings' notebook
    #   raises Unusable, which says what is wrong.
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
        # TODO(13.3): nb_runner_refused_starts_total, how many starts were answered 409.
        #   Redis counts them already (see `runs.admit`). A number of this process would be a part
        #   of them only. For Prometheus, a number that only grows is a counter. The library adds
        #   the `_total` to its name.
