"""Fault 24: processes that a cell has started, and that have left the kernel's process group."""

from pathlib import Path

import pytest

from tests.e2e.faults.escapes import CHILDREN, START_CHILDREN, children
from tests.e2e.runner import is_dead, start_runner, wait_until, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

# The end of a run: its last cell, and what is said then.
ENDS = {
    "end": ("'the last cell'", None),
    "error": ("1 / 0", "Cell 2 of 2 raised ZeroDivisionError: division by zero"),
    "exit": ("os._exit(3)", "Cell 2 of 2: the kernel died. (Out of memory? os._exit? A crash?)"),
    "timeout": ("while True: pass", "Cell 2 of 2 ran for longer than CELL_TIMEOUT: 5 s."),
    "cancel": ("while not os.path.exists('over'): pass", "Cancelled. It was at: Cell 2 of 2."),
}


def test_24_what_has_left_the_process_group_ends_with_the_run(tmp_path: Path) -> None:
    notebook = tmp_path / "it.ipynb"
    write_notebook(notebook, "1")
    with start_runner(tmp_path, notebook=notebook, env={"CELL_TIMEOUT": "5"}) as runner:
        for end, (last_cell, error) in ENDS.items():
            ready = "import time\nwhile not os.path.exists('ready'): time.sleep(0.05)"
            write_notebook(notebook, f"{START_CHILDREN}\n{ready}", last_cell)
            run_id = runner.start()
            tree = wait_until(
                lambda: found if len(found := children(runner)) == CHILDREN else None,
                "the cell to start its processes",
                60,
            )
            (tmp_path / "ready").touch()
            if end == "cancel":
                runner.wait_for_cell(run_id, 1)
                runner.client.post("/cancel")
            run = runner.wait_for(run_id, "SUCCEEDED", "FAILED", "CANCELLED")
            assert run["error"] == error
            assert [process for process in tree if not is_dead(process)] == [], end
            (tmp_path / "ready").unlink()
