"""A session grades correct submissions correctly, and hostile ones without damage."""

import json
import re
import shutil
import signal
import site
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import fastapi
import httpx
import psutil
import pytest
import uvicorn
from redis import Redis

from kit.checking.grader_process import _tasks, grade
from kit.checking.trial import copy_project
from kit.checking.wording import task_text
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.processes.stack import Stack
from kit.sandbox.limits import MIB, Limits
from kit.sandbox.monitor import Excess, Monitor
from kit.sandbox.process_tree import join_new_keyring
from kit.sandbox.session import Session, _parse_verdict
from kit.verdicts.failure import LINES, WIDTH, Failure, FailureCode, clipped
from kit.verdicts.verdict import TestReport, Verdict
from kit.workspace import ROOT
from tests.support.hostile_submissions import HOSTILE, MARK, SLUG
from tests.support.processes import eventually
from tests.support.requirements import needs_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

Maker = Callable[[Path], None]
Run = Callable[..., list[Verdict]]
SMALL = Limits(memory=700 * MIB, disk=128 * MIB, files=5000, processes=60, deadline=120)
CONFINED = pytest.param(True, id="sandbox", marks=needs_sandbox())
# Graded by themselves: they run until a timeout, or the test counts their processes.
ALONE = ("endless_start", "endless_work", "fork_bomb")
EITHER = pytest.mark.parametrize("confined", [CONFINED, pytest.param(False, id="bare")])


def graded(scratch: Path, *makers: Maker, confined: bool, limits: Limits = SMALL) -> list[Verdict]:
    """Grade changed copies of a solution in one session. Fails if files or processes are left."""
    exercise = catalogue.find(SLUG)
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    projects = []
    for number, make in enumerate(makers):
        folder = copy_project(exercise.solution, scratch / f"{number}")
        make(folder)
        projects.append((exercise, folder))
    with Session(projects, scratch, limits, confined=confined) as session:
        verdicts = list(session)
    after = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    assert after == []
    assert left_behind() == []
    assert written_outside() == []
    assert not (scratch / "run").exists()
    shutil.rmtree(scratch)  # fails on a locked folder
    return verdicts


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return partial(graded, tmp_path / "scratch")


@dataclass
class Class:
    """What came of grading many submissions in one session."""

    verdicts: dict[str, list[Verdict]]  # on each, and on the one that came next
    keys: list[bytes]  # in a Redis of this machine that no submission may reach


@pytest.fixture(scope="module")
def of_all(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Class]:
    """The verdict on each hostile submission, and on the correct one that comes next."""

    @cache
    def of_all(confined: bool) -> Class:
        chosen = [n for n, each in HOSTILE.items() if n not in ALONE]
        chosen = [n for n in chosen if confined or not HOSTILE[n].harms]
        pairs: dict[str, tuple[Maker, Maker]] = {n: (HOSTILE[n], nothing) for n in chosen}
        pairs |= {
            "leaves_a_daemon": (HOSTILE["leaves_a_daemon"], looks_for_the_daemon),
            "environment": (tells_its_environment, nothing),
        }
        makers = [maker for pair in pairs.values() for maker in pair]
        place = tmp_path_factory.mktemp("all")
        with pytest.MonkeyPatch.context() as patch, Stack(place / "state") as stack:
            url = stack.redis()
            patch.setenv("REDIS_URL", url)
            patch.setenv("GITHUB_TOKEN", "abcdef")
            with Redis.from_url(url) as client:
                client.set("theirs", "here")
                verdicts = graded(place / "scratch", *makers, confined=confined)
                keys = client.keys()
        assert len(verdicts) == len(makers)
        return Class({n: verdicts[2 * i : 2 * i + 2] for i, n in enumerate(pairs)}, keys)

    return of_all


def left_behind() -> list[psutil.Process]:
    """Processes of hostile submissions that have outlived their session."""
    return [p for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]


def written_outside() -> list[Path]:
    """The files that hostile submissions have written outside of the sandbox."""
    places = [ROOT, ROOT / "kit", ROOT / "kit" / "grading", ROOT / "tests" / "graders"]
    places += [Path("/"), Path("/tmp"), Path("/usr"), Path("/etc"), Path("/var/tmp"), Path("/dev")]
    places += [Path.home(), Path("/home"), *map(Path, site.getsitepackages())]
    found = [file for place in places for file in place.glob(f"{MARK}*")]
    for module in (fastapi, httpx, uvicorn):
        file = Path(module.__file__ or "")
        if MARK in file.read_text():
            found.append(file)
    return found


def nothing(folder: Path) -> None:
    """Leave the solution as it is."""


def message(verdict: Verdict) -> str:
    assert verdict.first_failure is not None
    return task_text(verdict.first_failure)


def code(verdict: Verdict) -> FailureCode:
    assert verdict.first_failure and verdict.first_failure.failure
    return verdict.first_failure.failure.code


# Submission and sandbox. Without a sandbox, some submissions would damage this machine.
PAIRS = [
    pytest.param(name, confined, id=f"{'sandbox' if confined else 'bare'}-{name}", marks=marks)
    for name, hostile in HOSTILE.items()
    for confined, marks in ((True, needs_sandbox()), (False, ()))
    if name not in ALONE and (confined or not hostile.harms)
]


@pytest.mark.parametrize(("name", "confined"), PAIRS)
def test_a_hostile_submission_harms_itself_only(
    of_all: Callable[[bool], Class], name: str, confined: bool
) -> None:
    hostile = HOSTILE[name]
    verdict, after = of_all(confined).verdicts[name]
    assert verdict.passed == (not hostile.words)
    assert verdict.problem is None
    if hostile.words:
        assert hostile.words in message(verdict)
        ended = code(verdict) is FailureCode.ENDED_GRADER
        assert not (ended and any(task.passed for task in verdict.tasks))
    if name == "leaves_a_daemon":
        assert "200 OK: []" in message(after)
    else:
        assert after.passed, after


def looks_for_the_daemon(folder: Path) -> None:
    """Make /ping answer with the processes that carry MARK."""
    main = folder / "nb_runner" / "main.py"
    first = (
        "from pathlib import Path\n"
        "commands = [p.read_text() for p in Path('/proc').glob('[0-9]*/cmdline')]\n"
        f"seen = [c for c in commands if {MARK!r} in c.split(chr(0))]\n"
    )
    text = main.read_text().replace("-> str", "-> list").replace('return "pong"', "return seen")
    main.write_text(first + text)


@EITHER
def test_a_start_without_end_is_ended(
    run: Run, confined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_CHECK_START", "8")
    names = ("endless_start", "endless_work")
    *hostile, after = run(*(HOSTILE[name] for name in names), nothing, confined=confined)
    for name, verdict in zip(names, hostile, strict=True):
        assert HOSTILE[name].words in message(verdict)
    assert after.passed, after


def test_a_task_has_passed_when_all_its_tests_have() -> None:
    exercise = catalogue.find(SLUG)
    first, second = (TestReport(task.number, passed=True) for task in exercise.tasks[:2])
    tests = {exercise.tasks[0].number: 2, exercise.tasks[1].number: 1}
    half, whole, *_ = _tasks(exercise, [first, second], tests, late=5)
    assert (half.passed, whole.passed) == (False, True)
    assert half.failure == Failure(FailureCode.TIME_LIMIT, limit=5)


def test_threads_are_counted(tmp_path: Path) -> None:
    sleeps = "import threading, time\nfor _ in range(30):\n"
    sleeps += "    threading.Thread(target=time.sleep, args=(60,)).start()\nprint(1, flush=True)"
    limits = Limits(threads=20)
    with subprocess.Popen([sys.executable, "-c", sleeps], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        excess = Monitor(limits, tmp_path, own_filesystem=False).check()
        process.kill()
    assert excess == Excess(FailureCode.THREAD_LIMIT, 20)


def test_an_endless_message_is_clipped() -> None:
    assert clipped("A" * 10**7) == "A" * WIDTH + " …"
    assert len(clipped("A\n" * 10**6).splitlines()) == LINES + 1
    assert clipped("Got  1\n  2") == "Got  1\n  2"


@EITHER
def test_at_the_deadline_all_is_stopped(run: Run, confined: bool) -> None:
    verdict, _ = run(
        HOSTILE["endless_start"], nothing, confined=confined, limits=Limits(deadline=4)
    )
    assert message(verdict) == "It took longer than 4 s, so everything was stopped."


@EITHER
def test_a_fork_bomb_has_no_time_to_grow(run: Run, confined: bool) -> None:
    peak = 0
    over = threading.Event()

    def count() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, len(psutil.Process().children(recursive=True)))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        verdict, _ = run(HOSTILE["fork_bomb"], nothing, confined=confined)
    finally:
        over.set()
        counting.join()
    assert message(verdict) == f"It had more than {SMALL.processes} processes at the same time."
    assert peak < 1000


ENDS_REDIS = """
import os
from redis import Redis

try:
    Redis.from_url(os.environ["REDIS_URL"]).shutdown(nosave=True)
except Exception as error:
    print(error)
"""

ENDS_FORK_SERVER = """
import os, signal
from pathlib import Path

pid = os.getppid()
server = "kit.processes.forkserver"
while pid > 1 and server in Path(f"/proc/{pid}/cmdline").read_text().split(chr(0)):
    last, pid = pid, int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    if "bwrap" in Path(f"/proc/{pid}/cmdline").read_text():
        break
os.kill(last, signal.SIGKILL)
"""


ENDERS = (
    ("05", "tasks.py", ENDS_REDIS, "made its own grader fail|worker"),
    ("04", "main.py", ENDS_FORK_SERVER, "ended the process that starts its programs"),
)


@EITHER
def test_a_submission_that_ends_its_redis_or_its_fork_server_has_failed(
    tmp_path: Path, confined: bool
) -> None:
    projects = []
    for number, file, source, _ in ENDERS:
        exercise = catalogue.find(number)
        good = copy_project(exercise.solution, tmp_path / "good")
        bad = copy_project(exercise.solution, tmp_path / "bad")
        with (bad / "nb_runner" / file).open("a") as out:
            out.write(source)
        projects += [(exercise, bad), (exercise, good)]
    with Session(projects, tmp_path, SMALL, confined=confined) as session:
        verdicts = list(session)
    for (*_, words), verdict, after in zip(ENDERS, verdicts[::2], verdicts[1::2], strict=True):
        assert not verdict.passed
        assert verdict.problem is None
        assert re.search(words, message(verdict)), message(verdict)
        assert after.passed, after


# A fake Poetry: it accepts everything, and puts links to the solution in place of the files.
FAKE_POETRY = f"""
import sys, zipfile
from pathlib import Path

here = Path.cwd()
for name in ("pyproject.toml", "poetry.lock", "poetry.toml"):
    for place in (here, here.parents[2] / "work" / "01-poetry"):
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to({str(ROOT)!r} + "/solutions/01-poetry/" + name)
(here / "dist").mkdir(exist_ok=True)
with zipfile.ZipFile(here / "dist" / "a.whl", "w") as wheel:
    wheel.writestr("nb_runner/__init__.py", "")
"""


@EITHER
def test_a_package_called_like_poetry_is_not_asked(tmp_path: Path, confined: bool) -> None:
    exercise = catalogue.find("01")
    folder = copy_project(exercise.solution, tmp_path / "copies")
    project = folder / "pyproject.toml"
    # Now the lock does not fit the project, which only the real Poetry can tell.
    project.write_text(project.read_text().replace("fastapi>=0.165,", "fastapi>=0.164,"))
    package = folder / "poetry"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE_POETRY)
    with Session([(exercise, folder)], tmp_path, SMALL, confined=confined) as session:
        (verdict,) = session
    assert verdict.problem is None
    assert [task.number for task in verdict.tasks if not task.passed] == ["1.5"]


# A file that the grader writes becomes a link to an open file of the grader.
LINKS = """
import os, threading, time
from pathlib import Path


def verdict_fd() -> str:
    # VERDICT_FD of the worker process: its number is on the command line.
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_text().split("\\0")
        except OSError:
            continue
        if "kit.sandbox.worker" in words and "bwrap" not in words[0]:
            return words[words.index("kit.sandbox.worker") + 2]
    return "none"


def link() -> None:
    fd = verdict_fd()
    state = Path(os.environ["DATABASE_URL"].removeprefix("sqlite:///")).parent
    for _ in range(3000):
        for orders in [desk / "orders.json" for desk in state.glob("*/desk")]:
            try:
                if not orders.is_symlink():
                    orders.unlink(missing_ok=True)
                    orders.symlink_to(f"/proc/self/fd/{fd}")
            except OSError:
                pass
        time.sleep(0.005)


threading.Thread(target=link, daemon=True).start()
"""


@needs_sandbox()
def test_a_grader_that_follows_a_hostile_link_spoils_no_other_verdict(tmp_path: Path) -> None:
    exercise, next_one = catalogue.find("10"), catalogue.find(SLUG)
    bad = copy_project(exercise.solution, tmp_path / "bad")
    with (bad / "nb_runner" / "main.py").open("a") as out:
        out.write(LINKS)
    good = copy_project(next_one.solution, tmp_path / "good")
    limits = Limits(deadline=60)
    with Session([(exercise, bad), (next_one, good)], tmp_path, limits) as session:
        verdict, after = session
    assert not verdict.passed
    assert verdict.problem is None
    assert after.passed, after


@pytest.mark.parametrize(
    "line",
    [
        b"what",
        b'{"task": "2.1", "passed": true, "notes": []}',
        json.dumps({"exercise": "03-validation", "seconds": 1, "tasks": []}).encode(),
        json.dumps({"exercise": SLUG, "seconds": 1, "tasks": []}).encode(),
    ],
)
def test_what_is_no_verdict_on_the_exercise_is_not_believed(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?i)verdict"):
        _parse_verdict(line, catalogue.find(SLUG))


@needs_sandbox()
def test_a_submission_does_not_reach_a_redis_of_this_machine(
    of_all: Callable[[bool], Class],
) -> None:
    done = of_all(True)
    assert "200 OK: []" in message(done.verdicts["network"][0])
    assert done.keys == [b"theirs"]


def tells_its_environment(folder: Path) -> None:
    main = folder / "nb_runner" / "main.py"
    text = main.read_text().replace("-> str", "-> dict")
    answer = """return {n: v for n, v in os.environ.items() if n not in known or n == "HOME"}"""
    known = ["PATH", "TMPDIR", "LANG", "LC_CTYPE", "USER", "LOGNAME", "WORKSHOP_CHECK"]
    known += ["DATABASE_URL", "ARTIFACTS_DIR", "NOTEBOOK_PATH", "PYTHONUNBUFFERED"]
    first = f"import os\nknown = {known}\n"
    main.write_text(first + text.replace('return "pong"', answer))


@EITHER
def test_a_submission_gets_a_clean_environment(
    of_all: Callable[[bool], Class], confined: bool
) -> None:
    verdict, _ = of_all(confined).verdicts["environment"]
    found = re.search(r"200 OK: (.*)", message(verdict))
    assert found is not None
    told = json.loads(found[1])
    assert told.pop("REDIS_URL", "") == ""
    assert told.pop("HOME").endswith("/scratch/run/home")
    assert told == {}


KEYRINGS = f"""
import ctypes, platform

ADD, CONTROL = {{"x86_64": (248, 250), "aarch64": (217, 219)}}.get(platform.machine(), (0, 0))
SEARCH, MINE = 10, (-3, -4, -5)  # the keyrings of the session, the user, the user's sessions
ask = ctypes.CDLL(None).syscall
seen = [ring for ring in MINE if ask(CONTROL, SEARCH, ring, b"user", b"{MARK}", 0) > 0]
for ring in MINE:
    ask(ADD, b"user", b"{MARK}", b"all the answers", 15, ring)
"""


@needs_sandbox()
def test_a_submission_leaves_no_key_for_another_learner(run: Run) -> None:
    def looks(folder: Path) -> None:
        main = folder / "nb_runner" / "main.py"
        text = main.read_text().replace("-> str", "-> list").replace('return "pong"', "return seen")
        main.write_text(KEYRINGS + text)

    join_new_keyring()  # as after a login: the processes that this test starts share it
    said = [message(verdict) for _ in range(2) for verdict in run(looks, confined=True)]
    assert ["200 OK: []" in each for each in said] == [True, True], said


@EITHER
def test_close_ends_the_session_at_once_without_more_verdicts(
    tmp_path: Path, confined: bool
) -> None:
    exercise = catalogue.find(SLUG)
    folder = copy_project(exercise.solution, tmp_path / "copies")
    HOSTILE["endless_start"](folder)
    # The fork server of graders, which another test may have started, is no part of a session.
    before = set(psutil.Process().children(recursive=True))
    session = Session([(exercise, folder)] * 2, tmp_path, SMALL, confined=confined)
    threading.Timer(2, session.close).start()
    began = time.monotonic()
    assert list(session) == []
    assert time.monotonic() - began < 30
    session.close()
    assert set(psutil.Process().children(recursive=True)) - before == set()


def test_what_reads_verdicts_does_not_keep_close_waiting(tmp_path: Path) -> None:
    """It sees by itself that the session is closed, also when it is always first at the lock."""
    exercise = catalogue.find(SLUG)
    folder = copy_project(exercise.solution, tmp_path / "copies")
    HOSTILE["endless_start"](folder)
    session = Session([(exercise, folder)], tmp_path, SMALL, confined=False)
    threading.Timer(2, session._closed.set).start()  # as `close` does, which then waits
    began = time.monotonic()
    assert list(session) == []
    assert time.monotonic() - began < 30
    session.close()


@EITHER
def test_a_session_dies_with_the_process_that_started_it(tmp_path: Path, confined: bool) -> None:
    exercise = catalogue.find(SLUG)
    folder = copy_project(exercise.solution, tmp_path / "copies")
    HOSTILE["endless_start"](folder)
    source = (
        "import sys\nfrom pathlib import Path\nfrom kit.course import catalogue\n"
        "from kit.sandbox.session import Session\n"
        f"list(Session([(catalogue.find({SLUG!r}), Path({str(folder)!r}))], "
        f"Path({str(tmp_path)!r}), confined={confined}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], cwd=ROOT) as starter:
        process = psutil.Process(starter.pid)
        eventually(lambda: len(process.children(recursive=True)) > 5, "the project to be started")
        processes = process.children(recursive=True)
        starter.send_signal(signal.SIGKILL)
    eventually(lambda: not any(each.is_running() for each in processes), "all to end")


@needs_sandbox()
def test_every_solution_passes_in_the_sandbox(tmp_path: Path) -> None:
    pass_all(catalogue.load(), tmp_path, confined=True)


def test_solutions_pass_where_there_is_no_sandbox(tmp_path: Path) -> None:
    chosen = [catalogue.find(name) for name in ("01", "04", "05", "10")]
    pass_all(chosen, tmp_path, confined=False)


def pass_all(exercises: list[Exercise], scratch: Path, *, confined: bool) -> None:
    projects = [(each, copy_project(each.solution, scratch / "copies")) for each in exercises]
    with Session(projects, scratch, confined=confined) as session:
        verdicts = list(session)
    assert [verdict for verdict in verdicts if not verdict.passed] == []
    assert [verdict.exercise for verdict in verdicts] == [each.slug for each in exercises]


@EITHER
def test_a_wrong_answer_reads_as_in_check(
    of_all: Callable[[bool], Class], tmp_path: Path, confined: bool
) -> None:
    verdict, _ = of_all(confined).verdicts["conftest"]
    folder = copy_project(catalogue.find(SLUG).solution, tmp_path / "copies")
    HOSTILE["conftest"](folder)
    assert verdict.tasks == grade(catalogue.find(SLUG), folder, GraderOptions()).tasks
