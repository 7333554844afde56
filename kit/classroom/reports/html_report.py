"""report.html: one file to look at, for instructors. It asks nobody for anything."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kit.classroom import stuck
from kit.classroom.reports.files import text, write_whole
from kit.classroom.results import ClassResult, LearnerResult, State, shown_points
from kit.classroom.stuck import Stuck
from kit.course.catalogue import Exercise, Task
from kit.grading.verdict import TaskVerdict

NAME = "report.html"
HERE = Path(__file__).parent
SIGNS: dict[State, str] = {
    "passed": "✓",
    "failed": "✗",
    "waiting": "…",
    "missing": "·",
    "problem": "?",
}
WORDS: dict[State, str] = {
    "passed": "passed",
    "failed": "not passed",
    "waiting": "not checked yet: what comes before it has to pass first",
    "missing": "not handed in, or not to be read",
    "problem": "could not be graded, which is nobody's fault but the workshop's",
}
RANKS: dict[State, int] = {"problem": 0, "failed": 1, "waiting": 2, "missing": 3, "passed": 4}
CARDS = 3  # tasks that are told of in full
NAMES = 8  # learners named on a card
LABEL = re.compile(r"(We did|Expected|Got|Look at|Hint) {2,}(.*)")
INDENT = 10  # columns before the second line of an entry
# Pixels, as in report.css: a wider window shows the grid without a scroll bar of its own.
TILE, GAP, BESIDE = 30, 12, 390


@dataclass(frozen=True)
class Cell:
    """One task of one learner. `entries` are the message: a label, or none, and its text."""

    id: str
    task: Task
    state: State
    sign: str
    words: str
    rank: int
    entries: list[tuple[str, str]]
    notes: list[str]
    first: bool  # of its exercise

    @property
    def tells(self) -> bool:
        """Whether there is something to read that the sign does not say."""
        return bool(self.notes) or self.state not in ("passed", "missing")


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
    entries: list[tuple[str, str]]


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


def entries(message: str) -> list[tuple[str, str]]:
    """A message in its parts: "We did" and what, "Expected" and what, …"""
    parts: list[tuple[str, list[str]]] = []
    for line in message.splitlines():
        if found := LABEL.fullmatch(line):
            parts.append((found[1], [found[2]]))
        elif parts:
            indented = parts[-1][0] and line.startswith(" " * INDENT)
            parts[-1][1].append(line[INDENT:] if indented else line)
        else:
            parts.append(("", [line]))
    return [(label, "\n".join(lines)) for label, lines in parts]


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
    state = learner.state(exercise, task)
    message = learner.verdict_on(exercise).problem or task.message
    return Cell(
        id=id,
        task=exercise.tasks[number],
        state=state,
        sign=SIGNS[state],
        words=WORDS[state],
        rank=RANKS[state],
        entries=entries(message),
        notes=task.notes,
        first=number == 0,
    )


def _bars(result: ClassResult) -> list[Bar]:
    return [_bar(each) for each in stuck.by_task(result)]


def _hardest(result: ClassResult) -> list[Bar]:
    return [_bar(each) for each in stuck.hardest_first(result)]


def _bar(each: Stuck) -> Bar:
    share = 100 * each.passed / each.of if each.of else 0.0
    return Bar(each, share, each.task is each.exercise.tasks[0], entries(each.message))


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
