"""A class of forty: right, wrong, hostile, empty and broken submissions, graded twice.

Both gradings have the same result. They use the real course, and the command that an instructor
types. Other tests grade each kind of submission alone; here all are graded together.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from kit.checking import verdict_json
from kit.checking.trial import copy_project
from kit.checking.wording import task_text
from kit.course import catalogue
from kit.sandbox.bubblewrap import protection
from kit.workspace import ROOT
from tests.course.test_mistakes import mistakes
from tests.support.hostile_submissions import HOSTILE, MARK, SLUG
from tests.support.learner import UNSET
from tests.support.processes import Mark

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

SIZE = 40
GRADING_TIMEOUT = 240  # seconds, on a busy machine
# Times and durations in each kind of report.
TIMES = (
    r'"seconds": [\d.]+',
    r'"when": "[^"]*"',
    r' time="[^"]*"',
    r'<time datetime="[^"]*">[^<]*</time>',
)


@dataclass(frozen=True)
class Member:
    """A learner: what the learner hands in, and the expected result.

    `words` have to be in the first failed task's message, or in the problem. Without words, the
    submission has to pass.
    """

    hand_in: Callable[[Path], None]
    words: tuple[str, ...] = ()


def unchanged(project: Path) -> None:
    """Leave the solution as it is."""


def repository(folder: Path, make: Callable[[Path], None] = unchanged) -> None:
    """Write a learner's repository: the solution, as `make` changes it."""
    make(copy_project(catalogue.find(SLUG).solution, folder / "work"))


def zipped(folder: Path) -> None:
    repository(folder)
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, Path("repository-main", file.relative_to(folder)))
    shutil.rmtree(folder)


def tarred(folder: Path) -> None:
    repository(folder)
    with tarfile.open(f"{folder}.tar.gz", "w:gz") as archive:
        archive.add(folder, "handed-in")
    shutil.rmtree(folder)


def clone_of_the_kit(folder: Path) -> None:
    shutil.copytree(ROOT / "exercises", folder / "exercises")
    repository(folder)


def no_archive(folder: Path) -> None:
    folder.with_suffix(".zip").write_text("PK?", encoding="utf-8")


def truncated(folder: Path) -> None:
    zipped(folder)
    archive = folder.with_suffix(".zip")
    archive.write_bytes(archive.read_bytes()[:-40])


def climbing(folder: Path) -> None:
    """An archive with paths outside of the folder it is unpacked into."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        archive.writestr(f"../../{MARK}.txt", "here")
        archive.writestr(f"/tmp/{MARK}.txt", "here")


def bomb(folder: Path) -> None:
    """300 MB of zeros, packed into 0.3 MB."""
    packed = zipfile.ZipFile(folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED)
    with packed as archive, archive.open(f"{SLUG}/nb_runner/main.py", "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))


def the_class() -> dict[str, Member]:
    """Forty learners of all kinds, by name."""
    members = {
        "right-folder": Member(repository),
        "right-zip": Member(zipped),
        "right-tar": Member(tarred),
        "right-clone": Member(clone_of_the_kit),
        "empty": Member(Path.mkdir, ("no exercise",)),
        "broken-text": Member(no_archive, ("neither a .zip nor",)),
        "broken-end": Member(truncated, ("cut short",)),
        "broken-climbs": Member(climbing, ("no exercise",)),
        "broken-bomb": Member(bomb, ("larger than",)),
    }
    for name, hostile in HOSTILE.items():
        if not hostile.slow and (protection().full or not hostile.harms):
            words = (hostile.words,) if hostile.words else ()
            members[f"hostile-{name}"] = Member(partial(repository, make=hostile), words)
    for mistake in [each for each in mistakes() if each.slug == SLUG][: SIZE - len(members)]:
        name = f"wrong-{len(members):02}"
        members[name] = Member(partial(repository, make=mistake.make), mistake.words)
    while len(members) < SIZE:
        members[f"right-{len(members):02}"] = Member(repository)
    return members


@dataclass(frozen=True)
class Graded:
    """The class, the folders of both gradings' reports, and the processes and files left over."""

    members: dict[str, Member]
    reports: tuple[Path, Path]
    codes: tuple[int, int]
    leftovers: list[str]

    @property
    def by_learner(self) -> dict[str, Any]:
        report = json.loads((self.reports[0] / "report.json").read_text(encoding="utf-8"))
        return {each["learner"]: each for each in report["learners"]}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graded]:
    place = tmp_path_factory.mktemp("forty")
    room, scratch = place / "class", place / "scratch"
    room.mkdir()
    scratch.mkdir()
    members = the_class()
    for name, member in members.items():
        member.hand_in(room / name)
    mark = Mark()
    before = {process.pid for process in psutil.process_iter()}
    reports = place / "first", place / "second"
    codes = grade(room, reports[0], scratch, mark), grade(room, reports[1], scratch, mark)
    leftovers = [
        *mark.commands(),
        *map(str, scratch.iterdir()),
        *_processes_of_the_class(before, place),
    ]
    yield Graded(members, reports, codes, leftovers)


def grade(room: Path, out: Path, scratch: Path, mark: Mark) -> int:
    """Grade the class. Returns the exit code."""
    env = {name: value for name, value in os.environ.items() if name not in UNSET}
    env |= {"TMPDIR": str(scratch), "WORKSHOP_STATE": str(scratch.parent / "state"), **mark.env}
    env.pop("GITHUB_STEP_SUMMARY", None)
    done = subprocess.run(
        [sys.executable, "-m", "kit", "grade", str(room), "--exercises", SLUG, "--out", str(out)],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GRADING_TIMEOUT,
        check=False,
    )
    assert "Traceback (most recent call last)" not in done.stderr, done.stderr
    return done.returncode


def _processes_of_the_class(before: set[int], place: Path) -> list[str]:
    """The commands of new processes that have to do with the class."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid not in before and (MARK in words or str(place) in " ".join(words)):
            found.append(" ".join(words))
    return found


@pytest.mark.timeout(2 * GRADING_TIMEOUT + 60)
def test_each_of_forty_submissions_gets_the_expected_result(graded: Graded) -> None:
    assert len(graded.members) == SIZE
    assert graded.codes == (1, 1)  # some have failed, and all could be graded
    by_learner = graded.by_learner
    assert sorted(by_learner) == sorted(graded.members)
    for name, member in graded.members.items():
        learner = by_learner[name]
        assert learner["passed"] == (not member.words), learner
        assert not any("problem" in each for each in learner["exercises"]), learner
        verdicts = map(verdict_json.from_json, learner["exercises"])
        messages = [task_text(task) for each in verdicts for task in each.tasks if not task.passed]
        first = f"{learner.get('problem', '')}\n{messages[0] if messages else ''}"
        missing = [word for word in member.words if word not in first]
        assert not missing, f"{name}: {missing} are not in:\n{first}"


@pytest.mark.timeout(2 * GRADING_TIMEOUT + 60)
def test_the_second_grading_writes_the_same_reports_to_the_byte(graded: Graded) -> None:
    first, second = map(contents, graded.reports)
    assert sorted(first) == sorted(second)
    assert len(first) == SIZE + 4  # a JUnit file for each, and the others
    assert [name for name in first if first[name] != second[name]] == []


def contents(reports: Path) -> dict[str, str]:
    """The text of all reports of a grading, without times."""
    found = {}
    for file in reports.rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            for pattern in TIMES:
                text = re.sub(pattern, "TIME", text)
            found[str(file.relative_to(reports))] = text
    return found


@pytest.mark.timeout(2 * GRADING_TIMEOUT + 60)
def test_nothing_is_left_running_or_written_elsewhere(graded: Graded) -> None:
    assert graded.leftovers == []
    places = (Path("/"), Path("/tmp"), Path.home(), ROOT, ROOT / "kit", *graded.reports)
    assert [file for place in places for file in place.glob(f"*{MARK}*")] == []
