"""`list` and `status`: the whole course, and where the learner is in it."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from kit.commands.learner.next_steps import all_passed_but, go_to, starter_news
from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.course.line import MARKS, as_text
from kit.course.progress import Progress, State
from kit.course.standing import Standing, standing
from kit.terminal.screen import can_print, paint, wrapped
from kit.workspace import shown

Json = Annotated[bool, typer.Option("--json", help="For programs to read.")]

WIDTH_FOR_TRACKS = 60  # columns; a narrower terminal needs them for the titles

STYLES: dict[State, str] = {"passed": "green", "check again": "yellow", "skipped": "dim"}


def list_(as_json: Json = False) -> None:
    """All exercises: done, current, minutes, tracks.

    Example: ./workshop list
    """
    exercises, done = catalogue.load(), progress.load()
    if as_json:
        now = standing(exercises, done)
        print(json.dumps([_exercise_as_json(each, now) for each in exercises], indent=2))
    else:
        print_table(exercises, done)
        print(wrapped("\n".join(where_you_are(exercises, done))))


def status(as_json: Json = False) -> None:
    """Where you are, and what to do next.

    Example: ./workshop status
    """
    exercises, done = catalogue.load(), progress.load()
    if as_json:
        print(json.dumps(_standing_as_json(standing(exercises, done)), indent=2))
    else:
        print(wrapped("\n".join(where_you_are(exercises, done))))


def where_you_are(exercises: Sequence[Exercise], done: Progress) -> list[str]:
    """How far the learner has come, and the next command to type, in lines."""
    now = standing(exercises, done)
    lines = [f"{len(now.are('passed'))} of {len(exercises)} exercises passed"]
    if again := [f"{each.number:02}" for each in now.are("check again")]:
        lines.append(f"Changed since they passed: {', '.join(again)}. `./workshop check all`")
    lines += starter_news(exercises, done)
    current = now.current
    if current is None and (skipped := now.are("skipped")):
        return [*lines, all_passed_but(skipped)]
    if current is None:
        command = f"./workshop run {catalogue.product(exercises).number} --solution"
        return [*lines, f"You are through. `{command}` runs the whole thing."]
    if not current.work.is_dir():
        return [*lines, go_to(current)]
    n = f"{current.number:02}"
    title = paint(f"{n} {current.title}", "strong")
    lines.append(f"You are at {title}, {current.minutes} min, in {shown(current.work)}")
    if task := now.failed:
        lines.append(f"Open: task {task.number}, {task.title}. A hint: ./workshop hint {n}")
    else:
        lines.append(f"The tasks: {shown(current.work / 'README.md')}")
    return [*lines, f"Next: ./workshop check {n}"]


def _standing_as_json(now: Standing) -> dict[str, Any]:
    current, task = now.current, now.failed
    return {
        "passed": [each.slug for each in now.are("passed")],
        "check_again": [each.slug for each in now.are("check again")],
        "skipped": [each.slug for each in now.are("skipped")],
        "current": current.slug if current else None,
        "folder": shown(current.work) if current else None,
        "task": (task or current.tasks[0]).number if current else None,
        "next": f"./workshop check {current.number:02}" if current else "./workshop check all",
    }


def _exercise_as_json(exercise: Exercise, now: Standing) -> dict[str, Any]:
    state = now.states[exercise]
    return {
        "exercise": exercise.slug,
        "number": exercise.number,
        "title": exercise.title,
        "minutes": exercise.minutes,
        "tracks": list(exercise.tracks),
        "done": state == "passed",
        "state": state,
        "current": exercise == now.current,
        "folder": shown(exercise.work) if exercise.work.is_dir() else None,
    }


def print_table(exercises: Sequence[Exercise], done: Progress) -> None:
    """The line of the course; the exercises, how each stands, and which tracks have it."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    console = Console(highlight=False)
    wide = console.width >= WIDTH_FOR_TRACKS
    now = standing(exercises, done)
    line = as_text(now.states, now.current, console.width)
    if line and can_print(line):
        print(f"{line}\n")
    for name in ("", "N", "exercise", "min", "state", *(["tracks"] if wide else [])):
        table.add_column(name, justify="right" if name == "min" else "left")
    for each, state in now.states.items():
        here = each == now.current
        words = {"not started": ""}.get(state, state)
        words = ", ".join(word for word in ("you are here" if here else "", words) if word)
        tracks = " ".join(track for track in each.tracks if track != "self-paced")
        sign = "→" if here else MARKS.get(state, "")
        style = "bold" if here else STYLES.get(state, "")
        n = f"{each.number:02}"
        cells = (sign, n, each.title, str(each.minutes), words, *([tracks] if wide else []))
        table.add_row(*cells, style=style)
    console.print(table)
    if wide:
        console.print("\nself-paced: all of them", style="dim")
