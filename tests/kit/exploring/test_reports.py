"""An exploration as text, as data and as a page, from data that are made up."""

import json
import re
from dataclasses import replace

import pytest
from jsonschema import validate

from explorer import Command, Step, Trace
from explorer import Outcome as Ending
from explorer.crashes import Place, Way
from kit.exploring.findings import CrashPoint, Exploration, Outcome, Search, table
from kit.exploring.reports import as_json
from kit.exploring.reports.as_html import as_html
from kit.exploring.reports.as_text import as_text

GET, SET = Command(("GET", "job")), Command(("SET", "job", "<b>&mine</b>"))
SCHEDULE = Trace(
    (
        Step("API 1", GET, None, changed=False),
        Step("API 2", GET, None, changed=False),
        Step("API 1", SET, b"OK", changed=True),
        Step("API 2", SET, b"OK", changed=True),
    ),
    (Ending("API 1", "done", 202), Ending("API 2", "done", 202)),
    fault="2 runs are active",
)


def search(failing: Trace | None = None, *, complete: bool = True) -> Search:
    return Search("two starts at once", ("API 1", "API 2"), 2, 5, 0.5, complete, failing)


def point(way: Way, command: Command | None, outcome: Outcome = Outcome.LET_IN) -> CrashPoint:
    steps = (Step("API 1", command, b"OK", changed=True),) if command else ()
    asked, place = (steps[0].asked, Place.before(steps[0].command, ())) if steps else ("", None)
    story = Trace(steps, (Ending("API 1", "killed"), Ending("API 2", "done", 409)))
    sentence = "" if outcome.kept else "API 1 died: every start is refused."
    return CrashPoint("start", way, len(steps), asked, place, outcome, story, sentence)


def exploration(*points: CrashPoint, failing: Trace | None = None) -> Exploration:
    return Exploration(
        "07-one-at-a-time", "work/07", [search(failing, complete=not failing)], list(points)
    )


ALL_WELL = exploration(point("kill", None), point("kill", SET), point("pause", SET))
BROKEN = exploration(
    point("kill", None), point("kill", SET, Outcome.FOR_EVER), point("cut", SET), failing=SCHEDULE
)


def test_what_was_found_is_told_in_words() -> None:
    lines = as_text(BROKEN, 100).splitlines()
    assert (
        "✗ two starts at once: 5 schedules tried, and one breaks the rule: 2 runs are active"
        in (lines)
    )
    assert any(
        re.fullmatch(r" +1  SET job .* ✗ refused for ever +✓ let in", line) for line in lines
    )
    assert "API 2 looked at job before API 1 had written: both saw nothing." in lines
    assert "API 1 died: every start is refused." in lines
    assert lines[-1] == (
        "5 schedules and 3 crash points tried in 0 s: 1 schedule and 1 crash point break the rule."
    )


def test_nothing_is_claimed_that_was_not_tried() -> None:
    assert as_text(ALL_WELL, 100).splitlines()[-1].endswith("none breaks the rule.")
    unsure = replace(ALL_WELL, searches=[search(complete=False)])
    assert "not all schedules could be tried" in as_text(unsure, 100)
    assert (unsure.kept, unsure.complete) == (True, False)
    assert "✗ two starts at once" in as_text(unsure, 100)


@pytest.mark.parametrize("width", [80, 110])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = Command(("SET", "k" * 90, "v" * 90))
    text = as_text(
        exploration(point("kill", long), point("cut", long), point("pause", long)), width
    )
    table_lines = [line for line in text.splitlines() if "✓ let in" in line]
    assert table_lines and all(len(line) <= width for line in table_lines)


def test_a_row_for_each_command_whatever_the_ids() -> None:
    one, other = (Command(("SET", f"nb:run:{name}", "x")) for name in ("0a1b2c3d", "4e5f6a7b"))
    rows = table([point("kill", None), point("kill", one), point("pause", other)])
    assert [list(row.points) for row in rows] == [["kill"], ["kill", "pause"]]


@pytest.mark.parametrize("found", [ALL_WELL, BROKEN])
def test_the_data_follow_their_schema(found: Exploration) -> None:
    data = json.loads(json.dumps(as_json.as_json(found)))
    validate(data, as_json.schema())
    assert data["version"] == 1
    assert (data["kept"], data["complete"]) == (found.kept, found.complete)
    stories = [one["story"] is None for one in data["crash_points"]]
    assert stories == [one["kept"] for one in data["crash_points"]]


def test_the_schema_in_the_handbook_is_that_of_the_types() -> None:
    schema = json.loads(as_json.SCHEMA.read_text(encoding="utf-8"))
    assert schema == as_json.schema(), "make schema writes it anew"


def test_the_page_escapes_what_a_project_says() -> None:
    page = as_html(BROKEN)
    assert "<b>&mine" not in page and "&lt;b&gt;&amp;mine" in page
    assert page.count("<svg") == 2
    assert "<script" not in page


def test_the_page_of_a_good_one_has_no_drawing() -> None:
    page = as_html(ALL_WELL)
    assert "<svg" not in page and "none breaks the rule" in page
    assert "cut off" not in page  # nothing was
