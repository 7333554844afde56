"""Fault 31: a cell reads keys and passwords from the environment of the processes around it.

Root may read every environment, so the runner and its cell are started without capabilities.

    python -m tests.e2e.faults.test_31_secrets FOLDER

starts a runner and prints, line by line, the commands whose environment a cell could read.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.workspace import ROOT
from tests.e2e.compose import SERVICES
from tests.e2e.runner import start_runner, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KEY = "the-key-of-test-31"
LOOK_AROUND = f"""
from pathlib import Path
for process in Path("/proc").glob("[0-9]*"):
    try:
        if b"={KEY}" in (process / "environ").read_bytes():
            print(process.name, (process / "cmdline").read_bytes().replace(b"\\0", b" ").decode())
    except OSError:
        pass
"""
WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def print_what_a_cell_reads(folder: Path) -> None:
    notebook = write_notebook(folder / "it.ipynb", LOOK_AROUND)
    with start_runner(folder, notebook=notebook, env={"RUNNER_API_KEY": KEY}) as runner:
        print(runner.client.get(f"/output/{runner.run()['run_id']}").text)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an environment cannot be hidden")
def test_31_a_cell_reads_no_secret_in_the_processes_around_it(tmp_path: Path) -> None:
    seen = subprocess.run(
        [
            *(WITHOUT_CAPABILITIES if os.geteuid() == 0 else ()),
            *(sys.executable, "-m", "tests.e2e.faults.test_31_secrets", str(tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "leash.py" in seen, "the cell can look, and finds a process of the kit"
    ours = [line for line in seen.splitlines() if "leash.py" not in line]
    assert [line for line in ours if "celery" in line or "uvicorn" in line or "guard" in line] == []


def test_31_the_first_process_of_the_workers_container_hides_its_secrets() -> None:
    # Docker's own init has the environment of the container, and hides nothing.
    assert not SERVICES["worker"]["init"]


if __name__ == "__main__":
    print_what_a_cell_reads(Path(sys.argv[1]))
