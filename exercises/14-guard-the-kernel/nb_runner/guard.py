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

import os
import signal
import subprocess
import sys


def main(lifeline: str, beat_timeout: str, *command: str) -> None:
    """Run the command until it ends or the lifeline does; leave nothing of its group behind."""
    # The kernel watches for the end of the process that it takes for its parent: that is us.
    environment = os.environ | {"JPY_PARENT_PID": str(os.getpid())}
    # A session of its own is a process group, too: the kernel's number, and not ours.
    kernel = subprocess.Popen(command, env=environment, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the kernel or for the worker
        signal.signal(number, signal.SIG_IGN)
    wait_for_the_end(kernel, int(lifeline), float(beat_timeout))
    # TODO(14.2): Kill all processes of the kernel's group, also when the kernel has ended by
    #  itself: its cells may have started some.
    kernel.kill()
    code = kernel.wait()
    sys.exit(code if code >= 0 else 128 - code)


def wait_for_the_end(kernel: subprocess.Popen[bytes], lifeline: int, beat_timeout: float) -> None:
    """Return when the kernel has ended, or when the worker is gone or silent."""
    # TODO(14.1): Return also at the end of the lifeline: then the worker is gone, or wants the
    #  kernel to end.
    # TODO(14.3): Return also when there has been a beat, and no other one within `beat_timeout`
    #  seconds.
    kernel.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
