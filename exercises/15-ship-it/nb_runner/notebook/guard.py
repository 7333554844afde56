"""A small process between the worker and its kernel: a dead man's switch.

It starts a kernel in a session of its own and listens at the end of a pipe, the lifeline, whose
other end only the worker holds. However the worker goes, SIGKILL included, the operating system
closes that end; the guard reads end of file and kills the kernel, with all that its cells have
started.

A worker may also hang, or be stopped, while its kernel works on. So in a run it writes a byte for
each heartbeat that Redis has answered. After the first one, BEAT_TIMEOUT seconds without another
count as end of file: by then the lease is about to run out. Another byte has the guard interrupt
the kernel, as Jupyter does by its stop button: only the guard knows for sure which process that is.

And the guard itself? A cell may kill it: then the system kills the kernel, and the worker the rest
(process_tree.py). A cell may stop it: then the worker's next beat lets it go on, and if there is no
worker any more, the system does.

(Linux has a signal for "your parent died", but it fires when the parent *thread* ends, and macOS
has none. The kernel's own watch for its parent sleeps through a cell that holds the GIL.)
"""

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from . import leftovers, process_tree

# Meant for the kernel or for the worker.
IGNORED = {"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"}
KILL_TIMEOUT = 10  # seconds; then it tries anew
# What the worker writes.
BEAT, INTERRUPT = b".", b"i"


def main(lifeline: str, beat_timeout: str, scratch: str, *command: str) -> None:
    """Run the command until it ends or the lifeline does; leave nothing behind."""
    process_tree.contain()
    process_tree.conceal()
    process_tree.signal_at_the_end_of_the_parent(signal.SIGCONT)
    for name in IGNORED | {"SIGCHLD"}:
        # As handlers: the kernel would inherit SIG_IGN.
        signal.signal(signal.Signals[name], lambda *_: None)
    # The kernel watches for the end of the process it takes for its parent: that is us.
    environment = os.environ | {"JPY_PARENT_PID": str(os.getpid())}
    kernel = subprocess.Popen(
        command, env=environment, start_new_session=True, preexec_fn=_end_with_the_guard
    )
    code = wait_for_the_end(kernel.pid, int(lifeline), float(beat_timeout))
    _signal_group(kernel.pid, signal.SIGKILL)
    kernel.wait()
    while not process_tree.kill_kernels(KILL_TIMEOUT):
        pass
    leftovers.delete(Path(scratch))
    _end_like_the_kernel(code)


def _end_like_the_kernel(code: int) -> NoReturn:
    """End with its exit code or, if that is negative, by its signal: so the worker learns both."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core dump is enough
        with contextlib.suppress(OSError, ValueError):  # SIGKILL needs no handler, and gets none
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code % 256)


def _end_with_the_guard() -> None:
    process_tree.signal_at_the_end_of_the_parent(signal.SIGKILL)


def wait_for_the_end(kernel: int, lifeline: int, beat_timeout: float) -> int:
    """Return when the kernel has ended, its exit code, or when the worker is gone or silent."""
    ended, wake_up = os.pipe()
    os.set_blocking(wake_up, False)
    signal.set_wakeup_fd(wake_up, warn_on_full_buffer=False)  # a byte for each signal
    silent_at = None  # a kernel that waits for its run needs no beats
    while (code := _collect(kernel)) is None:
        timeout = None if silent_at is None else max(0, silent_at - time.monotonic())
        ready = select.select([lifeline, ended], [], [], timeout)[0]
        if ended in ready:
            os.read(ended, 4096)
        if lifeline in ready and (told := os.read(lifeline, 4096)):
            if INTERRUPT in told:
                _signal_group(kernel, signal.SIGINT)
            silent_at = time.monotonic() + beat_timeout
        elif ended not in ready:
            return -signal.SIGKILL
    return code


def _collect(kernel: int) -> int | None:
    """Collect the children that have ended. The kernel's exit code, if it is one of them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG))[0]:
            if child[0] == kernel:
                code = os.waitstatus_to_exitcode(child[1])
    return code


def _signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there is anybody left in it."""
    # macOS says PermissionError when only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def command(*arguments: str) -> list[str]:
    """How to start a guard: with the standard library and this package, nothing else, in 20 ms."""
    folder = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.append({folder!r}); from {__package__} import guard; "
    return [sys.executable, "-I", "-S", "-c", f"{code}guard.main(*sys.argv[1:])", *arguments]
