"""Runners for the end-to-end tests. Tests of one file share a runner where they can."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.processes.forkserver import ForkServer
from tests.e2e import runner as runner_module
from tests.e2e.runner import Runner, start_runner, write_notebook

GATE = """
import time
from pathlib import Path
deadline = time.monotonic() + 120
while not Path("gate").exists():
    assert time.monotonic() < deadline, "the gate stayed closed"
    time.sleep(0.02)
"""


class Gate:
    """A notebook of three cells, of which the second waits until the test opens the gate."""

    def __init__(self, folder: Path) -> None:
        self.notebook = write_notebook(
            folder / "gated.ipynb",
            "print('before the gate')",
            GATE,
            "import os; print('after the gate, token', os.environ['FENCING_TOKEN'])",
        )
        self._gate = folder / "gate"

    def open(self) -> None:
        self._gate.touch()

    def close(self) -> None:
        self._gate.unlink(missing_ok=True)


@pytest.fixture(scope="module", autouse=True)
def forked(fork_server: ForkServer | None) -> Iterator[None]:
    """API processes and workers are forked: without imports they start in a fifth of the time."""
    runner_module.fork_server = fork_server.client if fork_server else None
    yield
    runner_module.fork_server = None


@pytest.fixture
def unforked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started without the fork server, so their environment can be read."""
    monkeypatch.setattr(runner_module, "fork_server", None)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gated"))


@pytest.fixture(scope="module")
def shared_runner(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One API process and one worker on the gated notebook, for all tests of a file."""
    with start_runner(tmp_path_factory.mktemp("runner"), notebook=gate.notebook) as runner:
        yield runner


@pytest.fixture
def runner(shared_runner: Runner, gate: Gate) -> Iterator[Runner]:
    """The runner of the file. No run is active before the test or after it."""
    gate.close()
    yield shared_runner
    gate.open()
    latest = shared_runner.client.get("/status")
    if latest.is_success:
        run_id = latest.json()["run_id"]
        shared_runner.wait_for(run_id, "SUCCEEDED", "FAILED", "CANCELLED", "LOST")
