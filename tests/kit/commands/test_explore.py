"""`./workshop explore`, on the solutions: what it finds, in which words, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kit.exploring.reports.as_json import VERSION
from kit.workspace import ROOT
from tests.support.processes import Mark, eventually

TIMEOUT = 900  # seconds; the longest takes two minutes on two cores, and more when they are busy

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.timeout(TIMEOUT)]


@dataclass(frozen=True)
class Explored:
    """What an exploration has printed, as data, and its page."""

    code: int
    data: dict[str, Any]
    page: str

    def search(self, name: str) -> dict[str, Any]:
        """The search whose name begins so."""
        found: list[dict[str, Any]] = self.data["searches"]
        return next(search for search in found if search["name"].startswith(name))

    def faults(self) -> list[Any]:
        """The schedules and crash points that break the rule, whole: they may not come twice."""
        schedules = [search["failing"] for search in self.data["searches"]]
        return [
            *(schedule for schedule in schedules if schedule),
            *(point for point in self.data["crash_points"] if not point["kept"]),
        ]

    def outcomes(self, operation: str, way: str) -> list[tuple[str, str]]:
        """The last command before each crash, and what came of it."""
        return [
            (point["command"].partition(" ")[0], point["outcome"])
            for point in self.data["crash_points"]
            if (point["operation"], point["way"]) == (operation, way)
        ]


Exploring = Callable[[str], Explored]


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Exploring:
    """Explores the solution of an exercise, once."""

    @cache
    def explore(number: str) -> Explored:
        folder = tmp_path_factory.mktemp(f"explore-{number}")
        page = folder / "page.html"
        done = run(folder, number, "--solution", "--json", "--html", page)
        assert "Traceback" not in done.stderr
        return Explored(done.returncode, json.loads(done.stdout), page.read_text())

    return explore


def environment(folder: Path, mark: Mark | None = None, **env: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    state = {"WORKSHOP_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT)}
    return {**clean, **state, **(mark.env if mark else {}), **env}


def run(folder: Path, *words: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """A command to its end. Nothing of it is left."""
    mark = Mark()
    done = subprocess.run(
        [sys.executable, "-m", "kit", "explore", *words],
        cwd=ROOT,
        env=environment(folder, mark, **env),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert mark.commands() == []
    return done


def test_in_06_two_starts_get_in(explored: Exploring) -> None:
    found = explored("06")
    search = found.search("two starts at once")
    assert (found.code, found.data["kept"], search["complete"]) == (1, False, False)
    assert [one["result"] for one in search["failing"]["outcomes"]] == ["202", "202"]
    assert "none of them looked" in search["failing"]["sentence"]
    assert found.data["crash_points"] == [] and found.data["left_out"]


@pytest.mark.thorough
def test_07_lets_one_in_whatever_the_order(explored: Exploring) -> None:
    found = explored("07")
    for name in ("two starts at once", "two starts, "):
        search = found.search(name)
        assert search["kept"] and search["complete"], search
    assert found.search("two starts at once")["schedules"] > 4
    lost = found.search("a start that does not get an answer")
    assert "two workers are at run" in lost["failing"]["fault"]


@pytest.mark.thorough
def test_in_07_a_worker_that_is_killed_keeps_everybody_out_for_ever(explored: Exploring) -> None:
    found = explored("07")
    *before_the_end, last = [outcome for _, outcome in found.outcomes("run", "kill")]
    assert found.code == 1
    assert len(before_the_end) >= 3 and set(before_the_end) == {"refused for ever"}
    assert last == "let in"  # the run had ended
    assert {outcome for _, outcome in found.outcomes("run", "pause")} == {"let in"}


@pytest.mark.thorough
def test_in_07_a_start_that_is_killed_before_it_queues_keeps_everybody_out(
    explored: Exploring,
) -> None:
    assert explored("07").outcomes("start", "kill") == [
        ("", "let in"),
        ("SET", "let in"),  # the lock
        ("LINDEX", "let in"),
        ("SET", "let in"),  # the record
        ("LPUSH", "refused for ever"),  # now it is the newest run
        ("EVALSHA", "refused for ever"),
        ("LPUSH", "blocked"),  # the message: a worker will take it
    ]


@pytest.mark.thorough
def test_what_is_left_in_12_is_a_message_that_comes_twice(explored: Exploring) -> None:
    found = explored("12")
    assert found.code == 1
    broken = [search["name"] for search in found.data["searches"] if not search["kept"]]
    assert broken == [found.search("a start that does not get an answer")["name"]]
    for name in ("a start and a cancel", "a start in the middle", "a cancel in the middle"):
        assert found.search(name)["complete"]
    assert len(found.outcomes("run", "kill")) >= 6
    assert {point["outcome"] for point in found.data["crash_points"]} == {"let in"}


@pytest.mark.thorough
def test_in_15_nothing_is_found(explored: Exploring) -> None:
    found = explored("15")
    assert found.faults() == []
    assert (found.code, found.data["kept"], found.data["complete"]) == (0, True, True)
    assert len(found.data["searches"]) == 6 and found.data["left_out"] == []
    assert len(found.outcomes("run", "pause")) >= 4
    assert {point["outcome"] for point in found.data["crash_points"]} == {"let in"}
    assert "none breaks the rule" in found.page


@pytest.mark.thorough
def test_the_page_is_one_file_that_asks_nobody(explored: Exploring) -> None:
    page = explored("07").page
    assert page.count("<svg") >= 3 and "refused for ever" in page
    urls = set(re.findall(r"[a-z]+://[^\"' ]+", page))
    assert urls == {"http://www.w3.org/2000/svg"}
    page = re.sub(r'<link rel="icon" href="data:[^"]*">', "", page)
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\(", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.thorough
def test_the_data_have_a_version_and_say_all(explored: Exploring) -> None:
    data = explored("07").data
    assert (data["version"], data["exercise"]) == (VERSION, "07-one-at-a-time")
    assert data["schedules"] == sum(search["schedules"] for search in data["searches"])
    broken = [point for point in data["crash_points"] if not point["kept"]]
    assert broken and all(point["story"]["steps"] and point["sentence"] for point in broken)


def test_in_words(tmp_path: Path) -> None:
    done = run(tmp_path, "06", "--solution", NO_COLOR="1", COLUMNS="100")
    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ two starts at once: " in done.stdout
    assert re.search(r"^ +API 1 +API 2$", done.stdout, re.MULTILINE)
    assert "Exercise 07" in done.stdout and "./workshop check 07" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "words", [["03"], ["01", "--solution"], ["--path", "solutions/05-celery-task"]]
)
def test_before_06_there_is_nothing_to_explore(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing to explore" in done.stderr and "Try: ./workshop explore 06" in done.stderr


@pytest.mark.parametrize(
    ("number", "redis", "named"),
    [
        ("07", "url", "REDIS_URL is not set"),
        ("12", "fakeredis", "needs a real Redis"),
    ],
)
def test_without_a_redis_that_serves_a_sentence_says_so(
    tmp_path: Path, number: str, redis: str, named: str
) -> None:
    done = run(tmp_path, number, "--solution", WORKSHOP_REDIS=redis)
    assert done.returncode == 2
    assert named in done.stderr and "Try: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_runner_that_does_not_start_is_no_traceback(tmp_path: Path) -> None:
    package = tmp_path / "07-mine" / "nb_runner"
    package.mkdir(parents=True)
    (package / "main.py").write_text("import no_such_module\n")
    (package / "tasks.py").touch()
    done = run(tmp_path, "--path", package.parent)
    assert done.returncode == 2
    assert "07-mine cannot be explored: " in done.stderr and "no_such_module" in done.stderr
    assert "Try: ./workshop check 07" in done.stderr


@pytest.fixture
def mark() -> Iterator[Mark]:
    mark = Mark()
    yield mark
    for process in mark.processes():
        process.kill()


def test_ctrl_c_leaves_no_process(tmp_path: Path, mark: Mark) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "kit", "explore", "07", "--solution"],
        cwd=ROOT,
        env=environment(tmp_path, mark),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        eventually(lambda: any("redis" in each for each in mark.commands()), "a Redis")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert mark.commands() == []
