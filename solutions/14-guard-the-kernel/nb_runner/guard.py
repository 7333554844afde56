"""A small process between the worker and its kernel: a dead man's switch.

It starts the kernel, and listens at the end of a pipe, the lifeline, whose other end only the
worker holds. However the worker goes, SIGKILL included, the operating system closes that end. The
guard reads end of file, and kills the kernel with all that its cells have started. The worker does
the same on purpose, when it wants the kernel to end.

A worker may also hang, or be stopped, while its kernel works on. So it writes a byte after each
renewal of the lease. After the first one, `beat_timeout` seconds without another count as end of
file: by the time the lease ends, the kernel is dead.

(The kernel itself is no good at this: a cell that holds the GIL lets no other thread of it run.)
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

POLL_INTERVAL = 0.1  # seconds between two looks at the kernel


def main(lifeline: str, beat_timeout: str, *command: str) -> None:
    """Run the command until it ends or the lifeline does; leave nothing of its group behind."""
    # The kernel watches for the end of the process that it takes for its parent: that is us.
    environment = os.environ | {"JPY_PARENT_PID": str(os.getpid())}
    # A session of its own is a process group, too: the kernel's number, and not ours.
    kernel = subprocess.Popen(command, env=environment, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the kernel or for the worker
        signal.signal(number, signal.SIG_IGN)
    wait_for_the_end(kernel, int(lifeline), float(beat_timeout))
    kill_group(kernel.pid)
    code = kernel.wait()
    sys.exit(code if code >= 0 else 128 - code)


def wait_for_the_end(kernel: subprocess.Popen[bytes], lifeline: int, beat_timeout: float) -> None:
    """Return when the kernel has ended, or when the worker is gone or silent."""
    silent_at = None  # while the kernel starts, there are no beats
    while kernel.poll() is None:
        if select.select([lifeline], [], [], POLL_INTERVAL)[0]:
            if not os.read(lifeline, 4096):
                return
            silent_at = time.monotonic() + beat_timeout
        if silent_at and time.monotonic() > silent_at:
            return


def kill_group(leader: int) -> None:
    """Kill all that is in the process group of that process, whether or not it lives itself."""
    # macOS says PermissionError when only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
