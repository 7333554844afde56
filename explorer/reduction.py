"""Schedules that need not be played: another one differs only in the order of two steps that do not
notice each other.

One process holds a lock, and another asks for it in vain. It makes no difference after which
command of the holder it asks, as long as no such command touches the lock. One of these schedules
is enough. That such a reduction must count preemptions: K. Coons, M. Musuvathi and K. McKinley,
"Bounded partial-order reduction", OOPSLA 2013.
"""

from collections.abc import Iterator, Sequence

from explorer.trace import Choice, Step, Trace

Plan = tuple[Choice, ...]


class Reduction:
    """What the schedules that were played say about others.

    In one that was played, its plan preempted actor A. Others took their steps, and when the last
    of them could not go on, A went on. Its next steps, and those of the others, did not notice each
    other. Then the others may as well take their steps after these steps of A: the data will be the
    same, and each actor will have seen the same. Such a schedule is covered.
    """

    def __init__(self) -> None:
        # By the preemptions and the actors of a plan: who can go on after it.
        self._covered: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}

    def learn(self, trace: Trace, planned: int) -> None:
        """Note which plans lead to the same as this schedule, whose last choice of a plan is known.

        `planned` is how many of its choices were a plan.
        """
        first = _preemption(trace, planned)
        if first is None:
            return
        preemptions, names = _known_as(trace.choices[:planned])
        before, others = names[:first], names[first:]
        steps = [_step(trace, number) for number in range(first, planned)]
        passed: tuple[str, ...] = ()
        for number, after in enumerate(trace.choices[planned + 1 :], planned):
            actor, step = trace.choices[number].chosen, _step(trace, number)
            goes_on = actor == trace.choices[first].current
            if not goes_on or not all(_independent(step, other) for other in steps):
                return
            passed = (*passed, actor)
            self._covered[preemptions, (*before, *passed, *others)] = after.ready

    def covers(self, plan: Plan) -> bool:
        """Whether a schedule that was played has shown what this one would show."""
        return _known_as(plan) in self._covered

    def go_on(self, plan: Plan, later: Sequence[str]) -> Iterator[Plan]:
        """The schedules that leave a covered one right after its plan. `later` begin later.

        In the schedule that was played, they would be one preemption more.
        """
        ready = self._covered[_known_as(plan)]
        preempted = next(choice.current for choice in reversed(plan) if choice.preempts)
        for name in ready:
            if name != preempted and name not in later:
                yield (*plan, Choice(name, ready, plan[-1].chosen, None))


def _known_as(plan: Plan) -> tuple[int, tuple[str, ...]]:
    return sum(choice.preempts for choice in plan), tuple(choice.chosen for choice in plan)


def _preemption(trace: Trace, planned: int) -> int | None:
    """The number of the last choice of the plan that preempts."""
    choices = trace.choices
    if trace.silent or trace.diverged or not planned < len(choices):
        return None
    return max((n for n in range(planned) if choices[n].preempts), default=None)


def _step(trace: Trace, number: int) -> Step | None:
    """The one step that came of a choice. None: there was not exactly one."""
    begin = trace.choices[number].steps
    end = trace.choices[number + 1].steps if number + 1 < len(trace.choices) else len(trace.steps)
    return trace.steps[begin] if end == begin + 1 else None


def _independent(one: Step | None, other: Step | None) -> bool:
    """Whether it makes no difference which of them comes first."""
    if one is None or other is None or one.keys is None or other.keys is None:
        return False
    return not (one.wrote or other.wrote) or not set(one.keys) & set(other.keys)
