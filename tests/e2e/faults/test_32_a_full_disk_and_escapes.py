"""A full disk stays full, and what a notebook prints writes over text and log.

Root may write to every folder, so a runner whose cell leaves read-only ones has no capabilities.

    python -m tests.e2e.faults.test_32_a_full_disk_and_escapes FOLDER

starts it, and prints as JSON what is left of the first of two runs.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from kit.processes.child import NotReady
from kit.workspace import ROOT
from tests.e2e.faults.test_31_secrets import WITHOUT_CAPABILITIES
from tests.e2e.runner import PRODUCT, start_runner, wait_until, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

# The disk has room for so many executed notebooks, and for so many folders of runs.
KEEP = """
import errno, json, os, sys
from pathlib import Path
import nbformat
from nb_runner.output import artifacts

folder, room, folders = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
write, mkdir = nbformat.write, os.mkdir

def on_a_small_disk(notebook, path):
    Path(path).write_text("the beginning of it")
    if len(list(folder.glob("*/executed.ipynb"))) >= room:
        raise OSError(errno.ENOSPC, "No space left on device")
    write(notebook, path)

def mkdir_on_a_small_disk(path, mode=0o777):
    if Path(path).parent == folder and len(list(folder.iterdir())) >= folders:
        raise OSError(errno.ENOSPC, "No space left on device")
    mkdir(path, mode)

artifacts.nbformat.write = on_a_small_disk
os.mkdir = mkdir_on_a_small_disk
told = []
for second in range(6):
    run_id = f"20260101-00000{second}-abcdef"
    try:
        own = artifacts.begin(folder, run_id, 3)
        artifacts.keep(own, nbformat.v4.new_notebook())
    except OSError as error:
        told.append(error.strerror)
    whole = {path.parent.name[14] for path in folder.glob("*/executed.ipynb")}
    left = [path.name for path in own.iterdir()]
    told.append(["".join(sorted(whole)), sorted(left)])
print(json.dumps(told))
"""
WHOLE = ["cells.json", "executed.ipynb", "files", "output.txt"]


def kept(folder: Path, room: int, folders: int = 9) -> list[object]:
    """Six runs, of which three may be kept, on a disk with room for so many."""
    done = subprocess.run(
        [sys.executable, "-c", KEEP, str(folder), str(room), str(folders)],
        cwd=PRODUCT.path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told: list[object] = json.loads(done.stdout)
    return told


def test_32_old_runs_make_room_before_a_new_one_is_written(tmp_path: Path) -> None:
    """Three may be kept and three have room: to prune after the write would need room for four."""
    numbers = ("0", "01", "012", "123", "234", "345")
    assert kept(tmp_path, 3) == [[each, WHOLE] for each in numbers]


def test_32_on_a_full_disk_the_oldest_run_makes_room(tmp_path: Path) -> None:
    numbers = ("0", "01", "12", "23", "34", "45")
    assert kept(tmp_path, 2) == [[each, WHOLE] for each in numbers]


def test_32_old_runs_make_room_before_the_folder_of_a_new_one_is_made(tmp_path: Path) -> None:
    numbers = ("0", "01", "012", "123", "234", "345")
    assert kept(tmp_path, 3, folders=3) == [[each, WHOLE] for each in numbers]


def test_32_on_a_full_disk_the_oldest_run_makes_room_for_a_folder(tmp_path: Path) -> None:
    numbers = ("0", "01", "12", "23", "34", "45")
    assert kept(tmp_path, 3, folders=2) == [[each, WHOLE] for each in numbers]


def test_32_a_folder_without_a_notebook_is_as_old_as_its_id_says(tmp_path: Path) -> None:
    ruin = tmp_path / "20200101-000000-abcdef"
    ruin.mkdir()
    os.utime(ruin, (4e9, 4e9))  # something was deleted in it, or came into it
    numbers = ("0", "01", "012", "123", "234", "345")
    assert kept(tmp_path, 3) == [[each, WHOLE] for each in numbers]


LEAVE_READ_ONLY = """
import os, tempfile
for folder in (os.environ["OUTPUT_DIR"], tempfile.gettempdir()):
    os.makedirs(f"{folder}/tree/inner")
    open(f"{folder}/tree/inner/file", "w").close()
    os.symlink(os.getcwd(), f"{folder}/tree/link")
    os.chmod(f"{folder}/tree/inner", 0o555)
    os.chmod(f"{folder}/tree", 0o500)
print(tempfile.gettempdir())
"""


def print_what_is_left(folder: Path) -> None:
    notebook = write_notebook(folder / "it.ipynb", LEAVE_READ_ONLY)
    with start_runner(folder, notebook=notebook, env={"KEEP_RUNS": "1"}) as runner:
        first = runner.run()
        temporary = Path(runner.client.get(f"/output/{first['run_id']}").text.strip())
        with suppress(NotReady):  # the guard deletes it once the kernel has ended
            wait_until(lambda: not temporary.exists(), "temporary files to be gone", 10)
        runner.run()
        of_the_first = runner.artifacts / first["run_id"]
        print(json.dumps([str(path) for path in (temporary, of_the_first) if path.exists()]))


def test_32_read_only_folders_are_deleted_with_their_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    done = subprocess.run(
        [
            *(WITHOUT_CAPABILITIES if os.geteuid() == 0 else ()),
            *(sys.executable, "-m", __name__, str(tmp_path)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert tmp_path.stat().st_mode & 0o777 == 0o750, "what a link leads to stays as it is"


def test_32_what_could_not_be_written_whole_leaves_nothing_behind(tmp_path: Path) -> None:
    told = kept(tmp_path, 0)
    assert told[:2] == ["No space left on device", ["", ["files"]]]
    assert told == told[:2] * 6


def test_32_output_that_was_not_kept_is_said_of_a_run_that_did_not_succeed(tmp_path: Path) -> None:
    folder = "pathlib.Path(os.environ['OUTPUT_DIR']).parent"
    lost = f"print('lost'); import os, pathlib, shutil; shutil.rmtree({folder})"
    ends = "import pathlib, time\nwhile pathlib.Path('wait').exists(): time.sleep(0.02)\n1 / 0"
    notebook = write_notebook(tmp_path / "it.ipynb", lost, ends)
    with start_runner(tmp_path, notebook=notebook) as runner:
        failed = runner.run("FAILED")
        (tmp_path / "wait").touch()
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        runner.client.post("/cancel")
        cancelled = runner.wait_for(run_id, "CANCELLED")
        assert failed["reason"] == "cell_error"
        raised = "Cell 2 of 2 raised ZeroDivisionError: division by zero"
        assert failed["error"].startswith(f"{raised} (Its output was not kept: [Errno 2] No such")
        for run in (failed, cancelled):
            told = f"The output of run {run['run_id']} was not kept: [Errno 2] No such file"
            assert told in runner.workers[0].output()
            answer = runner.client.get(f"/output/{run['run_id']}?format=ipynb")
            assert answer.status_code == 404
            assert "no such output of it is kept" in answer.json()["detail"]


EVIL = r"\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\x9b1A\x1b]8;;http://evil\x1b\\link\x1b(B\x00"


def test_32_terminal_escapes_reach_neither_text_nor_record_nor_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With it, ipykernel leaves the output of subprocesses alone.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    notebook = write_notebook(
        tmp_path / "it.ipynb",
        f"print('{EVIL}')",
        "print('10%\\r20%\\r30%'); print('ab\\bc')",
        f"import os; os.system(\"printf '\\\\033[2Jshell\\\\n'\"); raise ValueError('{EVIL}')",
    )
    with start_runner(tmp_path, notebook=notebook) as runner:
        run = runner.run("FAILED")
        text = runner.client.get(f"/output/{run['run_id']}").text
        log = runner.workers[0].output()
    assert text.startswith("redlink\n30%\nac\n"), repr(text)
    assert run["error"] == "Cell 3 of 3 raised ValueError: redlink"
    assert run["error"] in log
    assert "\nshell\n" in text
    assert "\x1b[2J" not in log
    for told in (text, run["error"], log[log.index("received") :]):
        odd = {c for c in told if (ord(c) < 32 or 126 < ord(c) < 160) and c not in "\n\t"}
        assert not odd, told


if __name__ == "__main__":
    print_what_is_left(Path(sys.argv[1]))
