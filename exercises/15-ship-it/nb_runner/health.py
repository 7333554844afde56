"""Alive, ready, and in numbers: GET /ping, /ready and /metrics. None of them asks for the key."""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from pydantic import BaseModel, Field
from redis import RedisError

from . import redis_words
from .connection import about, runs, said_by_workers
from .measures import Measures
from .runs import Run, Status
from .worker_state import OK, WorkerState

router = APIRouter()


class Readiness(BaseModel):
    """What has to be there for a start to work: "ok", or what is wrong, in words."""

    redis: str = OK
    worker: str = OK
    notebook: str = OK
    # As the workers see it; missing when none of them says anything.
    database: str | None = None
    artifacts: str | None = None
    kernel: str | None = None
    pool: str | None = None
    remark: str | None = Field(None, description="What should be better, though a start works")


@router.get("/ping")
async def ping() -> str:
    """Alive."""
    return "pong"


@router.get(
    "/ready",
    response_model_exclude_none=True,
    responses={503: {"model": Readiness, "description": "Not ready"}},
)
async def ready(response: Response) -> Readiness:
    """Whether a start would work: Redis and a worker answer, and the notebook can be used.

    Workers say themselves whether a run would work with them.
    """
    state, seen = Readiness(), None
    try:
        # TODO(15.2): ready means that a start would work. Without a worker it would not.
        #   `runs.workers()` knows how many there are. What is missing is said in `worker`.
        await runs.workers()
        if len(notebooks := await runs.notebooks()) > 1:
            state.worker = redis_words.of_notebooks(notebooks)
        info = await about()
        state.redis = redis_words.unfit(info) or OK
        state.remark = redis_words.remark(info)
        seen = await said_by_workers()
    except RedisError as error:
        state.redis = f"Redis does not answer ({type(error).__name__})."
        state.worker = "Unknown without Redis."
    # TODO(15.2): nor would it with a notebook that cannot be used.
    #   `notebook.read` of the settings' notebook raises Unusable, with the words for it. It reads a
    #   file, so it belongs into a thread: `run_in_threadpool`.
    seen_well = seen in (None, WorkerState())
    if not seen_well or {state.redis, state.worker, state.notebook} != {OK}:
        response.status_code = 503
    return state.model_copy(update=dict(seen or {}))


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Prometheus's format. Computed from Redis each time, so that all API processes agree."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(await runs.latest(), await runs.totals(), await runs.workers()))
    registry.register(Measures(await runs.measures()))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)


class _Snapshot:
    """What is known at one moment, as a Prometheus collector."""

    def __init__(self, latest: Run | None, totals: dict[str, int], workers: int) -> None:
        self._totals, self._latest, self._workers = totals, latest, workers

    def collect(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "nb_runner_runs", "Runs that have ended, by how", labels=["status"]
        )
        for status in Status:
            if not status.active:
                ended.add_metric([status], self._totals.get(status, 0))
        yield ended
        # TODO(15.3): nb_runner_refused_starts_total, how many starts were answered 409.
        #   It is counted already, in Redis, under "refused" (see lua/admit.lua, lua/refuse.lua):
        #   what this process alone has counted would be a part of it only. To Prometheus, what only
        #   ever grows is a counter; the library puts the `_total` behind its name.
        yield GaugeMetricFamily("nb_runner_workers", "Workers heard of lately", self._workers)
        run = self._latest
        active = bool(run and run.status.active)
        yield GaugeMetricFamily("nb_runner_active", "1 while a run is queued or running", active)
        if run:
            done, total = run.cells_done, run.cells_total or 0
            yield GaugeMetricFamily("nb_runner_last_cells_done", "Newest run: cells done", done)
            yield GaugeMetricFamily("nb_runner_last_cells_total", "Newest run: cells", total)
        if run and run.started and run.finished:
            seconds = (run.finished - run.started).total_seconds()
            yield GaugeMetricFamily(
                "nb_runner_last_duration_seconds", "Newest run, when it has ended", seconds
            )
