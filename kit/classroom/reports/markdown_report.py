"""summary.md: for people who look at a pull request, or at the summary of a job."""

import os
import re
import sys
from html import escape
from pathlib import Path

from kit.checking import wording
from kit.checking.wording import failure_entries, hint_command, task_text
from kit.classroom import stuck
from kit.classroom.normalise import printable
from kit.classroom.reports.files import text, write_whole
from kit.classroom.results import ClassResult, LearnerResult, shown_points
from kit.course.catalogue import Exercise
from kit.grading.verdict import State
from kit.markdown import fenced

NAME = "summary.md"
GITHUB = "GITHUB_STEP_SUMMARY"
LARGEST = 900_000  # bytes; GitHub takes 1 MiB from one step, and nothing when it is more
HARDEST = 5
# What could mean something to GitHub: markup, mentions, links, formulas, emoji; lists at the start.
MARKUP = re.compile(
    r"""[\\`*_{}\[\]<>#+!|~&@:$^=]|^-|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=\bwww)\.""", re.I
)


def write(result: ClassResult, out: Path) -> None:
    """Write it, and add it to the summary of the job where there is one. Raises KitError."""
    summary = text(as_markdown(result))
    write_whole(out / NAME, summary)
    if file := os.environ.get(GITHUB):
        try:
            with Path(file).open("ab") as job:
                job.write(summary)
        except OSError as error:
            print(f"workshop: {GITHUB} cannot be written: {error.strerror}", file=sys.stderr)


def as_markdown(result: ClassResult) -> str:
    """The summary: a table, where the class is stuck, and what each was told."""
    parts = ["# Grades", headline(result), _table(result)]
    if not result.confined:
        parts.append(plain(result.protection))
    if len(result.learners) > 1:
        parts.append(_stuck(result))
    size, details = sum(map(len, parts)), []
    for learner in result.learners:
        detail = _details(result, learner)
        size += len(detail.encode(errors="replace"))
        if size > LARGEST:
            details.append("There is more of this in report.html.")
            break
        details.append(detail)
    return "\n\n".join(filter(None, [*parts, *details])) + "\n"


def plain(text: str) -> str:
    """`text` as itself, whatever it holds: one line, no markup."""
    return MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def _block(message: str) -> str:
    return fenced(printable(message), "text")  # a lone CR would begin a line, and end the fence


def headline(result: ClassResult) -> str:
    """What came of it, in a sentence."""
    passed = sum(learner.passed for learner in result.learners)
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
        rows.append([plain(learner.name), *cells, shown_points(result.earned(learner))])
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
    hardest = stuck.hardest_first(result)[:HARDEST]
    if not hardest:
        return ""
    lines = ["## Where the class is stuck"]
    for each in hardest:
        title = f"**{plain(each.task.number)} {plain(each.task.title)}**"
        count = f"{title}: {each.failed} of {each.of} not yet"
        if each.failure is None:
            lines.append(f"{count}. What comes before it has to pass first.")
            continue
        words = failure_entries(each.failure, hint_command(each.exercise))
        lines += [f"{count}. {_alike(each)}:", _block(wording.plain(words))]
    return "\n\n".join(lines)


def _alike(each: stuck.Stuck) -> str:
    """How many the message below is about."""
    alike = len(each.who)
    return "One was told" if alike == 1 else f"{alike} failed at the same thing; one was told"


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
        told = _block(wording.problem_text(verdict.problem))
        return [f"**{exercise.slug}** could not be graded:", told]
    parts = []
    for task in verdict.tasks:
        words = task_text(task, hint_command(exercise))
        if task.state is State.FAILED:
            parts += [f"**{task.number}** {plain(task.title)}", _block(words)]
        elif task.state is State.NOT_HANDED_IN:
            return [f"**{exercise.number:02}** {plain(words)}"]
    return parts
