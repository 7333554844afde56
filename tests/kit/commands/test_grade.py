"""`grade`, typed by an instructor: classes of a small course, with real sandboxes."""

import contextlib
import json
import signal
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.learner import Learner
from tests.support.processes import eventually
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.longest]

HELLO, PARROT = "01-hello", "02-parrot"
MAIN = Path("nb_runner", "main.py")
LOOP = "import time\nwhile True:\n    time.sleep(1)\n"
REPORTS = ["grades.csv", "junit", "report.html", "report.json", "summary.md"]


class Instructor(Learner):
    """An instructor with a folder of submissions, at a terminal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.env["TMPDIR"] = str(self.scratch)
        self.env.pop("GITHUB_STEP_SUMMARY", None)

    @property
    def submissions(self) -> Path:
        return self.home / "class"

    def hands_in(self, name: str, *slugs: str) -> Path:
        """Write a learner's repository, with the course's solutions. Returns the first main.py."""
        for slug in slugs:
            file = self.submissions / name / "work" / slug / MAIN
            file.parent.mkdir(parents=True)
            file.write_bytes((self.home / "solutions" / slug / MAIN).read_bytes())
            (file.parent / "__init__.py").touch()
        (self.submissions / name).mkdir(parents=True, exist_ok=True)
        return self.submissions / name / "work" / slugs[0] / MAIN if slugs else self.submissions

    def report(self, out: str = "grades") -> Any:
        return json.loads((self.home / out / "report.json").read_text(encoding="utf-8"))

    def seconds_of(self, learner: str) -> list[float]:
        [found] = [each for each in self.report()["learners"] if each["learner"] == learner]
        return [each["seconds"] for each in found["exercises"]]


@pytest.fixture
def instructor(tmp_path: Path) -> Iterator[Instructor]:
    """An instructor; after the test, no process of a submission runs, and scratch is empty."""
    instructor = Instructor(tmp_path)
    yield instructor
    assert instructor.mark.commands() == []
    # A process that is killed together with its namespace takes a moment to end.
    eventually(lambda: running_in(instructor.scratch) == [], "everything to end", 20)
    assert list(instructor.scratch.iterdir()) == []


def running_in(folder: Path) -> list[str]:
    """The commands of processes that name the folder, or whose working directory is in it."""
    found = []
    for process in psutil.process_iter():
        # The working directory of a process of another test can be too deep to be named.
        with contextlib.suppress(psutil.Error, OSError):
            words = [*process.cmdline(), process.cwd()]
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and any(str(folder) in word for word in words):
                found.append(" ".join(words))
    return found


def without_times(data: Any) -> Any:
    """A report without its times and durations."""
    if isinstance(data, dict):
        return {k: without_times(v) for k, v in data.items() if k not in ("when", "seconds")}
    return [without_times(each) for each in data] if isinstance(data, list) else data


def hand_in_a_class(instructor: Instructor) -> None:
    """A learner of each kind: right, wrong, raises, half, nothing, archives, no archive, noisy."""
    instructor.hands_in("ada", HELLO, PARROT)
    wrong = instructor.hands_in("bob", HELLO, PARROT)
    wrong.write_text(wrong.read_text().replace('"pong"', '"<script>alert(1)</script>"'))
    instructor.hands_in("cleo", HELLO).write_text("import os\nraise RuntimeError(object(), id(os))")
    instructor.hands_in("dan", PARROT)
    instructor.hands_in("eve")
    (instructor.submissions / "finn.zip").write_bytes(b"PK not an archive")
    archived = instructor.hands_in("gil", HELLO).parents[3]
    with zipfile.ZipFile(instructor.submissions / "gil.zip", "w") as archive:
        for file in archived.rglob("*.py"):
            archive.write(file, file.relative_to(archived.parent))
    with tarfile.open(instructor.submissions / "hal.tar.gz", "w:gz") as tar:
        tar.add(archived, "hal-main")
    for file in sorted(archived.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    archived.rmdir()
    instructor.hands_in("ivy", HELLO).write_text(
        "print('x' * 100)\n" * 50 + "raise SystemExit(3)\n"
    )


def test_a_class_is_graded_and_reported_twice_the_same(instructor: Instructor) -> None:
    hand_in_a_class(instructor)
    done = instructor.run("grade", "class", "--jobs", "2")
    assert done.returncode == 1, done.stderr
    for words in (
        "✓ ada: 2 of 2 exercises passed\n",
        "✗ bob: 1 of 2 exercises passed; not 1.1\n",
        "✗ eve: Nothing was handed in",
        "✗ finn: ",
        "✓ gil: 1 of 1 exercises passed\n",
        "1 of 9 learners passed everything",
        "Reports in grades: ",
        f"Look at {(instructor.home / 'grades' / 'report.html').as_uri()}\n",
        "When something has changed: ./workshop grade class --jobs 2 --resume\n",
    ):
        assert words in done.stdout
    out = instructor.home / "grades"
    assert sorted(each.name for each in out.iterdir()) == REPORTS
    report = instructor.report()
    names = ["ada", "bob", "cleo", "dan", "eve", "finn", "gil", "hal", "ivy"]
    assert [each["learner"] for each in report["learners"]] == names
    assert [each["passed"] for each in report["learners"]] == [True] + [False] * 8
    assert (report["complete"], report["passed"]) == (True, False)
    assert [each["exercise"] for each in report["exercises"]] == [HELLO, PARROT]
    assert sorted(each.stem for each in (out / "junit").iterdir()) == names
    assert (out / "grades.csv").read_text().splitlines()[1] == "ada,1,1,1,3"
    page = (out / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page
    assert str(instructor.home) not in page + (out / "report.json").read_text()
    instructor.run("grade", "class", "--jobs", "3", "--out", "again")
    assert without_times(instructor.report("again")) == without_times(report)
    for name in ("grades.csv", "summary.md"):
        assert (instructor.home / "again" / name).read_bytes() == (out / name).read_bytes()


def test_a_requested_exercise_that_is_not_handed_in_is_not_passed(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO, PARROT)
    instructor.hands_in("bob", PARROT)
    done = instructor.run("grade", "class", "--exercises", "01")
    assert done.returncode == 1
    assert "✓ ada: 1 of 1 exercises passed\n" in done.stdout
    assert "✗ bob: 0 of 1 exercises passed; not handed in: 01\n" in done.stdout


@pytest.mark.parametrize("out", ["class/ada", "class/ada/work", "class/ada/work/01-hello/new"])
def test_reports_are_not_written_into_a_submission(instructor: Instructor, out: str) -> None:
    instructor.hands_in("ada", HELLO)
    instructor.hands_in("bob", HELLO)
    before = sorted(instructor.submissions.rglob("*"))
    done = instructor.run("grade", "class", "--out", out)
    assert done.returncode == 2
    assert f"the reports cannot go to {out}: that is ada's work" in done.stderr
    assert sorted(instructor.submissions.rglob("*")) == before


def test_resume_grades_only_what_has_changed(instructor: Instructor) -> None:
    for name in ("ada", "bob"):
        instructor.hands_in(name, HELLO, PARROT)
    assert instructor.run("grade", "class").returncode == 0
    before = {name: instructor.seconds_of(name) for name in ("ada", "bob")}
    file = instructor.submissions / "bob" / "work" / HELLO / MAIN
    file.write_text(file.read_text().replace('"Ada"', '""'))
    done = instructor.run("grade", "class", "--resume")
    assert done.returncode == 1
    assert "✓ ada: 2 of 2 exercises passed; unchanged\n" in done.stdout
    assert "✗ bob: 1 of 2 exercises passed; not 1.2\n" in done.stdout
    assert instructor.seconds_of("ada") == before["ada"]
    assert instructor.seconds_of("bob")[1] == before["bob"][1]
    # Everything is graded again without --resume, and with another timeout.
    for words in (["--resume", "--timeout", "100"], []):
        again = instructor.run("grade", "class", *words)
        assert "unchanged" not in again.stdout


def test_resume_grades_again_when_the_grader_has_changed(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    instructor.run("grade", "class")
    grader = instructor.home / "tests" / "graders" / "test_01_hello.py"
    grader.write_text(grader.read_text() + "\n# another\n")
    assert "unchanged" not in instructor.run("grade", "class", "--resume").stdout
    assert "unchanged" in instructor.run("grade", "class", "--resume").stdout


def test_a_damaged_report_is_set_aside(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    out = instructor.home / "grades"
    out.mkdir()
    (out / "report.json").write_text('{"version": 1, "learn')
    done = instructor.run("grade", "class", "--resume")
    assert done.returncode == 0
    assert (
        "grades/report.json was damaged, so it is set aside as report.json.damaged-" in done.stderr
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_grading_keeps_its_results_and_can_be_resumed(
    instructor: Instructor, number: signal.Signals
) -> None:
    instructor.hands_in("ada", HELLO)
    hangs = instructor.hands_in("bob", HELLO, PARROT)
    hangs.write_text(LOOP)
    instructor.hands_in("cleo", HELLO)
    before = instructor.home / "grades" / "report.html"
    before.parent.mkdir()
    before.write_text("of last week")
    # Without the signal, the grader would wait for the hanging start longer than the test does.
    words = ["grade", "class", "--jobs", "1"]
    with instructor.start(*words, WORKSHOP_CHECK_START="150") as process:
        report = instructor.home / "grades" / "report.json"
        eventually(report.exists, "the first to be graded")
        eventually(lambda: list(instructor.scratch.glob("*/0001/session.log")), "the next to start")
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=100)
    assert time.monotonic() - began < 30
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Interrupted: 1 of 3 learners are graded, and kept in grades/report.json." in err
    assert "The other reports there are still those of an earlier grading." in err
    assert "Try: ./workshop grade class --jobs 1 --resume" in err
    kept = instructor.report()
    assert kept["complete"] is False and kept["passed"] is False
    assert list(instructor.scratch.iterdir()) == []
    hangs.write_text("")
    done = instructor.run(*words, "--resume", WORKSHOP_CHECK_START="150")
    assert done.returncode == 1
    assert "✓ ada: 1 of 1 exercises passed; unchanged\n" in done.stdout
    assert instructor.report()["complete"] is True


def test_a_fault_of_the_workshop_is_not_one_of_the_learner(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    instructor.hands_in("bob", PARROT)
    (instructor.home / "tests" / "graders" / "test_01_hello.py").unlink()
    done = instructor.run("grade", "class")
    assert done.returncode == 2
    assert "workshop: 01-hello of ada could not be graded:" in done.stderr
    assert "its grader is missing: tests/graders/test_01_hello.py" in done.stderr
    assert "./workshop doctor" in done.stderr
    assert "✗ ada: 0 of 1 exercises passed; not graded: 01-hello\n" in done.stdout
    again = instructor.run("grade", "class", "--resume")
    assert "✗ ada: 0 of 1 exercises passed; not graded: 01-hello\n" in again.stdout
    assert "✓ bob: 1 of 1 exercises passed; unchanged\n" in again.stdout


def test_one_learner_alone_has_a_line_for_each_exercise(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO, PARROT)
    job = instructor.home / "job.md"
    done = instructor.run("grade", "class/ada", GITHUB_STEP_SUMMARY=str(job))
    assert done.returncode == 0, done.stdout
    first, second = done.stdout.splitlines()[:2]
    assert first.startswith("✓ 01-hello: passed, ") and second.startswith("✓ 02-parrot: passed, ")
    assert job.read_text() == (instructor.home / "grades" / "summary.md").read_text()


def test_the_options_exercises_points_and_out(instructor: Instructor) -> None:
    instructor.hands_in("ada", PARROT)
    instructor.hands_in("bob", HELLO, PARROT)
    (instructor.home / "points.toml").write_text('[points]\n"01" = 5\n')
    call = ["--exercises", "1", "--points", "points.toml", "--out", "there/it is"]
    done = instructor.run("grade", "class", *call)
    assert done.returncode == 1
    assert "When something has changed: ./workshop grade class" in done.stdout
    assert "--out 'there/it is' --resume" in done.stdout
    table = (instructor.home / "there" / "it is" / "grades.csv").read_text()
    assert table == "learner,1.1,1.2,total\nada,0,0,0\nbob,2.5,2.5,5\n"


def test_the_junit_file_of_a_learner_who_is_gone_is_removed(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    instructor.hands_in("bob", HELLO)
    instructor.run("grade", "class")
    other = instructor.home / "grades" / "junit" / "mine.xml"
    other.touch()
    (instructor.submissions / "bob").rename(instructor.home / "bob")
    instructor.run("grade", "class", "--resume")
    assert sorted(each.name for each in other.parent.iterdir()) == ["ada.xml", "mine.xml"]


def test_reports_beside_the_submissions_are_not_graded(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    instructor.home = instructor.submissions
    for _ in range(2):
        assert instructor.run("grade", ".").returncode == 0
    assert [each["learner"] for each in instructor.report()["learners"]] == ["ada"]


def test_without_a_sandbox_it_says_so(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    done = instructor.run("grade", "class", WORKSHOP_SANDBOX="none")
    assert done.returncode == 0, done.stderr
    assert "NOT confined" in done.stdout
    assert instructor.report()["protection"]["full"] is False
    for name in ("report.html", "summary.md"):
        assert "confined" in (instructor.home / "grades" / name).read_text()
    # A verdict without the sandbox is not reused for a grading in the sandbox.
    assert "unchanged" not in instructor.run("grade", "class", "--resume").stdout


def test_a_terminal_shows_the_progress(instructor: Instructor) -> None:
    instructor.hands_in("ada", HELLO)
    instructor.hands_in("bob", HELLO)
    env = instructor.env | {"TERM": "xterm"}
    with Terminal("grade", "class", "--jobs", "1", cwd=instructor.home, env=env) as terminal:
        terminal.wait_for("1 of 2 learners")
        terminal.wait_for("✓ bob: 1 of 1 exercises passed")
        assert terminal.wait() == 0
    assert "2 of 2 learners passed everything" in terminal.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere is not there"),
        (["solutions", "--exercises", "9"], "there is no exercise '9'"),
        (["solutions", "--exercises", "02-01"], "--exercises 02-01: 01 comes before 02"),
        (["solutions", "--points", "nowhere"], "nowhere cannot be read"),
        (["solutions", "--out", "solutions"], "the work is there"),
        (["solutions", "--out", "tests/graders/test_01_hello.py"], "cannot be written"),
        (["solutions/01-hello"], "is one exercise"),
        (["solutions", "--jobs", "0"], "--jobs"),
        (["solutions", "--timeout", "soon"], "--timeout"),
    ],
)
def test_a_wrong_call_says_so_and_what_to_type(
    instructor: Instructor, words: list[str], message: str
) -> None:
    done = instructor.run("grade", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (instructor.home / "grades").exists()
