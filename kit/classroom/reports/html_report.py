"""report.html: one file to look at, for instructors. It asks nobody for anything."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kit.checking.wording import Entry, entries, failure_entries, hint_command, problem_text
from kit.classroom import stuck
from kit.classroom.reports.files import text, write_whole
from kit.classroom.results import ClassResult, LearnerResult, shown_points
from kit.classroom.stuck import Stuck
from kit.course.catalogue import Exercise, Task
from kit.grading.verdict import State, TaskVerdict

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
    State.NOT_HANDED_IN: "not handed in, or not to be read",
    State.NOT_CHECKED: "could not be graded, which is nobody's fault but the workshop's",
}
# How a column is sorted: what needs a look comes first.
RANKS = {
    State.NOT_CHECKED: 0,
    State.FAILED: 1,
    State.NOT_REACHED: 2,
    State.NOT_HANDED_IN: 3,
    State.PASSED: 4,
}
CARDS = 3  # tasks that are told of in full
NAMES = 8  # learners named on a card
# Pixels, as in report.css: a wider window shows the grid without a scroll bar of its own.
TILE, GAP, BESIDE = 30, 12, 390


@dataclass(frozen=True)
class Cell:
    """One task of one learner. `entries` say why it has not passed: labels, if any, and texts."""

    id: str
    task: Task
    state: State
    sign: str
    words: str
    rank: int
    entries: list[Entry]
    notes: tuple[str, ...]
    first: bool  # of its exercise

    @property
    def tells(self) -> bool:
        """Whether there is something to read that the sign does not say."""
        return bool(self.notes) or self.state not in (State.PASSED, State.NOT_HANDED_IN)


@dataclass(frozen=True)
class Row:
    """One learner."""

    id: str
    learner: LearnerResult
    points: str
    share: float  # percent of the points there are
    cells: list[Cell]


@dataclass(frozen=True)
class Bar:
    """One task, over the whole class."""

    stuck: Stuck
    share: float  # percent who passed
    first: bool
    entries: list[Entry]


def write(result: ClassResult, out: Path) -> None:
    """Write it. Raises KitError."""
    write_whole(out / NAME, text(as_html(result)))


def as_html(result: ClassResult) -> str:
    """The page. Everything that is not ours is escaped, and no script but ours runs."""
    loader = FileSystemLoader(HERE)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    script = (HERE / "report.js").read_text(encoding="utf-8")
    style = (HERE / "report.css").read_text(encoding="utf-8").replace("9999px", _width(result))
    bars = _bars(result)
    return environment.get_template("report.html.j2").render(
        result=result,
        rows=[_row(result, at, learner) for at, learner in enumerate(result.learners)],
        bars=bars,
        hardest=_hardest(result),
        cards=CARDS,
        names=NAMES,
        totals=_totals(result),
        legend=[(state, SIGNS[state], words) for state, words in WORDS.items()],
        graded=result.when[:16].replace("T", " "),
        points=shown_points,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _row(result: ClassResult, at: int, learner: LearnerResult) -> Row:
    earned, possible = result.earned(learner), result.possible
    return Row(
        id=f"learner-{at}",
        learner=learner,
        points=shown_points(earned),
        share=float(100 * earned / possible) if possible else 0.0,
        cells=[
            _cell(f"m-{at}-{exercise.number}-{number}", learner, exercise, number, task)
            for exercise in result.exercises
            for number, task in enumerate(learner.verdict_on(exercise).tasks)
        ],
    )


def _cell(
    id: str, learner: LearnerResult, exercise: Exercise, number: int, task: TaskVerdict
) -> Cell:
    verdict = learner.verdict_on(exercise)
    state = verdict.state(task)
    words = entries(task, hint_command(exercise))
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


def _bars(result: ClassResult) -> list[Bar]:
    return [_bar(each) for each in stuck.by_task(result)]


def _hardest(result: ClassResult) -> list[Bar]:
    return [_bar(each) for each in stuck.hardest_first(result)]


def _bar(each: Stuck) -> Bar:
    share = 100 * each.passed / each.of if each.of else 0.0
    first = each.task is each.exercise.tasks[0]
    failure, hint = each.failure, hint_command(each.exercise)
    return Bar(each, share, first, failure_entries(failure, hint) if failure else [])


def _totals(result: ClassResult) -> list[tuple[str, str]]:
    """Numbers to see from afar, and what they count."""
    count = len(result.learners)
    tasks = [task for each in result.learners for task in each.tasks(result.exercises)]
    done = sum(task.passed for task in tasks)
    points = sum(result.earned(learner) for learner in result.learners)
    told = [
        (f"{100 * done // len(tasks) if tasks else 0} %", "of all tasks passed"),
        (
            f"{float(points) / count if count else 0:.1f}",
            f"of {shown_points(result.possible)} points on average",
        ),
    ]
    if count == 1:
        return [(f"{done}", f"of {len(tasks)} tasks passed"), *told[:1]]
    passed = sum(learner.passed for learner in result.learners)
    return [(f"{count}", "learners"), (f"{passed}", "passed everything"), *told]


def _width(result: ClassResult) -> str:
    return f"{BESIDE + TILE * len(result.tasks) + GAP * len(result.exercises)}px"


def _hash(source: str) -> str:
    """How a Content-Security-Policy names a script or a style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
