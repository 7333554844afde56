"""What goes on for long: hundreds of runs, and a broker that cuts its connections."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from tests.e2e.runner import Runner, start_runner, wait_until, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

RUNS = 301
FIRST_RUNS = 10  # after them, all that is loaded once is there
SPARE_FILES = 30  # a file that stays open in each tenth run is too much
GROWTH = 20e6  # bytes; measured: 1 MB, by the worker
KINDS = [("normal", "pubsub"), ("pubsub", "normal"), ("normal",), ("pubsub",)]
CUT_TIMEOUT = 90  # seconds


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("held")
    notebook = write_notebook(folder / "it.ipynb", "print('x')")
    with start_runner(folder, notebook=notebook) as runner:
        yield runner


def processes(runner: Runner) -> list[psutil.Process]:
    """API, worker, and all below them."""
    found = [psutil.Process(child.pid) for child in (*runner.apis, *runner.workers)]
    return found + [below for process in found for below in process.children(recursive=True)]


def open_files(runner: Runner) -> int:
    return sum(process.num_fds() for process in processes(runner))


def memory(runner: Runner) -> int:
    return sum(process.memory_info().rss for process in processes(runner))


@pytest.mark.timeout(1200)
def test_hundreds_of_runs_leave_no_process_no_open_file_and_no_memory(runner: Runner) -> None:
    for _ in range(FIRST_RUNS):
        runner.run()
    wait_until(lambda: len(runner.kernels()) == 1, "the next kernel", 30)
    time.sleep(2)  # until it is up
    before, files_before = len(processes(runner)), open_files(runner)
    memory_before = memory(runner)
    for _ in range(RUNS):
        runner.run()
    wait_until(lambda: len(processes(runner)) == before, "the processes of the last run to end", 30)
    # Pools of connections grow and shrink with what happens at the same time.
    assert open_files(runner) < files_before + SPARE_FILES
    assert memory(runner) < memory_before + GROWTH


@pytest.mark.parametrize("when", ["idle", "QUEUED", "RUNNING"])
@pytest.mark.parametrize("kinds", KINDS, ids=" ".join)
def test_no_run_is_lost_when_connections_to_the_broker_are_cut(
    runner: Runner, kinds: tuple[str, ...], when: str
) -> None:
    """Those of `celery inspect` and `celery control` are the ones that subscribe."""
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), "import time; time.sleep(2)", "print('end')")
    run_id = "" if when == "idle" else runner.start()
    if when == "RUNNING":
        runner.wait_for(run_id, "RUNNING")
    with Redis.from_url(runner.env["REDIS_URL"]) as redis:
        for kind in kinds:
            assert redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    runner.wait_for(run_id or runner.start(), "SUCCEEDED", timeout=CUT_TIMEOUT)
    runner.run()  # the worker still takes runs
