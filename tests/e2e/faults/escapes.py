"""A cell that starts processes in all the ways in which they leave the kernel's process group."""

import psutil

from tests.e2e.runner import Runner

START_CHILDREN = """
import os, subprocess
sleep = ["sleep", "600"]
subprocess.Popen(sleep)
subprocess.Popen(sleep, start_new_session=True)
subprocess.Popen(sleep, process_group=0)
subprocess.Popen(["timeout", "600", *sleep])
subprocess.Popen(["nohup", *sleep], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if os.fork() == 0:  # a daemon
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", sleep)
    os._exit(0)
os.wait()
"""
CHILDREN = 7  # six times sleep, and timeout


def children(runner: Runner) -> list[psutil.Process]:
    """The processes that the cell has started and that are alive."""
    return [process for process in runner.mark.processes() if _sleeps(process)]


def _sleeps(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-2:] == ["sleep", "600"]
    except psutil.Error:
        return False
