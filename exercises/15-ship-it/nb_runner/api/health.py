"""Alive, ready, and in numbers: GET /ping, /ready and /metrics. None of them asks for the key."""

from collections.abc import Iterator
from math import ceil

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from pydantic import BaseModel, Field
from redis import RedisError

from .. import runs
from ..config import get_settings
from ..connection import api_redis
from ..extras import measures, redis_words
from ..names import names
from ..notebook import document
from ..outcome import Status
from ..runs import Forgot, Run
from ..worker import worker_state
from ..worker.worker_state import OK, WorkerState

router = APIRouter()


class Readiness(BaseModel):
    """What has to be there for a start to work: "ok", or a sentence that says what is wrong."""

    redis: str = OK
    worker: str = OK
    notebook: str = OK
    # As the workers see it; missing when none of them says anything.
    database: str | None = None
    artifacts: str | None = None
    temporary: str | None = None
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
        await runs.look()  # a script, as a start is: Redis may refuse to run it
        if await worker_state.workers() == 0:
            state.worker = "No worker has been heard of lately. Start one, or look at its log."
        if len(notebooks := await worker_state.notebooks()) > 1:
            state.worker = redis_words.of_notebooks(notebooks)
        info = await redis_words.about(api_redis())
        state.redis = redis_words.unfit(info) or OK
        if (left := await api_redis().pttl(names().grace)) > 0:
            state.redis = f"{Forgot(left / 1000)} No start is accepted for {ceil(left / 1000)} s."
        state.remark = redis_words.remark(info)
        seen = await worker_state.of_all()
    except RedisError as error:
        state.redis = redis_words.of_error(error) or f"Redis says: {error}"
        state.worker = "Unknown without Redis."
    try:
        await run_in_threadpool(document.read, get_settings().notebook_path)
    except document.Unusable as unusable:
        state.notebook = str(unusable)
    seen_well = seen in (None, WorkerState())
    if not seen_well or {state.redis, state.worker, state.notebook} != {OK}:
        response.status_code = 503
    return state.model_copy(update=dict(seen or {}))


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Prometheus's format. Computed from Redis each time, so that all API processes agree."""
    registry = CollectorRegistry()
    totals = await measures.totals()
    registry.register(_Snapshot(await runs.latest(), totals, await worker_state.workers()))
    registry.register(measures.Measures(await measures.kept()))
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
        refused = self._totals.get("refused", 0)
        yield CounterMetricFamily("nb_runner_refused_starts", "Answers 409 to a start", refused)
        yield GaugeMetricFamily("nb_runner_workers", "Workers heard of lately", self._workers)
        run = self._latest
        active = bool(run and run.status.active)
        yield GaugeMetricFamily("nb_runner_active", "1 while a run is queued or running", active)
        if run:
            done, total = run.cells_done, run.cells_total or 0
            yield GaugeMetricFamily("nb_runner_last_cells_done", "Newest run: cells done", done)
            yield GaugeMetricFamily("nb_runner_last_cells_total", "Newest run: cells", total)
        if run and run.started_at and run.finished_at:
            seconds = (run.finished_at - run.started_at).total_seconds()
            yield GaugeMetricFamily(
                "nb_runner_last_duration_seconds", "Newest run, when it has ended", seconds
            )
