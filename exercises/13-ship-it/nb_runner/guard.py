"""A small process between the worker and its kernel: a dead man's switch.

    python guard.py LIFELINE BEAT_TIMEOUT SCRATCH COMMAND…

It starts COMMAND in a process group of its own and listens at the end of a pipe, LIFELINE, whose
other end only the worker holds. However the worker goes, SIGKILL included, the operating system
closes that end; the guard reads end-of-file and kills the whole group: the kernel, and whatever
its cells have started. That is all the worker has to do, too, to stop a kernel: let go of the pipe.

A worker may also hang, or be stopped, while its kernel works on. So in a run it writes a byte for
each heartbeat that Redis has answered. After the first one, BEAT_TIMEOUT seconds without another
count as end of file: by then the lease is about to run out.

(Linux has a signal for "your parent died", but it fires when the parent *thread* ends, and macOS
has none. The kernel's own watch for its parent sleeps through a cell that holds the GIL.)
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run the command until it ends or the lifeline does; leave nothing behind."""
    lifeline, beat_timeout, scratch, *command = sys.argv[1:]
    for meant_for_the_kernel in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(meant_for_the_kernel, lambda *_: None)
    # The kernel watches for the end of the process it takes for its parent: that is us.
    environment = os.environ | {"JPY_PARENT_PID": str(os.getpid())}
    kernel = subprocess.Popen(command, env=environment, process_group=0)

    def clean_up_after_the_kernel() -> None:
        code = kernel.wait()
        kill_group(kernel.pid)  # what its cells started may have outlived it
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(code if code >= 0 else 128 - code)

    threading.Thread(target=clean_up_after_the_kernel).start()
    wait_for_silence(int(lifeline), float(beat_timeout))
    kill_group(kernel.pid)


def wait_for_silence(lifeline: int, beat_timeout: float) -> None:
    """Return at end of file, or when what has begun to beat stops beating."""
    timeout = None  # a kernel that waits for its run needs no beats
    while select.select([lifeline], [], [], timeout)[0] and os.read(lifeline, 4096):
        timeout = beat_timeout


def kill_group(leader: int) -> None:
    """Kill a process group, if there is anybody left in it."""
    # macOS says PermissionError when only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    main()
