"""A room in a folder of its own, and a class that has told it how far it is."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.processes.ports import free_socket
from kit.room.app import room_app
from kit.room.board.schedule import schedule
from kit.room.events import HelpEvent, VerdictEvent
from kit.room.server import serving_room
from kit.room.store import Store

NAMES = (
    *("Ada", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean", "Kathleen"),
    *("Leslie", "Margaret", "Niklaus", "Olga", "Peter", "Radia", "Shafi", "Tony", "Ursula", "Vint"),
    *("Whitfield", "Xiaoyun", "Yoshua", "Zuse"),
)


@dataclass(frozen=True)
class Room:
    """A room that is served by this process, until `close` or the end of the block."""

    address: str
    store: Store
    close: Callable[[], None]

    @property
    def board(self) -> str:
        """The address that opens the board."""
        return f"{self.address}/board#{self.store.setting('secret')}"


@contextlib.contextmanager
def served_room(
    folder: Path,
    port: int = 0,
    pages: Callable[[str], Sequence[BaseRoute]] = lambda address: (),
    track: str = "evening",
) -> Iterator[Room]:
    """Serve a room of the course. Its agenda has been over for an hour, at any time of the day.

    `pages`: what it serves besides, at its address.
    """
    course = catalogue.load()
    with (
        free_socket(port) as sock,
        contextlib.closing(Store(folder / "room.sqlite", course)) as store,
    ):
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        now = time.localtime()
        three_hours_ago = (now.tm_hour * 60 + now.tm_min - 180) % (24 * 60)
        plan = schedule(track, three_hours_ago, course)
        with contextlib.ExitStack() as stack:
            app = room_app(store, course, plan, address, pages(address))
            stack.enter_context(serving_room(app, sock))
            yield Room(address, store, stack.close)


def fill(store: Store, names: Sequence[str] = NAMES) -> None:
    """A class in the middle of the evening: each has come a little further than another one."""
    chosen = [each for each in catalogue.load() if each.number in (2, 3, 4, 5)]
    reached = (14, 12, 9, 12, 6, 12, 10, 12)
    for place, name in enumerate(names):
        attendee = store.attendee(store.join(name))
        assert attendee is not None
        left, seq = reached[place % len(reached)], 0
        for exercise in chosen:
            if left < 0:
                break
            seq += 1
            store.record(attendee, [verdict(exercise, left, seq)], time.time())
            left -= len(exercise.tasks)
        if place % 7 == 3:
            asks = HelpEvent(
                kind="help", seq=seq + 1, at=time.time(), exercise=chosen[2].slug,
                task=chosen[2].tasks[1].number, wanted=True,
            )  # fmt: skip
            store.record(attendee, [asks], time.time())
    store.remember(now=chosen[-1].slug, time_up="")


def verdict(exercise: Exercise, done: int, seq: int) -> VerdictEvent:
    """So many tasks are passed, the next one has failed."""
    tasks = {
        task.number: "passed" if i < done else "failed" if i == done else "not_reached"
        for i, task in enumerate(exercise.tasks)
    }
    failed = next((task for task in exercise.tasks if tasks[task.number] == "failed"), None)
    return VerdictEvent.model_validate(
        {
            "kind": "verdict",
            "seq": seq,
            "at": time.time(),
            "exercise": exercise.slug,
            "tasks": tasks,
            "test": failed.requirements[0].tests[0] if failed else "",
            "checks": 3,
            "minutes": 7,
        }
    )
