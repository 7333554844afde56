"""report.html: one file for instructors, which loads nothing from elsewhere."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from kit import identity
from kit.checking import as_html as failures
from kit.checking.wording import Entry, entries, failure_entries, problem_text
from kit.classroom import stuck
from kit.classroom.reports.files import encoded, write_whole
from kit.classroom.results import ClassResult, LearnerResult, format_points
from kit.classroom.stuck import TaskStatistics
from kit.course import advice
from kit.course.catalogue import Exercise, Task
from kit.verdicts.failure import Failure
from kit.verdicts.verdict import State, TaskVerdict

NAME = "report.html"
HERE = Path(__file__).parent
SIGNS = {
    State.PASSED: "✓",
    State.FAILED: "✗",
    State.NOT_REACHED: "…",
    State.NOT_HANDED_IN: "·",
    State.NOT_CHECKED: "?",
}
WORDS = {
    State.PASSED: "passed",
    State.FAILED: "not passed",
    State.NOT_REACHED: "not checked yet: what comes before it has to pass first",
    State.NOT_HANDED_IN: "not handed in, not begun, or not to be read",
    State.NOT_CHECKED: "could not be graded because of a fault of the workshop",
}
# Sorting by a task: what the instructor has to look at comes first.
RANKS = {
    State.NOT_CHECKED: 0,
    State.FAILED: 1,
    State.NOT_REACHED: 2,
    State.NOT_HANDED_IN: 3,
    State.PASSED: 4,
}
# The marks beside the states: how each looks, and what it says.
MARKS = (
    (
        "tile passed noted",
        SIGNS[State.PASSED],
        "with a dot: something was seen that is worth reading",
    ),
    ("remark", "!", "the work could not be read"),
    ("remark", "i", "a remark about what was handed in"),
)
SAY = "Say"
CARDS = 3  # of the hardest tasks, each with its most frequent failure
NAMES_ON_CARD = 8  # of learners
# Widths in pixels, as in report.css: a window as wide as all together shows the grid without a
# scroll bar of its own. Where there are many tasks, their tiles are narrower, so that the grid fits
# a window of 1280. In between two tiles are 3 pixels.
WIDEST_TILE, NARROWEST_TILE, BETWEEN, GAP_WIDTH, OTHER_COLUMNS_WIDTH = 27, 21, 3, 12, 390
WINDOW = 1280
SHEET = 1047 / 0.7  # a page of A4 across, without its margins, in the pixels of report.css


@dataclass(frozen=True)
class Cell:
    """One task of one learner.

    `entries` say why the task has not passed: pairs of a label, which may be empty, and a text.
    """

    id: str
    task: Task
    state: State
    sign: str
    words: str
    rank: int
    entries: list[Entry]
    notes: tuple[str, ...]
    first: bool  # of the tasks of its exercise

    @property
    def has_details(self) -> bool:
        """Whether there is more to read than the sign says."""
        return bool(self.notes) or self.state not in (State.PASSED, State.NOT_HANDED_IN)


@dataclass(frozen=True)
class Row:
    """One learner."""

    id: str
    learner: LearnerResult
    points: str
    share: float  # percent of all points
    cells: list[Cell]


@dataclass(frozen=True)
class TaskBar:
    """One task, over the whole class."""

    statistics: TaskStatistics
    share: float  # percent of the learners who passed
    first: bool
    entries: list[Entry]


def write(result: ClassResult, out: Path) -> None:
    """Write report.html. Raises KitError."""
    write_whole(out / NAME, encoded(as_html(result)))


def style() -> str:
    """The looks of a class: the page of a room has them, too."""
    return identity.colour() + (HERE / "report.css").read_text(encoding="utf-8")


def as_html(result: ClassResult) -> str:
    """The page. All text of submissions is escaped. Only the script of the page itself can run."""
    script = (HERE / "report.js").read_text(encoding="utf-8")
    looks = style().replace("9999px", f"{_width(result)}px")
    looks = looks.replace("--tile: 27px", f"--tile: {_tile(result)}px")
    looks = looks.replace("--on-paper: 1", f"--on-paper: {min(1, SHEET / _width(result)):.2f}")
    bars = _bars(result)
    return (
        failures.environment(HERE)
        .get_template("report.html.j2")
        .render(
            result=result,
            rows=[_row(result, index, learner) for index, learner in enumerate(result.learners)],
            bars=bars,
            narrow=_tile(result) < WIDEST_TILE,
            hardest=_hardest(result),
            cards=CARDS,
            names_on_card=NAMES_ON_CARD,
            totals=_totals(result),
            legend=[(state, SIGNS[state], words) for state, words in WORDS.items()],
            marks=MARKS,
            graded=result.started_at[:16].replace("T", " "),
            points=format_points,
            icon=identity.icon(),
            style=Markup(looks),
            script=Markup(script),
            style_hash=_hash(looks),
            script_hash=_hash(script),
        )
    )


def _row(result: ClassResult, index: int, learner: LearnerResult) -> Row:
    earned, possible = result.earned(learner), result.max_points
    return Row(
        id=f"learner-{index}",
        learner=learner,
        points=format_points(earned),
        share=float(100 * earned / possible) if possible else 0.0,
        cells=[
            _cell(f"m-{index}-{exercise.number}-{number}", learner, exercise, number, task)
            for exercise in result.exercises
            for number, task in enumerate(learner.verdict_on(exercise).tasks)
        ],
    )


def _cell(
    id: str, learner: LearnerResult, exercise: Exercise, number: int, task: TaskVerdict
) -> Cell:
    verdict = learner.verdict_on(exercise)
    state = verdict.state(task)
    words = entries(task) + (_to_say(exercise, task.failure) if task.failure else [])
    if verdict.problem is not None:
        words = [("", problem_text(verdict.problem))]
    return Cell(
        id=id,
        task=exercise.tasks[number],
        state=state,
        sign=SIGNS[state],
        words=WORDS[state],
        rank=RANKS[state],
        entries=words,
        notes=task.notes,
        first=number == 0,
    )


def _bars(result: ClassResult) -> list[TaskBar]:
    return [_bar(each) for each in stuck.by_task(result)]


def _hardest(result: ClassResult) -> list[TaskBar]:
    return [_bar(each) for each in stuck.hardest_first(result)]


def _bar(each: TaskStatistics) -> TaskBar:
    share = 100 * each.passed / each.total if each.total else 0.0
    first = each.task is each.exercise.tasks[0]
    failure = each.failure
    words = failure_entries(failure) + _to_say(each.exercise, failure) if failure else []
    return TaskBar(each, share, first, words)


def _to_say(exercise: Exercise, failure: Failure) -> list[Entry]:
    """What an instructor may say to the learner, in place of the learner's own hint."""
    return [
        (SAY, failures.with_code(f"{each.did}: {each.say}"))
        for each in advice.on(exercise, failure.test)
    ]


def _totals(result: ClassResult) -> list[tuple[str, str]]:
    """The large numbers at the top, and what each counts."""
    count = len(result.learners)
    tasks = [task for each in result.learners for task in each.tasks(result.exercises)]
    done = sum(task.passed for task in tasks)
    points = sum(result.earned(learner) for learner in result.learners)
    totals = [
        (f"{100 * done // len(tasks) if tasks else 0} %", "of all tasks passed"),
        (
            f"{float(points) / count if count else 0:.1f}",
            f"of {format_points(result.max_points)} points on average",
        ),
    ]
    if count == 1:
        return [(f"{done}", f"of {len(tasks)} tasks passed"), *totals[:1]]
    passed = sum(learner.passed(result.exercises) for learner in result.learners)
    return [(f"{count}", "learners"), (f"{passed}", "passed everything"), *totals]


def _tile(result: ClassResult) -> int:
    """How wide a tile is."""
    gaps = GAP_WIDTH * len(result.exercises)
    room = (WINDOW - OTHER_COLUMNS_WIDTH - gaps) // max(1, len(result.tasks)) - BETWEEN
    return min(WIDEST_TILE, max(NARROWEST_TILE, room))


def _width(result: ClassResult) -> int:
    """How wide a window has to be to show the whole grid."""
    tiles = (_tile(result) + BETWEEN) * len(result.tasks)
    return OTHER_COLUMNS_WIDTH + tiles + GAP_WIDTH * len(result.exercises)


def _hash(source: str) -> str:
    """The source expression of a script or a style for a Content-Security-Policy."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
