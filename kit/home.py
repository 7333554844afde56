"""Bare `./workshop`: where you are, and, at a terminal, on with it."""

import sys

from kit import course, progress
from kit.listing import where_you_are
from kit.screen import paint

WELCOME = """\
The notebook runner workshop. A data team has a notebook; somebody wants to start it with an API
call, and never twice at once. You build what makes that possible, in {count} exercises.

Each is a small project in work/. You edit it in any editor, here it is checked whenever you save,
and what is said here tells you what is missing. `./workshop --help` lists all there is.
"""
NEXT = """\
At a terminal, `./workshop` checks your work whenever you save.
"""


def home() -> None:
    """Say where the learner is; at a terminal, go on to watch their work."""
    exercises, done = course.load(), progress.load()
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
    from kit.keys import Keys
    from kit.watch import Watch

    passed = sum(done.state(each) == "passed" for each in exercises)
    if done.last:
        print(f"Welcome back. {passed} of {len(exercises)} exercises are passed.")
    Watch(exercises, done.here(exercises), Keys()).run()
