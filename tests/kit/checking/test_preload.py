"""The fork server of graders, at its start."""

import subprocess
import sys
import textwrap

import pytest

from kit.workspace import ROOT

SOURCE = """
    import multiprocessing, signal, time
    import psutil
    from kit.checking.preload import start_forkserver

    start_forkserver()
    time.sleep({delay})
    for process in psutil.Process().children():
        process.send_signal(signal.SIGINT)
    grader = multiprocessing.get_context("forkserver").Process(target=print, args=["done"])
    grader.start()
    grader.join()
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 0.02, 0.1, 0.2])
def test_ctrl_c_while_it_imports_prints_no_traceback_and_does_not_end_it(delay: float) -> None:
    """The terminal sends the signal to the fork server as well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SOURCE.format(delay=delay))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
