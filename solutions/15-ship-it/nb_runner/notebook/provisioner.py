"""How jupyter_client starts and ends our kernels: under a guard, and with all that they started.

A provisioner is jupyter_client's own place for this. So all code that ends a kernel by its
manager, the library included, ends the whole tree of its processes, and never the guard alone.
"""

import contextlib
import io
import os
import signal
import subprocess
import threading
from typing import Any
from uuid import uuid4

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from . import guard, process_tree

KILL_TIMEOUT = 5  # seconds


class GuardedProvisioner(LocalProvisioner):
    """A kernel under a guard; `process` is the guard. Its end removes the folder `scratch`."""

    process: subprocess.Popen[bytes] | None

    def __init__(self, manager: KernelManager, scratch: str, beat_timeout: float) -> None:
        super().__init__(kernel_id=str(uuid4()), kernel_spec=manager.kernel_spec, parent=manager)
        self._scratch, self._beat_timeout = scratch, beat_timeout
        self._lifeline: io.FileIO | None = None
        self._lock = threading.Lock()  # on the lifeline

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the guard, which starts the kernel."""
        guards, ours = os.pipe()
        os.set_blocking(ours, False)
        self._lifeline = io.FileIO(ours, "wb")
        command = guard.command(str(guards), str(self._beat_timeout), self._scratch)
        try:
            return await super().launch_kernel([*command, *cmd], pass_fds=(guards,), **kwargs)
        finally:
            os.close(guards)

    @property
    def returncode(self) -> int | None:
        """How the kernel has ended; None: it has not, or nobody knows. -9 is signal 9."""
        return self.process.poll() if self.process else None

    def beat(self) -> None:
        """Tell the guard that the lease is ours. Safe from any thread."""
        self._tell(guard.BEAT)

    async def send_signal(self, signum: int) -> None:
        """SIGINT: have the guard interrupt the kernel, with what is in its process group."""
        if signum == signal.SIGINT:
            self._tell(guard.INTERRUPT)
        else:
            await super().send_signal(signum)

    def end(self, timeout: float) -> bool:
        """Kill the kernel and all that it has started. Safe from any thread.

        Says whether all are gone, `timeout` seconds later at the latest.
        """
        with self._lock:
            if self._lifeline:
                self._lifeline.close()
                self._wake()
        if process_tree.CONTAINED:
            return process_tree.kill_kernels(timeout)
        return self._guard_has_ended(timeout)

    async def kill(self, restart: bool = False) -> None:
        """End all, at once."""
        self.end(KILL_TIMEOUT)

    async def terminate(self, restart: bool = False) -> None:
        """End all, at once: the guard ignores the signal that would be sent."""
        self.end(KILL_TIMEOUT)

    def _tell(self, byte: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):  # it is gone, or will be in a moment
            if self._lifeline and not self._lifeline.closed:
                self._lifeline.write(byte)
                self._wake()

    def _wake(self) -> None:
        """Let the guard go on, in case that a cell has stopped it."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)

    def _guard_has_ended(self, timeout: float) -> bool:
        if self.process:
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
        return True
