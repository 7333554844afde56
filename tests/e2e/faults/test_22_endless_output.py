"""A cell that never stops to put out takes the worker with it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.runner import (
    ENDED,
    PRODUCT,
    Runner,
    start_runner,
    wait_until,
    worker_processes,
    write_notebook,
)

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LIMIT = 1_000_000  # bytes
LOUD = 200_000_000  # bytes
OF_A_WORKER = 100_000_000  # bytes that its pool process may grow by, on the way and in the end


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("endless")
    notebook = write_notebook(folder / "it.ipynb", "print('hello')")
    with start_runner(folder, notebook=notebook, env={"OUTPUT_LIMIT": str(LIMIT)}) as runner:
        runner.run()  # what is loaded late is loaded
        yield runner


def test_22_what_is_past_the_limit_is_dropped_and_said_and_memory_stays_flat(
    runner: Runner,
) -> None:
    cells = (
        f"for _ in range({LOUD // 100_000}): print('x' * 99_999)",
        "print('to the end')",
        "1 / 0",
    )
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), *cells)
    pool = psutil.Process(worker_processes(runner.workers[0])[1].pid)
    before = highest = pool.memory_info().rss
    run_id = runner.start()

    def ended() -> bool:
        nonlocal highest
        highest = max(highest, pool.memory_info().rss)
        return runner.status(run_id)["status"] in ENDED

    wait_until(ended, "the run to end", 60)
    assert highest - before < OF_A_WORKER
    run = runner.status(run_id)
    assert run["error"] == "Cell 3 of 3 raised ZeroDivisionError: division by zero"
    assert run["output_dropped"] > LOUD - 2 * LIMIT
    text = runner.client.get(f"/output/{run_id}").text
    assert f"[OUTPUT_LIMIT is {LIMIT} bytes. The rest of the output was dropped.]" in text
    assert text.endswith("ZeroDivisionError: division by zero\n"), "errors are always kept"
    assert LIMIT / 2 < len(text) < 2 * LIMIT


def test_22_an_error_that_is_cut_is_said_and_counted(runner: Runner) -> None:
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), f"raise ValueError('x' * {2 * LIMIT})")
    run = runner.run("FAILED")
    assert run["reason"] == "cell_error"
    assert run["output_dropped"] > LIMIT
    text = runner.client.get(f"/output/{run['run_id']}").text
    assert text.startswith("ValueError: xxx")
    said = f"[OUTPUT_LIMIT is {LIMIT} bytes. The rest of the output was dropped.]"
    assert text.endswith(f"x\n\n{said}\n")
    assert len(text) < 3_000


def test_22_a_run_that_is_to_fail_past_the_limit_fails(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "while True: print('x' * 1_000)")
    env = {"OUTPUT_LIMIT": str(LIMIT), "OVER_OUTPUT_LIMIT": "fail"}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        assert run["error"] == (
            f"Cell 1 of 1: the run has put out more than OUTPUT_LIMIT: {LIMIT} bytes."
        )
        assert run["output_dropped"] > 0
        assert len(runner.client.get(f"/output/{run['run_id']}").text) > LIMIT / 2


COLLECT = """
import json
from nb_runner.output.outputs import Outputs

def bundle(text, display_id=None):
    return {"data": {"text/plain": text}, "transient": {"display_id": display_id}}

class Listener:
    def show(self, part):
        pass

    def clear(self, cell):
        pass

told = {}
kept = []
count = lambda: told.update(over=told.get("over", 0) + 1)
outputs = Outputs(limit=10_000, over=count, listener=Listener())
outputs.begin(0, 1, kept)

for i in range(100):
    outputs.update(0, bundle(str(i), "x"), 10)  # shown nowhere
    outputs.add(0, bundle(str(i), "x"), "display_data", 10)
    outputs.update(0, bundle(str(i), "x"), 10)
told["one object for all that show the same"] = len({id(output.data) for output in kept})
told["shown"] = kept[0].data["text/plain"]
told["bytes after 100 displays"] = outputs.size
outputs.update(0, bundle("longer", "x"), 20)
told["bytes after an update"] = outputs.size
kept.clear()
outputs.cleared(0)
told["bytes when they are cleared"] = outputs.size

for _ in range(1000):
    outputs.add(0, {"name": "stdout", "text": "a"}, "stream", 1)
told["outputs for 1000 pieces of a stream"] = len(kept)
told["text while it goes on"] = len(kept[0].text)
outputs.seal()
told["text when it is sealed"] = len(kept[0].text)

for _ in range(100):
    kept.clear()
    outputs.cleared(0)
    outputs.add(0, {"name": "stdout", "text": "b" * 1000}, "stream", 1000)
told["bytes after 100 times a tenth of the limit, cleared"] = outputs.size
told["dropped so far"] = outputs.dropped
outputs.add(0, {"name": "stdout", "text": "c" * 20_000}, "stream", 20_000)
outputs.add(0, {"name": "stdout", "text": "d"}, "stream", 1)
told["dropped"] = outputs.dropped
huge = {"ename": "E", "evalue": "e" * 200_000, "traceback": None}
outputs.add(0, huge, "error", 200_000)
told["characters of a huge error"] = len(kept[-1].evalue)
print(json.dumps(told))
"""


def test_22_what_is_kept_is_counted_in_bytes_and_never_walked_through() -> None:
    """An update of a display touches one object, and a piece of a stream only itself: linear."""
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], cwd=PRODUCT.path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "over": 1,
        "one object for all that show the same": 1,
        "shown": "99",
        "bytes after 100 displays": 1_000,
        "bytes after an update": 2_000,
        "bytes when they are cleared": 0,
        "outputs for 1000 pieces of a stream": 1,
        "text while it goes on": 0,
        "text when it is sealed": 1_000,
        "bytes after 100 times a tenth of the limit, cleared": 1_000,
        "dropped so far": 0,
        "dropped": 11_001,
        "characters of a huge error": 2_000,
    }
