"""What to do next, in words: after a check, and wherever the learner is."""

from kit.course.catalogue import Exercise
from kit.course.progress import Progress
from kit.workspace import shown


def what_next(exercise: Exercise, course: list[Exercise], done: Progress) -> str:
    """The lines after the verdict: what the learner can do next."""
    record = done.of(exercise)
    if record.passed is not None and not record.failures:
        following = done.current(course)
        if following is None:
            return "That was the last one. All of them: ./workshop list"
        return f"Compare with ours: ./workshop diff {exercise.number:02}\n{go_to(following)}"
    if record.failures >= 2 and record.failed:
        task = next((each for each in exercise.tasks if each.number == record.failed), None)
        count = record.hints.get(record.failed, 0)
        if task and count < len(task.hints):
            which = f"hint {count + 1} of {len(task.hints)} for task {task.number}"
            return f"Stuck? ./workshop hint {exercise.number:02} shows {which}."
        return f"Stuck? ./workshop solution {exercise.number:02} shows how we did it."
    return f"The tasks are in {shown(exercise.work / 'README.md')}"


def go_to(exercise: Exercise) -> str:
    """The line that says how to open or check an exercise."""
    n, there = f"{exercise.number:02}", exercise.work.is_dir()
    what = "checks" if there else "opens"
    return (
        f"Next: {n} {exercise.title}, {exercise.minutes} min. "
        f"`./workshop check {n}` {what} {shown(exercise.work)}"
    )
