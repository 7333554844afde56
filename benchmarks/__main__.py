"""`python -m benchmarks [NAME…] [--repeat N] [--json FILE]`: all of them, or those named."""

import importlib
import pkgutil
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

import benchmarks
from benchmarks.harness import Report, as_json, machine, show
from kit.errors import KitError

PARTS = ("__main__", "harness")


def names() -> list[str]:
    """The benchmarks there are."""
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return sorted(name for name in found if name not in PARTS)


def main(
    chosen: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help=f"Of {', '.join(names())}.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Samples, instead of each one's own.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the numbers there too.")
    ] = None,
) -> None:
    """Measure our claims beside public peers. Exit code 1 when one is not met."""
    console = Console()
    reports: dict[str, Report] = {}
    try:
        unknown = sorted(set(chosen or []) - set(names()))
        if unknown:
            raise KitError(
                f"there is no benchmark {', '.join(unknown)}", f"one of {', '.join(names())}"
            )
        facts = machine()
        if facts["load"] > facts["cores"] / 2:
            console.print(f"This machine is busy (load {facts['load']}): expect the worst.")
        for name in chosen or names():
            module = importlib.import_module(f"benchmarks.{name}")
            with console.status(name) as status:

                def say(words: str, name: str = name) -> None:
                    if console.is_terminal:
                        status.update(f"{name}: {words}")
                    else:
                        console.print(f"{name}: {words}", highlight=False)

                reports[name] = module.measure(repeat, say)
            show(reports[name], console)
    except KitError as error:
        error.show()
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if json is not None:
        json.write_text(as_json(reports, facts) + "\n", encoding="utf-8")
    raise typer.Exit(0 if all(report.good for report in reports.values()) else 1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind as for Ctrl-C, so that everything started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    typer.run(main)
