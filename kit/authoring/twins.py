"""Twin trees: what a starter may differ in from the solution before it, and from its own.

Exercises and solutions are written by hand. Five rules, over `nb_runner/**` and `pyproject.toml`,
keep them in step:

1. A starter's file is that of the solution before, plus TODO blocks; or is new and holds a TODO;
   or is declared in exercise.toml, with a reason.
2. A file without a TODO is the same in starter and solution.
3. A solution holds no TODO. (That it passes, and a starter does not, only running them tells.)
4. No file is there, or missing, that no rule allows. Only 01 has a poetry.lock.
5. Each TODO(N.m) has a task N.m, with a title, three hints and a test in the grader.
"""

import difflib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from kit.course.catalogue import Exercise
from kit.workspace import shown, workspace

TODO = re.compile(r"^[ \t]*# TODO\((\d+\.\d+)\): ", re.MULTILINE)
# One `# TODO(N.m): …` line, and lines that begin with `#` and two spaces or more.
BLOCK = re.compile(r"^[ \t]*# TODO\(\d+\.\d+\): .*\n(?:[ \t]*#  .*\n)*", re.MULTILINE)
SAYS_TODO = re.compile(r"\bTODO\b")
TESTED = re.compile(r'mark\.task\("([^"]+)"\)')
HINTS = 3
WITH_A_LOCK = 1  # the exercise that is about it

Files = Mapping[str, str]  # the text of each file, by its path in the project


@dataclass(frozen=True)
class Break:
    """A rule that is broken: the file to edit, what is wrong with it, and by how much."""

    rule: int
    file: Path
    words: str
    diff: str = ""

    def __str__(self) -> str:
        return f"rule {self.rule}: {shown(self.file)} {self.words}\n{self.diff}".rstrip()


@dataclass(frozen=True)
class Twins:
    """An exercise's two trees, with the tree before them: the solution of N-1, or nothing."""

    exercise: Exercise
    before: Files
    starter: Files
    solution: Files

    def breaks(self) -> list[Break]:
        """All that is wrong."""
        excused: set[str] = set()
        found = [
            *self._starter_follows(excused),
            *self._solution_follows(excused),
            *self._locks(),
            *self._tasks(),
        ]
        idle = sorted(set(self.exercise.declared) - excused)
        toml = self.exercise.starter / "exercise.toml"
        found += [Break(4, toml, f"declares {name}, which needs no excuse") for name in idle]
        return found

    def _starter_follows(self, excused: set[str]) -> Iterator[Break]:
        """Rule 1, and of rule 4 what is missing from the starter."""
        ours, theirs = formatted(without_todos(self.starter)), formatted(self.before)
        for name in sorted(self.starter):
            file = self.exercise.starter / name
            if name in theirs and ours[name] == theirs[name]:
                continue
            if name not in theirs and TODO.search(self.starter[name]):
                continue
            if self._declared(name, excused):
                continue
            if name in theirs:
                diff = unified(theirs[name], ours[name], f"before/{name}", f"starter/{name}")
                yield Break(1, file, "is not the solution before it plus TODO blocks", diff)
            else:
                yield Break(1, file, "is new, holds no TODO, and is not declared")
        for name in sorted(set(self.before) - set(self.starter)):
            if not self._declared(name, excused):
                file = self.exercise.starter / name
                yield Break(4, file, "is missing: the solution before has it")

    def _solution_follows(self, excused: set[str]) -> Iterator[Break]:
        """Rules 2 and 3, and of rule 4 what is in one of the two only."""
        for name in sorted(self.starter.keys() | self.solution.keys()):
            file = self.exercise.solution / name
            ours, theirs = self.starter.get(name), self.solution.get(name)
            if theirs is None:
                if not self._declared(name, excused):
                    yield Break(4, file, "is missing: the starter has it")
            elif SAYS_TODO.search(theirs):
                yield Break(3, file, "holds a TODO")
            elif ours is None:
                if not self._asked_for(name) and not self._declared(name, excused):
                    yield Break(4, file, "is new, and no TODO of the starter asks for it")
            elif not TODO.search(ours) and ours != theirs:
                diff = unified(ours, theirs, f"starter/{name}", f"solution/{name}")
                yield Break(2, file, "differs from the starter's, which holds no TODO", diff)

    def _locks(self) -> Iterator[Break]:
        if self.exercise.number == WITH_A_LOCK:
            return
        for folder in (self.exercise.starter, self.exercise.solution):
            if (folder / "poetry.lock").exists():
                yield Break(4, folder / "poetry.lock", "is there; only exercise 01 has one")

    def _tasks(self) -> Iterator[Break]:
        """Rule 5; and a test for a task that is not there would never count."""
        toml, grader = self.exercise.starter / "exercise.toml", self.exercise.grader
        tasks = {task.number: task for task in self.exercise.tasks}
        for name, text in sorted(self.starter.items()):
            file = self.exercise.starter / name
            numbers = TODO.findall(text)
            for number in numbers:
                if number not in tasks:
                    yield Break(5, file, f"has TODO({number}), and exercise.toml no such task")
            if len(numbers) != len(SAYS_TODO.findall(text)):
                yield Break(5, file, 'has a TODO that does not read "# TODO(N.m): …"')
        tested = set(TESTED.findall(_text(grader)))
        for task in tasks.values():
            if not task.title.strip():
                yield Break(5, toml, f"gives task {task.number} no title")
            if len(task.hints) != HINTS or not all(hint.strip() for hint in task.hints):
                yield Break(5, toml, f"gives task {task.number} other than {HINTS} hints")
            if task.number not in tested:
                yield Break(5, grader, f"has no test for task {task.number}")
        for number in sorted(tested - set(tasks)):
            yield Break(5, grader, f"has a test for task {number}, which exercise.toml has not")
        expected = [f"{self.exercise.number}.{i}" for i in range(1, len(tasks) + 1)]
        if list(tasks) != expected:
            yield Break(5, toml, f"should number its tasks {', '.join(expected)}")

    def _asked_for(self, name: str) -> bool:
        """Whether a TODO block names the file."""
        blocks = (block for text in self.starter.values() for block in BLOCK.findall(text))
        return any(Path(name).name in block for block in blocks)

    def _declared(self, name: str, excused: set[str]) -> bool:
        """Whether exercise.toml gives a reason for the file, by its name or by a pattern."""
        for pattern, reason in self.exercise.declared.items():
            if fnmatchcase(name, pattern) and reason.strip():
                excused.add(pattern)
                return True
        return False


def twins(exercise: Exercise) -> Twins:
    """The trees of an exercise, read."""
    before = solution_before(exercise)
    return Twins(
        exercise,
        read_tree(before) if before else {},
        read_tree(exercise.starter),
        read_tree(exercise.solution),
    )


def solution_before(exercise: Exercise) -> Path | None:
    """The solution that the starter starts from; None for the first exercise."""
    return next(workspace().solutions.glob(f"{exercise.number - 1:02}-*"), None)


def read_tree(folder: Path) -> dict[str, str]:
    """What the rules are about, of a project."""
    files = [folder / "pyproject.toml", *(folder / "nb_runner").rglob("*")]
    return {
        file.relative_to(folder).as_posix(): _text(file)
        for file in sorted(files)
        if file.is_file() and "__pycache__" not in file.parts
    }


def without_todos(files: Files) -> dict[str, str]:
    """The files less their TODO blocks."""
    return {name: BLOCK.sub("", text) for name, text in files.items()}


def formatted(files: Files) -> dict[str, str]:
    """The files as ruff would write them, by one call for all."""
    with tempfile.TemporaryDirectory(prefix="workshop-twins-") as scratch:
        root = Path(scratch)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        ruff = [str(Path(sys.executable).with_name("ruff")), "format", "--quiet", "--no-cache"]
        # What is no Python stays as it is, and shows in the diff.
        words = [*ruff, "--isolated", "--line-length", "100", scratch]
        subprocess.run(words, capture_output=True, check=False)
        # A block at the end leaves empty lines, and in TOML nothing takes them away.
        return {name: _text(root / name).rstrip() + "\n" for name in files}


def unified(old: str, new: str, old_name: str, new_name: str) -> str:
    """A unified diff."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""
    )
    return "\n".join(lines)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
