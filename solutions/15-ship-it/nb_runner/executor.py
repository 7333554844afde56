"""Run a notebook, cell by cell, in a kernel that can be taken away at any moment."""

import asyncio
import errno
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from .config import OverLimit, Settings
from .notebook import document
from .notebook.client import Client
from .notebook.kernel import Kernel, WarmKernel
from .outcome import SUCCEEDED, Reason, RunOutcome, failed, kernel_died
from .output.outputs import Listener, Outputs
from .output.plain_text import sentence
from .worker import memory

log = logging.getLogger(__name__)

READ_ONLY = (errno.EROFS, errno.EACCES)
Progress = Callable[[int, int], None]  # cells done, of cells in all


class OutputMissing(Exception):
    """The kernel has put out more than what came."""


class TooMuchOutput(Exception):
    """The run put out more than OUTPUT_LIMIT, and was ended for it."""


class KernelDied(Exception):
    """The kernel has ended by itself, in the middle of the run."""

    def __init__(self, returncode: int | None) -> None:
        """`returncode` is as subprocess has it: -9 is signal 9. None: nobody knows."""
        super().__init__()
        self.returncode = returncode


class Executor:
    """Runs notebooks in this process, one after the other, on an event loop of its own."""

    def __init__(self, settings: Settings, beat_timeout: float) -> None:
        self._settings = settings
        self._database_url = settings.database_url
        self._loop = asyncio.Runner()
        self._warm = WarmKernel(beat_timeout)
        self._kernel: Kernel | None = None
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self.where = ""  # for people: which cell it is at
        self.no_kernel = ""  # for people: why none could be started, as far as known
        self.gave_up = False  # on a kernel that was slow to start; whether one can is not known
        self.dropped = 0  # bytes of output that the run has put out beyond OUTPUT_LIMIT

    def warm_up(self, path: Path, timeout: float | None = None) -> None:
        """Start the kernel that the next run will want. That it cannot is said by that run.

        After `timeout` seconds that kernel is given up: the next run starts one itself.
        """
        try:
            name = document.kernel_name(document.read(path))
            variables = {"DATABASE_URL": self._database_url}
            prepared = self._warm.prepare(name, path.parent, variables)
            self._loop.run(asyncio.wait_for(prepared, timeout))
            self.no_kernel = ""
        except TimeoutError:
            self.gave_up = True
            log.warning("No kernel is kept warm: none was up within %.1f s.", timeout)
        except (document.Unusable, OSError, RuntimeError) as error:
            self.no_kernel = str(error) or repr(error)
            log.error("No kernel can be kept warm: %s", error)

    def run(
        self,
        notebook: NotebookNode,
        folder: Path,
        variables: dict[str, str],
        progress: Progress,
        stopped: Callable[[], bool],
        listener: Listener,
    ) -> RunOutcome:
        """Run all cells; outputs go into `notebook` as they come, whatever happens after.

        `stopped` says whether the run has been told to stop: `interrupt` or `stop` may have been
        called before there was anything to stop. `listener` hears of outputs at once, as text.
        """
        self.where, self.dropped = "Before the first cell", 0
        killed = memory.killed()
        try:
            self._loop.run(self._run(notebook, folder, variables, progress, stopped, listener))
        except CellExecutionError as error:
            problem = sentence(f"{self.where} raised {error.ename}: {error.evalue}")
            return failed(Reason.CELL_ERROR, problem + _where_to_write(error))
        except CellTimeoutError:
            limit = f"CELL_TIMEOUT: {self._settings.cell_timeout} s."
            return failed(Reason.CELL_TIMEOUT, f"{self.where} ran for longer than {limit}")
        except TooMuchOutput:
            limit = f"OUTPUT_LIMIT: {self._settings.output_limit} bytes."
            problem = f"{self.where}: the run has put out more than {limit}"
            return failed(Reason.OUTPUT_LIMIT, problem)
        except OutputMissing:
            problem = "The notebook ran to its end, but some of its output did not arrive."
            return failed(Reason.OUTPUT_MISSING, problem)
        except KernelDied as death:
            return self._of_a_dead_kernel(death.returncode, memory.killed() > killed)
        except asyncio.CancelledError:  # by an order, which replaces this outcome (tasks.py)
            return failed(Reason.RUNNER_FAILED, f"{self.where}: stopped.")
        except (RuntimeError, OSError) as error:
            return failed(Reason.KERNEL_NOT_STARTED, f"The kernel did not start: {error}")
        return SUCCEEDED

    def _of_a_dead_kernel(self, returncode: int | None, memory_ran_out: bool) -> RunOutcome:
        if memory_ran_out and returncode == -signal.SIGKILL:
            problem = f"{self.where}: the kernel was killed because memory ran out."
            return kernel_died(Reason.OUT_OF_MEMORY, problem, returncode)
        problem = f"{self.where}: the kernel died. (Out of memory? os._exit? A crash?)"
        return kernel_died(Reason.KERNEL_DIED, problem, returncode)

    def beat(self) -> None:
        """The lease is ours: the kernel may go on. For another thread to call."""
        if kernel := self._kernel:
            kernel.beat()

    def interrupt(self) -> None:
        """Interrupt the cell that runs, and run no further one. Without a cell, end the run now.

        For another thread to call; does nothing when no run is going.
        """
        if self._task:
            self._loop.get_loop().call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self._client and self._client.in_cell:
            self._client.interrupt()
        elif self._task:
            self._task.cancel()

    def stop(self) -> None:
        """End the run now. For another thread to call; does nothing when none is going."""
        if kernel := self._kernel:
            kernel.kill()
        if task := self._task:
            self._loop.get_loop().call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """End the kernel that is kept warm."""
        self._loop.run(self._warm.discard())
        self._loop.close()

    async def _run(
        self,
        notebook: NotebookNode,
        folder: Path,
        variables: dict[str, str],
        progress: Progress,
        stopped: Callable[[], bool],
        listener: Listener,
    ) -> None:
        self._task = asyncio.current_task()
        cells = document.runnable(notebook)
        progress(0, len(cells))

        def starting(cell: NotebookNode, cell_index: int) -> None:
            done = cells.index(cell_index)
            self.where = f"Cell {done + 1} of {len(cells)}"
            progress(done, len(cells))

        kernel = self._kernel = await self._warm.take(
            document.kernel_name(notebook),
            folder,
            variables | {"DATABASE_URL": self._database_url},
        )
        numbers = {position: number for number, position in enumerate(cells, 1)}
        outputs = Outputs(self._settings.output_limit, self._over_the_limit, listener)
        client = self._client = Client(
            notebook,
            outputs,
            numbers,
            km=kernel.manager,
            timeout=self._settings.cell_timeout,
            on_cell_execute=starting,
        )
        try:
            if stopped():
                raise asyncio.CancelledError
            kernel.beat()  # from now on its guard wants to hear of the lease
            client.attach(await kernel.connect(), kernel.waits_for_reader)
            await client.run()
            progress(client.code_cells_executed, len(cells))
        except DeadKernelError:
            if not self._fails(outputs):
                raise KernelDied(kernel.returncode) from None
        except asyncio.CancelledError:
            if not self._fails(outputs):
                raise
        finally:
            self._kernel = self._task = self._client = None
            outputs.seal()
            self.dropped = outputs.dropped
            await kernel.shutdown()
            for left_over in asyncio.all_tasks() - {asyncio.current_task()}:
                left_over.cancel()  # nbclient's own watchers of the kernel
        if self._fails(outputs):
            raise TooMuchOutput
        if client.missing:
            raise OutputMissing

    def _over_the_limit(self) -> None:
        """The run has put out more than OUTPUT_LIMIT."""
        if self._task and self._settings.over_output_limit is OverLimit.FAIL:
            self._task.cancel()

    def _fails(self, outputs: Outputs) -> bool:
        return bool(outputs.dropped) and self._settings.over_output_limit is OverLimit.FAIL


def _where_to_write(error: CellExecutionError) -> str:
    """A hint, where a cell wanted to write to what it may only read: its own folder, as a rule."""
    refused = any(error.evalue.startswith(f"[Errno {number}]") for number in READ_ONLY)
    return " (A run may write to its OUTPUT_DIR.)" if refused else ""
