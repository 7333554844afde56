"""A room of sixty attendees: how far the board is behind, what is lost, and joins at once."""

import contextlib
import functools
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.checks import HELLO, copy_of_the_course, course_env, saves
from benchmarks.harness import Measurement, Report, Say, Target, learners_env, workshop
from kit.attendee.calls import INTERACTIVE_TIMEOUT, call
from kit.course import catalogue
from kit.errors import KitError
from kit.processes.ports import free_port
from kit.room.store import Store
from kit.workspace import ROOT

ATTENDEES, VERDICTS, JOINS = 60, 10, 40
QUICK, USUAL = 2.0, 20.0  # seconds between two verdicts of an attendee, on average
AWAY = 10.0  # seconds
STARTING = 25.0  # seconds in which all processes of attendees start
LAG, LOST = "board behind, 99th percentile", "verdicts lost, when the room is killed"
SAVE, SAVE_IN_ROOM = "watch 02, after a save", "watch 02, after a save, beside sixty attendees"
SPEED, FAILED = "packages, all joins together", "joins that failed"
HOW = (
    f"On loopback. {ATTENDEES} processes of the client note {VERDICTS} verdicts each, 1 to 3 s "
    "apart; the lag is from the note to the board's event that shows it. Then the same again: the "
    f"room is killed with SIGKILL, and comes back after {AWAY:g} s. Watch: from the write of a "
    f"file to the verdict; beside it, each attendee has a verdict every {USUAL:g} s, on the same "
    f"machine. Joins: {JOINS} processes read the index, fetch every package and hash it, at once."
)
ATTENDEE = """
import random, sys, time
from kit.attendee import membership, outbox
from kit.attendee.link import Link
address, name, token, exercise, verdicts, begin, pause = sys.argv[1:]
membership.save(membership.Membership(address, name, token))
with Link() as link:
    time.sleep(max(0, float(begin) - time.time()) + random.uniform(0, 2))
    for n in range(int(verdicts)):
        print(n + 1, time.time(), flush=True)
        outbox.note_verdict(exercise, {"2.1": "passed", "2.2": "failed"}, "test_ping_answers_pong")
        link.wake()
        time.sleep(float(pause) * random.uniform(0.5, 1.5))
    while outbox.unsent(1):
        time.sleep(0.2)
"""
JOIN = """
import hashlib, re, sys, urllib.request
fetched = 0
def get(path):
    return urllib.request.urlopen(sys.argv[1] + path, timeout=600).read()
for name in re.findall('href="(/simple/.*?)"', get("/simple/").decode()):
    for path, wanted in re.findall('href="(.*?)#sha256=(.*?)"', get(name).decode()):
        data = get(path)
        assert hashlib.sha256(data).hexdigest() == wanted, path
        fetched += len(data)
print(fetched)
"""


def measure(repeat: int | None, say: Say) -> Report:
    """Lag, loss, watch beside the room, and joins."""
    rounds = repeat or 5
    packages = ROOT / ".workshop" / "packages"
    if not packages.is_dir():
        say("packing")
        workshop("pack", str(packages))
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        place = Path(name)
        say("watch alone")
        alone = _saves(place / "alone", rounds)
        with Room(place / "room", packages) as room:
            say("the lag of the board")
            lags = room.lags(_class(room, place / "class"))
            say("watch beside the room")
            attendees = _class(room, place / "beside", verdicts=10**6, pause=USUAL)
            time.sleep(STARTING)
            beside = _saves(place / "beside-a-room", rounds)
            _end(attendees)
            say("the room is killed")
            lost = room.lost(_class(room, place / "killed"))
            say("joins")
            speed, failed = _joins(room.address)
    return Report(
        "A room",
        HOW,
        [
            Measurement(LAG, [_percentile(lags, 99)]),
            Measurement("board behind", lags),
            Measurement(LOST, [lost], unit=""),
            Measurement(SAVE, alone),
            Measurement(SAVE_IN_ROOM, beside, peer=SAVE),
            Measurement(SPEED, [speed], unit="MB/s"),
            Measurement(FAILED, [failed], unit=""),
        ],
        [
            Target(LAG, "median", "at most", 1),
            Target(LOST, "median", "at most", 0),
            Target(SAVE_IN_ROOM, "ratio", "at most", 1.05),
            Target(FAILED, "median", "at most", 0),
        ],
    )


class Room:
    """The real command, on a port of its own, with what the benchmark asks it."""

    def __init__(self, state: Path, packages: Path) -> None:
        self.state = state
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.words = ["--host", "127.0.0.1", "--port", str(self.port), "--packages", str(packages)]

    def __enter__(self) -> "Room":
        self.start()
        # Handbook and slides are built only once, and not beside what is measured.
        for page in ("/handbook/", "/slides/talk.html"):
            _until(functools.partial(self._shows, page))
        with contextlib.closing(self.store()) as store:
            self.code, self.secret = store.setting("code"), store.setting("secret")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kit", "room", *self.words],
            cwd=ROOT,
            env=learners_env() | {"WORKSHOP_STATE": str(self.state)},
            stdout=subprocess.DEVNULL,
        )
        _until(functools.partial(self._shows, "/"))

    def _shows(self, path: str) -> bool:
        return _status(self.port, path) == 200

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def store(self) -> Store:
        """What it knows."""
        return Store(self.state / "room" / "room.sqlite", catalogue.load())

    def lags(self, attendees: Sequence["subprocess.Popen[str]"]) -> list[float]:
        """Seconds from the note of each verdict to the board's event that shows it."""
        seen: dict[str, dict[int, float]] = {}
        stop = threading.Event()
        watching = threading.Thread(target=self._watch, args=(seen, stop), daemon=True)
        watching.start()
        noted = _noted(attendees)
        time.sleep(2)
        stop.set()
        lags = []
        for name, times in noted.items():
            for n, at in times.items():
                # Two verdicts may come with one event.
                shown = [when for count, when in seen[name].items() if count >= n]
                lags.append(min(shown) - at)
        return lags

    def lost(self, attendees: Sequence["subprocess.Popen[str]"]) -> float:
        """How many verdicts the room does not know in the end, after it was killed in between."""
        time.sleep(STARTING + 6)
        self.kill()
        time.sleep(AWAY)
        self.start()
        noted = _noted(attendees)
        with contextlib.closing(self.store()) as store:
            known = {
                who.name: sum(each.checks for each in who.standings) for who in store.attendees()
            }
        return float(sum(len(times) - known[name] for name, times in noted.items()))

    def _watch(self, seen: dict[str, dict[int, float]], stop: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/board/events", headers={"Cookie": f"board={self.secret}"})
        answer = connection.getresponse()
        while not stop.is_set():
            line = answer.readline()
            if line.startswith(b"data: "):
                now = time.time()
                for who in json.loads(line.removeprefix(b"data: "))["attendees"]:
                    seen.setdefault(who["name"], {}).setdefault(who["checks"], now)
        connection.close()


def _saves(folder: Path, rounds: int) -> list[float]:
    course = copy_of_the_course(folder)
    return list(saves(course, HELLO, course_env(course), rounds))


def _class(
    room: Room, folder: Path, verdicts: int = VERDICTS, pause: float = QUICK
) -> list["subprocess.Popen[str]"]:
    """Attendees, each a process with a folder of its own."""
    names = [f"{folder.name} {i}" for i in range(ATTENDEES)]
    begin = time.time() + STARTING
    tokens = [_token(room, name) for name in names]  # all, before the first of them is busy
    return [
        _attendee(room, folder / name, verdicts, token, begin, pause)
        for name, token in zip(names, tokens, strict=True)
    ]


def _token(room: Room, name: str) -> str:
    wish = {"code": room.code, "name": name}
    return str(call("POST", room.address, "/room/join", wish, timeout=INTERACTIVE_TIMEOUT)["token"])


def _attendee(
    room: Room, state: Path, verdicts: int, token: str, begin: float, pause: float
) -> "subprocess.Popen[str]":
    state.mkdir(parents=True)
    words = [room.address, state.name, token, HELLO, str(verdicts), str(begin), str(pause)]
    return subprocess.Popen(
        [sys.executable, "-c", ATTENDEE, *words],
        cwd=ROOT,
        env=learners_env() | {"WORKSHOP_STATE": str(state)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _noted(attendees: Sequence["subprocess.Popen[str]"]) -> dict[str, dict[int, float]]:
    """When each attendee noted its verdicts, by name. Waits for the end of all."""
    noted: dict[str, dict[int, float]] = {}
    for process in attendees:
        out, _ = process.communicate(timeout=600)
        if process.returncode:
            raise KitError("an attendee has failed", "look at what it says")
        name = list(process.args)[4]  # type: ignore[arg-type]  # a list, as it was given
        lines = (line.split() for line in out.splitlines())
        noted[str(name)] = {int(n): float(at) for n, at in lines}
    return noted


def _end(attendees: Sequence["subprocess.Popen[str]"]) -> None:
    for process in attendees:
        process.kill()
        process.communicate()


def _joins(address: str) -> tuple[float, float]:
    """MB/s of all together, and how many failed."""
    began = time.monotonic()
    processes = [
        subprocess.Popen([sys.executable, "-c", JOIN, address], stdout=subprocess.PIPE, text=True)
        for _ in range(JOINS)
    ]
    fetched, failed = 0, 0
    for process in processes:
        out, _ = process.communicate()
        failed += process.returncode != 0
        fetched += int(out or 0)
    return fetched / 1e6 / (time.monotonic() - began), float(failed)


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _until(ready: Callable[[], bool], timeout: float = 300) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise KitError("the room does not answer", "./workshop room --host 127.0.0.1")
        time.sleep(0.2)
