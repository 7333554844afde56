"""The tracks: how long each takes, and its running order, as `./workshop agenda` has it."""

from collections.abc import Iterator

from kit.course import agenda, catalogue, decks
from kit.course.agenda import Block, Plan
from kit.markdown import table
from kit.site.macros.markdown import Problem

IN_SHORT = ", in short"


def tracks() -> str:
    """`[[tracks]]`: how long each takes, and which exercises it does."""
    return "\n".join(f"- {_track(track)}" for track in catalogue.TRACKS)


def timetable(track: str) -> str:
    """`[[agenda TRACK]]`: what comes when, counted from the start. Slides tell their minutes."""
    length = agenda.LENGTHS.get(track)
    if length is None:
        there = ", ".join(agenda.LENGTHS)
        raise Problem(f"there is no track {track} that has an end; there is {there}")
    plan = planned(track)
    if plan.over:
        raise Problem(f"the track {track} is {plan.over} minutes longer than {length} minutes")
    rows = [
        (agenda.clock(at).removeprefix("0"), str(minutes), block.kind, title)
        for (at, minutes, block), title in zip(plan.timed(), _titles(plan), strict=True)
    ]
    return table(("after", "min", "kind", "what"), rows)


def planned(track: str) -> Plan:
    """The track, whole, from minute 0 to its end."""
    exercises = tuple(each for each in catalogue.load() if track in each.tracks)
    wish = agenda.Wish(track, exercises, tuple(agenda.slides_for(track, exercises)))
    return agenda.make(wish, 0, agenda.LENGTHS.get(track))


def in_short(plan: Plan) -> Iterator[tuple[Block, list[decks.Slide]]]:
    """The slides for which there is not enough time, and those of them that are shown."""
    slides = decks.load()
    for i, block in enumerate(plan.blocks):
        if block.kind != "slides" or not block.title.endswith(IN_SHORT):
            continue
        next_one = next(each.title for each in plan.blocks[i:] if each.kind == "exercise")
        before = (0, int(next_one[:2]))
        deck = block.title.removesuffix(IN_SHORT)
        yield (
            block,
            [each for each in slides if each.deck == deck and each.before in before if each.short],
        )


def _titles(plan: Plan) -> list[str]:
    """What to show of slides in short is said with them."""
    shown = {id(block): " · ".join(f"*{it.title}*" for it in its) for block, its in in_short(plan)}
    return [
        f"{block.title}: {shown[id(block)]}" if id(block) in shown else block.title
        for block in plan.blocks
    ]


def _track(track: str) -> str:
    numbers = [each.number for each in catalogue.load() if track in each.tracks]
    length = agenda.LENGTHS.get(track)
    time = "at your own pace" if length is None else f"{length / agenda.HOUR:g} hours in a room"
    return f"**{track}**, {time}: {_listed(numbers)}"


def _listed(numbers: list[int]) -> str:
    if numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2:
        return f"{numbers[0]:02} to {numbers[-1]:02}"
    *first, last = (f"{number:02}" for number in numbers)
    return f"{', '.join(first)} and {last}" if first else last
