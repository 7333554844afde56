"""What the handbook's macros make of the repository; and that what is not there is noticed."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from mkdocs.config import load_config
from mkdocs.exceptions import PluginError

from kit.course import agenda, catalogue
from kit.markdown import fenced, table
from kit.site.macros import exercises, runner, timetable
from kit.site.macros.excerpts import highlighted, named
from kit.site.macros.markdown import Problem, folded, headings_below
from kit.workspace import ROOT

SOURCE = '''\
"""A module."""

import os

LIMIT = 3
# Why it is so.
NAME: str = "a"


@cache
@other(1)
def function() -> int:
    """Said."""
    return 1


class Thing:
    field: int = 1

    # Why.
    async def method(self) -> None:
        pass

    def __init__(self) -> None:
        def inner() -> None: ...


def twice(): ...
def twice(): ...
'''


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("LIMIT", "LIMIT = 3", "LIMIT = 3"),
        ("NAME", "# Why it is so.", 'NAME: str = "a"'),
        ("function", "@cache", "    return 1"),
        ("Thing", "class Thing:", "        def inner() -> None: ..."),
        ("Thing.field", "field: int = 1", "field: int = 1"),
        ("Thing.method", "# Why.", "    pass"),
        ("Thing.__init__.inner", "def inner() -> None: ...", "def inner() -> None: ..."),
    ],
)
def test_an_excerpt_is_one_thing_with_its_decorators_and_its_comment(
    name: str, first: str, last: str
) -> None:
    lines = named(SOURCE, name, "a.py").splitlines()
    assert (lines[0], lines[-1]) == (first, last)


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("nothing", "a.py", "nothing is not in a.py"),
        ("Thing.nothing", "a.py", "Thing.nothing is not in a.py"),
        ("twice", "a.py", "twice is 2 times in a.py"),
        ("os", "a.py", "os is not in a.py"),
        ("key", "a.toml", "a.toml is not Python"),
    ],
)
def test_a_name_that_is_not_there_is_a_problem(name: str, path: str, words: str) -> None:
    with pytest.raises(Problem, match=words):
        named(SOURCE, name, path)


@pytest.mark.parametrize(("hl", "marked"), [("", ""), ("3", "3"), ("1,3-5", "1 3-5")])
def test_highlighted_lines_are_those_of_the_excerpt(hl: str, marked: str) -> None:
    assert highlighted(hl, 5, "a.py") == marked


@pytest.mark.parametrize("hl", ["6", "0", "5-4", "a", "3-"])
def test_lines_that_are_not_there_are_a_problem(hl: str) -> None:
    with pytest.raises(Problem, match=f"hl={hl}"):
        highlighted(hl, 5, "a.py")


def test_a_macro_becomes_a_code_block_with_its_path_where_it_stands(hooks: ModuleType) -> None:
    text = hooks.expanded("a\n    [[code kit/processes/ports.py free_port hl=1]]\nb\n", "index.md")
    lines = text.splitlines()
    assert lines[2] == '    ```python title="kit/processes/ports.py" hl_lines="1"'
    assert lines[3] == "    def free_port() -> int:"
    assert (lines[0], lines[-1]) == ("a", "b")


@pytest.mark.parametrize(
    "line",
    [
        "[[code kit/nothing.py]]",
        "[[code kit/processes/ports.py nothing]]",
        "[[code ../main/kit/processes/ports.py]]",
        "[[code /etc/hostname]]",
        "[[code kit/processes/ports.py free_port hl=99]]",
        "[[tasks 99]]",
        "[[hints]]",
        "[[colour red]]",
        "[[agenda]]",
        "[[agenda morning]]",
        "[[agenda self-paced]]",
    ],
)
def test_what_is_not_there_fails_the_build_and_says_where(line: str, hooks: ModuleType) -> None:
    with pytest.raises(PluginError) as failed:
        hooks.expanded(f"# A page\n\n{line}\n", "exercises/page.md")
    assert str(failed.value).startswith(f"docs/exercises/page.md: {line}: ")


def test_in_a_code_block_nothing_is_a_macro(hooks: ModuleType) -> None:
    page = "```toml\n[[tasks]]\n```\n\nand [[tasks 07]] in a sentence\n"
    assert hooks.expanded(page, "index.md") == page


@pytest.mark.parametrize("exercise", catalogue.load(), ids=lambda exercise: exercise.slug)
def test_every_task_and_every_hint_is_told(exercise: catalogue.Exercise) -> None:
    number = exercise.slug[:2]
    tasks = exercises.tasks(number, level=2)
    hints = exercises.hints(number)
    for task in exercise.tasks:
        anchor = task.number.replace(".", "-")
        assert re.search(rf"^### {task.number} .* {{ #task-{anchor} }}$", tasks, re.MULTILINE)
        assert f'??? tip "{task.number} ' in hints
    assert hints.count("??? note") == sum(len(task.hints) for task in exercise.tasks)
    for i, text in enumerate(hints.splitlines()):
        assert not text or text.startswith(("    ", "??? tip", "<div data-hints=", "</div>")), i


def test_a_solution_is_a_diff_for_each_file_with_a_title_in_place_of_a_header() -> None:
    text = exercises.solution("07")
    assert 'diff title="solutions/07-one-at-a-time/nb_runner/runs.py"' in text
    assert "    -    # TODO(7.1)" in text
    assert "    +    runs.admit(record)" in text
    assert not [line for line in text.splitlines() if line.strip().startswith(("---", "+++"))]


def test_the_table_of_exercises_has_all_and_leads_to_their_chapters() -> None:
    text = exercises.exercises(page="index.md")
    for each in catalogue.load():
        assert f"| [{each.slug[:2]} {each.title}](exercises/{each.slug}.md) |" in text
    assert "(07-one-at-a-time.md)" in exercises.facts("08", page="exercises/08-cancel.md")


@pytest.mark.parametrize("track", agenda.LENGTHS)
def test_the_running_order_is_what_agenda_says(track: str, hooks: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kit", "agenda", "--track", track, "--start", "00:00"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = re.findall(r"^(\d\d:\d\d) +(\d+) min +(\S+) +(.*)$", done.stdout, re.MULTILINE)
    text = hooks.expanded(f"[[agenda {track}]]\n", "index.md")
    told = re.findall(
        r"^\| (\d:\d\d) \| (\d+) \| (\w+) \| ([^:|]+?)(?:: .*)? \|$", text, re.MULTILINE
    )
    assert [(f"0{at}", *rest) for at, *rest in told] == said
    assert len(said) > 10


def test_slides_told_in_short_are_named() -> None:
    text = timetable.timetable("evening")
    assert "| celery, in short: *Four parts* · *Now you* |" in text
    assert ": *" not in timetable.timetable("half-day")


def test_a_track_that_cannot_fit_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(agenda.LENGTHS, "evening", 60)
    with pytest.raises(Problem, match=r"the track evening is \d+ minutes longer than 60 minutes"):
        timetable.timetable("evening")


def test_the_navigation_has_each_chapter_in_the_order_of_the_course(hooks: ModuleType) -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    hooks.on_config(config)
    (pages,) = (part["Exercises"] for part in config.nav or () if "Exercises" in part)
    chapters = [f"exercises/{each.slug}.md" for each in catalogue.load()]
    assert pages == ["exercises/index.md", *chapters]


def test_the_tracks_are_told_with_their_hours_and_exercises() -> None:
    last = catalogue.load()[-1].number
    assert timetable.tracks().splitlines() == [
        "- **evening**, 2 hours in a room: 02, 05, 06, 07 and 10",
        "- **half-day**, 4 hours in a room: 01 to 10",
        f"- **self-paced**, at your own pace: 01 to {last:02}",
    ]


def test_the_runner_tells_of_its_calls_and_settings() -> None:
    told = runner.api(level=1)
    for call in ("POST /start", "GET /status/{run_id}/events", "POST /cancel", "GET /metrics"):
        assert f"## `{call}`" in told
    assert "| 409 | Another run blocks this start | [Blocked](#blocked) |" in told
    assert "`LEASE_SECONDS` { #lease-seconds }\n:   Seconds for which" in runner.environment()


def test_headings_move_with_the_page_they_come_to() -> None:
    text = "# One\n```\n# a comment\n```\n### Two\n"
    assert headings_below(text, 2) == "### One\n```\n# a comment\n```\n##### Two"


def test_a_fence_is_longer_than_those_within() -> None:
    assert fenced("```python\n1\n```\n", "markdown").startswith("````markdown\n")


def test_titles_and_cells_may_hold_anything() -> None:
    assert folded("note", 'Say "no"', "Text").startswith('??? note "Say &quot;no&quot;"\n')
    assert table(("a",), [("b | c\nd",)]) == "| a |\n| --- |\n| b \\| c d |"


def test_a_wrong_macro_ends_a_real_build_with_page_and_macro(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Page\n\n[[code kit/nothing.py]]\n")
    config = (
        f"site_name: x\ntheme: {{name: material, font: false}}\nhooks: [{ROOT}/docs/hooks.py]\n"
    )
    (tmp_path / "mkdocs.yml").write_text(config)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build"],
        cwd=tmp_path,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "docs/index.md: [[code kit/nothing.py]]: there is no file" in done.stderr
    assert "Traceback" not in done.stderr
