"""The chart runs, as far as podman goes: see cluster.py for what is acted."""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import nbformat
import pytest

from tests.containers.cluster import SUBNET, Cluster, cluster, enter
from tests.containers.stack import LONG, Stack
from tests.e2e.runner import ENDED, wait_until
from tests.support.helm import Manifest, rendered
from tools.containers.commands import Failed
from tools.containers.machine import why_no_engine

pytestmark = [
    pytest.mark.containers,
    pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine()),
]
API, OTHER_API, NEW_API, WORKER, REDIS, POSTGRES, TEST = (
    f"{SUBNET}.{last}" for last in (10, 11, 12, 20, 30, 40, 50)
)
SERVICES = {"nb-api": API, "nb-redis": REDIS, "nb-postgres": POSTGRES}
VALUES = {"notebook": {"name": "alone.ipynb", "configMap": "alone"}}
# A run that is not alone fails: the system takes such a lock back, however its process ends.
ALONE = """
import fcntl, os, time
file = open(os.path.join(os.environ["OUTPUT_DIR"], "..", "alone"), "w")
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("begun", flush=True)
time.sleep(0.7)
"""
# While the old worker is gone and the new one is not there, a start may wait longer than a lease.
NO_WORKER = ("no_worker", "not_taken")
SECRET = {
    "redis-password": "redis0password",
    "redis-url": "redis://:redis0password@nb-redis:6379/0",
    "postgres-password": "postgres0password",
    "database-url": "postgresql://runner:postgres0password@nb-postgres:5432/runner",
}


@dataclass
class Chart:
    """The pods of the chart, by what they are for."""

    cluster: Cluster
    owners: dict[str, Manifest]
    test: Manifest
    apis: list[tuple[str, str]] = field(default_factory=list)  # those that a Service would ask

    def roll_out_api(self) -> None:
        """As `maxSurge: 1, maxUnavailable: 0` says: one more, and then an old one away."""
        free = [NEW_API]
        for name, address in list(self.apis):
            new = f"{name}-new"
            self.cluster.start(self.owners["api"], new, free[-1])
            self.cluster.wait_ready(new, free[-1])
            self.apis.append((new, free.pop()))
            self.apis.remove((name, address))
            self.cluster.stop(name)
            free.append(address)

    def roll_out_worker(self, old: str, new: str) -> None:
        """As `Recreate` says: the old one away, then a new one."""
        self.cluster.stop(old)
        self.cluster.start(self.owners["worker"], new, WORKER)
        self.cluster.wait_ready(new, WORKER)

    def url(self, path: str) -> str:
        """A call of an API process that is ready."""
        return f"http://{self.apis[0][1]}:8000{path}"

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run, once it has ended."""

        def there() -> dict[str, Any] | None:
            run: dict[str, Any] = self.cluster.get(self.url(f"/status/{run_id}")).json()
            return run if run.get("status") in ENDED else None

        return wait_until(there, f"the end of {run_id}", LONG)


@pytest.fixture(scope="module")
def chart(built_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chart]:
    """All pods of the chart, ready."""
    manifests = rendered(VALUES)
    owners = {
        one["metadata"]["name"].removeprefix("nb-"): one
        for one in manifests
        if one["kind"] in ("Deployment", "StatefulSet")
    }
    (test,) = (one for one in manifests if one["kind"] == "Pod")
    with cluster(tmp_path_factory.mktemp("cluster"), SERVICES) as made:
        images = ["nb-runner-api", "nb-runner-worker", "redis:8", "postgres:17"]
        made.load(images, built_stack.env)
        made.secret("nb-runner", SECRET)
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ALONE)])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
        made.config_map("alone", {"alone.ipynb": nbformat.writes(book)})
        started = Chart(made, owners, test)
        for name, address in (("redis", REDIS), ("postgres", POSTGRES), ("worker", WORKER)):
            made.start(owners[name], f"nb-{name}-0", address)
        for name, address in (("nb-api-1", API), ("nb-api-2", OTHER_API)):
            made.start(owners["api"], name, address)
            started.apis.append((name, address))
        for name, address in (("nb-worker-0", WORKER), *started.apis):
            made.wait_ready(name, address)
        yield started


def test_the_api_processes_let_one_run_in_and_the_test_of_helm_passes(chart: Chart) -> None:
    one, other = (f"http://{address}:8000" for _, address in chart.apis)
    started = chart.cluster.post(f"{one}/start")
    assert started.status_code == 202, started.text
    refused = chart.cluster.post(f"{other}/start")
    assert refused.status_code == 409
    assert refused.json()["running"] == started.json()["run_id"]
    assert chart.ended(started.json()["run_id"])["status"] == "SUCCEEDED"
    assert "begun" in chart.cluster.get(f"{other}/output/{started.json()['run_id']}").text
    chart.cluster.start(chart.test, "nb-ready", TEST)
    container = "nb-ready-ready"
    assert chart.cluster.podman("wait", container) == "0", chart.cluster.podman("logs", container)


def test_a_pod_can_write_where_it_has_to_and_becomes_nobody_else(chart: Chart) -> None:
    for pod, user in (("nb-api-1", 10001), ("nb-worker-0", 10001), ("nb-redis-0", 999)):
        lines = chart.cluster.execute(pod, "cat", "/proc/self/status").splitlines()
        status = {name: value.split() for name, _, value in (one.partition(":") for one in lines)}
        assert set(status["Uid"]) == {str(user)}
        assert status["NoNewPrivs"] == ["1"]
        assert int(status["CapEff"][0], 16) == int(status["CapBnd"][0], 16) == 0
        chart.cluster.execute(pod, "touch", "/tmp/x")
        with pytest.raises(Failed, match="Read-only"):
            chart.cluster.execute(pod, "touch", "/x")


def test_rollouts_leave_nobody_without_an_answer_and_no_run_beside_another(chart: Chart) -> None:
    with Starting(chart) as starting:
        wait_until(lambda: len(starting.runs) > 1, "two runs", LONG)
        chart.roll_out_api()
        chart.roll_out_worker("nb-worker-0", "nb-worker-1")
        before = len(starting.runs)
        wait_until(lambda: len(starting.runs) > before, "a run by the new worker", LONG)
    assert starting.wrong == []
    runs = [chart.ended(run_id) for run_id in starting.runs]
    assert {run["reason"] for run in runs} <= {None, "worker_stopped", *NO_WORKER}, runs
    assert sum(run["status"] == "SUCCEEDED" for run in runs) > 2
    runs = sorted((run for run in runs if run["started_at"]), key=lambda run: run["started_at"])
    for one, following in itertools.pairwise(runs):
        assert one["finished_at"] <= following["started_at"]


def test_the_next_pod_of_redis_still_has_the_lease(chart: Chart) -> None:
    chart.ended(chart.cluster.get(chart.url("/status")).json()["run_id"])
    started = chart.cluster.post(chart.url("/start"))
    assert started.status_code == 202, started.text
    time.sleep(1.5)  # appendfsync everysec
    chart.cluster.stop("nb-redis-0")
    chart.cluster.start(chart.owners["redis"], "nb-redis-0", REDIS)
    chart.cluster.wait_ready("nb-redis-0", REDIS)
    assert chart.ended(started.json()["run_id"])["status"] in ("SUCCEEDED", "LOST")
    wait_until(
        lambda: chart.cluster.get(chart.url("/ready")).is_success, "a start to be possible", LONG
    )
    again = chart.cluster.post(chart.url("/start"))
    assert chart.ended(again.json()["run_id"])["status"] == "SUCCEEDED"


class Starting:
    """A thread that starts runs, again and again, and reads them in between."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.runs: list[str] = []
        self.wrong: list[str] = []

    def __enter__(self) -> "Starting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        enter(self._chart.cluster.pid)
        while not self._done.wait(0.05):
            for method, path, allowed in (
                ("GET", "/runs", {200}),
                ("POST", "/start", {202, 409, 503}),  # 503: no worker, for the moment
            ):
                try:
                    answer = httpx.request(
                        method, self._chart.url(path), timeout=10, trust_env=False
                    )
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                    continue
                if answer.status_code == 202:
                    self.runs.append(answer.json()["run_id"])
                if answer.status_code not in allowed:
                    self.wrong.append(f"{answer.status_code} {answer.text}")
