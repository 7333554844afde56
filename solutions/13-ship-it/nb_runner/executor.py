"""Run a notebook, cell by cell, in a kernel that can be taken away at any moment."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from . import notebook as notebooks
from .kernel import Kernel, WarmKernel

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # cells done, of cells in all


class Executor:
    """Runs notebooks in this process, one after the other, on an event loop of its own."""

    def __init__(self, cell_timeout: int, database_url: str, beat_timeout: float) -> None:
        self._cell_timeout = cell_timeout
        self._database_url = database_url
        self._loop = asyncio.Runner()
        self._warm = WarmKernel(beat_timeout)
        self._kernel: Kernel | None = None
        self._task: asyncio.Task[None] | None = None
        self.where = ""  # in words: which cell it is at

    def warm_up(self, path: Path) -> None:
        """Start the kernel that the next run will want. That it cannot is said by that run."""
        try:
            name = notebooks.kernel_name(notebooks.read(path))
            variables = {"DATABASE_URL": self._database_url}
            self._loop.run(self._warm.prepare(name, path.parent, variables))
        except (notebooks.Unusable, OSError, RuntimeError) as error:
            log.error("No kernel can be kept warm: %s", error)

    def run(
        self,
        notebook: NotebookNode,
        folder: Path,
        variables: dict[str, str],
        progress: Progress,
        stopped: Callable[[], bool],
    ) -> str | None:
        """Run all cells; outputs go into `notebook` as they come, whatever happens after.

        `stopped` says whether `stop` has been called for this run: it may have been before there
        was anything to stop. Answers None when all went well, else what went wrong, in words.
        """
        self.where = "Before the first cell"
        try:
            self._loop.run(self._run(notebook, folder, variables, progress, stopped))
        except CellExecutionError as error:
            problem = f"{self.where} raised {error.ename}: {error.evalue}"
        except CellTimeoutError:
            problem = f"{self.where} ran for longer than CELL_TIMEOUT: {self._cell_timeout} s."
        except DeadKernelError:
            problem = f"{self.where}: the kernel died. (Out of memory? os._exit? A crash?)"
        except asyncio.CancelledError:
            problem = f"{self.where}: stopped."
        except (RuntimeError, OSError) as error:
            problem = f"The kernel did not start: {error}"
        else:
            return None
        return problem

    def beat(self) -> None:
        """The lease is ours: the kernel may go on. For another thread to call."""
        if kernel := self._kernel:
            kernel.beat()

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
    ) -> None:
        self._task = asyncio.current_task()
        cells = notebooks.runnable(notebook)
        progress(0, len(cells))

        def starting(cell: NotebookNode, cell_index: int) -> None:
            done = cells.index(cell_index)
            self.where = f"Cell {done + 1} of {len(cells)}"
            progress(done, len(cells))

        kernel = self._kernel = await self._warm.take(
            notebooks.kernel_name(notebook),
            folder,
            variables | {"DATABASE_URL": self._database_url},
        )
        client = NotebookClient(
            notebook,
            km=kernel.manager,
            timeout=self._cell_timeout,
            on_cell_execute=starting,
        )
        try:
            if stopped():
                raise asyncio.CancelledError
            kernel.beat()  # from now on its guard wants to hear of the lease
            client.kc = await kernel.connect()
            if kernel.speaks_python:  # a warm one was started before anybody knew these
                source = f"__import__('os').environ.update({variables!r})"
                request = client.kc.execute(source, silent=True, store_history=False)
                await client.async_wait_for_reply(request)
            await client.async_execute()
            progress(len(cells), len(cells))
        finally:
            self._kernel = self._task = None
            await kernel.shutdown()
            for left_over in asyncio.all_tasks() - {asyncio.current_task()}:
                left_over.cancel()  # nbclient's own watchers of the kernel
