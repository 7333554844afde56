"""`grade`: a learner's repository, or a whole class, graded safely, and reports of it."""

import datetime
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from kit.checking.wording import problem_text
from kit.classroom import points
from kit.classroom.intake.sources import Source, find_sources
from kit.classroom.progress_bar import Bar
from kit.classroom.reports import (
    csv_report,
    html_report,
    json_report,
    junit_report,
    markdown_report,
)
from kit.classroom.reports.files import unwritable
from kit.classroom.reports.json_report import Earlier
from kit.classroom.results import ClassResult, LearnerResult
from kit.classroom.schedule import Schedule, Step, undisturbed
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError, indented
from kit.sandbox.bubblewrap import protection
from kit.sandbox.limits import Limits
from kit.workspace import shown

MOST_JOBS = 64
NAMED = 3  # names in a message; "and 4 more" stands for the others


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
            min=1, max=MOST_JOBS, help="How many learners to grade at once. Default: one a core."
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
    everything = catalogue.load()
    wanted = choose(exercises, everything)
    worth = points.read(points_file, everything) if points_file else {}
    sources = _sources(paths, out)
    _prepare(out)
    before = json_report.names(out)
    earlier = json_report.earlier(out) if resume else Earlier()
    schedule = Schedule(
        sources,
        wanted or everything,
        Limits(deadline=timeout),
        at_once=jobs or _cores(),
        earlier=earlier,
    )
    gathering = _Gathering(sources, wanted, everything, worth, earlier)
    try:
        with schedule, Bar(len(sources), wanted) as bar:
            for step in schedule:
                gathering.take(step)
                bar.show(step)
                if step.over:
                    json_report.write(gathering.result(), out)
    except KeyboardInterrupt:
        with undisturbed():
            _interrupted(gathering, out)
        raise typer.Exit(130) from None
    result = gathering.finished()
    _report(result, out, before)
    raise typer.Exit(_conclude(result, out))


def choose(text: str, everything: Sequence[Exercise]) -> list[Exercise]:
    """What --exercises means, in order; nothing when nothing is said. Raises KitError."""
    chosen: set[Exercise] = set()
    for word in filter(None, re.split(r"[,\s]+", text)):
        if word == "all":
            chosen.update(everything)
        elif found := re.fullmatch(r"(\d+)-(\d+)", word):
            first, last = (catalogue.find(each, everything).number for each in found.groups())
            if last < first:
                raise KitError(
                    f"--exercises {word}: {last:02} comes before {first:02}",
                    f"./workshop grade PATH --exercises {last:02}-{first:02}",
                )
            chosen.update(each for each in everything if first <= each.number <= last)
        else:
            chosen.add(catalogue.find(word, everything))
    return [each for each in everything if each in chosen]


class _Gathering:
    """What is known so far, as a report of the whole class.

    Whom this grading has not got to yet is in it as the `earlier` one left them.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        wanted: list[Exercise],
        everything: list[Exercise],
        points: dict[str, Fraction],
        earlier: Earlier,
    ) -> None:
        self._wanted = wanted
        self._everything = everything
        self._points = points
        self._when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._began = time.monotonic()
        names = [source.name for source in sources]
        self._learners = {
            name: earlier.learners.get(name, LearnerResult(name, unfinished=True)) for name in names
        }

    def take(self, step: Step) -> None:
        learner = replace(step.learner, unfinished=not step.over)
        self._learners[learner.name] = learner

    def result(self) -> ClassResult:
        """As it stands."""
        protected = protection()
        learners = list(self._learners.values())
        return ClassResult(
            exercises=self._wanted or self._handed_in(),
            learners=[each for each in learners if each.verdicts or not each.unfinished],
            protection=protected.sentence,
            confined=protected.full,
            points=self._points,
            when=self._when,
            seconds=time.monotonic() - self._began,
            finished=not any(each.unfinished for each in learners),
        )

    def finished(self) -> ClassResult:
        """The final report, with a verdict for each learner on each exercise."""
        result = self.result()
        for learner in result.learners:
            learner.verdicts = [learner.verdict_on(each) for each in result.exercises]
        return result

    @property
    def count(self) -> tuple[int, int]:
        """How many learners are done, and how many there are."""
        done = sum(not each.unfinished for each in self._learners.values())
        return done, len(self._learners)

    def _handed_in(self) -> list[Exercise]:
        return [
            exercise
            for exercise in self._everything
            if any(learner.handed_in(exercise) for learner in self._learners.values())
        ]


def _sources(paths: Sequence[Path], out: Path) -> list[Source]:
    """The work to grade. An earlier report that lies beside it is not work."""
    place = out.resolve()
    if any(path.resolve() == place for path in paths):
        raise KitError(
            f"the reports cannot go to {shown(out.absolute())}: the work is there",
            "./workshop grade PATH --out grades",
        )
    sources = find_sources(paths)
    for source in sources:
        if place.is_relative_to(source.path.resolve()) and _is_work(place, source.path.resolve()):
            raise KitError(
                f"the reports cannot go to {shown(out.absolute())}: that is {source.name}'s work",
                "./workshop grade PATH --out grades",
            )
    sources = [source for source in sources if source.path.resolve() != place]
    if not sources:
        raise KitError("there is nobody's work to grade", "./workshop grade --help")
    return sources


def _is_work(place: Path, repository: Path) -> bool:
    """Whether a folder in the repository, or the whole of it, holds what is to be graded."""
    if place == repository:
        return any(repository.glob("[0-9][0-9]-*")) or (repository / "work").is_dir()
    first = place.relative_to(repository).parts[0]
    return first == "work" or catalogue.number_of(Path(first)) is not None


def _prepare(out: Path) -> None:
    """Fail now, not after an hour of grading, when reports cannot be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise unwritable(out, error) from None


def _cores() -> int:
    """The processors that this process may use; in a container, there may be more."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MOST_JOBS, mine or 1)


def _report(result: ClassResult, out: Path, before: Sequence[str]) -> None:
    """Write all reports. `before` names the learners of the reports that were there."""
    names = {learner.name for learner in result.learners}
    junit_report.remove([name for name in before if name not in names], out)
    for report in (json_report, junit_report, markdown_report, csv_report, html_report):
        report.write(result, out)


def _conclude(result: ClassResult, out: Path) -> int:
    """Say what came of it and what to do next; the exit code."""
    print(f"\n{markdown_report.headline(result)}")
    if not result.confined:
        print(result.protection)
    print(f"Reports in {shown(out.absolute())}: grades.csv, summary.md, junit/, report.json")
    print(f"Look at {(out.resolve() / html_report.NAME).as_uri()}")
    problems = _problems(result)
    if problems:
        for problem, where in problems.items():
            print(f"workshop: {_some(where)} could not be graded:", file=sys.stderr)
            print(indented(problem), file=sys.stderr)
        print("This is not about the work. Try: ./workshop doctor", file=sys.stderr)
        return 2
    if result.passed:
        return 0
    print(f"When something has changed: {_again()}")
    return 1


def _problems(result: ClassResult) -> dict[str, list[str]]:
    """What could not be graded, by reason."""
    problems: dict[str, list[str]] = {}
    for learner in result.learners:
        for verdict in learner.verdicts:
            if verdict.problem is not None:
                problems.setdefault(problem_text(verdict.problem), []).append(
                    f"{verdict.exercise} of {learner.name}"
                )
    return problems


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _interrupted(gathering: _Gathering, out: Path) -> None:
    """Write what is graded so far, and print how to go on."""
    done, of = gathering.count
    result = gathering.result()
    kept = ""
    if result.learners:
        json_report.write(result, out)
        kept = f", and kept in {shown(out.absolute() / json_report.NAME)}"
    print(f"Interrupted: {done} of {of} learners are graded{kept}.", file=sys.stderr)
    if kept and (out / html_report.NAME).exists():
        print("The other reports there are still those of an earlier grading.", file=sys.stderr)
    print(f"Try: {_again()}", file=sys.stderr)


def _again() -> str:
    """The command that was typed, to go on with."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    return f"./workshop {shlex.join([*words, '--resume'])}"
