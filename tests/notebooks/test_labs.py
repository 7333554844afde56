"""The labs: stored as they were run, run again with `pytest --nbval`, and gone when they end."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from kit.labs.copies import LABS, names
from kit.labs.timeline import Timeline
from kit.workspace import ROOT, workspace
from tests.notebooks.test_notebooks import nbval
from tests.support.processes import Mark, eventually

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

ALL = ("celery_states", "nbclient_inside", "redis_lock")
LENGTH = 200_000  # bytes of a file that people pull


def read(name: str) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(LABS / f"{name}.ipynb", as_version=4)
    return notebook


@pytest.fixture
def mark() -> Iterator[Mark]:
    """What is started with it is gone in the end."""
    mark = Mark()
    yield mark
    eventually(lambda: not mark.commands(), f"{mark.commands()} to end")


def test_every_lab_is_known_here() -> None:
    assert names() == list(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_lab_is_valid_small_and_carries_no_trace_of_a_machine(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert (LABS / f"{name}.ipynb").stat().st_size < LENGTH
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "alt"}, cell.id
        text = str([cell.source, [told(output) for output in cell.get("outputs", [])]])
        found = re.search(r"/(home|root|Users|tmp|usr|work)\b|127\.0\.0\.1|localhost", text)
        assert found is None, (cell.id, found)


@pytest.mark.parametrize("name", ALL)
def test_a_lab_is_stored_as_it_was_run_without_an_error(name: str) -> None:
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {
        "stream",
        "execute_result",
        "display_data",
    }
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}


@pytest.mark.parametrize("name", ALL)
def test_a_picture_is_told_in_words(name: str) -> None:
    drawn = [
        cell
        for cell in read(name).cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    assert drawn
    assert all(len(cell.metadata.get("alt", "")) > 80 for cell in drawn)


@pytest.mark.parametrize("name", ALL)
def test_few_outputs_are_ignored(name: str) -> None:
    ignored = [cell.id for cell in read(name).cells if "NBVAL_IGNORE_OUTPUT" in cell.source]
    assert ignored == ["imports"]


@pytest.mark.parametrize(
    ("name", "true", "false"),
    [
        ("redis_lock", "1 of 4 was let in", "2 of 4 was let in"),
        ("celery_states", "PENDING → REVOKED", "PENDING → SUCCESS"),
        ("nbclient_inside", "CellTimeoutError", "DeadKernelError"),
    ],
)
def test_a_fresh_run_gives_what_is_stored_and_what_was_altered_is_caught(
    name: str, true: str, false: str, tmp_path: Path, mark: Mark
) -> None:
    notebook = read(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    wrong = ""  # what pytest shows for these cells
    for cell in cells:
        wrong += "."
        for output in cell.outputs:
            place = output if output.output_type == "stream" else output.data
            key = "text" if output.output_type == "stream" else "text/plain"
            if true in place[key]:
                place[key] = place[key].replace(true, false)
                wrong = f"{wrong[:-1]}F"
    assert wrong.count("F") == 1
    nbformat.write(notebook, tmp_path / "altered.ipynb")
    # A Redis that the user has is none of the lab's business.
    variables = {"WORKSHOP_STATE": str(tmp_path / "state"), "REDIS_URL": "redis://127.0.0.1:1/0"}
    result = nbval(tmp_path / "altered.ipynb", **variables, **mark.env)
    assert result.stdout.split()[0] == wrong, result.stdout
    assert left(tmp_path / "state") == []


class Kernel:
    """A kernel as JupyterLab starts it, and a lab that is being run in it."""

    def __init__(self, name: str, state: Path, mark: Mark) -> None:
        self.manager = KernelManager(kernel_name="python3")
        env = os.environ | mark.env | {"WORKSHOP_STATE": str(state)}
        self.manager.start_kernel(cwd=str(ROOT), env=env)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        for cell in read(name).cells:
            if cell.cell_type == "code" and cell.id != "end":
                self.client.execute(cell.source)

    def kill(self) -> None:
        process = self.manager.provisioner.process  # type: ignore[union-attr]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("how", ["killed", "restarted", "interrupted and shut down"])
def test_what_a_lab_has_started_ends_with_its_kernel(how: str, tmp_path: Path, mark: Mark) -> None:
    kernel = Kernel("celery_states", tmp_path / "state", mark)
    try:
        eventually(lambda: any(" worker " in c for c in mark.commands()), "a worker to start")
        if how == "killed":
            kernel.kill()
        elif how == "restarted":
            kernel.manager.restart_kernel(now=True)
            inside = kernel.manager.provisioner.process.pid  # type: ignore[union-attr]
            eventually(
                lambda: [p.pid for p in mark.processes()] == [inside], "all but the kernel to end"
            )
        else:
            kernel.manager.interrupt_kernel()
            kernel.manager.shutdown_kernel()
    finally:
        kernel.end()
    eventually(lambda: not mark.commands(), "all to end")


def test_the_worker_of_the_lab_is_the_solution_of_exercise_05() -> None:
    source = "".join(cell.source for cell in read("celery_states").cells)
    assert '"05-celery-task"' in source
    assert (workspace().solutions / "05-celery-task" / "nb_runner" / "tasks.py").is_file()


def test_a_timeline_tells_what_was_done_in_order_and_at_once() -> None:
    timeline = Timeline("b")
    for lane, what in [("a", "waits"), ("a", "waits"), ("b", "works"), ("a", "works")]:
        timeline.become(lane, what)
    timeline.end("b")
    timeline.become("c", "works")
    assert timeline.lanes == ["b", "a", "c"]
    assert timeline.path("a") == "waits → works"
    assert timeline.clashes("works") == [("b", "a"), ("a", "c")]
    assert timeline.clashes("waits") == []


def told(output: nbformat.NotebookNode) -> str:
    """What an output says, but for its pictures: letters at random may spell anything."""
    data = output.get("data", {})
    return str([output.get("text"), {k: v for k, v in data.items() if k != "image/png"}])


def left(state: Path) -> list[str]:
    """What the lab left in the kit's folder, but for its logs."""
    shutil.rmtree(state / "logs", ignore_errors=True)
    return sorted(path.name for path in state.glob("*"))
