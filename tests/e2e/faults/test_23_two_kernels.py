"""Fault 23: two kernels at once, when the processes between a worker and its kernel are attacked.

The cell holds the GIL in one long call into C, so the kernel hears nothing itself.
"""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from celery import Celery

from tests.e2e.faults.escapes import CHILDREN, START_CHILDREN, children
from tests.e2e.runner import (
    TIMEOUT,
    Runner,
    is_dead,
    kill_worker,
    start_runner,
    wait_until,
    write_notebook,
)
from tests.support.processes import kill_all

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LEASE = 6.0  # seconds
SLACK = 10.0  # seconds on top, for a machine that is busy with something else

HOLD_THE_GIL = "sum(range(10**12))"


class Victims:
    """The processes of a worker in the middle of a run, and all that the run has started."""

    def __init__(self, runner: Runner, run_id: str) -> None:
        self.run_id = run_id
        self.worker = runner.workers[-1]
        self.main = psutil.Process(self.worker.pid)
        [self.kernel] = runner.kernels()
        guard = self.kernel.parent()
        pool = guard.parent() if guard else None
        assert guard and pool
        self.guard, self.pool = guard, pool
        self.tree = [self.kernel, *children(runner)]


Attack = Callable[[Runner, Victims], None]


def cancel(runner: Runner, _: Victims) -> None:
    assert runner.client.post("/cancel").status_code == 202


def shut_down_by_remote_control(runner: Runner, _: Victims) -> None:
    with Celery(broker=runner.env["REDIS_URL"]) as app:
        app.conf.broker_transport_options = {"global_keyprefix": "nb:"}
        app.control.shutdown()


def send(who: str, *signals: signal.Signals) -> Attack:
    def attack(_: Runner, victims: Victims) -> None:
        for number in signals:
            getattr(victims, who).send_signal(number)

    return attack


def then(*attacks: Attack) -> Attack:
    def attack(runner: Runner, victims: Victims) -> None:
        for each in attacks:
            each(runner, victims)

    return attack


def ctrl_c_twice(_: Runner, victims: Victims) -> None:
    victims.main.send_signal(signal.SIGINT)
    wait_until(lambda: "initiate cold shutdown" in victims.worker.output(), "the first", 10)
    if victims.main.is_running():
        victims.main.send_signal(signal.SIGINT)


S = signal.Signals
STOPPED = "The worker was told to stop in the middle of the run. It was at: Cell 2 of 2."
DIED = "Cell 2 of 2: the kernel died. (Out of memory? os._exit? A crash?)"
# What is done, and what the run says then; None: LOST.
ATTACKS: dict[str, tuple[Attack, str | None]] = {
    "KILL guard": (send("guard", S.SIGKILL), DIED),
    "STOP guard, cancel": (then(send("guard", S.SIGSTOP), cancel), "Cancelled."),
    "STOP guard, KILL pool": (then(send("guard", S.SIGSTOP), send("pool", S.SIGKILL)), None),
    "STOP guard, KILL main": (then(send("guard", S.SIGSTOP), send("main", S.SIGKILL)), None),
    "TERM INT QUIT HUP guard, cancel": (
        then(send("guard", S.SIGTERM, S.SIGINT, S.SIGQUIT, S.SIGHUP), cancel),
        "Cancelled.",
    ),
    "KILL guard, KILL pool": (then(send("guard", S.SIGKILL), send("pool", S.SIGKILL)), None),
    "KILL pool": (send("pool", S.SIGKILL), None),
    "STOP pool": (send("pool", S.SIGSTOP), None),
    "TERM pool": (send("pool", S.SIGTERM), STOPPED),
    "INT pool": (send("pool", S.SIGINT), STOPPED),
    "QUIT pool": (send("pool", S.SIGQUIT), STOPPED),
    "USR1 pool": (send("pool", S.SIGUSR1), STOPPED),
    "KILL main": (send("main", S.SIGKILL), None),
    "TERM main": (send("main", S.SIGTERM), STOPPED),
    "INT main": (send("main", S.SIGINT), STOPPED),
    "INT INT main": (ctrl_c_twice, STOPPED),
    "QUIT main": (send("main", S.SIGQUIT), STOPPED),
    "control shutdown": (shut_down_by_remote_control, STOPPED),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("contained")
    notebook = write_notebook(folder / "it.ipynb", START_CHILDREN, HOLD_THE_GIL)
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(folder, notebook=notebook, env=env) as runner:
        yield runner


def in_second_cell(runner: Runner) -> str | None:
    """Start a run, as soon as one is admitted; its id once it is there. None: it was LOST.

    A pool process that is just getting its next kernel ready may be too late for a run.
    """
    if not psutil.pid_exists(runner.workers[-1].pid):
        runner.add_worker()
    run_id = wait_until(lambda: admitted(runner), "a start", TIMEOUT)

    def there() -> dict[str, Any] | None:
        run = runner.status(run_id)
        return run if run["cells_done"] == 1 or run["status"] == "LOST" else None

    return run_id if wait_until(there, "its second cell", TIMEOUT)["status"] == "RUNNING" else None


@pytest.fixture
def victims(shared: Runner) -> Iterator[Victims]:
    """A run in its second cell. Afterwards nothing of it is left, and a worker is up."""
    victims = Victims(shared, wait_until(lambda: in_second_cell(shared), "a run", TIMEOUT))
    yield victims
    shared.client.post("/cancel")
    kill_all([victims.guard, *victims.tree])
    if victims.pool.is_running() and victims.pool.status() == psutil.STATUS_STOPPED:
        kill_worker(victims.worker)


def admitted(runner: Runner) -> str | None:
    answer = runner.client.post("/start")
    assert answer.status_code in (202, 409), answer.text
    return str(answer.json()["run_id"]) if answer.status_code == 202 else None


@pytest.mark.parametrize("attack", ATTACKS)
def test_23_nothing_of_a_run_lives_when_the_next_start_is_admitted(
    shared: Runner, victims: Victims, attack: str
) -> None:
    assert len(victims.tree) == 1 + CHILDREN
    act, words = ATTACKS[attack]
    act(shared, victims)
    wait_until(lambda: admitted(shared), "the next start", LEASE + SLACK, every=0.02)
    left = [" ".join(process.cmdline()) for process in victims.tree if not is_dead(process)]
    run = shared.status(victims.run_id)
    assert left == [], f"beside the next run: {left}"
    assert run["error"].startswith(words) if words else run["status"] == "LOST"
    if attack.endswith(("main", "shutdown")):
        victims.worker.wait(TIMEOUT)
