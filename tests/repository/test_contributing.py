"""What those read who change this repository: the paths and commands it names are there.

Also what checks a change before the tests do: commit hooks, forms for issues, line ends.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.course import catalogue
from kit.workspace import ROOT
from tests.repository.test_makefile import make, targets
from tests.site.test_handbook import complaint_about, workshop_commands

DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
PAGES = [
    *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DECISIONS.glob("*.md")),
]
FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
# These name commands, too.
COMMANDED = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    ROOT / ".github" / "pull_request_template.md",
    *sorted(FORMS.glob("*.yml")),
]
PRODUCT = catalogue.product().solution / "nb_runner"
SUFFIXES = {".json", ".lock", ".lua", ".md", ".py", ".svg", ".toml", ".yml"}
# Made by running something, or by a tool that is not used here.
NOT_OURS = {"uv.lock", "report.json", ".workshop/progress.json", ".workshop/logs"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def file_names() -> set[str]:
    """The names of all files that git knows, or would know after `git add`."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return {Path(name).name for name in listed.split("\0")}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def missing_paths(page: Path) -> Iterator[str]:
    """What a page links to, or names in code, and is not there."""
    for line in page.read_text(encoding="utf-8").splitlines():
        links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", line)]
        for link in links:
            if "://" not in link and not (page.parent / link).exists():
                yield link
        named = [name for name in re.findall(r"`([^`\s]+)`", line) if is_path(name)]
        # A line may go on below a folder that it has named.
        below = [ROOT / name for name in named if (ROOT / name).is_dir()]
        for name in named:
            if "/" not in name and name in file_names():
                continue
            if not any((folder / name).exists() for folder in (ROOT, PRODUCT, *below)):
                yield name


def is_path(name: str) -> bool:
    """Whether code in a sentence is the path or the name of a file."""
    if name.startswith(("/", "./")) or name in NOT_OURS or set(name) & set("…*(){}$="):
        return False
    return "/" in name or Path(name).suffix in SUFFIXES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    assert list(missing_paths(page)) == []


def test_a_path_that_is_not_there_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`kit/cli.py`, `kit/clio.py`, `lua/admit.lua`, `api.py`, `apis.py`, `kit/commands/`: "
        "`learner/`, `teacher/`, [a page](gone.md), `GET /status`, `/ready`\n"
    )
    assert list(missing_paths(page)) == ["gone.md", "kit/clio.py", "apis.py", "teacher/"]


def test_the_map_has_the_layers_that_lint_enforces() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `kit/(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    contracts = project()["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    assert sorted((int(floor), name) for floor, name in rows) == [
        (floor, name)
        for floor, layer in enumerate(layers, 1)
        for name in sorted(layer.split(" | "))
    ]


def missing_commands(page: Path) -> Iterator[str]:
    """What a page has people type, and what would be said to that."""
    for command in workshop_commands(page):
        if complaint := complaint_about(command):
            yield f"./workshop {command}: {complaint}"
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^\$ )make ([a-z]+)", text, re.MULTILINE):
        if target not in targets():
            yield f"make {target}"


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    assert list(missing_commands(page)) == []


def test_a_command_that_is_not_there_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`make check`, `./workshop list`\n\n$ make tests\n$ ./workshop lists\n")
    assert [told.partition(":")[0] for told in missing_commands(page)] == [
        "./workshop lists",
        "make tests",
    ]


# Records of decisions


def test_the_index_has_every_record_with_its_title() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$", index, re.MULTILINE)
    titles = [(path, path.read_text(encoding="utf-8").splitlines()[0]) for path in RECORDS]
    assert rows == [(path.name[:4], path.name, title[7:]) for path, title in titles]
    assert [number for number, _, _ in rows] == [f"{n:04}" for n in range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
def test_a_record_has_its_parts(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        *("Context", "Decision", "Consequences", "Alternatives")
    ]
    assert re.match(rf"# {record.name[:4]} \S.*\n\nStatus: \w+, \w+ \d{{4}}\n", text)


def test_the_version_is_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert versions[:2] == ["Unreleased", project()["project"]["version"]]


# What looks at a change before the tests do


def hooks() -> list[dict[str, Any]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"], "another host would be asked"
    return list(config["repos"][0]["hooks"])


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: str(hook["id"]))
def test_a_commit_hook_does_what_lint_does_with_the_same_program(hook: dict[str, Any]) -> None:
    program, *words = hook["entry"].split()
    assert hook["language"] == "system"  # pre-commit installs nothing
    assert os.access(ROOT / program, os.X_OK), f"{program} is not installed"
    # The hook names files, so ruff has to be told to leave out what it leaves out by itself.
    command = " ".join([program, *(word for word in words if word != "--force-exclude")])
    assert command in [line.removesuffix(" .") for line in make("-n", "lint").stdout.splitlines()]


def schema_of(form: Path) -> str:
    name = "github-issue-config" if form.stem == "config" else "github-issue-forms"
    return f"vendor.{name}"


def checked(form: Path, schema: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(form)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("form", sorted(FORMS.glob("*.yml")), ids=lambda form: str(form.stem))
def test_a_form_for_issues_is_valid(form: Path) -> None:
    done = checked(form, schema_of(form))
    assert done.returncode == 0, done.stdout


def test_a_form_that_is_not_valid_would_be_noticed(tmp_path: Path) -> None:
    text = (FORMS / "bug.yml").read_text(encoding="utf-8")
    form = tmp_path / "bug.yml"
    form.write_text(text.replace("type: textarea", "type: text"), encoding="utf-8")
    done = checked(form, schema_of(form))
    assert done.returncode == 1 and "bug.yml" in done.stdout


def test_every_line_of_text_ends_with_lf_alone() -> None:
    listed = git("ls-files", "--eol").splitlines()
    assert len(listed) > 100
    assert [line for line in listed if re.match(r"i/(crlf|mixed)|\S+ +w/(crlf|mixed)", line)] == []
