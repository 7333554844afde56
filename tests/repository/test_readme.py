"""The README's commands, run as a newcomer would: in a fresh copy, with nothing set up."""

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kit.authoring import overview
from kit.course import catalogue
from kit.processes.child import wait_until
from kit.site.macros import front
from kit.workspace import ROOT
from tests.support.first_run import DemoResult, clean_environment
from tests.support.first_run import first_demo as first_demo
from tests.support.processes import Mark

pytestmark = [pytest.mark.slow, pytest.mark.longest]

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = list(dict.fromkeys(re.findall(r"^\$ (.+)$", README, re.MULTILINE)))
DEMO, HOME, DOCTOR, SEED, RUN, TEST, THOROUGH = COMMANDS


@pytest.fixture(scope="module")
def mark() -> Iterator[Mark]:
    """Marks what is started here; at the end, nothing of it is left."""
    mark = Mark()
    yield mark
    assert mark.commands() == []


@pytest.fixture
def clone(first_demo: DemoResult) -> Path:
    return first_demo.clone


def start(command: str, clone: Path, mark: Mark) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shlex.split(command),
        cwd=clone,
        env=clean_environment(mark),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(command: str, clone: Path, mark: Mark) -> str:
    with start(command, clone, mark) as process:
        output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    return output


def test_the_readme_names_the_commands_that_are_run_here() -> None:
    assert DEMO == "./workshop demo"
    assert (HOME, TEST, THOROUGH) == ("./workshop", "make test", "make thorough")
    assert (DOCTOR, SEED) == ("./workshop doctor", "./workshop seed")
    assert RUN.startswith(f"./workshop run {catalogue.product().number} --solution")


def test_the_line_to_copy_clones_the_kit_from_where_it_is() -> None:
    """pyproject.toml has the address; the home page of the handbook has the same line."""
    assert f"\n```sh\n{front.first_command()}\n```\n" in README
    assert README.index("git clone") < README.index("\n$ "), "It comes first."


@pytest.mark.thorough
def test_the_demo_sets_up_and_prints_what_the_readme_shows(first_demo: DemoResult) -> None:
    told = README.partition("$ ./workshop demo\n")[2].partition("\n```")[0]
    varies = re.compile(r"\d{8}-\d{6}-\w+|\d+\.\d s|\d+ s\b|:\d{4,5}$|cells? .* of 14 done")
    shown = [varies.sub("*", line).strip() for line in told.splitlines()]
    printed = {varies.sub("*", line).strip() for line in first_demo.output.splitlines()}
    missing = [line for line in shown if line != "…" and line not in printed]
    # Which Redis there is depends on the machine.
    assert [line for line in missing if not line.startswith("Redis")] == []
    assert (first_demo.clone / ".workshop" / "demo" / "flight_delays.html").stat().st_size > 100_000


@pytest.mark.thorough
def test_the_entrance_says_where_you_are_and_what_is_next(clone: Path, mark: Mark) -> None:
    output = run(HOME, clone, mark)
    assert f"0 of {len(catalogue.load())} exercises passed" in output
    assert "Next: 01 Poetry" in output and "Traceback" not in output


@pytest.mark.thorough
def test_the_other_commands_do_what_the_readme_says(clone: Path, mark: Mark) -> None:
    assert "Already there" in run(SEED, clone, mark)
    run(DOCTOR, clone, mark)
    with start(f"{RUN} --port 0", clone, mark) as process:
        assert process.stdout
        address = next(
            match[1]
            for line in process.stdout
            if (match := re.search(r"ready (http://127\.0\.0\.1:\d+)$", line.strip()))
        )
        first, second = (httpx.post(f"{address}/start", trust_env=False) for _ in range(2))
        assert (first.status_code, second.status_code) == (202, 409)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    wait_until(lambda: not mark.commands(), "everything to be stopped", 10)


@pytest.mark.thorough
def test_make_test_and_make_thorough_are_everything(clone: Path, mark: Mark) -> None:
    """Run by themselves they would run themselves; so: what they would do."""
    told = run("make -n test", clone, mark)
    assert ".venv/bin/ruff check ." in told
    # The files are not named, so it is all of them.
    pytest = r"\.venv/bin/python -m pytest( -n 4| --[\w-]+( loadfile| \d+)?)+"
    assert re.search(rf"^{pytest} -m \"not thorough\"\s*$", told, re.M)
    assert re.search(rf"^{pytest} -m thorough\s*$", run("make -n thorough", clone, mark), re.M)


def test_the_table_tells_of_the_course_as_it_is() -> None:
    assert overview.rows(README) == [overview.cells(each) for each in catalogue.load()]


@pytest.mark.parametrize("track", catalogue.TRACKS)
def test_the_minutes_of_a_track_add_up(track: str) -> None:
    assert overview.minutes(catalogue.load(), track) in " ".join(README.split())


@pytest.mark.parametrize("readme", ["README.md", f"solutions/{catalogue.product().slug}/README.md"])
def test_every_path_a_readme_names_is_there(readme: str) -> None:
    file = ROOT / readme
    text = file.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {f"#{re.sub(r'[^a-z -]', '', each.lower()).replace(' ', '-')}" for each in headings}
    here = {link for link in links if link.startswith("#")}
    assert here <= anchors
    tables = re.findall(r"^\| ((?:`[^`|]+`(?:, )?)+) \|", text, re.MULTILINE)
    named = [name for cell in tables for name in re.findall(r"`([^`]+)`", cell)]
    modules = file.parent / "nb_runner"
    for name in [*(set(links) - here), *(name for name in named if name == name.lower())]:
        assert (file.parent / name).exists() or (modules / name).exists(), name
