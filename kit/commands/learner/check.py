"""`check`: grade the learner's work, or any folder of projects, and say what came of it."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kit.attendee.sender import start_sending
from kit.checking import verdict_json
from kit.checking.grader_process import Grading, grade_all
from kit.checking.job import Job, follow, give_up, job, record
from kit.checking.report import headline, report, ticks, unchecked
from kit.commands.learner.next_steps import go_to, what_next
from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.course.work import open_exercise
from kit.errors import KitError
from kit.grading.options import GraderOptions
from kit.setup.bootstrap import need_here
from kit.terminal.screen import StatusLine, wrapped
from kit.verdicts.verdict import Verdict
from kit.workspace import shown, workspace


def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="N… | all", help="Default: where you are.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--in", metavar="DIR", help="A folder of NN-slug projects. Default: work"),
    ] = None,
    path: Annotated[Path | None, typer.Option(metavar="DIR", help="One project.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs to read; all tasks, not only the first.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(min=1, max=16, help="How many to check at once. Each mostly waits."),
    ] = min(3, (os.cpu_count() or 1) + 1),
) -> None:
    """Check your work. Exit code 0: passed, 1: not yet, 2: could not be checked.

    Example: ./workshop check 07
    """
    exercises = catalogue.load()
    projects = find_projects(exercises, names or [], folder, path, quiet=as_json)
    if not projects:
        print("You have passed everything there is. `./workshop check all` checks it again.")
        return
    need_here(*(exercise.layer for exercise, _ in projects))
    checked = [job(exercise, place) for exercise, place in projects]
    verdicts = _grade(checked, jobs, as_json=as_json)
    start_sending()
    if as_json:
        print(json.dumps([verdict_json.as_json(verdict) for verdict in verdicts], indent=2))
    else:
        _conclude(checked, verdicts, exercises)
    if any(verdict.problem for verdict in verdicts):
        raise typer.Exit(2)
    if not all(verdict.passed for verdict in verdicts):
        raise typer.Exit(1)


def find_projects(
    exercises: Sequence[Exercise],
    names: Sequence[str],
    folder: Path | None = None,
    path: Path | None = None,
    *,
    quiet: bool = False,
) -> list[tuple[Exercise, Path]]:
    """What `check [N… | all] [--in DIR] [--path DIR]` means. Raises KitError."""
    if path is not None:
        if folder is not None or len(names) > 1 or "all" in names:
            raise KitError("--path is for one project alone", f"./workshop check --path {path}")
        return [_one(exercises, path.absolute(), names[0] if names else None)]
    everything = "all" in names
    if everything or (folder is not None and not names):
        return _all_in(exercises, (folder or workspace().work).absolute())
    if folder is not None:
        return [(each, _in(folder.absolute(), each)) for each in _named(exercises, names)]
    if names:
        return [(each, opened(each, quiet=quiet)) for each in _named(exercises, names)]
    current = progress.load().current(exercises)
    return [(current, opened(current, quiet=quiet))] if current else []


def opened(exercise: Exercise, *, quiet: bool = False) -> Path:
    """The learner's copy of an exercise. When it is new, a line says so."""
    if not exercise.work.is_dir():
        open_exercise(exercise)
        if not quiet:
            readme = shown(exercise.work / "README.md")
            opening = f"Opened {shown(exercise.work)}: {readme} says what to do."
            print(f"{wrapped(opening)}\n", flush=True)
    return exercise.work


def _grade(jobs: Sequence[Job], at_once: int, *, as_json: bool) -> list[Verdict]:
    """Verdicts in the order of `jobs`; each is printed as it comes when there are several."""
    line = StatusLine()
    verdicts: dict[Path, Verdict] = {}
    by_folder = {job.folder: job for job in jobs}

    def meanwhile(under_way: list[Grading]) -> None:
        for grading in under_way:
            follow(by_folder[grading.folder], grading.decided)
        names = ", ".join(shown(grading.folder) for grading in under_way)
        if len(jobs) == 1 and under_way:
            line.show(f"checking {names} … {ticks(under_way[0].decided)}")
            return
        line.show(f"checking {names} … ({len(verdicts)} of {len(jobs)} done)")

    projects = [(job.exercise, job.folder) for job in jobs]
    try:
        for grading, verdict in grade_all(
            projects,
            GraderOptions.from_env(os.environ),
            at_once=at_once,
            stop_early=not as_json,
            meanwhile=meanwhile,
        ):
            verdicts[grading.folder] = verdict
            record(by_folder[grading.folder], verdict, turned_to=len(jobs) == 1)
            if len(jobs) > 1 and not as_json:
                line.clear()
                text = unchecked(verdict).splitlines()[0] if verdict.problem else ""
                said = text or headline(verdict, grading.exercise, grading.folder)
                print(said, flush=True)
    finally:
        line.clear()
        for each in jobs:
            if each.folder not in verdicts:
                give_up(each)
    return [verdicts[job.folder] for job in jobs]


def _conclude(jobs: Sequence[Job], verdicts: Sequence[Verdict], exercises: list[Exercise]) -> None:
    """Print the full reports (of several, those not passed), and then what to do next."""
    alone = len(jobs) == 1
    for each, verdict in zip(jobs, verdicts, strict=True):
        if verdict.problem:
            print(unchecked(verdict), file=sys.stderr)
        elif alone or not verdict.passed:
            print("" if alone else "\n", end="")
            print(report(verdict, each.exercise, each.folder))
    if alone:
        if not verdicts[0].problem and jobs[0].is_learners:
            print(f"\n{wrapped(what_next(jobs[0].exercise, exercises, progress.load()))}")
        return
    passed = sum(verdict.passed for verdict in verdicts)
    print(f"\n{passed} of {len(jobs)} passed")
    current = progress.load().current(exercises)
    if passed == len(jobs) and current and all(job.is_learners for job in jobs):
        print(wrapped(go_to(current)))


def _named(exercises: Sequence[Exercise], names: Sequence[str]) -> list[Exercise]:
    """The exercises of those names, each once."""
    return list(dict.fromkeys(catalogue.find(name, exercises) for name in names))


def _one(exercises: Sequence[Exercise], path: Path, name: str | None) -> tuple[Exercise, Path]:
    if not path.is_dir():
        raise KitError(f"there is no folder {shown(path)}", "./workshop check")
    number = catalogue.number_of(path)
    if name is None and number is None:
        raise KitError(
            f"{shown(path)} does not say which exercise it is: it is not called NN-slug",
            f"./workshop check 02 --path {shown(path)}",
        )
    return catalogue.find(name or str(number), exercises), path


def _all_in(exercises: Sequence[Exercise], folder: Path) -> list[tuple[Exercise, Path]]:
    there = [(each, folder / each.slug) for each in exercises if (folder / each.slug).is_dir()]
    if not there:
        what = "no exercise is opened yet" if folder == workspace().work else "no exercise is in it"
        raise KitError(f"there is nothing to check in {shown(folder)}: {what}", "./workshop check")
    return there


def _in(folder: Path, exercise: Exercise) -> Path:
    project = folder / exercise.slug
    if not project.is_dir():
        raise KitError(f"{shown(project)} is not there", f"ls {shown(folder)}")
    return project
