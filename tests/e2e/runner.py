"""A whole runner for a test: Redis, API processes, workers, and a client to talk to it."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import nbformat
import psutil
from celery import Celery

from kit.course import catalogue
from kit.processes import child
from kit.processes.child import Child
from kit.processes.forkserver import ForkServerClient
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.stack import Stack
from kit.workspace import NOTEBOOKS
from tests.support.processes import Mark, kill_all

PRODUCT = Project(catalogue.product().solution)
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED", "LOST"}
TIMEOUT = 60.0  # seconds; only a test that fails waits so long
POLL_INTERVAL = 0.1  # seconds; shorter, and the test would take the processor from the runner

# What forks the API processes and workers of the runners; conftest.py sets it for each test file.
fork_server: ForkServerClient | None = None

T = TypeVar("T")


def wait_until(
    check: Callable[[], T | None],
    what: str,
    timeout: float,
    of: Child | None = None,
    *,
    every: float = POLL_INTERVAL,
) -> T:
    """What `check` returns, once that is neither None nor False. Raises NotReady."""
    return child.wait_until(check, what, timeout, of, every=every)


def write_notebook(path: Path, *cells: str, kernel: str = "python3") -> Path:
    """A notebook of these code cells."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    nbformat.write(book, path)
    return path


def install_kernel(folder: Path, *argv: str) -> None:
    """A kernel called "ours", with this command. `folder` is for JUPYTER_PATH."""
    spec = folder / "kernels" / "ours" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"argv": argv, "display_name": "ours", "language": "python"}
    spec.write_text(json.dumps(kernel), encoding="utf-8")


def send_message(redis_url: str, run_id: str) -> None:
    """One more message for this run, as if the broker delivered it twice."""
    with Celery(broker=redis_url) as broker:
        broker.conf.broker_transport_options = {"global_keyprefix": "nb:"}
        broker.send_task("nb_runner.run_notebook", args=[run_id])


@dataclass
class Runner:
    """The finished runner, with its processes."""

    stack: Stack
    env: dict[str, str]
    client: httpx.Client
    sock: socket.socket  # all API processes listen on it
    mark: Mark  # in the environment of all that is not forked: kernels, at any rate
    apis: list[Child] = field(default_factory=list)
    workers: list[Child] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the API listens; no slash at the end."""
        return str(self.client.base_url).rstrip("/")

    @property
    def artifacts(self) -> Path:
        """Where runs leave their output."""
        return Path(self.env["ARTIFACTS_DIR"])

    def start(self, **body: Any) -> str:
        """Start a run that has to be accepted; its id."""
        answer = self.client.post("/start", json=body or None)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    def status(self, run_id: str) -> dict[str, Any]:
        """The run, as the API answers."""
        answer = self.client.get(f"/status/{run_id}")
        assert answer.status_code == 200, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def wait_for(self, run_id: str, *statuses: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The run, once its status is one of these."""

        def there() -> dict[str, Any] | None:
            run = self.status(run_id)
            late = run["status"] in ENDED - set(statuses)
            assert not late, f"waited for {statuses}, but it ended: {run}"
            return run if run["status"] in statuses else None

        return wait_until(there, f"{run_id} to be {' or '.join(statuses)}", timeout)

    def wait_for_cell(self, run_id: str, done: int) -> None:
        """Wait until that many cells are done."""
        wait_until(
            lambda: self.status(run_id)["cells_done"] >= done, f"{done} cells to be done", TIMEOUT
        )

    def run(self, *statuses: str) -> dict[str, Any]:
        """Start a run and wait for it to end as expected."""
        return self.wait_for(self.start(), *(statuses or ("SUCCEEDED",)))

    def kernels(self) -> list[psutil.Process]:
        """Kernel processes of this runner that are alive (warm ones included), without guards."""
        return [process for process in self.mark.processes() if is_kernel(process)]

    def restart_api(self, n: int, env: Mapping[str, str]) -> None:
        """Stop the n-th API process, if it still runs, and start it where its clients expect it."""
        self.apis[n].stop()
        self.apis[n] = start_api(self.stack, PRODUCT, n, self.sock, env)
        wait_for_api(self.apis[n], self.sock)

    def add_worker(self) -> Child:
        """Start one more worker."""
        self.workers.append(start_worker(self.stack, PRODUCT, len(self.workers), self.env))
        wait_for_worker(self.workers[-1])
        return self.workers[-1]

    def replace_worker(self, n: int) -> None:
        """Start the n-th worker anew; the old one has ended."""
        self.workers[n] = start_worker(self.stack, PRODUCT, n, self.env)
        wait_for_worker(self.workers[n])


def is_kernel(process: psutil.Process) -> bool:
    """Whether this is an ipykernel itself, not its guard."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return "ipykernel_launcher" in command and not any("import guard" in part for part in command)


def worker_processes(worker: Child) -> list[psutil.Process]:
    """A worker's main process first, then its pool's, without their kernels."""
    main = psutil.Process(worker.pid)
    return [main, *main.children()]


def kill_worker(worker: Child) -> None:
    """SIGKILL a worker, as the loss of its host would."""
    kill_all(worker_processes(worker))


def is_dead(process: psutil.Process) -> bool:
    """Whether the process has ended. (The parent of an orphan may be slow to collect a zombie.)"""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def heard_of_workers(client: httpx.Client) -> bool:
    """Whether the API has heard of a worker, and of all its pool processes."""
    ready = client.get("/ready").json()
    return bool(ready["worker"] == ready.get("pool") == "ok")


@contextmanager
def start_runner(
    folder: Path,
    *,
    notebook: Path | str = "hello",
    api: int = 1,
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    appendonly: bool = False,
) -> Iterator[Runner]:
    """The finished runner with a Redis of its own; everything is stopped at the end.

    `notebook` is a path, or the name of one in notebooks/. `env` wins over the defaults.
    """
    mark = Mark()
    path = notebook if isinstance(notebook, Path) else NOTEBOOKS / f"{notebook}.ipynb"
    with (
        Stack(state=folder / "state", fork_server=fork_server) as stack,
        free_socket() as sock,
    ):
        redis_url = stack.redis(appendonly=appendonly)
        settings = project_env(
            stack.env
            | {"DATABASE_URL": f"sqlite:///{folder / 'test.db'}"}
            | {"ARTIFACTS_DIR": str(folder / "artifacts"), "NOTEBOOK_PATH": str(path)}
            | mark.env
            | dict(env or {}),
            redis_url=redis_url,
            state=folder / "state",
        )
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        key = settings.get("RUNNER_API_KEY")
        headers = {"X-API-Key": key} if key else {}
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            runner = Runner(stack, settings, client, sock, mark)
            runner.apis = [start_api(stack, PRODUCT, n, sock, settings) for n in range(api)]
            runner.workers = [start_worker(stack, PRODUCT, n, settings) for n in range(workers)]
            for child in runner.apis:
                wait_for_api(child, sock)
            for child in runner.workers:
                wait_for_worker(child)
            if workers:
                wait_until(lambda: heard_of_workers(client), "the workers to be heard of", TIMEOUT)
            yield runner
