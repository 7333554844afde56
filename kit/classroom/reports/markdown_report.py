"""summary.md: for a pull request, or for the summary of a GitHub job."""

import os
import re
import sys
from html import escape
from pathlib import Path

from kit.checking import wording
from kit.checking.wording import failure_entries, hint_command, task_text
from kit.classroom import stuck
from kit.classroom.normalise import replace_unprintable
from kit.classroom.reports.files import encoded, write_whole
from kit.classroom.results import ClassResult, LearnerResult, format_points
from kit.course.catalogue import Exercise
from kit.markdown import fenced
from kit.verdicts.verdict import State

NAME = "summary.md"
STEP_SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
MAX_BYTES = 900_000  # GitHub shows nothing when the summary of a step is larger than 1 MiB
HARDEST_TASKS = 5  # in the section about where the class is stuck
# What GitHub renders: markup, mentions, links, formulas, emoji, and lists at a line's start.
MARKUP = re.compile(
    r"""[\\`*_{}\[\]<>#+!|~&@:$^=]|^-|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=\bwww)\.""", re.I
)


def write(result: ClassResult, out: Path) -> None:
    """Write summary.md, and append it to the summary of the GitHub job, if any. Raises KitError."""
    summary = encoded(as_markdown(result))
    write_whole(out / NAME, summary)
    if file := os.environ.get(STEP_SUMMARY_VARIABLE):
        try:
            with Path(file).open("ab") as job:
                job.write(summary)
        except OSError as error:
            print(
                f"workshop: {STEP_SUMMARY_VARIABLE} cannot be written: {error.strerror}",
                file=sys.stderr,
            )


def as_markdown(result: ClassResult) -> str:
    """The summary: a table, where the class is stuck, and the failures of each learner."""
    parts = ["# Grades", headline(result), _table(result)]
    if not result.confined:
        parts.append(plain(result.protection))
    if len(result.learners) > 1:
        parts.append(_stuck(result))
    size, details = sum(map(len, parts)), []
    for learner in result.learners:
        detail = _details(result, learner)
        size += len(detail.encode(errors="replace"))
        if size > MAX_BYTES:
            details.append("There is more of this in report.html.")
            break
        details.append(detail)
    return "\n\n".join(filter(None, [*parts, *details])) + "\n"


def plain(text: str) -> str:
    """`text` in one line, with all markup escaped."""
    return MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def _block(message: str) -> str:
    return fenced(replace_unprintable(message), "text")  # a lone CR could end the fence


def headline(result: ClassResult) -> str:
    """The result in one sentence."""
    passed = sum(learner.passed(result.exercises) for learner in result.learners)
    tasks = [task for each in result.learners for task in each.tasks(result.exercises)]
    done = sum(task.passed for task in tasks)
    if len(result.learners) == 1:
        return f"{done} of {len(tasks)} tasks passed."
    return (
        f"{passed} of {len(result.learners)} learners passed everything; "
        f"{done} of {len(tasks)} tasks passed."
    )


def _table(result: ClassResult) -> str:
    head = ["Learner", *(f"{exercise.number:02}" for exercise in result.exercises), "Points"]
    rows = [head, [":--", *(":-:" for _ in result.exercises), "--:"]]
    for learner in result.learners:
        cells = [_cell(learner, exercise) for exercise in result.exercises]
        rows.append([plain(learner.name), *cells, format_points(result.earned(learner))])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n✅ passed · ❌ tasks passed of all · - not handed in · ❓ not graded"


def _cell(learner: LearnerResult, exercise: Exercise) -> str:
    verdict = learner.verdict_on(exercise)
    if verdict.problem is not None:
        return "❓"
    if verdict.passed:
        return "✅"
    if all(verdict.state(task) is State.NOT_HANDED_IN for task in verdict.tasks):
        return "-"
    return f"❌ {sum(task.passed for task in verdict.tasks)}/{len(verdict.tasks)}"


def _stuck(result: ClassResult) -> str:
    hardest = stuck.hardest_first(result)[:HARDEST_TASKS]
    if not hardest:
        return ""
    lines = ["## Where the class is stuck"]
    for each in hardest:
        title = f"**{plain(each.task.number)} {plain(each.task.title)}**"
        count = f"{title}: {each.failed} of {each.total} not yet"
        if each.failure is None:
            lines.append(f"{count}. What comes before it has to pass first.")
            continue
        words = failure_entries(each.failure, hint_command(each.exercise))
        lines += [f"{count}. {_frequency(each)}:", _block(wording.plain(words))]
    return "\n\n".join(lines)


def _frequency(each: stuck.TaskStatistics) -> str:
    """How many learners have the failure of the message below."""
    count = len(each.learners)
    return "One was told" if count == 1 else f"{count} failed at the same thing; one was told"


def _details(result: ClassResult, learner: LearnerResult) -> str:
    parts = [plain(learner.problem), *(f"- {plain(note)}" for note in learner.notes)]
    if not learner.problem:
        parts += [part for each in result.exercises for part in _messages(learner, each)]
    body = "\n\n".join(filter(None, parts))
    if not body:
        return ""
    if len(result.learners) == 1:
        return body
    summary = f"<details><summary>{escape(' '.join(learner.name.split()))}</summary>"
    return f"{summary}\n\n{body}\n\n</details>"


def _messages(learner: LearnerResult, exercise: Exercise) -> list[str]:
    verdict = learner.verdict_on(exercise)
    if verdict.problem is not None:
        problem = _block(wording.problem_text(verdict.problem))
        return [f"**{exercise.slug}** could not be graded:", problem]
    parts = []
    for task in verdict.tasks:
        words = task_text(task, hint_command(exercise))
        if task.state is State.FAILED:
            parts += [f"**{task.number}** {plain(task.title)}", _block(words)]
        elif task.state is State.NOT_HANDED_IN:
            return [f"**{exercise.number:02}** {plain(words)}"]
    return parts
