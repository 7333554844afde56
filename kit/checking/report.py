"""What a learner reads after a check."""

import re
from pathlib import Path

from kit.course.catalogue import Exercise
from kit.course.progress import Progress
from kit.grading.verdict import TaskVerdict, Verdict
from kit.terminal.screen import fitted, mark, paint
from kit.workspace import shown

# Files of a project, as graders name them: below the project's folder.
PACKAGE = re.compile(r"(?<![\w/.-])nb_runner/")
BESIDE = re.compile(r"(?<![\w/.-])(pyproject\.toml|poetry\.toml|poetry\.lock)\b")
INDENT = 10  # columns of a label and the space after it
MARGIN = 4  # columns before a message
LABEL = re.compile(r"^(We did|Expected|Got|Look at|Hint)(?=  )", re.MULTILINE)


def report(verdict: Verdict, exercise: Exercise, folder: Path) -> str:
    """Each task up to the first that failed, why it did, and what was seen on the way."""
    lines = [headline(verdict, exercise, folder), ""]
    for task in verdict.tasks:
        lines.append(f"  {mark(task.passed)} {task.number}  {task.title}")
        lines += [f"      Seen: {_resolved(note, folder)}" for note in task.notes]
        if not task.passed:
            lines += ["", *(" " * MARGIN + line for line in message(task, folder).splitlines())]
            break
    return "\n".join(lines)


def headline(verdict: Verdict, exercise: Exercise, folder: Path) -> str:
    """The exercise and what came of it, in one line."""
    done = sum(task.passed for task in verdict.tasks)
    result = "passed" if verdict.passed else f"{done} of {len(verdict.tasks)} tasks done"
    title = paint(f"{exercise.number:02} {exercise.title}", "strong")
    return f"{mark(verdict.passed)} {title}: {result}, {verdict.seconds:.1f} s, in {shown(folder)}"


def message(task: TaskVerdict, folder: Path) -> str:
    """Why a task failed. Every file is named as the reader would type it."""
    lines = _resolved(task.message, folder).splitlines()
    # What is to be pasted stays in one piece.
    lines = [each if each.startswith("We did") else fitted(each, INDENT, MARGIN) for each in lines]
    return LABEL.sub(lambda found: paint(found[1], "faint"), "\n".join(lines))


def unchecked(verdict: Verdict) -> str:
    """What to say when there is no verdict, which is not the learner's fault."""
    first, *rest = verdict.problem.splitlines() or ["nobody knows why"]
    lines = [f"workshop: {verdict.exercise} could not be checked: {first}"]
    lines += [f"  | {line}" for line in rest]
    return "\n".join([*lines, "This is not about your work. Try: ./workshop doctor"])


def what_next(exercise: Exercise, course: list[Exercise], done: Progress) -> str:
    """The lines after the verdict: a way to go on."""
    record = done.of(exercise)
    if record.passed is not None and not record.failures:
        following = done.current(course)
        if following is None:
            return "That was the last one. All of them: ./workshop list"
        return f"Compare with ours: ./workshop diff {exercise.number:02}\n{go_to(following)}"
    if record.failures >= 2 and record.failed:
        task = next((each for each in exercise.tasks if each.number == record.failed), None)
        count = record.hints.get(record.failed, 0)
        if task and count < len(task.hints):
            which = f"hint {count + 1} of {len(task.hints)} for task {task.number}"
            return f"Stuck? ./workshop hint {exercise.number:02} shows {which}."
        return f"Stuck? ./workshop solution {exercise.number:02} shows how we did it."
    return f"The tasks are in {shown(exercise.work / 'README.md')}"


def go_to(exercise: Exercise) -> str:
    """How to begin an exercise, or go on with it."""
    n, there = f"{exercise.number:02}", exercise.work.is_dir()
    what = "checks" if there else "opens"
    return (
        f"Next: {n} {exercise.title}, {exercise.minutes} min. "
        f"`./workshop check {n}` {what} {shown(exercise.work)}"
    )


def _resolved(text: str, folder: Path) -> str:
    where = shown(folder)
    text = text.replace(f"{folder}/", "" if where == "." else f"{where}/")
    if where == ".":
        return text
    lines = []
    for line in PACKAGE.sub(lambda found: f"{where}/{found[0]}", text).split("\n"):
        is_place = line.startswith("Look at")
        name = BESIDE.sub(lambda found: f"{where}/{found[0]}", line) if is_place else line
        lines.append(name)
    return "\n".join(lines)
