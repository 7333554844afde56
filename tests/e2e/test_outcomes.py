"""How notebooks end, what the run says of it, and what is kept."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.processes.project import Project
from tests.e2e import runner as runners
from tests.e2e.explored.product import copied
from tests.e2e.runner import PRODUCT, Runner, start_runner, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


def run_to_the_end(folder: Path, *cells: str, **env: str) -> tuple[Runner, dict[str, object], str]:
    """One run of a notebook of these cells that has to fail: the runner, the run, its output."""
    notebook = write_notebook(folder / "it.ipynb", *cells)
    with start_runner(folder, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        output = runner.client.get(f"/output/{run['run_id']}").text
        return runner, run, output


def test_a_cell_that_raises_fails_the_run_and_keeps_what_came_before(tmp_path: Path) -> None:
    cells = ("print('first')", "raise ValueError('no such carrier')", "print('never')")
    runner, run, output = run_to_the_end(tmp_path, *cells)
    assert run["error"] == "Cell 2 of 3 raised ValueError: no such carrier"
    assert run["cells_done"] == 1
    assert output.startswith("first\n")
    assert "ValueError: no such carrier" in output
    assert "never" not in output
    assert "\x1b" not in output, "colours are for terminals"
    kept = json.loads((runner.artifacts / str(run["run_id"]) / "executed.ipynb").read_text())
    assert kept["cells"][1]["outputs"][0]["ename"] == "ValueError"


def test_a_database_that_is_away_fails_the_run_before_it_starts(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "open('ran', 'w')")
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/no/such/folder/x.db"}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        assert run["reason"] == "no_token"
        assert "DATABASE_URL" in run["error"]
        assert not (tmp_path / "ran").exists()


def test_a_notebook_gets_the_database_but_none_of_the_runners_secrets(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "it.ipynb",
        "import os; print(os.environ['DATABASE_URL'])",
        "print([v for v in os.environ if v.upper() in ('RUNNER_API_KEY', 'REDIS_URL')])",
    )
    env = dict.fromkeys(("RUNNER_API_KEY", "runner_api_key"), "open sesame")  # both are the setting
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run()
        output = runner.client.get(f"/output/{run['run_id']}").text
        assert output == f"{runner.env['DATABASE_URL']}\n[]\n"


NO_FOLDER = (
    "import os, pathlib, shutil; shutil.rmtree(pathlib.Path(os.environ['OUTPUT_DIR']).parent)"
)
# By reason, signal and exit code: a cell that ends a run so. With the name of the kernel.
ENDS = {
    ("cell_error", None, None): ("1 / 0", "python3"),
    ("cell_timeout", None, None): ("import time; time.sleep(600)", "python3"),
    ("kernel_died", None, 3): ("import os; os._exit(3)", "python3"),
    ("kernel_died", None, 137): ("import os; os._exit(137)", "python3"),
    ("kernel_died", "SIGKILL", None): ("import os; os.kill(os.getpid(), 9)", "python3"),
    ("kernel_died", "SIGABRT", None): (
        "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()",
        "python3",
    ),
    ("kernel_not_started", None, None): ("1", "broken"),
    ("notebook_unusable", None, None): ("1", "not-there"),
    ("output_limit", None, None): ("print('x' * 200_000)", "python3"),
    ("output_not_kept", None, None): (NO_FOLDER, "python3"),
}


@pytest.fixture(scope="module")
def any_notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner whose notebook can be replaced between two runs. It knows a broken kernel."""
    folder = tmp_path_factory.mktemp("any")
    spec = folder / "jupyter" / "kernels" / "broken" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    env = {
        "CELL_TIMEOUT": "4",
        "OUTPUT_LIMIT": "100000",
        "OVER_OUTPUT_LIMIT": "fail",
        "JUPYTER_PATH": str(folder / "jupyter"),
    }
    notebook = write_notebook(folder / "it.ipynb", "1")
    with start_runner(folder, notebook=notebook, env=env) as runner:
        yield runner


@pytest.mark.parametrize("end", ENDS, ids=lambda end: "-".join(str(part) for part in end if part))
def test_a_run_that_did_not_succeed_says_why_for_programs(
    any_notebook: Runner, end: tuple[str, str | None, int | None]
) -> None:
    cell, kernel = ENDS[end]
    notebook = Path(any_notebook.env["NOTEBOOK_PATH"])
    write_notebook(notebook.with_suffix(".next"), cell, kernel=kernel).replace(notebook)
    run = any_notebook.run("FAILED")
    assert (run["reason"], run["signal"], run["exit_code"]) == end
    assert run["error"]


KILLED = """
import os, pathlib
pathlib.Path("{count}").write_text("low 0\\noom 1\\noom_kill {killed}\\n")
os.kill(os.getpid(), {signal})
"""


@pytest.mark.parametrize("version", [1, 2])
def test_a_kernel_that_was_killed_for_its_memory_and_a_mistake_of_the_runner_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """What the system would count, the cell counts here: in files that stand for cgroups."""
    if version == 1:
        cgroup, count = "4:memory:/a/b", tmp_path / "memory" / "a" / "b" / "memory.oom_control"
    else:
        cgroup, count = "0::/../b", tmp_path / "cgroup" / "memory.events"  # as in a container
    count.parent.mkdir(parents=True)
    count.write_text("low 0\noom 1\noom_kill 1\n")
    (tmp_path / "lines").write_text(f"1:cpu:/\n{cgroup}\n")
    root = tmp_path if version == 1 else tmp_path / "cgroup"
    edits = (
        ("worker/memory.py", 'Path("/sys/fs/cgroup")', f'Path("{root}")'),
        ("worker/memory.py", 'Path("/proc/self/cgroup")', f'Path("{tmp_path}/lines")'),
        ("tasks.py", "= executor.dropped", "= {None: 0}[run.requested_by]"),
    )
    copy = Project(copied(PRODUCT.path, tmp_path / "copy", *edits))
    monkeypatch.setattr(runners, "PRODUCT", copy)
    notebook = tmp_path / "it.ipynb"
    with start_runner(tmp_path, notebook=write_notebook(notebook, "1")) as runner:
        mistaken = runner.wait_for(runner.start(requested_by="nobody"), "FAILED")
        assert mistaken["reason"] == "runner_failed"
        ends = [
            (2, 9, ("out_of_memory", "SIGKILL")),
            (2, 9, ("kernel_died", "SIGKILL")),  # none more than when it began
            (3, 15, ("kernel_died", "SIGTERM")),  # the system has killed something else
        ]
        for killed, number, end in ends:
            write_notebook(notebook, KILLED.format(count=count, killed=killed, signal=number))
            run = runner.run("FAILED")
            assert (run["reason"], run["signal"]) == end
