"""`grade`: grade a learner's repository or a whole class in sandboxes, and write reports."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kit.checking.wording import problem_text
from kit.classroom import points
from kit.classroom.exercise_selection import select_exercises
from kit.classroom.progress_bar import ProgressBar
from kit.classroom.reports import html_report, json_report, markdown_report, output_folder
from kit.classroom.reports.json_report import PreviousResults
from kit.classroom.result_collector import ResultCollector
from kit.classroom.results import ClassResult
from kit.classroom.schedule import (
    MAX_CONCURRENCY,
    Schedule,
    default_concurrency,
    signals_ignored,
)
from kit.course import catalogue
from kit.errors import indented
from kit.sandbox.limits import Limits
from kit.setup.bootstrap import need_here
from kit.workspace import shown

MAX_NAMES = 3  # in a message, which then says how many more there are


def grade(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            help="A learner's repository (its work/, or NN-slug folders at its top), as a folder, "
            ".zip or .tar.gz; or a folder of those.",
        ),
    ],
    exercises: Annotated[
        str, typer.Option(metavar="02,05-10", help="Which ones. Default: all that were handed in.")
    ] = "",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_CONCURRENCY,
            help="How many learners to grade at once. Default: one a core.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the reports go.")] = Path(
        "grades"
    ),
    timeout: Annotated[
        float, typer.Option(metavar="S", min=1, max=3600, help="Seconds for one exercise.")
    ] = Limits.deadline,
    points_file: Annotated[
        Path | None,
        typer.Option(
            "--points",
            metavar="FILE",
            help='What tasks are worth: TOML, a table [points] with lines such as "07.1" = 2 for a '
            'task, "07" = 5 for an exercise (shared equally by its tasks). Default: 1 a task.',
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on: what DIR says of unchanged work is not graded again."
        ),
    ] = False,
) -> None:
    """Grade a class. Exit code 0: all passed, 1: some did not, 2: could not be graded.

    Each submission is copied, and runs where it can do no harm. In DIR: report.html to look at,
    grades.csv, summary.md, junit/ and report.json.

    Example: ./workshop grade submissions --exercises 02,05-10 --out grades
    """
    course = catalogue.load()
    requested = select_exercises(exercises, course)
    need_here(*(exercise.layer for exercise in requested or course))
    worth = points.read(points_file, course) if points_file else {}
    sources = output_folder.sources_outside(out, paths)
    output_folder.prepare(out)
    previous_learners = json_report.previous_learners(out)
    previous = json_report.read_previous(out) if resume else PreviousResults()
    schedule = Schedule(
        sources,
        requested or course,
        Limits(deadline=timeout),
        concurrency=jobs or default_concurrency(),
        previous=previous,
    )
    collector = ResultCollector(sources, requested, course, worth, previous)
    try:
        with schedule, ProgressBar(len(sources), requested) as bar:
            for step in schedule:
                collector.add(step)
                bar.show(step)
                if step.last:
                    json_report.write(collector.result(), out)
    except KeyboardInterrupt:
        with signals_ignored():
            result = collector.result()
            if result.learners:
                json_report.write(result, out)
            _print_interrupted(result, collector.graded, len(sources), out)
        raise typer.Exit(130) from None
    result = collector.final_result()
    output_folder.write_all(result, out, previous_learners)
    raise typer.Exit(_print_result(result, out))


def _print_result(result: ClassResult, out: Path) -> int:
    """Print the result and what to do next. Returns the exit code."""
    print(f"\n{markdown_report.headline(result)}")
    if not result.confined:
        print(result.protection)
    print(f"Reports in {shown(out.absolute())}: grades.csv, summary.md, junit/, report.json")
    print(f"Look at {(out.resolve() / html_report.NAME).as_uri()}")
    if problems := result.problems():
        for problem, verdicts in problems.items():
            print(f"workshop: {_enumerated(verdicts)} could not be graded:", file=sys.stderr)
            print(indented(problem_text(problem)), file=sys.stderr)
        print("This is not about the work. Try: ./workshop doctor", file=sys.stderr)
        return 2
    if result.passed:
        return 0
    print(f"When something has changed: {_resume_command()}")
    return 1


def _print_interrupted(result: ClassResult, graded: int, total: int, out: Path) -> None:
    """Print what the report keeps, and how to go on."""
    kept = f", and kept in {shown(out.absolute() / json_report.NAME)}" if result.learners else ""
    print(f"Interrupted: {graded} of {total} learners are graded{kept}.", file=sys.stderr)
    if kept and (out / html_report.NAME).exists():
        print("The other reports there are still those of an earlier grading.", file=sys.stderr)
    print(f"Try: {_resume_command()}", file=sys.stderr)


def _enumerated(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _resume_command() -> str:
    """The command that was typed, with --resume."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    return f"./workshop {shlex.join([*words, '--resume'])}"
