"""Bare `./workshop`: where you are, and, at a terminal, on with it."""

import contextlib
import sys
from collections.abc import Iterator

from kit.commands.learner.listing import where_you_are
from kit.course import catalogue, progress
from kit.errors import KitError
from kit.terminal.screen import paint
from kit.workspace import ROOT, workspace

WELCOME = """\
The notebook runner workshop. A data team has a notebook; somebody wants to start it with an API
call, and never twice at once. You build what makes that possible, in {count} exercises.

Each is a small project in work/. You edit it in any editor, here it is checked whenever you save,
and what is said here tells you what is missing. `./workshop --help` lists all there is.
"""
PORT = 8001  # of handbook and slides, when it is free
NEXT = """\
At a terminal, `./workshop` checks your work whenever you save.
"""


def home() -> None:
    """Say where the learner is; at a terminal, go on to watch their work."""
    exercises, done = catalogue.load(), progress.load()
    if not done.last:
        name, _, rest = WELCOME.format(count=len(exercises)).partition(". ")
        print(f"{paint(name, 'strong')}. {rest}")
    if not exercises:
        print("There are no exercises here. Try: git status")
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("\n".join(where_you_are(exercises, done)))
        print(NEXT, end="")
        return
    from kit.commands.learner.watch import Watch
    from kit.terminal.keys import Keys

    passed = sum(done.state(each) == "passed" for each in exercises)
    if done.last:
        print(f"Welcome back. {passed} of {len(exercises)} exercises are passed.")
    with handbook_and_slides():
        Watch(exercises, done.here(exercises), Keys()).run()


@contextlib.contextmanager
def handbook_and_slides() -> Iterator[None]:
    """Serve both on this machine meanwhile, and say where. They tell of our course alone."""
    if workspace().course != ROOT:
        yield
        return
    from kit.processes.ports import free_socket
    from kit.processes.stack import Stack

    try:
        sock = free_socket(PORT)
    except KitError:  # somebody else has it, or another terminal of ours
        sock = free_socket()
    with sock, Stack() as stack:
        fd = sock.fileno()
        stack.start(
            "pages", [sys.executable, "-m", "kit.site.pages", str(fd)], pass_fds=[fd], grace=1
        )
        address = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        print(f"Handbook: {address}   Slides: {address}slides/")
        yield
