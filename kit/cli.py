"""The command line: the verbs, and the exit code for each way a command ends."""

import contextlib
import difflib
import functools
import importlib
import io
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from kit.errors import OF_THE_DISK, KitError, disk_error
from kit.workspace import workspace

# In the order `--help` lists them, a box for each group.
GROUPS = {
    "Learn": {
        "list": "kit.commands.learner.listing:list_",
        "status": "kit.commands.learner.listing:status",
        "watch": "kit.commands.learner.watch:watch",
        "check": "kit.commands.learner.check:check",
        "hint": "kit.commands.learner.hint:hint",
        "solution": "kit.commands.learner.solution:solution",
        "diff": "kit.commands.learner.solution:diff",
        "reset": "kit.commands.learner.reset:reset",
        "catch-up": "kit.commands.learner.reset:catch_up",
        "export": "kit.commands.learner.transfer:export",
        "import": "kit.commands.learner.transfer:import_",
        "docs": "kit.commands.material.docs:docs",
        "lab": "kit.commands.material.lab:lab",
        "join": "kit.commands.learner.room:join",
        "leave": "kit.commands.learner.room:leave",
    },
    "Run": {
        "demo": "kit.commands.runner.demo:demo",
        "run": "kit.commands.runner.run:run",
        "break": "kit.commands.runner.break_:break_",
        "explore": "kit.commands.runner.explore:explore",
        "seed": "kit.commands.runner.seed:seed",
    },
    "Teach": {
        "slides": "kit.commands.material.slides:slides",
        "agenda": "kit.commands.instructor.agenda:agenda",
        "grade": "kit.commands.instructor.grade:grade",
        "pack": "kit.commands.instructor.pack:pack",
        "room": "kit.commands.instructor.room:room",
    },
    "Maintain": {
        "setup": "kit.commands.maintenance.setup:setup",
        "doctor": "kit.commands.maintenance.doctor:doctor",
        "dev": "kit.commands.maintenance.dev:dev",
    },
}
VERBS = {verb: where for verbs in GROUPS.values() for verb, where in verbs.items()}


class Verbs(TyperGroup):
    """The group of verbs. Exit code 2: wrong call or environment; 130: Ctrl-C. No traceback."""

    def invoke(self, ctx: Any) -> Any:  # the base class of the context is private to Typer
        try:
            return super().invoke(ctx)
        except KitError as error:
            error.show()
            raise typer.Exit(2) from None
        except OSError as error:
            if error.errno not in OF_THE_DISK:
                raise
            name = os.fsdecode(error.filename) if error.filename else "a file"
            what = f"{name} cannot be used"
            disk_error(what, error, workspace().state).show()
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def workshop(ctx: typer.Context) -> None:
    """Build a notebook runner, from an empty folder to production.

    Example: ./workshop check
    """
    if ctx.invoked_subcommand is None:
        from kit.commands.learner.home import home

        home()


def add_verbs(argv: list[str]) -> None:
    """Import the verb that is called, or all verbs for the help."""
    if not argv[0].startswith("-") and argv[0] not in VERBS:
        raise unknown(argv[0])
    for name in [argv[0]] if argv[0] in VERBS else VERBS:
        module, _, function = VERBS[name].partition(":")
        verb = getattr(importlib.import_module(module), function)
        panel = next((group for group, verbs in GROUPS.items() if name in verbs), None)
        if isinstance(verb, typer.Typer):  # verbs below a verb
            app.add_typer(verb, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(verb)


@functools.cache
def with_all_verbs() -> typer.Typer:
    """The whole command line, for the handbook and the tests."""
    add_verbs(["--help"])
    return app


def unknown(word: str) -> KitError:
    """The error for a verb that does not exist."""
    close = difflib.get_close_matches(word, VERBS, n=1)
    if word.replace(".", "").isdecimal():
        close = [f"check {word.partition('.')[0]}"]
    return KitError(f"there is no verb {word!r}", f"./workshop {close[0] if close else '--help'}")


def interrupt(number: int, frame: FrameType | None) -> None:
    """End as for Ctrl-C, so that all started processes are stopped."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a question mark is better than a traceback
    # SIGINT too: a shell starts background programs with SIGINT ignored, and Python leaves it so.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` ignores SIGHUP on purpose.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            if sys.argv[1:]:
                add_verbs(sys.argv[1:])
        except KitError as error:
            error.show()
            raise SystemExit(2) from None
        try:
            app(prog_name="./workshop")
        except Exception:
            # Not 1, which means that the work that was checked is wrong.
            traceback.print_exc()
            print("workshop: this is a fault of the workshop, not yours", file=sys.stderr)
            raise SystemExit(2) from None
    raise SystemExit(130)
