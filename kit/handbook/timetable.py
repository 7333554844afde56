"""The running order of a track, as `./workshop agenda` has it."""

from kit import agenda, course
from kit.handbook.markdown import Problem, table


def timetable(track: str) -> str:
    """`[[agenda TRACK]]`: what comes when, counted from the start. Slides tell their minutes."""
    length = agenda.LENGTHS.get(track)
    if length is None:
        there = ", ".join(agenda.LENGTHS)
        raise Problem(f"there is no track {track} that has an end; there is {there}")
    exercises = tuple(each for each in course.load() if track in each.tracks)
    wish = agenda.Wish(track, exercises, tuple(agenda.slides_for(track, exercises)))
    plan = agenda.make(wish, 0, length)
    if plan.over:
        raise Problem(f"the track {track} is {plan.over} minutes longer than {length} minutes")
    rows = [
        (agenda.clock(at).removeprefix("0"), str(minutes), block.kind, block.title)
        for at, minutes, block in plan.timed()
    ]
    return table(("after", "min", "", ""), rows)
