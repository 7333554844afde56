"""GET /ready while every run fails: workers say themselves what is wrong where they are."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.e2e.runner import (
    Runner,
    install_kernel,
    start_runner,
    wait_until,
    worker_processes,
    write_notebook,
)

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LAUNCHER = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner in which each thing that a run needs can be broken."""
    folder = tmp_path_factory.mktemp("odd")
    notebook = write_notebook(folder / "it.ipynb", "1", kernel="ours")
    install_kernel(folder / "jupyter", *LAUNCHER)
    (folder / "data").mkdir()
    env = {
        "JUPYTER_PATH": str(folder / "jupyter"),
        "DATABASE_URL": f"sqlite:///{folder / 'data' / 'it.db'}",
    }
    with start_runner(folder, notebook=notebook, env=env) as runner:
        yield runner


def wait_for_words(runner: Runner, part: str, *words: str) -> None:
    """Wait until /ready has these words in one field, and "ok" in the others."""

    def told() -> bool:
        ready = runner.client.get("/ready")
        state = ready.json()
        others_are_ok = all(value == "ok" for name, value in state.items() if name != part)
        all_ok = others_are_ok and state[part] == "ok"
        assert ready.status_code == (200 if all_ok else 503)
        return others_are_ok and all(word in state[part] for word in words)

    wait_until(told, f"/ready to say {words} of the {part}", 60)


def test_32_ready_tells_of_a_kernel_that_cannot_start_until_it_can(odd: Runner) -> None:
    install_kernel(Path(odd.env["JUPYTER_PATH"]), "no-such-program")
    odd.run("SUCCEEDED")  # with the kernel that has been waiting; no other one starts
    wait_for_words(odd, "kernel", "Kernel died")
    install_kernel(Path(odd.env["JUPYTER_PATH"]), *LAUNCHER)
    wait_for_words(odd, "kernel", "ok")
    odd.run("SUCCEEDED")


def test_32_ready_tells_of_a_database_that_is_away(odd: Runner) -> None:
    folder = Path(odd.env["DATABASE_URL"].removeprefix("sqlite:///")).parent
    away = folder.rename(folder.with_name("away"))
    wait_for_words(odd, "database", "DATABASE_URL", "unable to open database file")
    away.rename(folder)
    wait_for_words(odd, "database", "ok")


def test_32_ready_tells_of_artefacts_that_cannot_be_written(odd: Runner) -> None:
    odd.artifacts.mkdir(exist_ok=True)
    away = odd.artifacts.rename(odd.artifacts.with_name("elsewhere"))
    odd.artifacts.touch()  # a file, where the folder was
    wait_for_words(odd, "artifacts", "Nothing can be written", str(odd.artifacts))
    odd.artifacts.unlink()
    away.rename(odd.artifacts)
    wait_for_words(odd, "artifacts", "ok")


def test_32_ready_tells_of_a_pool_process_that_is_stopped(odd: Runner) -> None:
    [pool] = worker_processes(odd.workers[0])[1:]
    pool.send_signal(signal.SIGSTOP)
    try:
        wait_for_words(odd, "pool", "not heard of its pool processes: 1 of 1")
    finally:
        pool.send_signal(signal.SIGCONT)
    wait_for_words(odd, "pool", "ok")
    odd.run("SUCCEEDED")


def test_32_ready_tells_that_no_start_is_accepted_after_redis_forgot_something(odd: Runner) -> None:
    with Redis.from_url(odd.env["REDIS_URL"]) as redis:
        redis.hset("nb:marker", "number", 0)  # as in an older copy of the data
    wait_for_words(odd, "redis", "forgot", "No start is accepted for")
    assert odd.client.post("/start").status_code == 503
    wait_for_words(odd, "redis", "ok")
    odd.run("SUCCEEDED")
