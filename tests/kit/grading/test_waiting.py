"""Waiting, and noticing that this process stood still."""

import signal
import subprocess
import sys
import time

from kit.grading.waiting import eventually

STANDS_STILL = """
import time
from kit.grading.waiting import Stalls
began = time.monotonic()
with Stalls() as stalls:
    print("watching", flush=True)
    input()
    time.sleep(0.2)
print(stalls.since(began), stalls.since(time.monotonic()))
"""


def test_a_process_that_stood_still_knows_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "watching\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        assert process.communicate("\n")[0] == "True False\n"


def test_eventually_says_whether_it_came_about() -> None:
    answers = iter([False, False, True])
    assert eventually(lambda: next(answers), 5)
    assert not eventually(lambda: False, 0.1)
