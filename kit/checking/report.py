"""What a learner reads after a check."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from kit.checking.wording import LOOK_AT, ORDER, WE_DID, Entry, entries, hint_command, problem_text
from kit.course.catalogue import Exercise
from kit.errors import printable
from kit.terminal.screen import fitted, mark, paint
from kit.verdicts.verdict import Verdict
from kit.workspace import shown

# Files of a project, as graders name them: below the project's folder.
PACKAGE = re.compile(r"(?<![\w/.-])nb_runner/")
BESIDE = re.compile(r"(?<![\w/.-])(pyproject\.toml|poetry\.toml|poetry\.lock)\b")
LABEL_WIDTH = 10  # columns of a label and the space after it
MARGIN = 4  # columns before a failure


def report(verdict: Verdict, exercise: Exercise, folder: Path, hint: str = "") -> str:
    """Each task up to the first that failed, the reason of that failure, and the notes.

    `hint`: how the reader gets a hint; by default, the command.
    """
    lines = [headline(verdict, exercise, folder), ""]
    for task in verdict.tasks:
        lines.append(fitted(f"  {mark(task.passed)} {task.number}  {task.title}", MARGIN))
        seen = [f"      Seen: {placed(note, folder)}" for note in task.notes]
        lines += [fitted(line, LABEL_WIDTH) for line in seen]
        if not task.passed:
            labelled = entries(task, hint or hint_command(exercise))
            lines += ["", *(" " * MARGIN + line for line in failure_lines(labelled, folder))]
            break
    return "\n".join(lines)


def ticks(decided: Iterable[tuple[str, bool]]) -> str:
    """The tasks that are decided while the others are being checked."""
    return "  ".join(f"{mark(passed)} {number}" for number, passed in decided)


def headline(verdict: Verdict, exercise: Exercise, folder: Path) -> str:
    """The exercise and its result, in one line."""
    done = sum(task.passed for task in verdict.tasks)
    result = "passed" if verdict.passed else f"{done} of {len(verdict.tasks)} tasks done"
    title = paint(f"{exercise.number:02} {exercise.title}", "strong")
    where = f"{verdict.seconds:.1f} s, in {shown(folder)}"
    return fitted(f"{mark(verdict.passed)} {title}: {result}, {where}", 2)


def failure_lines(labelled: list[Entry], folder: Path) -> Iterator[str]:
    """Labelled texts as lines. File names are relative to the reader's folder."""
    for label, text in labelled:
        relative = placed(text, folder, beside=label == LOOK_AT)
        first, *rest = relative.splitlines() or [""]
        if not label:
            yield from (fitted(line, 0, MARGIN) for line in (first, *rest))
            continue
        for start, line in [(label, first), *(("", line) for line in rest)]:
            column = f"{start:<{LABEL_WIDTH}}"
            # A command line is not wrapped, so that it can be pasted, and a drawing neither.
            whole = (
                column + line
                if label in (WE_DID, ORDER)
                else fitted(column + line, LABEL_WIDTH, MARGIN)
            )
            yield paint(start, "faint") + whole[len(start) :] if start else whole.rstrip()


def unchecked(verdict: Verdict) -> str:
    """The text when an exercise could not be checked, which is not the learner's fault."""
    assert verdict.problem is not None
    first, *rest = problem_text(verdict.problem).splitlines() or ["the reason is unknown"]
    lines = [printable(f"workshop: {verdict.exercise} could not be checked: {first}")]
    lines += [f"  | {printable(line)}" for line in rest]
    return "\n".join([*lines, "This is not about your work. Try: ./workshop doctor"])


def placed(text: str, folder: Path, *, beside: bool = False) -> str:
    """`text` with the paths of the project's files made relative to the reader's folder.

    `beside`: also those of the files beside the package.
    """
    where = shown(folder)
    text = printable(text)
    text = text.replace(f"{folder}/", "" if where == "." else f"{where}/")
    if where == ".":
        return text
    text = PACKAGE.sub(lambda found: f"{where}/{found[0]}", text)
    return BESIDE.sub(lambda found: f"{where}/{found[0]}", text) if beside else text
