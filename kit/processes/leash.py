"""Run a command that must not outlive the program that started it.

    python -I -S leash.py GRACE LARGEST COMMAND [ARGUMENT ...]

Standard input is the leash: a pipe whose other end only the starting program holds. The system
closes that end however the program dies, SIGKILL included, on Linux as on macOS. (Linux could
signal a parent's death by itself, but does so when the starting *thread* ends; macOS cannot.)
At end of file the command gets SIGTERM, then, after GRACE seconds, its whole process group SIGKILL.
When it ends by itself, what is left of its group goes with it. No file it writes can grow beyond
LARGEST bytes; 0 means that it may.

Standard output is for reports, a line each: `pid N`, later `exit N` (negative: a signal), or
`error …` when there is no such command. The command itself writes to standard error.
Exit code: the command's own, or 128 + signal. Standard library only; it holds on to nothing else.
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
    """What we need of the command: a Popen has it, and what forkserver.py forks."""

    @property
    def pid(self) -> int: ...

    def terminate(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


def report(line: str) -> None:
    """Tell the starting program, if there is still one."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


def kill_group(pid: int) -> None:
    """Kill every process of the group that `pid` leads or led."""
    # macOS answers EPERM, not ESRCH, when only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def hold(command: Command, grace: float) -> None:
    """Wait until the leash is let go of, then end `command`."""
    while os.read(0, 1024):
        pass
    command.terminate()
    try:
        command.wait(grace)
    except subprocess.TimeoutExpired:
        kill_group(command.pid)


def be_deaf() -> None:
    """Let no signal that is meant for others end this process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler that does nothing, not SIG_IGN: the command would inherit that one.
        signal.signal(number, lambda *_: None)


def limit_files(largest: int) -> None:
    """Let files that are written from now on grow to so many bytes; 0 means no limit."""
    if largest:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if hard == resource.RLIM_INFINITY or largest < hard:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))


def attend(command: Command, grace: float) -> int:
    """Report how `command` begins and ends; return the exit code for this process."""
    report(f"pid {command.pid}")
    threading.Thread(target=hold, args=(command, grace), daemon=True).start()
    code = command.wait()
    kill_group(command.pid)
    report(f"exit {code}")
    return code if code >= 0 else 128 - code


def main(grace: float, largest: int, argv: list[str]) -> int:
    """Run `argv` on the leash and return the exit code for this process."""
    be_deaf()
    limit_files(largest)
    try:
        command = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=2,
            stderr=2,
            close_fds=False,  # what the starting program passed on is meant for the command
            start_new_session=True,
        )
    except OSError as error:
        report(f"error {error.strerror}: {error.filename}")
        return 127
    return attend(command, grace)


if __name__ == "__main__":
    code = main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    # No tidy shutdown: the thread may be in a blocking read, and nothing is buffered.
    os._exit(code)
