"""What a learner types between checks: list, status, hint, solution, diff, reset, export, …"""

import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.learner import Learner

pytestmark = pytest.mark.slow

HELLO, PARROT = "01-hello", "02-parrot"


def test_list_shows_the_course_and_where_you_are(learner: Learner) -> None:
    lines = learner.run("list").stdout.splitlines()
    assert any(line.split() == ["→", "01", "Hello", "5", "you", "are", "here", "evening",
                                "half-day"] for line in lines)  # fmt: skip
    assert "Next: 01 Hello, 5 min. `./workshop check 01` opens work/01-hello" in lines
    hello, parrot = learner.run_json("list", "--json")
    assert hello == {
        "exercise": HELLO,
        "number": 1,
        "title": "Hello",
        "minutes": 5,
        "tracks": ["evening", "half-day", "self-paced"],
        "done": False,
        "state": "not started",
        "current": True,
        "folder": None,
    }
    assert not parrot["current"]
    assert not learner.state.exists()  # looking changes nothing


def test_list_says_in_words_what_it_says_in_marks(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.solve(HELLO)
    learner.run("check")
    # Without -E, so that this variable stands for a terminal that knows ASCII only.
    plain = subprocess.run(
        [sys.executable, "-m", "kit", "list"],
        cwd=learner.home,
        env={**learner.env, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "passed" in plain and "you are here" in plain
    assert "\033" not in plain and plain.isascii()


def test_status_tells_the_next_command(learner: Learner) -> None:
    first = learner.run_json("status", "--json")
    assert (first["current"], first["next"]) == (HELLO, "./workshop check 01")
    learner.run("check")
    said = learner.run("status").stdout
    assert "0 of 2 exercises passed" in said
    assert "You are at 01 Hello, 5 min, in work/01-hello" in said
    assert "Open: task 1.1" in said
    learner.solve(HELLO)
    learner.run("check")
    after = learner.run_json("status", "--json")
    assert (after["passed"], after["current"], after["task"]) == ([HELLO], PARROT, "2.1")


def test_hints_come_one_by_one(learner: Learner) -> None:
    first, second, third, again = (learner.run("hint").stdout for _ in range(4))
    assert "hint 1 of 3" in first and "Look at the text" in first
    assert "what is demanded\n  - GET /ping answers the text pong.\n\nhint 1 of 3" in first
    assert "hint 2 of 3" in second and "Look at the text" not in second
    assert "hint 3 of 3" in third and "  async def ping(request" in third
    assert "    return PlainTextResponse" in third  # code keeps its shape
    assert "./workshop solution 01" in third
    assert "You have seen all 3 hints. Once more" in again and "hint 1 of 3" in again


def test_hints_are_for_the_task_that_failed(learner: Learner) -> None:
    learner.run("reset", "1")
    file = learner.solve(HELLO)
    file.write_text(file.read_text().replace('"Ada"', '""'))
    learner.run("check")
    without_requirements = learner.run("hint", "01").stdout
    assert without_requirements.startswith("1.2  GET /name says who you are\n\nhint 1 of 3")
    assert "hint 1 of 3" in learner.run("hint", "1.1").stdout
    every = learner.run("hint", "2.1", "--all").stdout
    assert all(f"hint {i} of 3" in every for i in (1, 2, 3))
    learner.solve(HELLO)
    learner.run("check")
    assert "there is nothing to hint at" in learner.run("hint", "1").stdout
    assert "2.1  GET /say" in learner.run("hint").stdout


def test_a_hint_may_be_about_what_failed(learner: Learner) -> None:
    learner.run("reset", "1")
    file = learner.solve(HELLO)
    assert "what failed last" not in learner.run("hint", "1.1").stdout
    file.write_text(file.read_text().replace('"pong"', '"pnog"'))
    learner.run("check")
    said = "what failed last\n  Compare the two texts letter by letter."
    assert said in learner.run("hint").stdout
    assert said not in learner.run("hint", "1.2").stdout


@pytest.mark.parametrize("name", ["9", "1.9", "9.1", "1.x", "hello.1.1"])
def test_a_hint_for_what_is_not_there(learner: Learner, name: str) -> None:
    done = learner.run("hint", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no " in done.stderr and "Try: ./workshop" in done.stderr


def test_the_solution_asks_first(learner: Learner) -> None:
    learner.run("reset", "1")
    refused = learner.run("solution", "1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Try: ./workshop solution 01 --yes" in refused.stderr
    shown = learner.run("solution", "1", "--yes").stdout
    assert "--- work/01-hello/nb_runner/main.py\n+++ solutions/01-hello/nb_runner/main.py" in shown
    assert '+    return PlainTextResponse("pong")' in shown
    learner.solve(HELLO)
    learner.run("check")
    passed = learner.run("solution", "1")
    assert passed.returncode == 0
    assert "work/01-hello is our solution, to the letter" in passed.stdout


@pytest.mark.parametrize(("answer", "shows"), [("y", True), ("n", False)])
def test_the_answer_counts(learner: Learner, answer: str, shows: bool) -> None:
    screen, keys = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kit", "solution", "1"],
        cwd=learner.home,
        env=learner.env,
        stdin=keys,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.write(screen, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=60)
    os.close(screen)
    os.close(keys)
    assert process.returncode == 0
    assert "Show the solution all the same?" in out
    assert ("PlainTextResponse" in out) == shows
    assert ("./workshop hint 01" in out) != shows


def test_diff_compares_once_you_have_passed(learner: Learner) -> None:
    learner.run("reset", "1")
    too_early = learner.run("diff", "1")
    assert too_early.returncode == 2
    assert "you have not passed 01 Hello yet" in too_early.stderr
    file = learner.solve(HELLO)
    file.write_text(file.read_text().replace("Ada", "Grace"))
    file.with_name("logo.bin").write_bytes(b"\xff\xfe\x00")
    learner.run("check")
    done = learner.run("diff")  # the one just passed
    assert done.returncode == 0
    assert (
        '-    return PlainTextResponse("Grace")\n+    return PlainTextResponse("Ada")'
        in done.stdout
    )
    assert "logo.bin: not text, or not in UTF-8" in done.stdout


RIGHT = """
[[answers]]
name = "a name in a variable"
reason = "The name can be used twice."
file = "nb_runner/main.py"
old = 'PlainTextResponse("Ada")'
new = 'PlainTextResponse(NAME)'

[[answers]]
name = "for the grader only"
file = "nb_runner/main.py"
old = 'PlainTextResponse("Ada")'
new = 'PlainTextResponse("Eve")'
"""


def test_after_a_pass_there_are_reasons_another_way_and_questions(learner: Learner) -> None:
    told = learner.home / "exercises" / HELLO / "exercise.toml"
    told.write_text(f'reason = "A text needs no JSON."\n{told.read_text()}')
    answers = learner.home / "tests" / "right_answers" / f"{HELLO}.toml"
    chapter = learner.home / "docs" / "exercises" / f"{HELLO}.md"
    for file, text in (
        (answers, RIGHT),
        (chapter, '# 01\n\n??? question "Why a text?"\n\n    Because.\n'),
    ):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    learner.run("reset", "1")
    assert "why so" not in learner.run("solution", "1", "--yes").stdout
    learner.solve(HELLO)
    learner.run("check")
    for verb in ("solution", "diff"):
        said = learner.run(verb, "1").stdout
        assert "why so\n  A text needs no JSON.\n" in said
        assert "another good way\n  a name in a variable\n  The name can be used twice.\n" in said
        assert '-    return PlainTextResponse("Ada")\n+    return PlainTextResponse(NAME)' in said
        assert "Eve" not in said
        assert "check yourself\n  - Why a text?\nThe answers: docs/exercises/01-hello.md" in said
        assert "Because" not in said


def kept(learner: Learner) -> list[Path]:
    return sorted((learner.home / "work" / ".kept").glob("*"))


def test_reset_keeps_the_old_work(learner: Learner) -> None:
    learner.run("check")
    learner.file(HELLO).write_text("mine = 1\n")
    (learner.home / "work" / HELLO / "notes.txt").write_text("note")
    done = learner.run("reset", "1")
    assert done.returncode == 0
    [old] = kept(learner)
    assert f"Your work is kept in work/.kept/{old.name}" in done.stdout
    assert "was passed" not in done.stdout
    assert (old / "nb_runner" / "main.py").read_text() == "mine = 1\n"
    assert (old / "notes.txt").read_text() == "note"
    assert "TODO(1.1)" in learner.file(HELLO).read_text()
    for _ in range(2):
        learner.run("reset", "1")
    assert len(kept(learner)) == 3
    assert sorted(each.name for each in (learner.home / "work").iterdir()) == [".kept", HELLO]


def test_reset_forgets_that_it_was_passed(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.solve(HELLO)
    learner.run("check")
    learner.run("reset", "1")
    assert learner.states()[HELLO] == "started"


def test_a_starter_that_cannot_be_copied_leaves_the_work_in_place(learner: Learner) -> None:
    learner.run("check")
    learner.file(HELLO).write_text("mine = 1\n")
    # A link to nowhere cannot be copied.
    (learner.home / "exercises" / HELLO / "nowhere").symlink_to("nowhere")
    done = learner.run("reset", "1")
    assert done.returncode == 2
    assert "exercises/01-hello cannot be copied to work/01-hello" in done.stderr
    assert learner.file(HELLO).read_text() == "mine = 1\n"
    assert kept(learner) == []


def test_catch_up_skips_what_comes_before(learner: Learner) -> None:
    learner.run("check")
    learner.file(HELLO).write_text("mine = 1\n")
    done = learner.run("catch-up", "2")
    assert done.returncode == 0
    assert "Skipped: 01" in done.stdout
    assert learner.states() == {HELLO: "skipped", PARROT: "started"}
    assert learner.file(HELLO).read_text() == "mine = 1\n"
    assert 'PlainTextResponse("pong")' in learner.file(PARROT).read_text()  # solution 01 is in it
    assert learner.run_json("status", "--json")["current"] == PARROT
    # Back to what was skipped: it is the current one again.
    assert learner.run("check", "1").returncode == 1
    assert learner.run_json("status", "--json")["current"] == HELLO


def test_catch_up_does_not_take_back_what_was_passed(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.solve(HELLO)
    learner.run("check")
    assert "Skipped" not in learner.run("catch-up", "2").stdout
    assert learner.states()[HELLO] == "passed"


def test_catch_up_asks_before_it_takes_a_pass_away(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.solve(HELLO)
    learner.run("check")
    refused = learner.run("catch-up", "1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "you have passed 01" in refused.stderr
    assert "Try: ./workshop catch-up 01 --yes" in refused.stderr
    assert learner.states()[HELLO] == "passed"
    assert learner.run("catch-up", "1", "--yes").returncode == 0
    assert learner.states()[HELLO] == "started"


def test_the_whole_course_begins_again_and_the_work_is_kept(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.solve(HELLO)
    learner.run("check")
    learner.run("check", "2")
    refused = learner.run("reset", "all")
    assert refused.returncode == 2
    assert "Try: ./workshop reset all --yes" in refused.stderr
    assert learner.states() == {HELLO: "passed", PARROT: "started"}
    assert learner.run("reset", "all", "--yes").returncode == 0
    assert learner.states() == {HELLO: "not started", PARROT: "not started"}
    assert len(kept(learner)) == 2


def test_work_and_progress_go_on_at_another_machine(learner: Learner, tmp_path: Path) -> None:
    learner.run("reset", "1")
    learner.solve(HELLO)
    learner.run("check")
    learner.run("check", "2")
    learner.file(PARROT).write_text("mine = 1\n")
    said = learner.run("export", str(tmp_path / "mine.zip")).stdout
    assert "your work on 01, 02" in said
    refused = learner.run("export", str(tmp_path / "mine.zip"))
    assert refused.returncode == 2 and "is there already" in refused.stderr
    other = Learner(tmp_path / "other")
    other.run("check", "2")
    other.file(PARROT).write_text("theirs = 1\n")
    done = other.run("import", str(tmp_path / "mine.zip"))
    assert done.returncode == 0, done.stderr
    assert other.states() == {HELLO: "passed", PARROT: "started"}
    assert other.run_json("status", "--json")["current"] == PARROT
    assert other.file(PARROT).read_text() == "mine = 1\n"
    [theirs] = kept(other)
    assert (theirs / "nb_runner" / "main.py").read_text() == "theirs = 1\n"
    assert "is kept in" not in other.run("import", str(tmp_path / "mine.zip")).stdout  # the same


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "work/../../outside.txt"])
def test_an_archive_that_export_has_not_written_changes_nothing(
    learner: Learner, tmp_path: Path, name: str
) -> None:
    learner.run("check")
    before = learner.states()
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr("progress.json", '{"last": "", "exercises": {}}')
        archive.writestr(f"work/{HELLO}/nb_runner/main.py", "theirs = 1\n")
        archive.writestr(name, "")
    (tmp_path / "none.zip").write_text("PK?")
    for odd in ("odd.zip", "none.zip"):
        done = learner.run("import", str(tmp_path / odd))
        assert done.returncode == 2
        assert "is not what ./workshop export writes" in done.stderr
    assert learner.states() == before
    assert "theirs" not in learner.file(HELLO).read_text()
    assert learner.run("import", str(tmp_path / "gone.zip")).returncode == 2


def test_a_starter_that_changed_since_is_told_and_the_work_is_left_alone(
    learner: Learner,
) -> None:
    learner.run("reset", "1")
    learner.file(HELLO).write_text("mine = 1\n")
    news = "01 has changed since you opened it"
    assert news not in learner.run("status").stdout
    starter = learner.home / "exercises" / HELLO
    for name in ("README.md", "nb_runner/main.py", "exercise.toml"):
        (starter / name).write_text((starter / name).read_text() + "\n# new\n")
    (starter / "nb_runner" / "more.py").write_text("more = 1\n")
    for verb in ("status", "list"):
        said = learner.run(verb).stdout
        assert f"{news}: README.md, nb_runner/main.py, nb_runner/more.py. " in said
        assert "`./workshop reset 01` begins with the new starter, and keeps your work." in said
    assert learner.file(HELLO).read_text() == "mine = 1\n"
    # What the learner has taken over is no news.
    (learner.home / "work" / HELLO / "README.md").write_bytes((starter / "README.md").read_bytes())
    assert f"{news}: nb_runner/main.py, nb_runner/more.py. " in learner.run("status").stdout
    learner.run("reset", "1")
    assert news not in learner.run("status").stdout


def test_a_file_that_is_gone_leads_to_reset(learner: Learner) -> None:
    learner.run("check")
    learner.file(HELLO).unlink()
    said = learner.run("check").stdout
    assert "Not in work/01-hello any more: nb_runner/main.py." in said
    assert "`./workshop reset 01` begins again, and keeps your work." in said


def test_after_the_last_exercise_what_was_skipped_is_named(learner: Learner) -> None:
    learner.run("catch-up", "2")
    learner.solve(PARROT)
    left = "Only what you have skipped is left: 01."
    for said in (learner.run("check", "2").stdout, learner.run("list").stdout):
        assert left in said and "`./workshop check 01` opens work/01-hello" in said
        assert "the last one" not in said and "You are through" not in said


def test_run_opens_an_exercise(learner: Learner) -> None:
    # Nothing in it can be served, so that it ends by itself.
    done = learner.run("run", "1", "--port", "0", "--no-restart")
    assert "Opened work/01-hello: work/01-hello/README.md says what to do" in done.stdout
    assert learner.file(HELLO).is_file()
    assert learner.run_json("status", "--json")["current"] == HELLO


def test_run_without_a_name_means_the_exercise_you_turned_to_last(learner: Learner) -> None:
    for n in ("2", "1"):
        learner.run("reset", n)
    learner.file(HELLO).unlink()
    done = learner.run("run", "--port", "0")
    assert done.returncode == 2
    assert "01" in done.stderr and "nothing to run" in done.stderr


def test_reset_says_that_it_takes_a_pass_away(learner: Learner) -> None:
    learner.run("reset", HELLO)
    learner.solve(HELLO)
    learner.run("check", HELLO)
    assert "01 was passed; now it has to pass again" in learner.run("reset", "1").stdout


def test_list_imports_nothing_that_it_can_do_without() -> None:
    """It has to answer in 0.2 seconds."""
    done = subprocess.run(
        [sys.executable, "-E", "-X", "importtime", "-m", "kit", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert "typer" in imported
    heavy = {"celery", "fastapi", "httpx", "pydantic", "pytest", "sqlalchemy", "uvicorn"}
    assert not imported & heavy
