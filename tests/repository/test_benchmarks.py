"""The benchmarks' arithmetic, table and JSON, on numbers that are made up. No time is measured."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.__main__ import names
from benchmarks.harness import Measurement, Report, Target, as_json, machine, show
from benchmarks.setup import copy_working_tree
from kit.workspace import ROOT

HARE = Measurement("hare", [1.0, 3.0, 2.0], peer="tortoise")
TORTOISE = Measurement("tortoise", [8.0, 7.0, 9.0])
FAST = Target("hare", "median", "at most", 2.0)
RELATIVE = Target("hare", "ratio", "at most", 0.2)


def report(*targets: Target) -> Report:
    return Report("A race", "Made up.", [HARE, TORTOISE], targets)


def test_a_ratio_is_that_of_the_medians() -> None:
    assert report().ratio(HARE) == 0.25
    assert report().ratio(TORTOISE) is None


def test_a_report_is_good_when_all_its_targets_are_met() -> None:
    assert report(FAST).good
    assert not report(FAST, RELATIVE).good
    assert report(Target("hare", "median", "at least", 2.0)).good
    assert not report(Target("hare", "median", "at least", 2.1)).good


def test_a_ratio_without_a_peer_is_a_mistake_and_says_so() -> None:
    with pytest.raises(ValueError, match="'tortoise' has no peer"):
        report().found(Target("tortoise", "ratio", "at most", 1))


def test_the_table_shows_medians_ratios_and_what_was_missed() -> None:
    output = io.StringIO()
    show(report(FAST, RELATIVE), Console(file=output, width=100))
    text = output.getvalue()
    assert "2.000 s" in text
    assert "0.25 of tortoise" in text
    assert "met    hare: median 2.000, wanted at most 2" in text
    assert "MISSED hare: ratio 0.250, wanted at most 0.2" in text


def test_the_json_holds_samples_and_verdicts_and_no_path_or_host() -> None:
    text = as_json({"race": report(FAST, RELATIVE)}, machine())
    content = json.loads(text)
    race = content["benchmarks"]["race"]
    assert race["measurements"][0]["samples"] == [1.0, 3.0, 2.0]
    assert [target["met"] for target in race["targets"]] == [True, False]
    assert content["machine"]["cores"] >= 1
    assert str(ROOT) not in text
    assert str(Path.home()) not in text


def test_every_benchmark_can_be_imported_and_measures() -> None:
    assert {"overhead", "setup"} <= set(names())
    for name in names():
        module = __import__(f"benchmarks.{name}", fromlist=["measure"])
        assert callable(module.measure)


def test_an_unknown_benchmark_is_refused_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "race"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no benchmark race" in done.stderr
    assert "overhead" in done.stderr


def test_the_copy_for_set_up_has_what_a_clone_would_have(tmp_path: Path) -> None:
    copy_working_tree(tmp_path / "clone")
    there = {path.name for path in (tmp_path / "clone").iterdir()}
    assert {"workshop", "kit", "pyproject.toml", "requirements.lock"} <= there
    assert not {".venv", ".workshop", ".git", "work"} & there
