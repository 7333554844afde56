"""Twin trees: the course keeps the rules, and each rule notices when it is broken."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kit.authoring.twins import Twins, formatted, read_tree, twins, without_todos
from kit.course.catalogue import Exercise, Task, load

BEFORE = '"""The app."""\n\napp = 1\n\n\ndef go() -> int:\n    return app\n'
TODO = "# TODO(2.1): make it two,\n#   for reasons.\n"
STARTER = BEFORE.replace("    return", "    # TODO(2.1): return two,\n    #   please.\n    return")
SOLUTION = BEFORE.replace("return app", "return 2")
TASK = Task("2.1", "Two", ("nudge", "pointer", "nearly"))


@pytest.mark.parametrize("exercise", load(), ids=lambda exercise: exercise.slug)
def test_an_exercise_keeps_the_rules(exercise: Exercise) -> None:
    breaks = twins(exercise).breaks()
    assert not breaks, "\n\n".join(["", *map(str, breaks)])


class Course:
    """A made-up exercise 02 in files, and the solution before it."""

    def __init__(self, root: Path) -> None:
        self.before = root / "solutions" / "01-one"
        self.starter = root / "exercises" / "02-two"
        self.solution = root / "solutions" / "02-two"
        self.grader = root / "tests" / "graders" / "test_02_two.py"
        self.exercise = Exercise("02-two", "Two", 5, (), (TASK,), {})
        for folder, text in ((self.before, BEFORE), (self.starter, STARTER)):
            self.write(folder, "nb_runner/main.py", text)
        self.write(self.solution, "nb_runner/main.py", SOLUTION)
        for folder in (self.before, self.starter, self.solution):
            self.write(folder, "pyproject.toml", "[project]\n")
            self.write(folder, "nb_runner/__init__.py", "")
        self.write(self.grader.parent, self.grader.name, '@pytest.mark.task("2.1")\n')

    def write(self, folder: Path, name: str, text: str) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def declare(self, **declared: str) -> None:
        names = {name.replace("__", "/"): reason for name, reason in declared.items()}
        self.exercise = replace(self.exercise, declared=names)

    def breaks(self) -> list[str]:
        trees = (read_tree(folder) for folder in (self.before, self.starter, self.solution))
        return [str(broken) for broken in Twins(self.exercise, *trees).breaks()]

    def only_break(self) -> str:
        (told,) = self.breaks()
        return told


@pytest.fixture
def course(tmp_path: Path, set_workspace: Callable[..., None]) -> Course:
    set_workspace(course=tmp_path)
    return Course(tmp_path)


def test_a_course_that_keeps_the_rules_breaks_none(course: Course) -> None:
    assert course.breaks() == []


def test_what_only_the_formatter_sees_is_no_difference(course: Course) -> None:
    course.write(course.before, "nb_runner/main.py", BEFORE.replace("app = 1", "app  =  1"))
    assert course.breaks() == []


def test_rule_1_a_starter_changes_what_it_got(course: Course) -> None:
    text = STARTER.replace("app = 1", "app = 3")
    course.write(course.starter, "nb_runner/main.py", text)
    told = course.only_break()
    assert told.startswith("rule 1: ") and str(course.starter / "nb_runner" / "main.py") in told
    assert "\n-app = 1\n+app = 3\n" in told
    course.declare(nb_runner__main_py="")
    assert len(course.breaks()) == 2, "no reason, no excuse; and the declaration is idle"


def test_rule_1_can_be_excused_with_a_reason(course: Course) -> None:
    course.write(course.starter, "nb_runner/main.py", STARTER.replace("app = 1", "app = 3"))
    course.exercise = replace(course.exercise, declared={"nb_runner/*": "because"})
    assert course.breaks() == []


def test_rule_1_a_new_file_holds_a_todo(course: Course) -> None:
    course.write(course.starter, "nb_runner/new.py", "a = 1\n")
    course.write(course.solution, "nb_runner/new.py", "a = 1\n")
    assert "is new, holds no TODO" in course.only_break()
    course.write(course.starter, "nb_runner/new.py", TODO)
    assert course.breaks() == []


def test_rule_2_without_a_todo_nothing_changes(course: Course) -> None:
    course.write(course.solution, "pyproject.toml", "[project]\nname = 2\n")
    told = course.only_break()
    assert told.startswith("rule 2: ") and "\n+name = 2" in told
    assert str(course.solution / "pyproject.toml") in told


def test_rule_3_a_solution_holds_no_todo(course: Course) -> None:
    course.write(course.solution, "nb_runner/main.py", SOLUTION + "# TODO: think\n")
    assert "rule 3: " in course.only_break()


@pytest.mark.parametrize(
    ("tree", "name", "words"),
    [
        ("before", "nb_runner/old.py", "is missing: the solution before has it"),
        ("solution", "nb_runner/new.py", "is new, and no TODO of the starter asks for it"),
    ],
)
def test_rule_4_no_file_comes_or_goes_unsaid(
    course: Course, tree: str, name: str, words: str
) -> None:
    course.write(getattr(course, tree), name, "a = 1\n")
    told = course.only_break()
    assert told.startswith("rule 4: ") and words in told


def test_rule_4_a_starters_file_stays(course: Course) -> None:
    course.write(course.starter, "nb_runner/new.py", TODO)
    told = course.only_break()
    assert told.startswith("rule 4: ") and "is missing: the starter has it" in told


def test_rule_4_a_todo_can_ask_for_a_file(course: Course) -> None:
    course.write(course.solution, "nb_runner/lease.py", "a = 1\n")
    text = STARTER.replace("#   please.", "#   please, in a new file lease.py.")
    course.write(course.starter, "nb_runner/main.py", text)
    assert course.breaks() == []


@pytest.mark.parametrize("tree", ["starter", "solution"])
def test_rule_4_only_the_first_has_a_lock(course: Course, tree: str) -> None:
    course.write(getattr(course, tree), "poetry.lock", "")
    assert "only exercise 01 has one" in course.only_break()


def test_rule_4_an_excuse_that_nothing_needs_is_said(course: Course) -> None:
    course.exercise = replace(course.exercise, declared={"pyproject.toml": "because"})
    assert "declares pyproject.toml, which needs no excuse" in course.only_break()


def tasks(*changed: Task) -> Callable[[Course], None]:
    def change(course: Course) -> None:
        course.exercise = replace(course.exercise, tasks=changed)

    return change


def starter(text: str) -> Callable[[Course], None]:
    return lambda course: course.write(course.starter, "nb_runner/main.py", STARTER + text)


def grader(text: str) -> Callable[[Course], None]:
    return lambda course: course.write(course.grader.parent, course.grader.name, text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (starter("# TODO(2.2): more\n"), "has TODO(2.2), and exercise.toml no such task"),
        (starter("# TODO: more\n"), 'has a TODO that does not read "# TODO(N.m): …"'),
        (tasks(replace(TASK, title=" ")), "gives task 2.1 no title"),
        (tasks(replace(TASK, hints=("a", "b"))), "gives task 2.1 other than 3 hints"),
        (tasks(replace(TASK, hints=("a", "b", ""))), "gives task 2.1 other than 3 hints"),
        (grader(""), "has no test for task 2.1"),
        (
            grader('@pytest.mark.task("2.1")\n@pytest.mark.task("2.2")\n'),
            "has a test for task 2.2, which exercise.toml has not",
        ),
    ],
)
def test_rule_5_a_todo_has_a_task_with_all_that_belongs_to_it(
    course: Course, change: Callable[[Course], None], words: str
) -> None:
    change(course)
    told = [line for line in course.breaks() if words in line]
    assert [line for line in told if line.startswith("rule 5: ")], course.breaks()


def test_rule_5_tasks_are_numbered_in_order(course: Course) -> None:
    tasks(TASK, replace(TASK, number="2.3"))(course)
    assert any("should number its tasks 2.1, 2.2" in line for line in course.breaks())


def test_a_block_ends_where_the_comment_has_one_space() -> None:
    text = "a = 1\n# TODO(2.1): this\n#   and this,\n# but not this\n    # TODO(2.2): and this\n"
    assert without_todos({"a.py": text}) == {"a.py": "a = 1\n# but not this\n"}


def test_formatting_leaves_alone_what_is_no_python() -> None:
    files = {"a.py": "a  =  1\n\n\n\n", "b/c.lua": "a  =  1\n", "bad.py": "a  = (\n"}
    assert formatted(files) == {"a.py": "a = 1\n", "b/c.lua": "a  =  1\n", "bad.py": "a  = (\n"}
