"""The result of checking an exercise, as data. Graders write it, and every output reads it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from kit.course.catalogue import Exercise
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.values import Value


class State(StrEnum):
    """The state of a task."""

    PASSED = "passed"
    FAILED = "failed"  # the failure says why
    NOT_REACHED = "not_reached"  # a task before it has to pass first
    NOT_HANDED_IN = "not_handed_in"  # or handed in, but not readable
    NOT_CHECKED = "not_checked"  # the verdict's problem says why; the learner is not at fault


class ProblemCode(StrEnum):
    """Why there is no verdict. None of these is the learner's fault."""

    ENVIRONMENT = "environment"  # this machine lacks something that grading needs
    NOT_STARTED = "not_started"  # a program of the project could not be started
    FORK_SERVER_GONE = "fork_server_gone"  # the process that starts programs ended or hangs
    GRADER_ERROR = "grader_error"  # the grader met an unexpected error
    GRADER_ENDED = "grader_ended"  # the grader process ended without a verdict
    GRADER_MISSING = "grader_missing"  # the course has no grader for the exercise
    SANDBOX_ENDED = "sandbox_ended"  # the worker process in the sandbox ended
    INTERNAL = "internal"  # a bug in the kit


@dataclass(frozen=True)
class Problem:
    """Why an exercise could not be checked: in one sentence, and the last lines of a log."""

    code: ProblemCode
    message: str
    detail: str = ""


@dataclass(frozen=True)
class TaskVerdict:
    """The verdict on one task. `notes` are observations: worth knowing, and no failure."""

    number: str  # "7.1"
    title: str
    state: State
    failure: Failure | None = None
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.state is State.PASSED


@dataclass(frozen=True)
class Verdict:
    """The verdict on an exercise. `problem` says why it could not be checked at all.

    `values` are texts in it that differ from one grading to the next: ids, ports, durations.
    """

    exercise: str  # "07-one-at-a-time"
    seconds: float
    tasks: tuple[TaskVerdict, ...]
    problem: Problem | None = None
    values: tuple[Value, ...] = field(default=(), compare=False)

    @property
    def passed(self) -> bool:
        return self.problem is None and all(task.passed for task in self.tasks)

    @property
    def first_failure(self) -> TaskVerdict | None:
        """The task that the learner should look at now."""
        return next((task for task in self.tasks if not task.passed), None)

    def state(self, task: TaskVerdict) -> State:
        """The state of a task: NOT_CHECKED if the exercise could not be checked."""
        return task.state if self.problem is None else State.NOT_CHECKED

    def mapped(self, change: Callable[[str], str]) -> "Verdict":
        """The verdict with `change` applied to each text that a submission can influence."""
        return replace(
            self,
            tasks=tuple(_mapped(task, change) for task in self.tasks),
            problem=self.problem
            and replace(
                self.problem,
                message=change(self.problem.message),
                detail=change(self.problem.detail),
            ),
        )


@dataclass(frozen=True)
class TestReport:
    """The result of one test of a task, as the grader process reports it.

    `values` are all that were noted until then.
    """

    __test__ = False  # pytest would take it for a class of tests

    task: str
    passed: bool
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    problem: Problem | None = None
    values: tuple[Value, ...] = ()


def all_tasks(exercise: Exercise, state: State, failure: Failure | None = None) -> Verdict:
    """A verdict with the same state, and the same failure, for every task."""
    tasks = (TaskVerdict(task.number, task.title, state, failure) for task in exercise.tasks)
    return Verdict(exercise.slug, 0.0, tuple(tasks))


def failed(exercise: Exercise, code: FailureCode, *, limit: float = 0, detail: str = "") -> Verdict:
    """A verdict in which every task failed for the same reason."""
    return all_tasks(exercise, State.FAILED, Failure(code, limit=limit, detail=detail))


def not_checked(exercise: Exercise, code: ProblemCode, message: str, detail: str = "") -> Verdict:
    """A verdict on an exercise that could not be checked."""
    verdict = all_tasks(exercise, State.NOT_CHECKED)
    return replace(verdict, problem=Problem(code, message, detail))


def _mapped(task: TaskVerdict, change: Callable[[str], str]) -> TaskVerdict:
    failure = task.failure and replace(
        task.failure,
        did=change(task.failure.did),
        expected=change(task.failure.expected),
        got=change(task.failure.got),
        where=change(task.failure.where),
        schedule=change(task.failure.schedule),
        detail=change(task.failure.detail),
    )
    return replace(task, failure=failure, notes=tuple(change(note) for note in task.notes))
