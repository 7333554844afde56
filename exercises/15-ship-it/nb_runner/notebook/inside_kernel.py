"""What the worker has the kernel do before the first cell: lose nothing of what cells put out.

A kernel sends what its cells put out through a ZeroMQ socket. That socket drops messages when it
has sent 1,000 more than the worker has read. Here it is told to wait instead, so a cell that puts
out faster than the worker reads is slowed down. Two things depend on it: no output is lost, and
neither the kernel nor the worker piles up in memory what is on its way.

This file is not imported by the worker. Its text is sent to an ipykernel, and executed there.
"""

import codecs
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import zmq
from IPython import get_ipython
from IPython.core.autocall import ZMQExitAutocall

AHEAD = 100  # messages that the kernel may be ahead of the worker
PIECE = 65_536  # characters of a stream that become a message, at most
SUBPROCESS_SECONDS = 1  # how long the end of a cell waits for what subprocesses are writing
DELIMITER = b"<IDS|MSG>"  # what Jupyter puts between the addresses of a message and its parts


def number_and_wait(thread: Any) -> None:
    """Have the kernel's sending thread wait for the worker, and number each message.

    The number is one more address in front of the message: readers that do not know it skip it.
    """
    socket = thread.socket
    send: Callable[..., Any] = socket.send_multipart
    sent = 0

    def send_numbered(frames: list[Any], *args: Any, **options: Any) -> None:
        nonlocal sent
        at = frames.index(DELIMITER)
        send([*frames[:at], b"number:%d" % sent, *frames[at:]], *args, **options)
        sent += 1

    def set_up() -> None:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.setsockopt(zmq.SNDHWM, AHEAD)
        socket.send_multipart = send_numbered

    thread.schedule(set_up)  # a ZeroMQ socket belongs to one thread


def in_pieces(stream: Any) -> Callable[[str], int]:
    """How to write to a stream in pieces of limited size, each on its way before the next one.

    ipykernel collects a stream's text for 0.2 seconds, however much that is.
    """
    write = partial(type(stream).write, stream)  # not what IPython has put in its place
    unsent = 0

    def write_in_pieces(text: str) -> int:
        nonlocal unsent
        if not isinstance(text, str) or len(text) + unsent <= PIECE:
            unsent += write(text)
            return len(text)
        for start in range(0, len(text), PIECE):
            write(text[start : start + PIECE])
            stream.flush()
        unsent = 0
        return len(text)

    return write_in_pieces


def read_subprocesses(stream: Any) -> Callable[[], None]:
    """Have what subprocesses write into a stream's descriptor become output of their cell.

    ipykernel does so, too. But when a cell ends, some of it may still be on its way; and it copies
    it to where the kernel's own standard output leads, the worker's log.

    Answers what waits until all that has been written is output.
    """
    pipe: int | None = getattr(stream, "_fid", None)
    if pipe is None:
        return lambda: None
    stream._should_watch = False  # the thread of ipykernel ends when it next reads something
    os.write(stream._original_stdstream_fd, b"\0")
    stream.watch_fd_thread.join()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    reading = threading.Lock()

    def there_is_more() -> bool:
        return bool(select.select([pipe], [], [], 0)[0])

    def read_on() -> None:
        while True:
            select.select([pipe], [], [])
            with reading:
                stream.write(decoder.decode(os.read(pipe, PIECE)))

    def wait_for_it() -> None:
        deadline = time.monotonic() + SUBPROCESS_SECONDS
        while time.monotonic() < deadline:
            with reading:
                if not there_is_more():
                    return
            time.sleep(0.001)

    threading.Thread(target=read_on, name="subprocesses", daemon=True).start()
    return wait_for_it


class Exit(ZMQExitAutocall):
    """exit() and quit() end the notebook as sys.exit() does.

    Those of IPython end the kernel a moment later: cells after this one may run until then.
    """

    def __call__(self, keep_kernel: Any = None) -> None:
        """The parameter has IPython's name. All but True and False is an exit code."""
        sys.exit(None if isinstance(keep_kernel, bool) else keep_kernel)


def main() -> None:
    """Set up the kernel that this runs in."""
    shell: Any = get_ipython()
    end: Any = Exit
    shell.exiter = shell.user_ns["exit"] = shell.user_ns["quit"] = end(shell)
    number_and_wait(shell.kernel.iopub_thread)
    streams: dict[str, Any] = {"stdout": sys.stdout, "stderr": sys.stderr}
    writes = {}
    for name, stream in streams.items():
        stream.write = writes[name] = in_pieces(stream)
        shell.events.register("post_execute", read_subprocesses(stream))

    def tee(channel: str) -> AbstractContextManager[None]:
        """In place of IPython's own, which keeps a copy of all that a cell prints.

        At the end of a cell, that of this cell included, it also puts back how to write.
        """
        streams[channel].write = writes[channel]
        return nullcontext()

    shell._tee = tee


main()
