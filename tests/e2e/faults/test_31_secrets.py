"""Fault 31: a cell reads keys and passwords from the environment of the processes around it.

Root may read every environment, so the runner and its cell are started without capabilities.

    python -m tests.e2e.faults.test_31_secrets FOLDER

starts a runner and prints what a cell saw: a line "there is" for each program of the runner that it
found, and "reads" and the command for each process whose environment showed it a secret.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import nbformat
import psutil
import pytest

from kit.workspace import ROOT
from tests.e2e.compose import SERVICES
from tests.e2e.runner import (
    TIMEOUT,
    Runner,
    install_kernel,
    start_runner,
    wait_until,
    write_notebook,
)

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KEY = "the-key-of-test-31"
LOOK_AROUND = f"""
from pathlib import Path
for process in Path("/proc").glob("[0-9]*"):
    try:
        command = (process / "cmdline").read_bytes().replace(b"\\0", b" ").decode()
        for word in command.split():
            if word.startswith("nb_runner."):
                print("there is", word)
        if b"{KEY}" in (process / "environ").read_bytes():
            print("reads", process.name, command)
    except OSError:
        pass
"""
# Programs that the runner starts, and that would end before a cell can look. Here none does: this
# one waits for an answer about URLs, the next one for a picture, the third one for a kernel.
SLOW_APPRISE = """
import time

NotifyFormat = NotifyType = str

class Apprise:
    def add(self, urls):
        time.sleep(600)
"""
PROGRAMS = ("nb_runner.extras.tell", "nb_runner.output.report", "nb_runner.worker.kernel_trial")
# The worker's kernel does not start, so it has another process try; that one's kernel hangs.
KERNEL = 'mkdir "$0/first" 2>&- && exit 1; mkdir "$0/second" 2>&- && exec sleep 600; exec "$@"'
WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def print_what_a_cell_reads(folder: Path) -> None:
    (folder / "apprise.py").write_text(SLOW_APPRISE)
    install_kernel(
        folder / "jupyter",
        *("sh", "-c", KERNEL, str(folder)),
        *(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"),
    )
    notebook = write_notebook(folder / "it.ipynb", LOOK_AROUND, kernel="ours")
    os.mkfifo(folder / "picture.png")
    book = nbformat.read(notebook, as_version=4)
    book.cells.append(nbformat.v4.new_markdown_cell("![It never comes](picture.png)"))
    nbformat.write(book, notebook)
    env = {
        "RUNNER_API_KEY": KEY,
        "notify_urls": f"slow://{KEY}",  # a setting, in small letters, too
        "PYTHONPATH": str(folder),
        "JUPYTER_PATH": str(folder / "jupyter"),
    }
    with start_runner(folder, notebook=notebook, env=env) as runner:
        wait_until((folder / "second").exists, "the kernel to be tried", TIMEOUT)
        ended = runner.run()["run_id"]
        threading.Thread(target=ask_for_page, args=[runner, ended], daemon=True).start()
        for program in PROGRAMS:
            wait_until(partial(runs, program), program, TIMEOUT)
        print(runner.client.get(f"/output/{runner.run()['run_id']}").text)


def ask_for_page(runner: Runner, run_id: str) -> None:
    with suppress(httpx.HTTPError):  # the picture never comes
        runner.client.get(f"/output/{run_id}", params={"format": "html"})


def runs(program: str) -> bool:
    found = psutil.process_iter(["cmdline"])
    return any(program in (process.info["cmdline"] or ()) for process in found)


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
    ).stdout.splitlines()
    assert {f"there is {program}" for program in PROGRAMS} <= set(seen)
    read = [line for line in seen if line.startswith("reads ")]
    of_the_kit = [line for line in read if "leash.py" in line]
    assert of_the_kit, "the cell can look, and finds a process of the kit"
    assert [line for line in read if line not in of_the_kit] == []


def test_31_the_first_process_of_the_workers_container_hides_its_secrets() -> None:
    # Docker's own init has the environment of the container, and hides nothing.
    assert not SERVICES["worker"]["init"]


if __name__ == "__main__":
    print_what_a_cell_reads(Path(sys.argv[1]))
