"""Kernels that die with the worker, and one that is kept warm."""

import logging
import os
import tempfile
from pathlib import Path
from typing import Any, Self

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from ..config import environment_without_secrets
from . import leftovers
from .provisioner import GuardedProvisioner

log = logging.getLogger(__name__)

INSIDE_KERNEL = Path(__file__).with_name("inside_kernel.py").read_text(encoding="utf-8")
START_SECONDS = 60  # how long a kernel may take to come up
ANSWER_SECONDS = 5  # how long a kernel that is up may take to answer
KILL_TIMEOUT = 5  # seconds
LONGEST_TMPDIR = 80  # bytes: on macOS, the path of a socket has at most 103, 23 of them ours


class Kernel:
    """A kernel process under its guard. Made by `start`, ended by `kill`."""

    def __init__(self, name: str, beat_timeout: float) -> None:
        self.name = name
        self.client: AsyncKernelClient | None = None
        self.waits_for_reader = False  # with what it puts out, so nothing of it is lost
        self.manager = AsyncKernelManager(kernel_name=name, transport="ipc")
        self.scratch = tempfile.mkdtemp(prefix="nb-kernel-", dir=_short_temporary_folder())
        # Sockets are files in a folder only we can read: no port for others to find or to take.
        self.manager.ip = f"{self.scratch}/s"
        self.manager.connection_file = f"{self.scratch}/kernel.json"
        # Temporary files of cells go with the kernel: run by run, they would fill the disk.
        self.temporary = Path(self.scratch, "tmp")
        self.temporary.mkdir()
        self.process = GuardedProvisioner(self.manager, self.scratch, beat_timeout)
        self.manager.provisioner = self.process

    @classmethod
    async def start(
        cls, name: str, folder: Path, variables: dict[str, str], beat_timeout: float
    ) -> Self:
        """Start a kernel in a folder; it gets our environment, less our secrets, plus `variables`.

        Once it has had a beat, `beat_timeout` seconds without another one end it.

        Raises:
            jupyter_client.kernelspec.NoSuchKernel: no kernel of that name is installed.
        """
        kernel = cls(name, beat_timeout)
        environment = environment_without_secrets()
        environment["TMPDIR"] = str(kernel.temporary)
        try:
            await kernel.manager.start_kernel(
                cwd=str(folder),
                env=environment | variables,
                extra_arguments=kernel.history_off(),
            )
        except BaseException:
            await kernel.shutdown()
            raise
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
            if self.speaks_python:
                await self._set_up(client)
        return self.client

    async def _set_up(self, client: AsyncKernelClient) -> None:
        """Have an ipykernel lose no output."""
        try:
            answer = await _execute(client, f"exec({INSIDE_KERNEL!r}, {{}})", START_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"it did not answer within {START_SECONDS} s") from None
        self.waits_for_reader = answer["content"]["status"] == "ok"
        if not self.waits_for_reader:
            log.warning("The kernel could not be told to wait for its reader: %s", answer)

    async def answers(self) -> bool:
        """Whether a kernel that is up can still be used: whether it does not hang, either."""
        if not await self.manager.is_alive():
            return False
        client = await self.connect()
        try:
            await client.kernel_info(reply=True, timeout=ANSWER_SECONDS)
        except TimeoutError:
            return False
        return True

    async def takes(self, variables: dict[str, str]) -> bool:
        """Put variables into the environment of a Python kernel that is up. Says whether it did."""
        if not await self.manager.is_alive():
            return False
        source = f"__import__('os').environ.update({variables!r})"
        try:
            answer = await _execute(await self.connect(), source, ANSWER_SECONDS)
        except TimeoutError:
            return False
        return bool(answer["content"]["status"] == "ok")

    @property
    def speaks_python(self) -> bool:
        """Whether cells are Python."""
        return bool(self.manager.kernel_spec and self.manager.kernel_spec.language == "python")

    def history_off(self) -> list[str]:
        """Without this, IPython keeps every cell in a database in the home folder."""
        return ["--HistoryManager.hist_file=:memory:"] if self.manager.ipykernel else []

    def beat(self) -> None:
        """Tell the guard that the lease is ours. Safe from any thread."""
        self.process.beat()

    @property
    def returncode(self) -> int | None:
        """How the kernel has ended by itself; None: it has not. -9 is signal 9."""
        return self.process.returncode

    def kill(self) -> None:
        """Kill the kernel and all that it has started. Safe from any thread."""
        self.process.end(timeout=0)

    async def shutdown(self) -> None:
        """Kill it, wait until it is gone, and free what its manager holds."""
        self.process.end(timeout=0)
        if self.client:
            self.client.stop_channels()
        self.process.end(KILL_TIMEOUT)
        await self.manager.cleanup_resources()
        leftovers.delete(Path(self.scratch))


class WarmKernel:
    """One kernel, started ahead of need and used once: a cold start takes most of a second."""

    def __init__(self, beat_timeout: float) -> None:
        self._waiting: Kernel | None = None
        self._made_for: object = None
        self._beat_timeout = beat_timeout

    async def prepare(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        """See to it that the kernel which the next run will take is there, and up."""
        if self._waiting and self._fits(name, folder) and await self._waiting.answers():
            return
        await self.discard()
        self._made_for = _identity(name, folder)
        self._waiting = await Kernel.start(name, folder, variables, self._beat_timeout)
        try:
            await self._waiting.connect()
        except BaseException:
            await self.discard()
            raise

    async def take(self, name: str, folder: Path, variables: dict[str, str]) -> Kernel:
        """The waiting kernel if it fits, else a new one, with `variables` in its environment.

        The waiting one was started before anybody knew them: it has to be told.
        """
        kernel, self._waiting = self._waiting, None
        if kernel:
            usable = False
            try:
                fits = kernel.speaks_python and self._fits(name, folder)
                usable = fits and await kernel.takes(variables)
            finally:
                if not usable:
                    await kernel.shutdown()
            if usable:
                return kernel
        return await Kernel.start(name, folder, variables, self._beat_timeout)

    async def discard(self) -> None:
        """End the waiting kernel, if there is one."""
        kernel, self._waiting = self._waiting, None
        if kernel:
            await kernel.shutdown()

    def _fits(self, name: str, folder: Path) -> bool:
        return self._made_for == _identity(name, folder)


async def _execute(client: AsyncKernelClient, source: str, timeout: float) -> dict[str, Any]:
    """Execute code that is not a cell. The kernel's answer.

    Raises:
        TimeoutError: none has come within `timeout` seconds.
    """
    answer: dict[str, Any] = await client.execute(
        source, silent=True, store_history=False, reply=True, timeout=timeout
    )
    return answer


def _short_temporary_folder() -> Path:
    """TMPDIR, or /tmp where that is too long for a socket. (In a sandbox /tmp may be read-only.)"""
    folder, shorter = Path(tempfile.gettempdir()), Path("/tmp")
    too_long = len(os.fsencode(folder)) > LONGEST_TMPDIR
    return shorter if too_long and os.access(shorter, os.W_OK) else folder


def _identity(name: str, folder: Path) -> object:
    """Differs for a folder that has been replaced: a kernel stays in the old one."""
    place = folder.stat()
    return name, folder, place.st_dev, place.st_ino
