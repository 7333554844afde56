"""`watch`: check after every save, and do the rest by single keys."""

import contextlib
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.attendee import outbox
from kit.attendee.link import Link, Pace
from kit.checking.job import follow, record
from kit.commands.learner.check import opened
from kit.commands.learner.next_steps import lost_files, starter_news
from kit.commands.material.beside_watch import serving_handbook
from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.setup.bootstrap import need_here
from kit.terminal.keys import Keys
from kit.terminal.screen import TIE, StatusLine, fitted, paint, wrapped
from kit.workspace import shown

TICK = 0.2  # seconds between two looks at which tasks are decided
KEYS = "h hint", "s solution", "n next", "b back", "l list", "r run the check again", "q quit"
IN_ROOM = "? ask for help"


def watch(
    n: Annotated[
        str | None, typer.Argument(metavar="N", help="Exercise. Default: where you are.")
    ] = None,
) -> None:
    """Check an exercise again after every save. Keys: h, s, n, b, l, r, q, and in a room ?.

    Example: ./workshop watch 07
    """
    exercises = catalogue.load()
    if not exercises:
        raise KitError("there are no exercises here", "git status")
    exercise = catalogue.find(n, exercises) if n else progress.load().here(exercises)
    keys = Keys()
    # Without a terminal, no person looks at pages.
    with serving_handbook(exercises) if keys else contextlib.nullcontext("") as address:
        Watch(exercises, exercise, keys, handbook=address).run()


class Watch:
    """The loop: keys, saves and verdicts, as they come."""

    def __init__(
        self, exercises: list[Exercise], exercise: Exercise, keys: Keys, handbook: str = ""
    ) -> None:
        """`handbook`: its address, if it is served."""
        self.exercises = exercises
        self.handbook = handbook
        self.exercise = exercise
        self.keys = keys
        self.line = StatusLine()
        self.asked = ""  # the key that asked something, which the next key answers
        self.before = ""  # what was asked before the key at hand
        self.typing = False  # the learner types a command
        self.quits = False
        self.room = Link()
        self.pace = Pace()
        self.actions: dict[str, Callable[[], None]] = {
            "h": self.hint,
            "s": self.solution,
            "n": self.next,
            "b": self.back,
            "l": self.table,
            "r": self.check,
            "q": self.quit,
            "?": self.ask,
            "c": self.catch_up,
        }

    def run(self) -> None:
        """Until `q`, or a signal."""
        need_here(self.exercise.layer)
        self.introduce()  # first, so that there is something to read while we get ready
        from kit.checking.background import BackgroundChecker
        from kit.checking.file_watcher import FileWatcher

        with self.keys.listening(), contextlib.ExitStack() as stack:
            stack.callback(self.line.clear)
            self.line.show("getting ready …")
            self.saves = stack.enter_context(FileWatcher(self.exercise.work))
            self.checker = stack.enter_context(BackgroundChecker())
            stack.enter_context(self.room)
            stack.callback(lambda: self.saves.close())
            self.check()
            while not self.quits:
                self.wait()

    def wait(self) -> None:
        """For whatever comes first, and deal with it."""
        waited: list[Any] = [self.saves.connection]
        if self.keys:
            waited.append(self.keys.fd)
        if self.checker.sentinel is not None:
            waited.append(self.checker.sentinel)
        ready = wait(waited, timeout=TICK if self.checker.busy else 1)
        if self.keys.fd in ready:
            self.press(self.keys.read())
        if self.saves.connection in ready and not self.quits:
            self.saved(self.saves.take())
        if self.checker.over and not self.quits:
            self.show_verdict()
        elif self.checker.busy and self.checker.decided:
            self.show_ticks()
        if self.room.pace != self.pace and not self.quits:
            self.show_pace()

    # What can happen.

    def press(self, keys: str) -> None:
        """Do what they ask for."""
        if not keys:
            self.quits = True  # the terminal is gone
        for key in keys.lower():
            if self.typing or key in "./":  # a command, which belongs into another terminal
                if self.typing and key in "\r\n":
                    self.say(wrapped(f"Here, single keys do it: {self.help}"))
                self.typing = key not in "\r\n"
                continue
            self.before, self.asked = self.asked, ""
            self.line.clear()
            try:
                if self.before == "s" and key == "y":
                    self.show_solution()
                elif key in self.actions:
                    self.actions[key]()
                elif not key.isspace():
                    self.say(wrapped(self.help))
            except KitError as error:
                error.show()
            if self.quits:
                return

    def saved(self, names: list[str]) -> None:
        """Check again, unless what would be checked has been, or is being."""
        checked = self.checker.job
        if not names or not self.exercise.work.is_dir():
            return
        if checked and checked.work == progress.hash_of_work(self.exercise.work):
            if not self.checker.busy:
                self.say(f"{names[0]} saved, unchanged: what is said above still holds.")
            return
        self.check(f"{', '.join(names[:3])}{' …' if names[3:] else ''} saved")

    def show_ticks(self) -> None:
        """Say which tasks are decided, while the others are being checked."""
        from kit.checking.report import ticks

        decided = self.checker.decided
        if self.checker.job is not None:
            follow(self.checker.job, decided)
        self.line.show(f"checking {shown(self.exercise.work)} … {ticks(decided)}")

    def show_verdict(self) -> None:
        """Say what came of the check, keep it, and say how to go on."""
        from kit.checking.report import report, unchecked

        job, verdict = self.checker.take()
        self.line.clear()
        if verdict.problem is not None:
            self.say(unchecked(verdict))
            return
        record(job, verdict)
        self.room.wake()
        # Where there are keys, a hint is a key away, and a typed command would press keys.
        hint = "press h" if self.keys else ""
        self.say(report(verdict, job.exercise, job.folder, hint))
        done = progress.load()
        if verdict.passed:
            self.say("\n" + wrapped(f"{paint('Well done.', 'good')} {self.way_on(done)}"))
            return
        if lost := lost_files(job.exercise):
            self.say("\n" + wrapped(lost))
        elif done.of(job.exercise).failures >= 2:
            how = "h shows" if self.keys else f"./workshop hint {job.exercise.number:02} shows"
            self.say(f"\nStuck? {how} a hint.")

    def show_pace(self) -> None:
        """Say where the room is. What it offers, the learner may leave."""
        self.pace = self.room.pace
        if said := self.where_room_is():
            self.say("\n" + wrapped(said))

    # What the keys do.

    def check(self, why: str = "") -> None:
        """Begin a check."""
        at = time.strftime("%H:%M:%S")
        self.say(paint(f"\n── {at} {why or 'checking'} ──", "faint"))
        self.checker.begin(self.exercise)
        self.line.show(f"checking {shown(self.exercise.work)} …")

    def hint(self) -> None:
        """One hint more."""
        from kit.commands.learner.hint import hint_lines
        from kit.course.hints import find_task, show_hints

        exercise, task = find_task(self.exercises, str(self.exercise.number))
        if task is None:
            self.say(f"{exercise.number:02} is passed: there is nothing to hint at.")
            return
        hints = show_hints(exercise, task)
        self.say("\n" + "\n".join(hint_lines(hints)))
        what = "h once more, or s for" if hints.more else "That was the last one; s shows"
        self.say(f"\nNot enough? {what} the solution.")

    def solution(self) -> None:
        """The way from here to our solution; asks first, unless it is passed."""
        if progress.load().of(self.exercise).passed:
            self.show_solution()
        else:
            number = f"{self.exercise.number:02}"
            asked = f"You have not passed {number} yet. y shows the solution all the same."
            self.say(wrapped(asked))
            self.asked = "s"

    def show_solution(self) -> None:
        from kit.commands.learner.solution import solution

        solution(str(self.exercise.number), yes=True)

    def next(self) -> None:
        """Open the exercise that follows; asks first when this one is not passed."""
        done = progress.load()
        following = self.following(done)
        number = f"{self.exercise.number:02}"
        if following is None:
            self.say("There is no other exercise left. l lists them all.")
        elif done.of(self.exercise).passed or self.before == "n":
            self.turn_to(following)
        else:
            into = f"{following.number:02} {following.title}"
            into = f"n again leaves it for later and opens {into}."
            self.say(wrapped(f"{number} is not passed yet. {into}"))
            self.asked = "n"

    def back(self) -> None:
        """Open the exercise before this one. This one is still begun."""
        earlier = [each for each in self.exercises if each.number < self.exercise.number]
        if earlier:
            self.turn_to(earlier[-1], skips=False)
        else:
            self.say("There is no exercise before this one. l lists them all.")

    def table(self) -> None:
        """The whole course."""
        from kit.commands.learner.listing import print_table, where_you_are

        done = progress.load()
        self.say("")
        print_table(self.exercises, done)
        self.say(where_you_are(self.exercises, done)[0])  # the others name commands

    def ask(self) -> None:
        """Ask the instructor of the room for help, or take it back."""
        if self.room.here is None:
            self.say(wrapped(self.help))
            return
        wanted = not outbox.asks_for_help()
        task = progress.load().of(self.exercise).failed
        outbox.note_help(self.exercise.slug, task, wanted=wanted)
        self.room.wake()
        asked = "You have asked for help; ? takes it back."
        self.say(asked if wanted else "You no longer ask for help.")

    def catch_up(self) -> None:
        """Go on to the exercise that the room offers; the work of this one stays."""
        from kit.course.work import skip_to

        offered = self.offered()
        if offered is None:
            self.say(wrapped(self.help))
            return
        skip_to(offered, self.exercises)
        self.turn_to(offered)

    def quit(self) -> None:
        """End, and say how to come back."""
        self.quits = True
        self.say("Until next time: ./workshop")

    def turn_to(self, following: Exercise, *, skips: bool = True) -> None:
        """Leave this exercise for that one. `skips`: if it is not passed, it is left for later."""
        from kit.checking.file_watcher import FileWatcher

        need_here(following.layer)
        self.checker.stop()
        opened(following, quiet=True)
        with progress.changing() as done:
            mine = done.of(self.exercise)
            mine.skipped = skips and mine.passed is None
            done.last = following.slug
        self.exercise = following
        self.saves.close()
        self.saves = FileWatcher(following.work)
        self.introduce()
        self.check()

    # What is said.

    def introduce(self) -> None:
        """Where the learner is, what to read and what to edit."""
        exercise, folder = self.exercise, opened(self.exercise, quiet=True)
        title = paint(f"{exercise.number:02} {exercise.title}", "strong")
        self.say(f"\n{title}, {exercise.minutes} min")
        self.pace = self.room.pace
        if self.pace.now:
            self.say(wrapped(f"  room  {self.where_room_is()}"))
        readme, chapter = shown(folder / "README.md"), self.chapter(exercise)
        self.say(fitted(f"  read  {readme}{f' and {chapter}' if chapter else ''}", 8))
        for line in starter_news([exercise], progress.load()):
            self.say(wrapped(line))
        for file, number in to_edit(exercise):
            self.say(fitted(f"  edit  {shown(file)}, line {number}", 8))
        keys = f" Keys: {self.help}" if self.keys else " Ctrl-C ends."
        self.say(wrapped(f"Every save is checked.{keys}"))

    def chapter(self, exercise: Exercise) -> str:
        """The address of its chapter; empty when no handbook is served, or none has it."""
        there = self.handbook and exercise.chapter.is_file()
        return f"{self.handbook}exercises/{exercise.slug}/" if there else ""

    def way_on(self, done: progress.Progress) -> str:
        """What to do after a pass."""
        following = self.following(done)
        n = f"{self.exercise.number:02}"
        if following is None:
            return "That was the last one: ./workshop list"
        into = f"{following.number:02} {following.title}, {following.minutes} min"
        if self.keys:
            return f"n opens {into}; s compares with our solution."
        return f"Next: ./workshop watch {following.number:02} ({into}), or ./workshop diff {n}"

    @property
    def help(self) -> str:
        """What the keys do."""
        keys = KEYS if self.room.here is None else (*KEYS, IN_ROOM)
        return f"{TIE}· ".join(key.replace(" ", TIE) for key in keys)

    def where_room_is(self) -> str:
        """What the instructor has marked; empty for nothing."""
        now = self.marked()
        if now is None:
            return ""
        if not self.pace.time_up:
            return f"The room: now {now.number:02} {now.title}."
        offered = self.offered()
        over = f"The room: time is up for {now.number:02} {now.title}."
        if offered is None:
            return over
        into = f"{offered.number:02} {offered.title}"
        return f"{over} c opens {into}, with all before it done; your work here stays."

    def marked(self) -> Exercise | None:
        """The exercise that the instructor has marked."""
        return next((each for each in self.exercises if each.slug == self.pace.now), None)

    def offered(self) -> Exercise | None:
        """The next one of the room's agenda, when time is up, and the learner is no further."""
        now = self.marked()
        if now is None or not self.pace.time_up or self.exercise.number > now.number:
            return None
        return next((each for each in self.exercises if each.slug == self.pace.next), None)

    def following(self, done: progress.Progress) -> Exercise | None:
        """The next exercise that is not passed."""
        others = [each for each in self.exercises if each != self.exercise]
        waiting = [each for each in others if done.state(each) != "passed"]
        later = [each for each in waiting if each.number > self.exercise.number]
        return next(iter(later or waiting), None)

    def say(self, text: str) -> None:
        """Print, over the line that says what we are at."""
        self.line.clear()
        print(text, flush=True)


def to_edit(exercise: Exercise) -> list[tuple[Path, int]]:
    """The files of the learner's copy in which something is to do, and the first line of it."""
    found = []
    for file in sorted([*exercise.work.glob("nb_runner/**/*.py"), *exercise.work.glob("*.toml")]):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            lines = file.read_text(encoding="utf-8").splitlines()
            number = next((n for n, line in enumerate(lines, 1) if "TODO(" in line), 0)
            if number:
                found.append((file, number))
    return found
