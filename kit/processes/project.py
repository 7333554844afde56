"""A project of the course, and how its processes are started."""

import re
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from kit.processes.child import Child, wait_until
from kit.processes.environment import overriding
from kit.processes.stack import Stack
from kit.workspace import NOTEBOOKS, shown, sqlite_url

OFFLINE_DOCS = Path(__file__).with_name("offline_docs.py")
START_TIMEOUT = 60.0  # seconds; a cold disk and two busy cores can take half of it


@dataclass(frozen=True)
class Project:
    """A folder with a package `nb_runner` in it."""

    path: Path

    @property
    def number(self) -> int | None:
        """The exercise's number, when the folder is called `NN-slug`."""
        found = re.match(r"(\d+)-", self.path.name)
        return int(found[1]) if found else None

    @property
    def has_api(self) -> bool:
        """Whether there is a FastAPI app: exercise 01 has none."""
        return (self.path / "nb_runner" / "main.py").is_file()

    @property
    def has_worker(self) -> bool:
        """Whether there is a Celery app: exercises before 05 have none."""
        return (self.path / "nb_runner" / "tasks.py").is_file()


def find_notebook(named: Path | None, env: Mapping[str, str]) -> Path:
    """The notebook to run: --notebook, else NOTEBOOK_PATH, else hello.ipynb; absolute."""
    if named is not None:
        if not named.is_file():
            raise KitError(f"there is no notebook {named}", f"ls {shown(NOTEBOOKS)}")
        return named.absolute()
    if env.get("NOTEBOOK_PATH"):
        # A relative path is relative to the user's folder. The processes run in another one.
        return Path(env["NOTEBOOK_PATH"]).absolute()
    return NOTEBOOKS / "hello.ipynb"


def project_env(
    env: Mapping[str, str], *, redis_url: str, state: Path, notebook: Path | None = None
) -> dict[str, str]:
    """What a runner's processes get: `env`, and defaults for what it leaves open."""
    left_out = overriding(env)
    return {
        "DATABASE_URL": sqlite_url(state / "flights.db"),
        "ARTIFACTS_DIR": str(state.absolute() / "artifacts"),
        "PYTHONUNBUFFERED": "1",
        **{name: value for name, value in env.items() if name not in left_out},
        "NOTEBOOK_PATH": str(find_notebook(notebook, env)),
        "REDIS_URL": redis_url,
    }


def start_api(
    stack: Stack,
    project: Project,
    n: int,
    sock: socket.socket,
    env: Mapping[str, str],
    *,
    offline: bool = False,
) -> Child:
    """Start the n-th uvicorn process. All share the listening `sock`.

    `offline`: /docs and /redoc need no network.
    """
    fd = sock.fileno()
    uvicorn = [str(OFFLINE_DOCS)] if offline else ["-m", "uvicorn"]
    argv = [sys.executable, *uvicorn, "nb_runner.main:app", "--fd", str(fd)]
    # A browser may keep a stream of events open without end. Shutting down does not wait for it.
    argv += ["--timeout-graceful-shutdown", "3"]
    return stack.start(f"api-{n}", argv, cwd=project.path, env=env, pass_fds=[fd])


def start_worker(stack: Stack, project: Project, n: int, env: Mapping[str, str]) -> Child:
    """Start the n-th Celery worker."""
    # Celery tells workers apart by their names, so each start has a new one.
    hostname = f"worker-{n}-{uuid.uuid4().hex[:6]}@%h"
    celery = [sys.executable, "-m", "celery", "-A", "nb_runner.tasks", "worker"]
    options = ["--loglevel", "INFO", "--concurrency", "1", "--hostname", hostname]
    # With events, the end of a task is told by the process that knows it: see
    # kit/grading/runner/task_events.py.
    options += ["--task-events"]
    # These save a second of the start. The workers need not know of one another.
    options += ["--without-mingle", "--without-gossip"]
    return stack.start(f"worker-{n}", [*celery, *options], cwd=project.path, env=env)


def wait_for_worker(
    child: Child, timeout: float = START_TIMEOUT, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait until a worker takes tasks. (`celery inspect ping` would take half a second.)"""
    wait_until(
        lambda: " ready." in child.output(),
        f"{child.name} to be ready",
        timeout,
        child,
        meanwhile,
    )


def has_started(api: Child) -> bool:
    """Whether an API process has started, as its log tells. It may not answer all the same."""
    return "Application startup complete" in api.output()


def wait_for_api(
    child: Child,
    sock: socket.socket,
    timeout: float = START_TIMEOUT,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Wait until an API process has started and something answers over HTTP, with any status."""
    import httpx

    # Several API processes share the socket, so an answer may come from another one of them.
    wait_until(
        lambda: has_started(child),
        f"{child.name} to start",
        timeout,
        child,
        meanwhile,
    )
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/ping"

    def answers() -> bool:
        try:
            httpx.get(url, timeout=2, trust_env=False, verify=False)
        except httpx.HTTPError:
            return False
        return True

    wait_until(answers, f"{url} to answer", timeout, child, meanwhile)
