"""How jupyter_client starts and ends a kernel: under a guard.

A provisioner is jupyter_client's own place for this. To it, the guard is the kernel's process.
"""

import io
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from . import guard
from .config import get_settings


class GuardedProvisioner(LocalProvisioner):
    """A kernel under a guard."""

    _lifeline: io.FileIO | None = None  # our end of the pipe; the other one is the guard's

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._lock = threading.Lock()  # on the lifeline

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the guard, which starts the kernel."""
        guards, ours = os.pipe()  # no process inherits an end of it, unless it is named
        os.set_blocking(ours, False)
        self._lifeline = io.FileIO(ours, "wb")
        beat_timeout = get_settings().lease_seconds * 2 / 3  # so it is over before the lease is
        # With the standard library, and nothing else: so it starts in a moment.
        start = [sys.executable, "-I", "-S", guard.__file__, str(guards), str(beat_timeout)]
        try:
            return await super().launch_kernel([*start, *cmd], pass_fds=(guards,), **kwargs)
        finally:
            os.close(guards)

    def beat(self) -> None:
        """Tell the guard that the lease is ours. Safe from any thread."""
        with self._lock, suppress(OSError):  # the guard has ended
            if self._lifeline and not self._lifeline.closed:
                self._lifeline.write(b".")

    def end(self) -> None:
        """Let the guard kill the kernel. Safe from any thread."""
        with self._lock:
            if self._lifeline:
                self._lifeline.close()

    async def kill(self, restart: bool = False) -> None:
        """End it, at once. A signal to the guard would leave the kernel without a guard."""
        self.end()

    terminate = kill

    async def cleanup(self, restart: bool = False) -> None:
        """The kernel has ended. Let go of the lifeline, too."""
        self.end()
        await super().cleanup(restart=restart)


class GuardedKernelManager(AsyncKernelManager):
    """What nbclient starts its kernel with."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.provisioner = GuardedProvisioner(kernel_spec=self.kernel_spec, parent=self)
