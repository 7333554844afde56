"""The room against the agenda: by how many minutes it is behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.course import agenda
from kit.course.agenda import LENGTHS, Plan, Wish
from kit.course.catalogue import Exercise


@dataclass(frozen=True)
class Schedule:
    """The agenda of a track that begins at a minute of the day."""

    plan: Plan
    exercises: tuple[Exercise, ...]  # those of the plan, in its order

    def after(self, slug: str) -> str:
        """The slug of the next exercise of the agenda; empty after the last one."""
        return next((each.slug for each in self.exercises if each.slug > slug), "")

    def planned(self, minute: float) -> float:
        """How many minutes of exercises the agenda has done by then."""
        return sum(
            min(max(0.0, minute - begins), minutes)
            for begins, minutes, block in self.plan.timed()
            if block.number
        )

    def done(self, passed: Mapping[str, int]) -> float:
        """How many minutes of exercises are done, by the number of passed tasks of each."""
        length = {block.number: minutes for _, minutes, block in self.plan.timed()}
        return sum(
            length[each.number] * passed.get(each.slug, 0) / len(each.tasks)
            for each in self.exercises
        )


def schedule(track: str, start: int, course: Sequence[Exercise]) -> Schedule:
    """The agenda of a track, as `./workshop agenda` makes it."""
    chosen = tuple(each for each in course if track in each.tracks)
    wish = Wish(track, chosen, tuple(agenda.slides_for(track, chosen)))
    end = start + LENGTHS[track] if track in LENGTHS else None
    plan = agenda.make(wish, start, end)
    numbers = {block.number for block in plan.blocks}
    return Schedule(plan, tuple(each for each in chosen if each.number in numbers))
