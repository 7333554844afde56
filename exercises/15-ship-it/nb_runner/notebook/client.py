"""nbclient, with each message of the kernel accounted for.

nbclient reads what the cell puts out that is running. When some of it has not come 4 seconds after
the cell's end, it goes on without. This client waits for as long as messages come, and counts those
that never do. It also keeps what a thread puts out after the cell that started it has ended.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, CellExecutionError
from nbformat import NotebookNode
from traitlets import Integer

from ..output.outputs import Outputs

log = logging.getLogger(__name__)

EXIT_WITHOUT_ERROR = ("", "0", "None")  # what sys.exit() and sys.exit(0) come to
SILENCE = 10  # seconds without a message after a cell's end: then the rest is missing
AHEAD = 100  # messages that may wait here; a kernel that waits for us keeps the next one
AHEAD_OF_OTHERS = 100_000  # the same for kernels that know no waiting, and drop the next one
WAKE_UP = (0.1, 0.5, 2)  # seconds between messages that only wake a kernel up
AT_ONCE = 100  # messages that are taken before others of this event loop get their turn
NUMBER = re.compile(rb"number:(\d+)")  # inside_kernel.py puts it in front of each message
OUTPUTS = {"stream", "display_data", "execute_result", "error"}

Message = dict[str, Any]


class Client(NotebookClient):
    """Runs the cells of a notebook. `outputs` collects what they put out."""

    iopub_timeout = Integer(604_800)  # a week: this client knows itself when to give up

    def __init__(
        self, notebook: NotebookNode, outputs: Outputs, numbers: dict[int, int], **options: Any
    ) -> None:
        """`numbers`: positions of the cells that run, and their numbers."""
        super().__init__(notebook, **options)
        self.missing = 0  # messages that the kernel has sent and that did not come
        self.interrupted = False  # no further cell is to run
        self.in_cell = False
        self._begun = False  # whether the kernel has told that it executes the cell
        self._interrupting: asyncio.Future[None] | None = None
        self._connection: AsyncKernelClient
        self._outputs = outputs
        self._numbers = numbers
        self._cells: dict[str, tuple[NotebookNode, int]] = {}  # by the id of their request
        self._next: int | None = None  # number of the next message; None: they have none
        self._taken = 0

    def attach(self, connection: AsyncKernelClient, kernel_waits: bool) -> None:
        """Talk to the kernel by this connection. `kernel_waits`: for us, when we do not keep up."""
        self.kc = self._connection = connection
        ahead = AHEAD if kernel_waits else AHEAD_OF_OTHERS
        connection.iopub_channel.socket.setsockopt(zmq.RCVHWM, ahead)

    async def run(self) -> None:
        """Run the cells. sys.exit() or sys.exit(0) in one of them is the end of the notebook.

        Raises:
            CellExecutionError: a cell raised anything else.
            asyncio.CancelledError: `interrupt` was called, and the cell ended without an error.
        """
        try:
            await self.async_execute()
        except CellExecutionError as error:
            if error.ename != "SystemExit" or error.evalue not in EXIT_WITHOUT_ERROR:
                raise
        if self.interrupted:
            raise asyncio.CancelledError

    def interrupt(self) -> None:
        """Run no further cell, and interrupt the one that runs: once, as soon as it has begun.

        Between two cells, a kernel ignores what interrupts it.
        """
        if not self.interrupted:
            self.interrupted = True
            self._interrupt_if_begun()

    def _interrupt_if_begun(self) -> None:
        if self.interrupted and self._begun and not self._interrupting:
            self._interrupting = asyncio.ensure_future(self._interrupt_kernel())

    async def _interrupt_kernel(self) -> None:
        """Interrupt it, and wake it up. In a cell that awaits, ipykernel notices an interrupt only
        when the next message comes.
        """
        assert self.km
        await ensure_async(self.km.interrupt_kernel())
        for pause in WAKE_UP:
            await asyncio.sleep(pause)
            self._connection.kernel_info()

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, *args: Any, **options: Any
    ) -> NotebookNode:
        """As nbclient does, as long as nothing has interrupted the run."""
        if self.interrupted:
            raise asyncio.CancelledError
        self.in_cell, self._begun = True, False
        try:
            return await super().async_execute_cell(cell, cell_index, *args, **options)
        finally:
            self.in_cell = self._begun = False

    @asynccontextmanager
    async def async_setup_kernel(self, **_: Any) -> AsyncIterator[None]:
        """Nothing: the kernel is up, and it is ended by the executor.

        nbclient would also handle the signals of this process, and shut down the kernel itself.
        """
        yield

    async def _async_poll_output_msg(
        self, parent_msg_id: str, cell: NotebookNode, cell_index: int
    ) -> None:
        """Take messages until the kernel says that the cell has ended."""
        self._cells[parent_msg_id] = cell, cell_index
        self._outputs.begin(cell_index, self._numbers[cell_index], cell.outputs)
        while True:
            message = await self._take()
            if message is None:  # silence
                if "shell.execute_reply" in cell.metadata.execution:
                    self.missing += 1  # that it has ended, at least
                    return
                continue
            owner = self._cells.get(message["parent_header"].get("msg_id", ""))
            if owner:  # else: an answer to the worker, not to a cell
                if message["msg_type"] == "execute_input" and owner[1] == cell_index:
                    self._begun = True
                    self._interrupt_if_begun()
                try:
                    self.process_message(message, *owner)
                except CellExecutionComplete:
                    if owner[1] == cell_index:
                        return

    async def _take(self) -> Message | None:
        """The next message from the kernel. None: it has been silent for a while."""
        channel = self._connection.iopub_channel
        self._taken += 1
        if self._taken % AT_ONCE == 0:
            await asyncio.sleep(0)
        while True:
            try:
                frames = await channel.socket.recv_multipart(zmq.NOBLOCK)
                break
            except zmq.Again:
                if not await channel.socket.poll(SILENCE * 1000):
                    return None
        addresses, parts = channel.session.feed_identities(frames)
        self._count(addresses)
        message: Message = channel.session.deserialize(parts)
        message["size"] = sum(map(len, parts[4:]))  # what comes with it, less its headers
        return message

    def _count(self, addresses: list[bytes]) -> None:
        """Notice a gap in the numbers."""
        if addresses and (found := NUMBER.fullmatch(addresses[-1])):
            number = int(found[1])
            if self._next is not None:
                self.missing += number - self._next
            self._next = number + 1

    def process_message(
        self, msg: Message, cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """As nbclient does; the state of widgets counts as output, too."""
        if msg["msg_type"].startswith("comm"):
            widget = str(msg["content"].get("comm_id"))
            if not self._outputs.count_widget(cell_index, widget, msg["size"]):
                return None
        return super().process_message(msg, cell, cell_index)

    def output(
        self, outs: list[NotebookNode], msg: Message, display_id: str | None, cell_index: int
    ) -> None:
        """Put an output into its cell, or into the widget that takes the place of the cell."""
        if self.output_hook_stack[msg["parent_header"].get("msg_id")]:
            if self._outputs.count(cell_index, msg["size"]):
                super().output(outs, msg, display_id, cell_index)
            return
        if self.clear_before_next_output:
            outs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        if msg["msg_type"] in OUTPUTS:
            self._outputs.add(cell_index, msg["content"], msg["msg_type"], msg["size"])

    def clear_display_id_mapping(self, cell_index: int) -> None:
        """nbclient calls this when it has cleared the outputs of a cell."""
        self._outputs.cleared(cell_index)

    def _update_display_id(self, display_id: str, msg: Message) -> None:
        """Show something else under that id: in one step, whatever the number of outputs."""
        _, cell_index = self._cells[msg["parent_header"]["msg_id"]]
        self._outputs.update(cell_index, msg["content"], msg["size"])
