"""The running order of a track: what comes when, with breaks, cut so that it ends in time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kit.course import decks
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.workspace import shown

LAST = 100  # no exercise has such a number
HOUR = 60
BREAK = 10
STRETCH = 60  # minutes of work without a break, about
BUFFER = 3  # minutes to spare at the end, at least
BONUS = 11  # from this exercise on
OPTIONAL = (1,)  # left out first: the starters of the others come with a project
# How long a track takes, in minutes. A track that is not named here has no end.
LENGTHS = {"evening": 2 * HOUR, "half-day": 4 * HOUR}


@dataclass(frozen=True)
class Slides:
    """The slides of a deck that belong before an exercise; 0: before all, LAST: after all."""

    deck: str
    before: int
    minutes: float

    @property
    def in_short(self) -> float:
        """The minutes of their short version: half of them, but at least one."""
        return min(self.minutes, max(1, self.minutes // 2))


@dataclass(frozen=True)
class Block:
    """A stretch of time with one thing in it. `number`: of the exercise; 0 for anything else."""

    kind: str  # slides, reading, exercise, break, buffer
    title: str
    minutes: float
    number: int = 0


@dataclass(frozen=True)
class Wish:
    """What a track does and shows. Slides before the exercises in `short` are told in short."""

    track: str
    exercises: tuple[Exercise, ...]
    slides: tuple[Slides, ...]
    short: frozenset[int] = frozenset()

    def blocks(self) -> list[Block]:
        """Slides and exercises, without breaks."""
        blocks = self._shown(0)
        for exercise in self.exercises:
            blocks += self._shown(exercise.number)
            title = f"{exercise.number:02} {exercise.title}"
            blocks.append(Block("exercise", title, exercise.minutes, exercise.number))
        return blocks + self._shown(LAST)

    def less(self) -> Iterator[tuple["Wish", str]]:
        """Versions with less and less in them, each with the words for what was left out last.

        What is most optional is left out first.
        """
        wish = self
        for exercise in [e for e in reversed(self.exercises) if e.number >= BONUS]:
            wish = wish._but(exercise)
            yield wish, f"{_named(exercise)} (bonus)"
        for each in [each for each in self.slides if each.before == LAST]:
            wish = replace(wish, slides=tuple(s for s in wish.slides if s != each))
            yield wish, f"the slides of the deck {each.deck}"
        for exercise in [e for e in wish.exercises if e.number in OPTIONAL]:
            wish = wish._but(exercise)
            yield wish, f"{_named(exercise)}, which the others can do without"
        # A self-paced learner reads the slides; there is no short version to read.
        shown = [] if self.track == "self-paced" else wish._all_shown()
        for each in sorted(shown, key=lambda each: each.in_short - each.minutes):
            wish = replace(wish, short=wish.short | {each.before})
            yield wish, f"{each.minutes - each.in_short:g} min of the slides {_where(each)}"

    def _but(self, exercise: Exercise) -> "Wish":
        return replace(self, exercises=tuple(e for e in self.exercises if e != exercise))

    def _all_shown(self) -> list[Slides]:
        numbers = {0, LAST, *(exercise.number for exercise in self.exercises)}
        return [each for each in self.slides if each.before in numbers and each.minutes]

    def _shown(self, before: int) -> list[Block]:
        kind = "reading" if self.track == "self-paced" else "slides"
        return [
            Block(kind, f"{each.deck}, in short", each.in_short)
            if each.before in self.short
            else Block(kind, each.deck, each.minutes)
            for each in self._all_shown()
            if each.before == before
        ]


@dataclass(frozen=True)
class Plan:
    """What is done when, and what was left out so that it fits. `end`: when it must end."""

    track: str
    start: int
    end: int | None
    blocks: tuple[Block, ...]
    gone: tuple[str, ...] = ()

    @property
    def ends(self) -> int:
        return self.start + _whole(_minutes(self.blocks))

    @property
    def over(self) -> int:
        """By how many minutes it does not fit."""
        return 0 if self.end is None else max(0, self.ends - self.end)

    def timed(self) -> Iterator[tuple[int, int, Block]]:
        """Each block, with the minute of the day at which it begins, and its minutes, whole."""
        spent = 0.0
        for block in self.blocks:
            begins, ends = _whole(spent), _whole(spent + block.minutes)
            yield self.start + begins, ends - begins, block
            spent += block.minutes

    def sums(self) -> dict[str, int]:
        """Minutes by kind."""
        sums: dict[str, int] = {}
        for _, minutes, block in self.timed():
            sums[block.kind] = sums.get(block.kind, 0) + minutes
        return sums


def slides_for(track: str, exercises: Sequence[Exercise]) -> Iterator[Slides]:
    """What there is to show, in order. Without bonus exercises, their slides end the day."""
    bonus = any(exercise.number >= BONUS for exercise in exercises)
    outlook: dict[str, float] = {}
    for each in all_slides():
        if each.before < BONUS or bonus:
            yield each
        elif track != "self-paced":
            outlook[each.deck] = outlook.get(each.deck, 0) + each.minutes
    for deck, minutes in outlook.items():
        yield Slides(deck, LAST, minutes)


def all_slides(folder: Path = decks.SLIDES) -> list[Slides]:
    """What stands before each exercise, as the decks tell. Raises KitError."""
    minutes: dict[tuple[str, int], float] = {}
    for slide in decks.load(folder):
        key = (slide.deck, slide.before)
        minutes[key] = minutes.get(key, 0) + slide.minutes
    if not minutes:
        raise KitError(f"there are no slides in {shown(folder)}", f"git status {shown(folder)}")
    found = [Slides(deck, before, total) for (deck, before), total in minutes.items()]
    return sorted(found, key=lambda each: each.before)


def make(wish: Wish, start: int, end: int | None) -> Plan:
    """The plan, without so many optional parts that it is over at `end` with minutes to spare."""
    gone: list[str] = []
    blocks = with_breaks(wish.blocks())
    for less, what in wish.less():
        fits = end is None or start + _minutes(blocks) + BUFFER <= end
        if fits or not less.exercises:
            break
        blocks = with_breaks(less.blocks())
        gone.append(what)
    spare = 0 if end is None else end - start - _minutes(blocks)
    buffer = [Block("buffer", "For what took longer", spare)] if spare > 0 else []
    return Plan(wish.track, start, end, (*blocks, *buffer), tuple(gone))


def with_breaks(blocks: Sequence[Block]) -> list[Block]:
    """Add breaks: evenly spread, as far as no slides are separated from their exercise."""
    total = _minutes(blocks)
    count = math.ceil(total / STRETCH) - 1
    ends = [_minutes(blocks[: i + 1]) for i in range(len(blocks))]
    gaps = [i for i, b in enumerate(blocks[:-1]) if b.kind == "exercise"]
    after = set()
    for i in range(1, count + 1):
        wanted = total * i / (count + 1)
        if free := [gap for gap in gaps if gap not in after]:
            after.add(min(free, key=lambda gap: abs(ends[gap] - wanted)))
    planned: list[Block] = []
    for i, block in enumerate(blocks):
        planned.append(block)
        if i in after:
            planned.append(Block("break", "Break", BREAK))
    return planned


def clock(minute: int) -> str:
    """A minute of the day as HH:MM; past midnight it is a minute of the next day."""
    return f"{minute // HOUR % 24:02}:{minute % HOUR:02}"


def _minutes(blocks: Iterable[Block]) -> float:
    return sum(block.minutes for block in blocks)


def _whole(minutes: float) -> int:
    return math.floor(minutes + 0.5)


def _where(slides: Slides) -> str:
    return f"before exercise {slides.before:02}" if slides.before else f"of the deck {slides.deck}"


def _named(exercise: Exercise) -> str:
    return f"exercise {exercise.number:02} {exercise.title}"
