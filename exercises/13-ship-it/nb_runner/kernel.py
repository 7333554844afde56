"""Kernels that die with the worker, and one that is kept warm."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Self

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

GUARD = Path(__file__).with_name("guard.py")
START_SECONDS = 60  # how long a kernel may take to come up
# A notebook has no business with these.
SECRETS = ("RUNNER_API_KEY", "REDIS_URL", "NOTIFY_URLS")


class Kernel:
    """A kernel process under its guard. Made by `start`, ended by `kill`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scratch = tempfile.mkdtemp(prefix="nb-kernel-")
        self._lifeline: io.FileIO | None = None
        self._lock = threading.Lock()  # on the lifeline
        self.client: AsyncKernelClient | None = None
        # Sockets are files in a folder only we can read: no port for others to find or to take.
        self.manager = _GuardedManager(
            kernel_name=name,
            transport="ipc",
            ip=f"{self.scratch}/s",
            connection_file=f"{self.scratch}/kernel.json",
        )

    @classmethod
    async def start(
        cls, name: str, folder: Path, variables: dict[str, str], beat_timeout: float
    ) -> Self:
        """Start a kernel in a folder; it gets our environment, less our secrets, plus `variables`.

        Once it has had a beat, `beat_timeout` seconds without another one end it.

        Raises:
            jupyter_client.kernelspec.NoSuchKernel: no kernel of that name is installed.
        """
        kernel = cls(name)
        environment = {k: v for k, v in os.environ.items() if k not in SECRETS}
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        kernel._lifeline = io.FileIO(theirs, "wb")
        kernel.manager.guard = [
            *(sys.executable, "-I", "-S", str(GUARD)),
            *(str(ours), str(beat_timeout), kernel.scratch),
        ]
        try:
            await kernel.manager.start_kernel(
                cwd=str(folder),
                env=environment | variables,
                pass_fds=(ours,),
                extra_arguments=kernel.history_off(),
            )
        except BaseException:
            await kernel.shutdown()
            raise
        finally:
            os.close(ours)
        return kernel

    async def connect(self) -> AsyncKernelClient:
        """A client to talk to the kernel, once that is up: a new one, or the one there is.

        Raises:
            RuntimeError: it did not come up within a minute.
        """
        if self.client is None:
            client = self.manager.client()
            client.start_channels()
            try:
                await client.wait_for_ready(timeout=START_SECONDS)
            except BaseException:
                client.stop_channels()
                raise
            client.allow_stdin = False
            self.client = client
        return self.client

    @property
    def speaks_python(self) -> bool:
        """Whether cells are Python."""
        return bool(self.manager.kernel_spec and self.manager.kernel_spec.language == "python")

    def history_off(self) -> list[str]:
        """Without this, IPython keeps every cell in a database in the home folder."""
        return ["--HistoryManager.hist_file=:memory:"] if self.manager.ipykernel else []

    def beat(self) -> None:
        """Tell the guard that the lease is ours. Safe from any thread."""
        with self._lock, contextlib.suppress(OSError):  # it is gone, or will be in a moment
            if self._lifeline and not self._lifeline.closed:
                self._lifeline.write(b".")

    def kill(self) -> None:
        """Let go of the lifeline: the guard kills the kernel's group. Safe from any thread."""
        with self._lock:
            if self._lifeline:
                self._lifeline.close()

    async def alive(self) -> bool:
        """Whether the kernel can still be used."""
        return bool(await self.manager.is_alive())

    async def shutdown(self) -> None:
        """Kill it, wait until it is gone, and free what its manager holds."""
        self.kill()
        if self.client:
            self.client.stop_channels()
        guard: subprocess.Popen[bytes] | None = getattr(self.manager.provisioner, "process", None)
        if guard is not None:
            try:
                guard.wait(timeout=5)
            except subprocess.TimeoutExpired:  # it could not even be told: take the guard too
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(guard.pid, signal.SIGKILL)
        await self.manager.cleanup_resources()
        shutil.rmtree(self.scratch, ignore_errors=True)  # there was no guard, if it never started


class WarmKernel:
    """One kernel, started ahead of need and used once: a cold start takes most of a second."""

    def __init__(self, beat_timeout: float) -> None:
        self._waiting: Kernel | None = None
        self._beat_timeout = beat_timeout

    async def prepare(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        """See to it that the kernel which the next run will take is there, and up."""
        if self._waiting and self._waiting.name == name and await self._waiting.alive():
            return
        await self.discard()
        self._waiting = await Kernel.start(name, folder, variables, self._beat_timeout)
        await self._waiting.connect()

    async def take(self, name: str, folder: Path, variables: dict[str, str]) -> Kernel:
        """The waiting kernel if it fits, else a new one, with `variables` in its environment.

        The waiting one was started before anybody knew them: it has to be told.
        """
        kernel, self._waiting = self._waiting, None
        if kernel and kernel.name == name and kernel.speaks_python and await kernel.alive():
            return kernel
        if kernel:
            await kernel.shutdown()
        return await Kernel.start(name, folder, variables, self._beat_timeout)

    async def discard(self) -> None:
        """End the waiting kernel, if there is one."""
        kernel, self._waiting = self._waiting, None
        if kernel:
            await kernel.shutdown()


class _GuardedManager(AsyncKernelManager):
    """Puts the guard's command in front of the kernel's."""

    guard: list[str]

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return self.guard + super().format_kernel_cmd(extra_arguments)
