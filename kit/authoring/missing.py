"""What an exercise still lacks, as far as its files tell: each item with the file to edit."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.authoring import overview
from kit.authoring.answers import Answer, right_answers_of
from kit.authoring.grader_tests import tests_of
from kit.authoring.mistakes import mistakes_of
from kit.authoring.twins import twins
from kit.course import catalogue
from kit.course.catalogue import Exercise, Requirement, Task
from kit.workspace import shown, workspace

HEADING = re.compile(r"^### (\d+\.\d+) (.*)$", re.MULTILINE)
MACROS = ("facts", "tasks", "hints", "solution")  # of each chapter


@dataclass(frozen=True)
class Missing:
    """One thing to do: in which file, what, and what to paste or to look at."""

    file: Path
    words: str
    detail: str = ""

    def __str__(self) -> str:
        text = f"{shown(self.file)}: {self.words}"
        return "\n".join([text, *(f"    {line}" for line in self.detail.splitlines())])


def missing(exercise: Exercise) -> list[Missing]:
    """All that is missing for one exercise. Nothing is run."""
    return [
        *_broken_rules(exercise),
        *_tasks(exercise),
        *_chapter(exercise),
        *_wrong_answers(exercise),
        *_right_answers(exercise),
        *requirements(exercise),
        *_overview(exercise),
    ]


def _broken_rules(exercise: Exercise) -> Iterator[Missing]:
    """What `dev diff` would complain about: twin trees, hints, and the grader's tests."""
    for broken in twins(exercise).breaks():
        yield Missing(broken.file, f"{broken.words} (rule {broken.rule})", broken.diff)


def _tasks(exercise: Exercise) -> Iterator[Missing]:
    readme = exercise.starter / "README.md"
    text = _text(readme)
    title = f"# {exercise.number:02} {exercise.title}"
    if text.partition("\n")[0] != title:
        yield Missing(readme, "does not begin with its title:", title)
    if not exercise.tasks:
        yield Missing(exercise.starter / "exercise.toml", "has no task")
    wanted = [(task.number, task.title) for task in exercise.tasks]
    if HEADING.findall(text) != wanted:
        heads = "\n".join(f"### {number} {title}" for number, title in wanted)
        yield Missing(readme, "does not have the tasks of exercise.toml, which are:", heads)


def _chapter(exercise: Exercise) -> Iterator[Missing]:
    if not exercise.chapter.is_file():
        yield Missing(exercise.chapter, "is missing: the chapter of the handbook")
        return
    lines = _text(exercise.chapter).splitlines()
    for macro in MACROS:
        line = f"[[{macro} {exercise.number:02}]]"
        if line not in lines:
            yield Missing(exercise.chapter, "has no line", line)


def _wrong_answers(exercise: Exercise) -> Iterator[Missing]:
    """Each task has a known wrong answer, and each of those fits the solution as it is now."""
    known = mistakes_of(exercise)
    tasks = [task.number for task in exercise.tasks]
    failing = {number for mistake in known for number in mistake.tasks}
    for number in tasks:
        if number not in failing:
            yield Missing(exercise.mistakes, f"has no known wrong answer for task {number}")
    for mistake in known:
        for task in (*mistake.tasks, mistake.or_task):
            if task is not None and task not in tasks:
                yield Missing(exercise.mistakes, f"{mistake.id}: there is no task {task}")
        if not mistake.words:
            yield Missing(exercise.mistakes, f"{mistake.id}: names no words of the message")
    yield from _edits(exercise, exercise.mistakes, known)


def _right_answers(exercise: Exercise) -> Iterator[Missing]:
    """Known right answers fit the solution as it is now. There may be none."""
    yield from _edits(exercise, exercise.right_answers, right_answers_of(exercise))


def _edits(exercise: Exercise, file: Path, known: Sequence[Answer]) -> Iterator[Missing]:
    """Each answer of a list fits the solution, and has a name of its own."""
    for answer in known:
        try:
            answer.edited(exercise.solution)
        except ValueError as misfit:
            yield Missing(file, str(misfit))
    names = [answer.name for answer in known]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Missing(file, f"has two answers called {name!r}")


def requirements(exercise: Exercise) -> Iterator[Missing]:
    """Each requirement has a test and a known wrong answer, and each test a requirement."""
    toml = exercise.starter / "exercise.toml"
    tests = tests_of(exercise.grader)
    failing = {mistake.name: mistake.tasks for mistake in mistakes_of(exercise)}
    for task in exercise.tasks:
        if not task.requirements:
            yield Missing(toml, f"gives task {task.number} no requirement")
        for requirement in task.requirements:
            for words in _gaps(requirement, task, tests, failing):
                yield Missing(toml, f"{task.number}, requirement {requirement.text!r}: {words}")
    named = {test for task in exercise.tasks for each in task.requirements for test in each.tests}
    for test in tests:
        if test not in named:
            yield Missing(exercise.grader, f"no requirement in exercise.toml names {test}")


def _gaps(
    requirement: Requirement,
    task: Task,
    tests: Mapping[str, Collection[str]],
    failing: Mapping[str, Collection[str]],
) -> Iterator[str]:
    """What one requirement lacks. `tests` and `failing` have the tasks of tests and mistakes."""
    if not requirement.tests:
        yield "names no test of the grader"
    for test in requirement.tests:
        if test not in tests:
            yield f"the grader has no {test}"
        elif task.number not in tests[test]:
            yield f"{test} has no mark for task {task.number}"
        # The hint is shown to all who fail the test.
        others = [each for each in task.requirements if each != requirement and test in each.tests]
        if requirement.hint and others:
            yield f"has a hint, and {test} decides another requirement, too"
    if not requirement.mistakes:
        yield "names no known wrong answer"
    for name in requirement.mistakes:
        if name not in failing:
            yield f"there is no known wrong answer {name!r}"
        elif task.number not in failing[name]:
            yield f"the known wrong answer {name!r} fails another task"


def _overview(exercise: Exercise) -> Iterator[Missing]:
    readme = workspace().course / "README.md"
    text = _text(readme)
    if overview.cells(exercise) not in overview.rows(text):
        yield Missing(readme, "its table of exercises lacks this row:", overview.row(exercise))
    course = catalogue.load()
    for track in exercise.tracks:
        said = overview.minutes(course, track)
        if said not in " ".join(text.split()):
            yield Missing(readme, f"below the table, the minutes of {track} should be:", said)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""
