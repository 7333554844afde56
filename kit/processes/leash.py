"""Run a command that must not outlive the program that started it.

    python -I -S leash.py GRACE LARGEST COMMAND [ARGUMENT ...]

The leash is a process between the two. A program that is killed with SIGKILL cannot clean up, so
another process has to notice its end. Standard input of the leash is a pipe, and only the starting
program has the other end. The system closes that end however the program ends, on Linux and on
macOS. (Linux can also signal the end of a parent, but it does so when the starting *thread* ends.
macOS has no such signal.)

At end of file, the leash sends SIGTERM to the command. GRACE seconds later, it kills the process
group of the command. When the command ends by itself, the leash kills the rest of the group. No
file that the command writes can grow beyond LARGEST bytes; 0 means no limit.

The leash reports on standard output, a line each: `pid N`, later `exit N` (negative: a signal), or
`error …` when there is no such command. The command writes to standard error. The exit code is
that of the command, or 128 + signal. Standard library only, so that the leash starts fast.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from typing import Protocol


class Command(Protocol):
    """The part of a Popen that the leash uses. The fork server has a Command of its own."""

    @property
    def pid(self) -> int: ...

    def terminate(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


def report(line: str) -> None:
    """Write a line for the starting program, if it still runs."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


def kill_group(pid: int) -> None:
    """Kill every process of the group that `pid` leads or led."""
    # macOS answers EPERM, not ESRCH, when only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_when_released(command: Command, grace: float) -> None:
    """Wait until the starting program has closed its end of the leash, then end `command`."""
    while os.read(0, 1024):
        pass
    command.terminate()
    try:
        command.wait(grace)
    except subprocess.TimeoutExpired:
        kill_group(command.pid)


def ignore_signals() -> None:
    """Signals that end the command, or the starting program, must not end the leash."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler that does nothing. The command would inherit SIG_IGN.
        signal.signal(number, lambda *_: None)


def limit_files(largest: int) -> None:
    """Limit the size of files that are written from now on, in bytes; 0 means no limit."""
    if largest:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if hard == resource.RLIM_INFINITY or largest < hard:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))


def supervise(command: Command, grace: float) -> int:
    """Report how `command` begins and ends; return the exit code for this process."""
    report(f"pid {command.pid}")
    threading.Thread(target=end_when_released, args=(command, grace), daemon=True).start()
    code = command.wait()
    kill_group(command.pid)
    report(f"exit {code}")
    return code if code >= 0 else 128 - code


def main(grace: float, largest: int, argv: list[str]) -> int:
    """Run `argv` on the leash and return the exit code for this process."""
    ignore_signals()
    limit_files(largest)
    try:
        command = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=2,
            stderr=2,
            close_fds=False,  # the files that the starting program passed on are for the command
            start_new_session=True,
        )
    except OSError as error:
        report(f"error {error.strerror}: {error.filename}")
        return 127
    return supervise(command, grace)


if __name__ == "__main__":
    code = main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    # No tidy shutdown: the thread may be in a blocking read, and nothing is buffered.
    os._exit(code)
