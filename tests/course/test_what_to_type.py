"""What READMEs, hints, starters and chapters tell a learner to type or to read works as written."""

import re
import subprocess
from pathlib import Path

import pytest

from kit.authoring.twins import BLOCK
from kit.course.catalogue import Exercise, load
from kit.course.questions import questions
from kit.workspace import ROOT

LAST = 12  # the exercises after it build on what its learners know
COURSE = [exercise for exercise in load() if exercise.number <= LAST]
REDIS_CLI = re.compile(r"(?:`|^\$ )([^`\n]*redis-cli [^`\n]+)", re.MULTILINE)


def for_learners(exercise: Exercise) -> list[Path]:
    """The texts of an exercise."""
    return [
        exercise.starter / "README.md",
        exercise.starter / "exercise.toml",
        exercise.chapter,
    ]


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_a_starter_links_to_the_documentation(exercise: Exercise) -> None:
    files = [*exercise.starter.glob("nb_runner/**/*.py"), exercise.starter / "pyproject.toml"]
    blocks = [block for file in files for block in BLOCK.findall(file.read_text())]
    assert any("https://" in block for block in blocks)


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_a_learner_who_has_passed_gets_a_reason_and_questions(exercise: Exercise) -> None:
    assert exercise.reason
    assert len(questions(exercise)) >= 2


def test_a_command_for_redis_names_the_program_and_the_address() -> None:
    texts = [text for exercise in load() for text in for_learners(exercise)]
    texts += (ROOT / "docs" / "instructor").glob("*.*")  # pages, and what to say
    commands = [found for text in texts for found in REDIS_CLI.findall(text.read_text())]
    assert len(commands) > 4
    for command in commands:
        assert command.startswith(".venv/bin/redis-cli -u redis://"), command


@pytest.mark.parametrize("where", ["README", "chapter"])
def test_the_alias_for_poetry_works_in_a_folder_with_a_space(where: str, tmp_path: Path) -> None:
    poetry = COURSE[0]
    text = poetry.chapter if where == "chapter" else poetry.starter / "README.md"
    alias = re.search(r"^\$ (alias poetry=.*)$", text.read_text(), re.MULTILINE)
    assert alias
    kit = tmp_path / "my kit $HOME"
    program = kit / ".venv" / "bin" / "poetry"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$1 in ${VIRTUAL_ENV-no environment}"\n')
    program.chmod(0o755)
    script = f"shopt -s expand_aliases\n{alias[1]}\ncd ..\npoetry check\n"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=kit,
        env={"VIRTUAL_ENV": "/elsewhere", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("check in no environment\n", "")
