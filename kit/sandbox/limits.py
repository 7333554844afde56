"""How much a submission may use. A correct solution needs a tenth of it."""

import resource
import sys
from dataclasses import dataclass

import psutil

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one learner's work may use while it is graded, everything that it starts included."""

    deadline: float = 240.0  # seconds for one exercise
    cpu: int = 120  # seconds of one process
    processes: int = 200
    threads: int = 2000  # of all processes together
    memory: int = 2048 * MIB  # bytes, all processes together
    address_space: int = 8192 * MIB  # bytes of one process, reserved or used
    disk: int = 256 * MIB  # bytes in its scratch folder
    files: int = 20_000  # in its scratch folder
    largest_file: int = 64 * MIB  # bytes
    open_files: int = 1024  # of one process

    def impose(self, threads: int) -> None:
        """Set the resource limits of this process. Its children inherit them.

        `threads`: how many threads this machine had before.
        """
        wanted = {
            resource.RLIMIT_CPU: self.cpu,
            resource.RLIMIT_FSIZE: self.largest_file,
            resource.RLIMIT_NOFILE: self.open_files,
            resource.RLIMIT_CORE: 0,
        }
        if sys.platform == "linux":  # macOS ignores RLIMIT_AS, and counts RLIMIT_NPROC otherwise
            wanted[resource.RLIMIT_AS] = self.address_space
            # Older kernels count all threads of the user here. The monitor counts exactly; this
            # limit holds between two of its checks.
            wanted[resource.RLIMIT_NPROC] = threads + 4 * self.processes
        for what, most in wanted.items():
            _, hard = resource.getrlimit(what)
            if hard != resource.RLIM_INFINITY:
                most = min(most, hard)
            resource.setrlimit(what, (most, most))


def count_threads() -> int:
    """How many threads this machine has: an upper bound for the threads of one user."""
    return sum(each.info["num_threads"] or 0 for each in psutil.process_iter(["num_threads"]))
