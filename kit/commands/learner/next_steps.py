"""What to do next, as text: after a check, and wherever the learner is."""

from collections.abc import Sequence

from kit.course.catalogue import Exercise
from kit.course.progress import Progress
from kit.course.work import changed_files, missing_files
from kit.workspace import shown


def what_next(exercise: Exercise, course: list[Exercise], done: Progress) -> str:
    """The lines after the verdict: what the learner can do next."""
    record = done.of(exercise)
    if record.passed is not None and not record.failures:
        following = done.current(course)
        if following is None:
            return all_passed_but(done.skipped(course))
        return f"Compare with ours: ./workshop diff {exercise.number:02}\n{go_to(following)}"
    if lost := lost_files(exercise):
        return lost
    if record.failures >= 2 and record.failed:
        task = next((each for each in exercise.tasks if each.number == record.failed), None)
        count = record.hints.get(record.failed, 0)
        if task and count < len(task.hints):
            which = f"hint {count + 1} of {len(task.hints)} for task {task.number}"
            return f"Stuck? ./workshop hint {exercise.number:02} shows {which}."
        return f"Stuck? ./workshop solution {exercise.number:02} shows how we did it."
    return f"The tasks are in {shown(exercise.work / 'README.md')}"


def all_passed_but(skipped: list[Exercise]) -> str:
    """What is said after the last exercise: whether some are left that were skipped."""
    if not skipped:
        return "That was the last one. All of them: ./workshop list"
    numbers = ", ".join(f"{each.number:02}" for each in skipped)
    return f"Only what you have skipped is left: {numbers}.\n{go_to(skipped[0])}"


def lost_files(exercise: Exercise) -> str:
    """A line on the files of the starter that the learner's copy has not; empty without any."""
    missing = missing_files(exercise)
    begin = f"`./workshop reset {exercise.number:02}` begins again, and keeps your work."
    return (
        f"Not in {shown(exercise.work)} any more: {', '.join(missing)}. {begin}" if missing else ""
    )


def starter_news(exercises: Sequence[Exercise], done: Progress) -> list[str]:
    """A line for each exercise, opened and not passed, whose starter has changed since."""
    lines = []
    for each in exercises:
        open_still = done.of(each).starter and each.work.is_dir() and done.state(each) != "passed"
        if open_still and (changed := changed_files(each, done)):
            n = f"{each.number:02}"
            lines.append(
                f"{n} has changed since you opened it: {', '.join(changed)}. "
                f"Your work is as it was. `./workshop reset {n}` begins with the new starter, "
                "and keeps your work."
            )
    return lines


def go_to(exercise: Exercise) -> str:
    """The line that says how to open or check an exercise."""
    n, there = f"{exercise.number:02}", exercise.work.is_dir()
    what = "checks" if there else "opens"
    return (
        f"Next: {n} {exercise.title}, {exercise.minutes} min. "
        f"`./workshop check {n}` {what} {shown(exercise.work)}"
    )
