"""The checks of this machine. Each returns a finding, with the command that fixes it."""

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from kit.errors import OF_THE_DISK, KitError, disk_error, without_password
from kit.processes.child import wait_until
from kit.processes.environment import allowed, replaced
from kit.processes.ports import free_socket
from kit.processes.redis_tiers import INSTALL_REDIS, find_redis
from kit.processes.stack import Stack
from kit.setup.bootstrap import has
from kit.setup.layers import megabytes
from kit.storage import short_temporary_folder
from kit.workspace import ROOT, workspace

PORT = 8000
ENOUGH_DISK = 2 * 10**9  # bytes
CHECK_TIMEOUT = 60  # seconds for what takes one second on a machine in good health

State = Literal["ok", "warning", "failure"]

BROWSERS = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable", "chrome"),
)
MAC_BROWSERS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)

TINY_APP = """\
import os

from celery import Celery

app = Celery("doctor", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.task_default_queue = os.environ["DOCTOR_QUEUE"]


@app.task(name="doctor.add")
def add(a: int, b: int) -> int:
    return a + b
"""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `message` in a sentence, `fix` the command that fixes it."""

    check: str
    state: State
    message: str
    fix: str = ""


def run_check(name: str, check: Callable[[], Finding]) -> Finding:
    """What a check finds. A check that raises an exception has found a failure."""
    try:
        return check()
    except KitError as error:
        return _failure(name, error)
    except Exception as error:  # of any kind: the other checks are still of use
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            return _failure(name, disk_error("this check failed", error, workspace().state))
        words = textwrap.shorten(str(error), 200) or "no words"
        return Finding(name, "failure", f"{type(error).__name__}: {words}", "./workshop setup")


def _failure(name: str, error: KitError) -> Finding:
    last = error.detail.strip().splitlines()[-1:]
    return Finding(name, "failure", ": ".join([error.message, *last]), error.fix)


def python() -> Finding:
    """The version of the Python that runs the kit."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Finding("python", "ok", f"Python {version}")
    return Finding(
        "python",
        "failure",
        f"Python {version}; the workshop is made for 3.11 to 3.14",
        "rm -r .venv && python3.13 workshop setup",
    )


def disk() -> Finding:
    """Room for environments, databases and logs."""
    state = next(each for each in (workspace().state, ROOT) if each.is_dir())
    free, place = min((shutil.disk_usage(each).free, each) for each in (ROOT, state))
    if free >= ENOUGH_DISK:
        return Finding("disk", "ok", f"{free / 1e9:.1f} GB free")
    message = f"only {free / 1e9:.1f} GB free in {place}; 2 GB are needed"
    return Finding("disk", "failure", message, f"make room there: df -h {shlex.quote(str(place))}")


def port() -> Finding:
    """The port that `run` takes."""
    try:
        free_socket(PORT).close()
    except KitError as error:
        return Finding("port", "warning", error.message, f"./workshop run --port {PORT + 10}")
    return Finding("port", "ok", f"port {PORT} is free")


def redis() -> Finding:
    """The Redis tier, and a real task through a real worker on it."""
    from celery import Celery

    url = os.environ.get("REDIS_URL", "")
    env = allowed(os.environ) | ({"REDIS_URL": url} if url else {})
    with replaced(env), TemporaryDirectory() as folder, Stack() as stack:
        url = stack.redis()
        choice = stack.redis_choice
        assert choice is not None
        Path(folder, "doctor_app.py").write_text(TINY_APP)
        # A queue of its own: with REDIS_URL set, other workers may listen to the default queue.
        queue = f"workshop-doctor-{uuid.uuid4().hex}"
        env = {**stack.env, "REDIS_URL": url, "DOCTOR_QUEUE": queue}
        options = ["--pool", "solo", "--loglevel", "INFO", "--hostname", f"{queue}@%h"]
        celery = [sys.executable, "-m", "celery", "-A", "doctor_app", "worker"]
        worker = stack.start("doctor-worker", [*celery, *options], cwd=Path(folder), env=env)
        wait_until(lambda: " ready." in worker.output(), "a Celery worker", CHECK_TIMEOUT, worker)
        with Celery("doctor", broker=url, backend=url) as app:
            result = app.send_task("doctor.add", (40, 2), queue=queue)
            answer = result.get(timeout=CHECK_TIMEOUT)
            result.forget()
        if answer != 42:
            raise KitError(f"a task added 40 and 2 and got {answer}")
    message = f"{choice.tier}: {choice.why}; a task went to {without_password(url)} and back"
    if choice.limits:
        return Finding("redis", "warning", f"{message}; {choice.limits}", INSTALL_REDIS)
    if (own := find_redis(allowed(os.environ))).limits:
        limits = f"checks start one of their own, and there is only {own.tier}: {own.limits}"
        return Finding("redis", "warning", f"{message}; {limits}", INSTALL_REDIS)
    return Finding("redis", "ok", message)


def kernel() -> Finding:
    """A Jupyter kernel that starts and computes."""
    if not has("notebook"):
        later = "exercises from 10 on start Jupyter kernels, and install what that needs"
        return Finding("kernel", "ok", f"{later}: {megabytes('notebook'):.0f} MB")
    from jupyter_client.manager import KernelManager

    said: list[str] = []

    def listen(message: dict[str, dict[str, dict[str, str]]]) -> None:
        text = message["content"].get("data", {}).get("text/plain")
        if text:
            said.append(text)

    # Sockets would lie in the current folder, which may not be ours to write to.
    with TemporaryDirectory(prefix="workshop-", dir=short_temporary_folder()) as folder:
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/s")
        manager.connection_file = f"{folder}/kernel.json"
        manager.start_kernel()
        client = manager.blocking_client()
        try:
            client.start_channels()
            client.wait_for_ready(timeout=CHECK_TIMEOUT)
            client.execute_interactive("1 + 1", timeout=CHECK_TIMEOUT, output_hook=listen)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    if said != ["2"]:
        raise KitError(f"a kernel was asked for 1 + 1 and answered {said}", "./workshop setup")
    return Finding("kernel", "ok", "a Jupyter kernel started and added 1 and 1")


def browser() -> Finding:
    """A Chromium, for the PDF and the tests of the page."""
    for found in _browsers():
        return Finding("browser", "ok", f"{found} (for the PDF and the tests of the page)")
    return Finding(
        "browser",
        "warning",
        "no Chromium or Chrome found; only the PDF and the tests of the page need one",
        f"./workshop setup --all && {Path(sys.executable)} -m playwright install chromium",
    )


def _browsers() -> Iterator[str]:
    yield from filter(None, map(shutil.which, BROWSERS))
    yield from (path for path in MAC_BROWSERS if Path(path).exists())
    for cache in (Path.home() / ".cache", Path.home() / "Library" / "Caches"):
        yield from (str(path) for path in cache.glob("ms-playwright/chromium-*"))


def poetry() -> Finding:
    """Poetry, which exercise 1 is about."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "poetry", "--version", "--no-ansi"],
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT,
        check=False,
    )
    if done.returncode == 0:
        return Finding("poetry", "ok", done.stdout.strip())
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return Finding("poetry", "failure", f"Poetry does not start: {last}", "./workshop setup")


def virtual_env() -> Finding:
    """Whether an environment is activated."""
    active = os.environ.get("VIRTUAL_ENV")
    if not active:
        return Finding("virtual-env", "ok", "no environment is activated")
    message = f"{active} is activated, so Poetry would install your exercises into it"
    return Finding("virtual-env", "warning", message, "deactivate")


def encoding() -> Finding:
    """Whether the terminal takes more than ASCII."""
    # Not sys.stdout: while the checks run, a progress display stands in its place.
    name = (sys.__stdout__ and sys.__stdout__.encoding) or "nothing"
    if name.lower().replace("-", "") == "utf8":
        return Finding("encoding", "ok", "the terminal speaks UTF-8")
    message = f"the terminal speaks {name}; names and dashes may come out as question marks"
    return Finding("encoding", "warning", message, "export LC_ALL=C.UTF-8")


CHECKS: dict[str, Callable[[], Finding]] = {
    "python": python,
    "disk": disk,
    "port": port,
    "redis": redis,
    "kernel": kernel,
    "browser": browser,
    "poetry": poetry,
    "virtual-env": virtual_env,
    "encoding": encoding,
}
