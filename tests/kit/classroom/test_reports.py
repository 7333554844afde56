"""The reports on a class, whatever its submissions answered."""

import csv
import io
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Page, expect

from kit.authoring import mistakes
from kit.classroom import points, stuck
from kit.classroom.normalise import ProjectLocation, normalised
from kit.classroom.reports import (
    csv_report,
    html_report,
    json_report,
    junit_report,
    markdown_report,
)
from kit.classroom.reports.files import write_whole
from kit.classroom.results import ClassResult, LearnerResult
from kit.course import advice, catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.verdicts.failure import Failure
from kit.verdicts.values import Kind, Value
from kit.verdicts.verdict import ProblemCode, State, TaskVerdict, Verdict, not_checked
from kit.workspace import ROOT
from tests.support import axe, static_html
from tests.support.browser import OpenPage, browser, open_page

__all__ = ["browser", "open_page"]

COURSE = catalogue.load()
CHOSEN = [exercise for exercise in COURSE if exercise.number in (2, 7)]
NOT_YET = State.NOT_REACHED
# A submission can answer anything, so a failure can hold anything.
HOSTILE = Failure(
    got="<script>document.title = 'owned'</script></script><img src=x onerror=alert(1)>\n"
    "{{ 7 * 7 }} {% raw %} ]]> &amp; ```\n"
    "````\n# A heading\n| a | b |\n[link](https://example.com)\n"
    "\x00\x1b[31mred\x08\ud800 \u202eback \ufffe"
)
OK = State.PASSED


def verdict(number: int, *outcomes: State | Failure, seconds: float = 1.5) -> Verdict:
    """A verdict on an exercise: for each task its state, or the failure of a failed task."""
    exercise = next(each for each in COURSE if each.number == number)
    tasks = (
        TaskVerdict(task.number, task.title, State.FAILED, each)
        if isinstance(each, Failure)
        else TaskVerdict(task.number, task.title, each)
        for task, each in zip(exercise.tasks, outcomes, strict=True)
    )
    return Verdict(exercise.slug, seconds, tuple(tasks))


def wrong(got: str, expected: str = "409 Conflict") -> Failure:
    return Failure(did="curl -i /start", expected=expected, got=got, where="main.py")


NO_REDIS = not_checked(CHOSEN[0], ProblemCode.ENVIRONMENT, "no Redis")


def a_class() -> ClassResult:
    """Learners of all kinds: right, wrong, unreadable, half handed in, hostile, not graded."""
    learners = [
        LearnerResult("=1+1", [verdict(2, OK, HOSTILE, OK, OK), verdict(7, OK, OK, OK)]),
        LearnerResult("Ada | <b>", [verdict(2, OK, OK, OK, OK), verdict(7, OK, OK, OK)]),
        LearnerResult("Béla", [verdict(2, OK, OK, OK, OK), verdict(7, OK, wrong("a"), NOT_YET)]),
        LearnerResult("Cleo", [verdict(2, OK, OK, OK, OK), verdict(7, OK, wrong("b"), NOT_YET)]),
        LearnerResult("Dan", [verdict(2, OK, OK, OK, OK), verdict(7, OK, wrong("b"), NOT_YET)]),
        LearnerResult("Eve", [verdict(7, wrong("c", "202"), wrong("b"), OK)], notes=["a link"]),
        LearnerResult("Finn", problem="The archive ends in the middle of a file."),
        LearnerResult("Gil", [NO_REDIS, verdict(7, OK, OK, OK)]),
    ]
    return ClassResult(CHOSEN, learners, "In a sandbox.", started_at="2026-11-22T16:48:00+00:00")


# Points


def points_of(text: str, folder: Path) -> dict[str, Fraction]:
    file = folder / "points.toml"
    file.write_text(text, encoding="utf-8")
    return points.read(file, COURSE)


def test_points_by_task_and_by_exercise(tmp_path: Path) -> None:
    points_by_task = points_of('[points]\n"07.1" = 2\n"2" = 5\n"6.2" = 0\n06.3 = 1.5\n', tmp_path)
    assert [points_by_task["7.1"], points_by_task["7.2"]] == [2, 1]
    assert [points_by_task[f"2.{n}"] for n in (1, 2, 3, 4)] == [Fraction(5, 4)] * 4
    assert [points_by_task[f"6.{n}"] for n in (1, 2, 3)] == [1, 0, Fraction(3, 2)]


def test_a_file_of_points_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert points_of('\ufeff[points]\n"07.1" = 2\n', tmp_path)["7.1"] == 2


def test_the_other_tasks_share_the_remaining_points_of_an_exercise(tmp_path: Path) -> None:
    points_by_task = points_of('[points]\n"07" = 5\n"07.2" = 3\n', tmp_path)
    assert [points_by_task[f"7.{n}"] for n in (1, 2, 3)] == [1, 3, 1]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[points]\n"07.1" = = 2\n', "line 2", "is not TOML"),
        ('[points]\n"07.1" = 2\n\n"07.9" = 2\n', "line 4", "there is no task '07.9'"),
        ('[points]\n"99" = 2\n', "line 2", "there is no exercise or task '99'"),
        ('[points]\n"seven" = 2\n', "line 2", "there is no exercise or task 'seven'"),
        ('[points]\n"07.1" = -2\n', "line 2", "a number from 0 on"),
        ('[points]\n"07.1" = "two"\n', "line 2", "a number from 0 on"),
        ('[points]\n"07.1" = nan\n', "line 2", "a number from 0 on"),
        ('[points]\n"07.1" = true\n', "line 2", "a number from 0 on"),
        ('[points]\n"07" = 2\n"07.1" = 3\n', "line 2", "its tasks alone give 3"),
        ('[points]\n"7.1" = 2\n"07.1" = 3\n', "line 3", "on another line"),
        ('[marks]\n"07.1" = 3\n', "line 1", "outside of the table [points]"),
        ("points = 3\n", "line 1", "a table [points]"),
        ("", "line 1", "a table [points]"),
    ],
)
def test_the_error_names_the_invalid_line_of_a_file_of_points(
    tmp_path: Path, text: str, line: str, message: str
) -> None:
    with pytest.raises(KitError) as caught:
        points_of(text, tmp_path)
    assert line in caught.value.message and message in caught.value.message
    assert caught.value.fix


def test_a_file_of_points_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        points.read(tmp_path, COURSE)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(KitError, match="UTF-8"):
        points.read(tmp_path / "latin", COURSE)


# Two gradings of the same work


def graded(grading: int) -> tuple[Verdict, Path]:
    """A verdict of grading 0 or 1 of the same work, and its folder. Each value differs."""
    run, other, mark, port, pid, took, count, when, folder, scratch, uuid, address, few = (
        pair[grading]
        for pair in (
            ("b9d17f68", "0a1b2c3d"), ("63813400", "71f00d42"), ("ada-123456", "ada-3f2a1c"),
            ("45677", "60001"), ("77", "40123"), ("1.3 s", "12.9 s"), ("6 times", "3 times"),
            ("2026-11-22T16:53:58.658676Z", "2027-01-02 01:03:58+01:00"),
            ("/tmp/workshop-check-ab12_x9z", "/tmp/workshop-check-zzzz____"),
            ("/tmp/class-abc/0001", "/tmp/class-xyz/0042"),
            ("0f1cbb60-8bd7-4a37-9a3e-6f2fd2b6f0c4", "deadbeef-8bd7-4a37-9a3e-6f2fd2b6f0c5"),
            ("0x7f1234567890", "0x55d0c0ffee"), ("6", "31"),
        )
    )  # fmt: skip
    values = [Value(Kind.RUN, run), Value(Kind.RUN, other), Value(Kind.NAME, mark)]
    values += [Value(Kind.PORT, port), Value(Kind.PID, pid), Value(Kind.SECONDS, took)]
    values += [Value(Kind.COUNT, count), Value(Kind.TIME, when), Value(Kind.FOLDER, folder)]
    file = f"{scratch}/run/work/07-one-at-a-time/nb_runner/main.py"
    failure = Failure(
        did=f"curl -i http://127.0.0.1:8000/status/{run}",
        expected=f"409 Conflict (run {other} is queued)",
        got=f'{count} 202, {{"run_id":"{other}","queued":"{when}","job":"{uuid}","of":"{run}"}}\n'
        f"after {took}, process {pid}, at http://127.0.0.1:{port}/ in {folder}/check.db\n"
        f'File "{file}", line 3, <App at {address}>\n'
        f"[{when}: ERROR/ForkPoolWorker-{few}] by {mark} {uuid[:grading]}",
        cut=True,
    )
    return replace(verdict(7, OK, failure, NOT_YET), values=tuple(values)), Path(scratch)


def test_two_gradings_of_the_same_work_are_normalised_to_the_same_text() -> None:
    first, second = (
        normalised(graded_verdict, ProjectLocation("07-one-at-a-time", scratch))
        for graded_verdict, scratch in map(graded, (0, 1))
    )
    assert first == second
    failure = first.tasks[1].failure
    assert failure and failure.got.splitlines() == [
        'several times 202, {"run_id":"run-1","queued":"TIME","job":"UUID","of":"run-2"}',
        "after … s, process PID, at http://127.0.0.1:PORT/ in FOLDER/check.db",
        'File "nb_runner/main.py", line 3, <App at 0xADDRESS>',
        "[TIME: ERROR/ForkPoolWorker-N] by id-1 ",
    ]


def normalised_text(got: str, *values: Value) -> str:
    """The text of a failure, after normalising."""
    original = replace(verdict(2, OK, Failure(got=got), OK, OK), values=values)
    failure = (
        normalised(original, ProjectLocation("02-hello-fastapi", Path("/nowhere"))).tasks[1].failure
    )
    assert failure
    return failure.got


def test_thousands_of_ids_are_replaced_within_the_time_limit() -> None:
    """One search for each id would take minutes."""
    ids = [f"a{i:05}" for i in range(8000)]
    words = normalised_text(" ".join(ids), *(Value(Kind.RUN, each) for each in ids)).split()
    assert (words[0], words[-1]) == ("run-1", "run-8000")


@pytest.mark.parametrize(
    "text",
    [
        "it was not up after 30 s",
        "202 Accepted within 2.5 s",
        "it looks for it at redis://localhost:6379//, where there is none",
        '200 OK: {"count":12,"ratio":0.25,"run_id":"1"}',
        "409 Conflict: run anything, file main.py, line 1234: decade of facade",
    ],
)
def test_values_that_were_not_recorded_stay(text: str) -> None:
    assert normalised_text(text, Value(Kind.PORT, "637"), Value(Kind.RUN, "decad")) == text


# report.json


def test_the_report_can_be_read_back(tmp_path: Path) -> None:
    result = a_class()
    result.learners[2].cache_keys = {CHOSEN[1].slug: "abc"}
    json_report.write(result, tmp_path)
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["passed"] is False and data["complete"] is True
    assert [each["learner"] for each in data["learners"]] == [e.name for e in result.learners]
    previous = json_report.read_previous(tmp_path)
    assert previous.verdict("Béla", CHOSEN[1].slug, "abc") == result.learners[2].verdicts[1]
    assert previous.verdict("Béla", CHOSEN[1].slug, "abd") is None
    assert previous.verdict("Ada", CHOSEN[1].slug, "abc") is None


def test_the_report_keeps_to_its_schema(tmp_path: Path) -> None:
    schema = json.loads(json_report.SCHEMA.read_text(encoding="utf-8"))
    assert schema == json_report.schema(), "make schema writes it anew"
    json_report.write(a_class(), tmp_path)
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, schema)
    data["learners"][0]["exercises"][0]["tasks"][0]["state"] = "nearly"
    with pytest.raises(jsonschema.ValidationError, match="nearly"):
        jsonschema.validate(data, schema)


def test_an_exercise_that_could_not_be_graded_has_no_previous_verdict(tmp_path: Path) -> None:
    result = a_class()
    result.learners[-1].cache_keys = {CHOSEN[0].slug: "abc"}
    json_report.write(result, tmp_path)
    assert json_report.read_previous(tmp_path).verdict("Gil", CHOSEN[0].slug, "abc") is None


@pytest.mark.parametrize("damage", ["{", "[]", '{"version": 2, "learners": [{"learner": 3}]}', "ÿ"])
def test_a_damaged_report_is_set_aside(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(damage, encoding="latin-1")
    assert json_report.read_previous(tmp_path).learners == {}
    assert "was damaged, so it is set aside as report.json.damaged-" in capsys.readouterr().err
    [aside] = tmp_path.iterdir()
    assert aside.read_text(encoding="latin-1") == damage


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(KitError, match=r"report\.json cannot be written"):
        write_whole(tmp_path / "report.json", b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


# JUnit


def test_junit_is_xml_whatever_a_message_holds(tmp_path: Path) -> None:
    junit_report.write(a_class(), tmp_path)
    files = sorted(tmp_path.glob("junit/*.xml"))
    assert len(files) == len(a_class().learners)
    for file in files:
        top = ElementTree.parse(file).getroot()
        for suite in top:
            assert int(suite.get("tests", "")) == len(suite) > 0
            assert float(suite.get("time", "x")) >= 0
    top = ElementTree.parse(tmp_path / "junit" / "=1+1.xml").getroot()
    [failure] = top.iter("failure")
    assert "<script>document.title" in (failure.text or "")
    assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("7", "1", "0")


def test_junit_has_errors_for_faults_of_the_workshop_and_failures_for_others(
    tmp_path: Path,
) -> None:
    result = a_class()
    gil = ElementTree.fromstring(junit_report.as_xml(result.learners[-1], CHOSEN))
    assert (gil.get("failures"), gil.get("errors")) == ("0", "4")
    finn = ElementTree.fromstring(junit_report.as_xml(result.learners[-2], CHOSEN))
    assert (finn.get("failures"), finn.get("tests")) == ("7", "7")
    nothing = ElementTree.fromstring(junit_report.as_xml(result.learners[-2], []))
    assert (nothing.get("failures"), nothing.get("tests")) == ("1", "1")


# Markdown


def test_no_text_of_a_submission_breaks_the_summary() -> None:
    text = markdown_report.as_markdown(a_class())
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    tags = set(re.findall(r"<([a-z0-9]+)", html))
    assert tags <= {
        "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "pre", "code",
        "details", "summary", "ul", "li",
    }  # fmt: skip
    rows = html.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr>")[1:]
    assert len(rows) == len(a_class().learners)
    assert all(row.count("<td") == 4 for row in rows)
    assert "Ada | &lt;b&gt;" in html
    assert html.count("<details>") == html.count("</details>") > 3


def test_the_summary_is_appended_to_the_one_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "job.md"
    job.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(job))
    markdown_report.write(a_class(), tmp_path)
    written = (tmp_path / "summary.md").read_text()
    assert job.read_text() == "before\n" + written
    assert "Where the class is stuck" in written


def test_a_summary_is_never_too_large_for_github() -> None:
    result = a_class()
    long = verdict(2, OK, wrong("x" * 5000 + "\n" + "é" * 5000), OK, OK)
    result.learners = [LearnerResult(f"l{n}", [long]) for n in range(200)]
    text = markdown_report.as_markdown(result)
    assert len(text.encode()) < 1 << 20
    assert "There is more of this in report.html" in text


# CSV


def test_grades_are_a_table_without_formulas() -> None:
    text = csv_report.as_csv(replace(a_class(), points={"7.2": Fraction(5, 3)}))
    assert text.startswith(csv_report.BYTE_ORDER_MARK)  # for Béla, in Excel
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(csv_report.BYTE_ORDER_MARK))))
    assert list(rows[0]) == [
        "learner", "2.1", "2.2", "2.3", "2.4", "7.1", "7.2", "7.3", "total",
    ]  # fmt: skip
    assert rows[0]["learner"] == "'=1+1"
    assert [row["total"] for row in rows] == [
        "6.67", "7.67", "5", "5", "5", "1", "0", "3.67",
    ]  # fmt: skip
    assert rows[2]["7.2"] == "0" and rows[1]["7.2"] == "1.67"
    for start in ("=", "+", "-", "@", "\t=", " =", "＠"):  # noqa: RUF001
        assert csv_report.without_formula(f"{start}x").startswith("'")


def test_grades_in_ascii_have_no_byte_order_mark() -> None:
    assert csv_report.as_csv(ClassResult(CHOSEN, [LearnerResult("ada")], "")).startswith("learner,")


# Where the class is stuck


def test_the_hardest_task_comes_first_with_its_most_frequent_failure() -> None:
    first, *others = stuck.hardest_first(a_class())
    assert first.task.number == "7.2"
    assert (first.passed, first.failed, first.not_handed_in, first.total) == (3, 4, 1, 8)
    assert first.failure == wrong("b")
    assert first.learners == ("Béla", "Cleo", "Dan", "Eve")  # the answers differ
    assert [each.task.number for each in others] == ["7.3", "2.2", "7.1"]
    assert others[0].failure is None  # no learner got that far


# report.html


@pytest.fixture
def report(tmp_path: Path) -> Path:
    html_report.write(a_class(), tmp_path)
    return tmp_path / "report.html"


def test_the_report_is_one_file_that_loads_nothing(report: Path) -> None:
    page = static_html.parse(report)
    assert [each for each in page.fetched if not each.startswith("data:")] == []
    assert page.links == []
    assert "default-src 'none'" in report.read_text(encoding="utf-8")
    assert "unsafe-inline" not in report.read_text(encoding="utf-8")
    assert str(ROOT) not in report.read_text(encoding="utf-8")


def test_a_submission_cannot_run_a_script_in_the_report(report: Path, open_page: OpenPage) -> None:
    page = open_page(report.as_uri())
    assert page.title() == "Grades: 8 learners"
    tile = page.get_by_role("button", name="=1+1, 2.2: not passed")
    tile.click()
    dialog = page.get_by_role("dialog", name="2.2")
    expect(dialog).to_contain_text("<script>document.title = 'owned'</script>")
    expect(dialog).to_contain_text("{{ 7 * 7 }}")
    assert page.title() == "Grades: 8 learners"
    assert page.locator("img").count() == 0


def test_the_content_security_policy_blocks_other_scripts(
    report: Path, open_page: OpenPage
) -> None:
    # A script that was not escaped.
    text = report.read_text(encoding="utf-8")
    report.write_text(
        text.replace("</main>", "<script>document.title = 'owned'</script></main>"),
        encoding="utf-8",
    )
    page = open_page(report.as_uri(), allowed="Content Security Policy")
    assert page.title() == "Grades: 8 learners"


def names(page: Page) -> list[str]:
    return page.locator(".grid tbody th bdi").all_inner_texts()


def test_the_grid_is_sorted_by_name_points_and_task(report: Path, open_page: OpenPage) -> None:
    page = open_page(report.as_uri())
    by_name = names(page)
    assert by_name == [learner.name for learner in a_class().learners]
    page.get_by_role("button", name="Points").click()
    assert (names(page)[0], names(page)[-1]) == ("Ada | <b>", "Finn")
    page.get_by_role("button", name="Points").click()
    assert (names(page)[0], names(page)[-1]) == ("Finn", "Ada | <b>")
    page.get_by_role("button", name=re.compile("^7.2 ")).click()
    assert names(page)[:4] == ["Béla", "Cleo", "Dan", "Eve"]
    assert page.locator("th[aria-sort]").count() == 1
    page.get_by_role("button", name="Learner").click()
    assert names(page) == by_name


def test_the_grid_and_its_messages_can_be_used_by_keyboard(
    report: Path, open_page: OpenPage
) -> None:
    page = open_page(report.as_uri())
    page.get_by_role("button", name="Béla, 7.2").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Cleo, 7.3")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="7.2")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Cleo")
    expect(dialog).to_contain_text("409 Conflict")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Cleo, 7.2")).to_be_focused()


def test_messages_can_be_read_without_a_script(report: Path, open_page: OpenPage) -> None:
    page = open_page(report.as_uri(), java_script_enabled=False)
    page.get_by_role("button", name="What there is to say about the work of Finn").click()
    expect(page.get_by_role("dialog")).to_contain_text("ends in the middle of a file")


def test_the_report_says_where_the_class_is_stuck(report: Path, open_page: OpenPage) -> None:
    page = open_page(report.as_uri())
    card = page.locator(".card").first
    expect(card).to_contain_text("7.2")
    expect(card).to_contain_text("4 of 8 not yet, 1 not handed in")
    expect(card).to_contain_text("Béla, Cleo, Dan, Eve")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible(report: Path, open_page: OpenPage, scheme: str) -> None:
    page = open_page(report.as_uri(), color_scheme=scheme, bypass_csp=True)
    assert axe.findings(page) == []
    page.get_by_role("button", name="Béla, 7.2").click()
    assert axe.findings(page) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_names_and_headings_stay_visible_while_scrolling(
    tmp_path: Path, open_page: OpenPage, width: int
) -> None:
    result = replace(a_class(), exercises=[each for each in COURSE if 2 <= each.number <= 10])
    result.learners = [replace(result.learners[2], name=f"learner {n:02}") for n in range(40)]
    html_report.write(result, tmp_path)
    page = open_page((tmp_path / "report.html").as_uri(), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    last = page.locator(".grid tbody tr").last.locator("td").last
    last.scroll_into_view_if_needed()
    heading = page.get_by_role("button", name="Learner", exact=True).bounding_box()
    name = page.locator(".grid").get_by_text("learner 39").bounding_box()
    assert heading and 0 <= heading["y"] < 800
    assert name and 0 <= name["x"] < width and 0 <= name["y"] < 800


def a_full_class(chosen: list[Exercise]) -> ClassResult:
    """Thirty learners with long names, and these exercises."""
    verdicts = [verdict(each.number, OK, *[wrong("b")] * (len(each.tasks) - 1)) for each in chosen]
    learners = [
        LearnerResult(f"Maximiliane Oberndorfer-{n:02}", verdicts, notes=["x"]) for n in range(30)
    ]
    return replace(a_class(), exercises=chosen, learners=learners)


def test_thirty_learners_and_nine_exercises_fit_a_window_of_1280_and_a_sheet_of_paper(
    tmp_path: Path, browser: Browser
) -> None:
    nine = [each for each in COURSE if 2 <= each.number <= 10]
    html_report.write(a_full_class(nine), tmp_path)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    grid = page.locator(".scroll")
    assert grid.evaluate("e => getComputedStyle(e).overflowX") == "visible"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert grid.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert_fits_a_sheet(page)
    html_report.write(a_full_class(list(COURSE)), tmp_path)
    page.reload()
    assert_fits_a_sheet(page)
    wide = "e => e.scrollWidth > e.clientWidth"
    assert not page.locator(".tasks button").evaluate_all(f"all => all.some({wide})")
    context.close()


def assert_fits_a_sheet(page: Page) -> None:
    pages = pdf_pages(page.pdf(format="A4", landscape=True, prefer_css_page_size=True))
    assert pages == 2, "one with the hardest tasks, one with the grid"
    page.emulate_media(media="print")
    sheet = round(277 / 25.4 * 96)  # pixels, less the margins
    page.set_viewport_size({"width": sheet, "height": 718})
    box = page.locator(".grid").bounding_box()
    assert box and box["x"] + box["width"] <= sheet
    page.emulate_media(media="null")


def pdf_pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


def test_every_mark_of_the_grid_is_in_the_legend(report: Path, open_page: OpenPage) -> None:
    result = a_class()
    [first, *others] = result.learners[1].verdicts[0].tasks
    noted = replace(result.learners[1].verdicts[0], tasks=(replace(first, notes=("x",)), *others))
    result.learners[1].verdicts[0] = noted
    html_report.write(result, report.parent)
    page = open_page(report.as_uri())
    marks = "es => es.map(e => `${[...e.classList].sort().join(' ')} ${e.textContent.trim()}`)"
    used = page.locator(".grid tbody :is(.tile, .remark)").evaluate_all(marks)
    told = page.locator(".legend :is(.tile, .remark)").evaluate_all(marks)
    assert sorted(set(used)) == sorted(told)
    assert page.locator(".grid .bar").count() and page.locator(".legend .bar").count()


def test_an_instructor_reads_what_to_say_and_not_the_hint_of_the_learner(
    report: Path, open_page: OpenPage
) -> None:
    exercise = CHOSEN[1]
    [row] = [each for each in advice.of(exercise) if "a lock for each process" in each.mistakes]
    [test] = {
        requirement.tests[0]
        for task in exercise.tasks
        for requirement in task.requirements
        if "a lock for each process" in requirement.mistakes
    }
    result = a_class()
    failed = replace(wrong("a"), test=test)
    result.learners[2].verdicts[1] = verdict(7, OK, failed, NOT_YET)
    html_report.write(result, report.parent)
    assert "./workshop hint" not in report.read_text(encoding="utf-8")
    page = open_page(report.as_uri())
    page.get_by_role("button", name="Béla, 7.2").click()
    told = page.get_by_role("dialog", name="7.2")
    expect(told).to_contain_text(row.say)
    expect(told.locator("code").first).to_be_visible()  # and no backtick of Markdown
    expect(told).not_to_contain_text("`")


def test_what_to_say_names_known_wrong_answers() -> None:
    for exercise in COURSE:
        known = {each.name for each in mistakes.mistakes_of(exercise)}
        for each in advice.of(exercise):
            assert set(each.mistakes) <= known, (exercise.slug, each.did)
            tests = {
                test
                for task in exercise.tasks
                for requirement in task.requirements
                if set(requirement.mistakes) & set(each.mistakes)
                for test in requirement.tests
            }
            assert tests or not each.mistakes, (exercise.slug, each.did)
            assert all(each in advice.on(exercise, test) for test in tests)


def test_how_it_looks_quotes_the_grader() -> None:
    sources = [
        file.read_text(encoding="utf-8")
        for folder in ("tests/graders", "kit/grading", "kit/verdicts")
        for file in (ROOT / folder).rglob("*.py")
    ]
    graders = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))  # a text on several lines
    for exercise in COURSE:
        words = {each.name: each.words for each in mistakes.mistakes_of(exercise)}
        for each in advice.of(exercise):
            told = [word for name in each.mistakes for word in words[name]]
            for quoted in re.findall(r'"([^"]+)"', each.looks):
                for part in re.split(r"\s*…\s*", quoted):
                    assert part in graders or any(part in word for word in told), (each.did, part)


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_of_one_without_exercises_or_learners_work(
    tmp_path: Path, open_page: OpenPage, count: int
) -> None:
    learner = LearnerResult(
        "ada", [verdict(2, OK, OK, OK, OK)] if count else [], "" if count else "X"
    )
    result = ClassResult(CHOSEN[:count], [learner], "Not confined: no sandbox.", confined=False)
    for report in (json_report, junit_report, markdown_report, csv_report, html_report):
        report.write(result, tmp_path)
    page = open_page((tmp_path / "report.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("ada")
    expect(page.locator(".warning")).to_contain_text("no sandbox")


def test_the_report_can_be_printed(report: Path, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.locator(".grid tbody tr").last.is_visible()
    assert page.locator("footer").is_hidden()
    assert len(page.pdf()) > 1000
    context.close()


def test_a_learner_without_a_verdict_has_not_passed_everything() -> None:
    chosen = [each for each in COURSE if each.number in (2, 4)]
    first = verdict(2, *[OK] * len(chosen[0].tasks))
    second = verdict(4, *[OK] * len(chosen[1].tasks))
    learners = [LearnerResult("Ada", [first, second]), LearnerResult("Béla", [first])]
    result = replace(a_class(), exercises=chosen, learners=learners)
    assert "1 of 2 learners passed everything" in markdown_report.headline(result)
    assert [each["passed"] for each in json_report.as_json(result)["learners"]] == [True, False]
