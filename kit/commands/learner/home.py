"""Bare `./workshop`: where you are, and, at a terminal, on with it."""

import sys

from kit.commands.learner.listing import where_you_are
from kit.course import catalogue, progress
from kit.course.standing import standing
from kit.terminal.screen import paint, wrapped

# A line for each paragraph: how wide the terminal is, is known when they are printed.
NAME = "The notebook runner workshop."
WELCOME = """\
{name} A data team has a notebook. People want to start it with an API call, and it must never run \
twice at once. You build the program for that, in {count} exercises.

Each is a small project in work/. You edit it in any editor. Whenever you save, your work is \
checked here, and you read what is missing. `./workshop --help` lists all commands.
"""
NEXT = """\
At a terminal, `./workshop` checks your work whenever you save.
"""


def home() -> None:
    """Say where the learner is; at a terminal, go on to watch their work."""
    exercises, done = catalogue.load(), progress.load()
    if not done.last:
        name = paint(NAME, "strong")
        print(f"{wrapped(WELCOME.format(name=name, count=len(exercises)))}\n")
    if not exercises:
        print("There are no exercises here. Try: git status")
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("\n".join(where_you_are(exercises, done)))
        print(NEXT, end="")
        return
    from kit.commands.learner.watch import Watch
    from kit.commands.material.beside_watch import serving_handbook
    from kit.terminal.keys import Keys

    if done.last:
        passed = standing(exercises, done).are("passed")
        print(f"Welcome back. Passed: {len(passed)} of {len(exercises)} exercises.")
    with serving_handbook(exercises) as address:
        Watch(exercises, done.here(exercises), Keys(), handbook=address).run()
