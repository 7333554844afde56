"""The fork server: what it forks cannot tell, and neither can who started it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from kit.processes.child import Child
from kit.processes.forkserver import ForkServer
from kit.processes.ports import free_socket
from kit.processes.project import Project, start_api, start_worker, wait_for_api, wait_for_worker
from kit.processes.stack import Stack
from kit.workspace import ROOT
from tests.support.processes import Mark, eventually

TOLD = """
import json, os, resource, signal, sys
print(json.dumps({
    "argv": sys.argv[1:],
    "orig_argv": sys.orig_argv,
    "path": sys.path,
    "main": [__name__, sys.modules["__main__"].__name__, __spec__.name],
    "kit": [name for name in sys.modules if name.split(".")[0] in ("kit", "pytest", "leash")],
    "cwd": os.getcwd(),
    "env": {name: value for name, value in os.environ.items() if name != "LC_CTYPE"},
    "leads": os.getpid() == os.getsid(0) == os.getpgid(0),
    "fds": [fd for fd in range(256) if os.path.exists(f"/proc/self/fd/{fd}")],
    "stdin": os.readlink("/proc/self/fd/0"),
    "same": os.path.sameopenfile(1, 2),
    "inheritable": [os.get_inheritable(fd) for fd in (0, 1, 2)],
    "signals": [str(signal.getsignal(n)) for n in (2, 15, 1, 17, 13)],
    "largest": resource.getrlimit(resource.RLIMIT_FSIZE),
    "unbuffered": sys.stdout.write_through,
    "threads": len(os.listdir("/proc/self/task")),
}))
"""

TASKS = """
import os
from celery import Celery

app = Celery("small", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])


@app.task(name="pids")
def pids():
    return [os.getpid(), os.getppid()]
"""

MAIN = """
from fastapi import FastAPI
from nb_runner.tasks import pids

app = FastAPI()


@app.get("/pids")
def get():
    return pids.delay().get(timeout=60)
"""

PROGRAMS = ("uvicorn", "celery", "program")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="libraries of macOS do not survive a fork"),
]
Start = Callable[..., Child]


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    clean = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "REDIS_URL")}
    return clean | {"PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Iterator[ForkServer]:
    with ForkServer(tmp_path_factory.mktemp("server") / "log", env, PROGRAMS) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path, env: dict[str, str], server: ForkServer) -> Iterator[Start]:
    """`python -m program`, with what the test puts into it. Forked, if nothing else is said."""
    started: list[Child] = []

    def start(source: str, *argv: str, **options: Any) -> Child:
        (tmp_path / "program.py").write_text(textwrap.dedent(source))
        options.setdefault("env", env)
        options.setdefault("fork_server", server.client)
        command = [sys.executable, "-m", "program", *argv]
        started.append(Child("it", command, tmp_path / "log", cwd=tmp_path, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def is_forked(child: Child) -> bool:
    return "kit.processes.forkserver" in psutil.Process(child.pid).cmdline()


def test_a_forked_program_sees_what_a_started_one_sees(
    server: ForkServer, start: Start, env: dict[str, str]
) -> None:
    seen = []
    for fork_server in (None, server.client):
        with free_socket() as sock:
            words = ["worker", "--fd", "7"]
            os.dup2(sock.fileno(), 37)
            child = start(
                TOLD,
                *words,
                env=env | {"OWN": "é"},
                pass_fds=[37],
                largest_file=1 << 20,
                fork_server=fork_server,
            )
            os.close(37)
        assert child.wait(60) == 0, child.output()
        seen.append(json.loads(child.output()))
    assert seen[1]["kit"] == []
    assert seen[1]["fds"] == [0, 1, 2, 37]
    assert seen[1]["env"]["OWN"] == "é"
    assert seen[1]["largest"] == [1 << 20, 1 << 20]
    assert seen[1] == seen[0]


def test_it_is_forked_and_its_parent_is_its_leash(server: ForkServer, start: Start) -> None:
    child = start("import time; time.sleep(600)")
    assert is_forked(child)
    leash = psutil.Process(child.pid).parent()
    assert leash is not None
    assert leash.ppid() == server.pid


@pytest.mark.parametrize("program", ["json.tool", "kit.processes.fake_redis"])
def test_what_it_does_not_know_is_started(
    server: ForkServer, tmp_path: Path, env: dict[str, str], program: str
) -> None:
    command = [sys.executable, "-m", program, "0"]
    child = Child("other", command, tmp_path / "log", cwd=ROOT, env=env, fork_server=server.client)
    if child.running:
        assert not is_forked(child)
    child.kill()


@pytest.mark.parametrize("soon", [(), ("uvicorn",)])
def test_it_imports_ahead_for_what_it_was_told_of(
    start: Start, tmp_path: Path, env: dict[str, str], soon: tuple[str, ...]
) -> None:
    with ForkServer(tmp_path / "server", env, PROGRAMS, soon=soon) as server:
        child = start("import sys; print('fastapi' in sys.modules)", fork_server=server.client)
        assert child.wait(60) == 0, child.output()
        assert child.output() == f"{bool(soon)}\n"


def test_what_only_later_workers_import_comes_after_the_first_worker(
    start: Start, tmp_path: Path, env: dict[str, str]
) -> None:
    with ForkServer(tmp_path / "server", env, PROGRAMS, soon=("celery",)) as server:

        def has(module: str) -> bool:
            child = start(
                f"import sys; print('{module}' in sys.modules)", fork_server=server.client
            )
            assert child.wait(60) == 0, child.output()
            return child.output() == "True\n"

        assert has("celery") and not has("nbclient")
        command = [sys.executable, "-m", "celery", "--version"]
        log = tmp_path / "log"
        worker = Child("it", command, log, cwd=tmp_path, env=env, fork_server=server.client)
        assert worker.wait(60) == 0
        eventually(lambda: has("nbclient"), "the import")


def test_files_that_shadow_what_is_imported_are_respected(
    server: ForkServer, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "fastapi.py").write_text("mine = True")
    child = start("import fastapi; print(fastapi.mine)")
    assert child.wait(60) == 0, child.output()
    assert child.output() == "True\n"


def test_another_python_environment_is_respected(
    server: ForkServer, start: Start, env: dict[str, str]
) -> None:
    child = start("import time; time.sleep(600)", env=env | {"PYTHONPATH": "/nowhere"})
    assert not is_forked(child)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("no_such_name", 1),
        ("import atexit; atexit.register(print, 'bye')", 0),
    ],
)
def test_its_end_is_reported(server: ForkServer, start: Start, source: str, code: int) -> None:
    child = start(source)
    assert child.wait(60) == code
    assert not child.running
    assert ("bye" in child.output()) == ("bye" in source)
    assert ("NameError: name 'no_such_name'" in child.output()) == (code == 1)
    assert not psutil.pid_exists(child.pid)


def test_stopped_it_gets_a_chance_and_then_its_group_is_killed(
    server: ForkServer, start: Start
) -> None:
    source = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("up", flush=True)
    while True:
        time.sleep(1)
    """
    child = start(source, grace=0.5)
    eventually(lambda: "up" in child.output(), "it to be up")
    family = psutil.Process(child.pid).children()
    assert family
    child.stop()
    assert child.returncode == -signal.SIGKILL
    assert "asked" in child.output()
    eventually(lambda: not any(each.is_running() for each in family), "its child to end")


def test_it_dies_with_the_program_that_asked_for_it(tmp_path: Path, env: dict[str, str]) -> None:
    mark = Mark()
    (tmp_path / "program.py").write_text("import time; time.sleep(600)")
    source = f"""
    import os, sys, time
    from pathlib import Path
    from kit.processes.child import Child
    from kit.processes.forkserver import ForkServer
    here = Path({str(tmp_path)!r})
    env = {{n: v for n, v in os.environ.items() if not n.startswith("PYTHONPATH")}}
    server = ForkServer(here / "server", env, ["program"])
    command = [sys.executable, "-m", "program"]
    it = Child("it", command, here / "log", cwd=here, env=env, fork_server=server.client)
    print(it.pid, flush=True)
    time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        env={**env, **mark.env, "PYTHONPATH": str(ROOT)},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert "kit.processes.forkserver" in psutil.Process(pid).cmdline()
        parent.kill()
    eventually(lambda: not mark.processes(), "all to end")


def test_an_orphan_stays_below_the_server(server: ForkServer, start: Start) -> None:
    source = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(600)
        os._exit(0)
    os.wait()
    """
    child = start(source)
    assert child.wait(60) == 0
    eventually(lambda: child.output().strip(), "the daemon to tell its pid")
    daemon = psutil.Process(int(child.output()))
    assert daemon.ppid() == server.pid
    daemon.kill()
    eventually(lambda: not daemon.is_running(), "its end")  # and its burial, by the server


def test_a_killed_leash_does_not_save_its_program(server: ForkServer, start: Start) -> None:
    child = start("import time; time.sleep(600)")
    leash = psutil.Process(child.pid).parent()
    assert leash is not None
    leash.kill()
    eventually(lambda: not child.running, "the end of the leash to be seen")
    eventually(lambda: not psutil.pid_exists(child.pid), "its program to end")


def test_a_dead_server_is_done_without(start: Start, tmp_path: Path, env: dict[str, str]) -> None:
    with ForkServer(tmp_path / "server", env, PROGRAMS) as server:
        psutil.Process(server.pid).kill()
        child = start("print('up')", fork_server=server.client)
        assert child.wait(60) == 0
        assert child.output() == "up\n"


def test_a_stuck_server_is_done_without_and_does_not_start_it_twice(
    start: Start, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.processes.forkserver.REPORT_TIMEOUT", 0.2)
    with ForkServer(tmp_path / "server", env, PROGRAMS) as server:
        process = psutil.Process(server.pid)
        process.suspend()
        sleeps = "import time; print('up', flush=True); time.sleep(600)"
        child = start(sleeps, fork_server=server.client)
        assert not is_forked(child)
        process.resume()
        eventually(lambda: "up" in child.output(), "it to be up")
        # It reads the order now, forks, and finds the leash let go of.
        monkeypatch.setattr("kit.processes.forkserver.REPORT_TIMEOUT", 60)
        second = start("import time; time.sleep(600)", fork_server=server.client)
        assert is_forked(second)
        eventually(
            lambda: len(process.children(recursive=True)) == 2, "the late one to end", timeout=30
        )
        second.kill()


def test_real_api_and_worker_run_forked(
    server: ForkServer, tmp_path: Path, env: dict[str, str]
) -> None:
    package = tmp_path / "small" / "nb_runner"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(TASKS)
    (package / "main.py").write_text(MAIN)
    project = Project(package.parent)
    with free_socket() as sock, Stack(tmp_path / "state", env, fork_server=server.client) as stack:
        more = env | {"REDIS_URL": stack.redis()}
        worker = start_worker(stack, project, 1, more)
        api = start_api(stack, project, 1, sock, more)
        wait_for_api(api, sock)
        wait_for_worker(worker)
        assert is_forked(api) and is_forked(worker)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/pids"
        _, parent = httpx.get(url, trust_env=False, timeout=60).json()
        assert parent == worker.pid  # a pool of processes, as ever
        stack.stop()
        assert (api.returncode, worker.returncode) == (-signal.SIGTERM, 0)  # uvicorn's way
        assert "Application shutdown complete" in api.output()
        assert "Warm shutdown" in worker.output()
