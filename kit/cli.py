"""The command line: which verbs there are, and how each way of ending becomes an exit code."""

import contextlib
import importlib
import io
import signal
import sys
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from kit.errors import KitError

# In the order `--help` lists them.
VERBS = {
    "demo": "kit.demo:demo",
    "run": "kit.run:run",
    "seed": "kit.seed:seed",
    "doctor": "kit.doctor:doctor",
    "setup": "kit.setup:setup",
}

WELCOME = """\
You are at the entrance of the notebook runner workshop.

  ./workshop demo      watch the finished runner work through a year of flights
  ./workshop run       start it and use it: http://127.0.0.1:8000
  ./workshop doctor    see what is wrong with this machine, if anything is
  ./workshop --help    the rest
"""


class Verbs(TyperGroup):
    """The group of verbs: 2 for a wrong call or environment, 130 for Ctrl-C, no traceback."""

    def invoke(self, ctx: Any) -> Any:  # Typer keeps the context's base class to itself
        try:
            return super().invoke(ctx)
        except KitError as error:
            error.show()
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

    Example: ./workshop demo
    """
    if ctx.invoked_subcommand is None:
        print(WELCOME, end="")


def add_verbs(argv: list[str]) -> None:
    """Import the verb that is called, or all when the help has to tell of them."""
    for name in [argv[0]] if argv[0] in VERBS else VERBS:
        module, _, function = VERBS[name].partition(":")
        app.command(name)(getattr(importlib.import_module(module), function))


def interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind as for Ctrl-C, so that everything started is stopped."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a question mark is better than a traceback
    # SIGINT too: shells have programs in the background ignore it, and Python obeys.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` ignores SIGHUP on purpose.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        if sys.argv[1:]:
            add_verbs(sys.argv[1:])
        app(prog_name="./workshop")
    raise SystemExit(130)
