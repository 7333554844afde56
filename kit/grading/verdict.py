"""What came of checking an exercise."""

from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH, LINES = 1000, 100  # of a message; what is longer nobody reads


def clipped(text: str) -> str:
    """`text`, as much of it as somebody would read: the work has its say in it."""
    lines = text[: 2 * WIDTH * LINES].splitlines()
    short = [f"{line[:WIDTH]} …" if len(line) > WIDTH else line for line in lines[:LINES]]
    return "\n".join([*short, "…"] if len(lines) > LINES else short)


@dataclass
class TaskVerdict:
    """What came of one task. `notes` are observations: worth knowing, nobody's fault."""

    number: str
    title: str
    passed: bool = False
    message: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class Verdict:
    """What came of an exercise. `problem` says why it could not be checked at all."""

    exercise: str  # "07-one-at-a-time"
    seconds: float
    tasks: list[TaskVerdict]
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and all(task.passed for task in self.tasks)

    @property
    def first_failure(self) -> TaskVerdict | None:
        """What the learner should look at now."""
        return next((task for task in self.tasks if not task.passed), None)

    def as_json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        told = {"exercise": self.exercise, "passed": self.passed, "seconds": round(self.seconds, 2)}
        if self.problem:
            told["problem"] = self.problem
        return told | {"tasks": [_without_nothing(asdict(task)) for task in self.tasks]}


def _without_nothing(task: dict[str, Any]) -> dict[str, Any]:
    """Most tasks have no notes, and then nobody needs to hear of them."""
    return {name: value for name, value in task.items() if name != "notes" or value}
