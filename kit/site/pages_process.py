"""Handbook and slides served from a process of their own, while another program runs."""

import contextlib
import sys
from collections.abc import Iterator

from kit.errors import KitError
from kit.processes.ports import free_socket
from kit.processes.stack import Stack

PORT = 8001  # when it is free


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve both on this machine; yields the address of the handbook. The slides are below it."""
    try:
        sock = free_socket(PORT)
    except KitError:  # another program has the port, or a second `./workshop`
        sock = free_socket()
    with sock, Stack() as stack:
        fd = sock.fileno()
        argv = [sys.executable, "-m", "kit.site.pages", str(fd)]
        stack.start("pages", argv, pass_fds=[fd], grace=1)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/"
