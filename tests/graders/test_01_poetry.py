"""Exercise 01: a project that others can install. It needs no network and starts no API."""

import codecs
import os
import re
import shutil
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from kit.grading.diagnosis import reason
from kit.grading.submission import Submission
from kit.processes.child import Child
from kit.verdicts.failure import Wrong, require

PYPROJECT = "pyproject.toml"
SETTINGS = "poetry.toml"
LOCK = "poetry.lock"
POETRY_TIMEOUT = 90.0  # seconds for one call of Poetry, which takes one on a quiet machine
NOT_COPIED = shutil.ignore_patterns(".venv", "dist", "__pycache__", ".git", "*.whl")
# -I: Python imports the installed Poetry, not a package of the project with that name.
POETRY = (sys.executable, "-I", "-m", "poetry", "--no-interaction", "--no-ansi")
NEEDS_NETWORK = (
    "Locking asks the package index, so without a network this one has to wait: "
    "exercise 02 does not need it"
)


class Poetry:
    """Poetry, at work on a copy of the project, with a cache of its own."""

    def __init__(self, submission: Submission) -> None:
        self.folder = submission.state / "copy"
        shutil.copytree(submission.folder, self.folder, symlinks=True, ignore=NOT_COPIED)
        env = submission.stack.env | {
            # Poetry makes no environment. VIRTUAL_ENV is not set, so it finds none either.
            "POETRY_VIRTUALENVS_CREATE": "false",
            "POETRY_CACHE_DIR": str(submission.state / "poetry"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

        def start(name: str, *words: str) -> Child:
            return submission.stack.start(name, [*POETRY, *words], cwd=self.folder, env=env)

        # Both run at the same time: most of the time is Poetry's start.
        self.build = start("build", "build", "--format", "wheel")
        self.check = start("check", "check", "--lock")


Files = dict[str, bytes | OSError]


@pytest.fixture(scope="module")
def files(submission: Submission) -> Files:
    """The files of the submission, read before its build runs: a build can change them."""

    def read(file: Path) -> bytes | OSError:
        try:
            return file.read_bytes()
        except OSError as error:
            return error

    return {name: read(submission.folder / name) for name in (PYPROJECT, SETTINGS, LOCK)}


@pytest.fixture(scope="module")
def poetry(submission: Submission, files: Files) -> Poetry:
    return Poetry(submission)


@pytest.fixture
def pyproject(files: Files) -> dict[str, Any]:
    return table_of(files, PYPROJECT, "in this file the project says what it is")


@pytest.mark.task("1.1")
def test_the_project_says_what_it_is(pyproject: dict[str, Any]) -> None:
    project = table(pyproject, "project")
    if not project:
        old_way = "name" in tool_poetry(pyproject)
        got = "[tool.poetry], which no other tool reads" if old_way else "there is none yet"
        wrong("a table [project], as PEP 621 has it", got, "[project]")
    name = text_of(project, "name", '"nb-runner"')
    canonical = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
    if not re.fullmatch(canonical, name):
        wrong("a name of letters, digits, - _ and .", f"name = {name!r}", "[project]")
    version = text_of(versioned(project, pyproject), "version", '"0.1.0"')
    try:
        Version(version)
    except InvalidVersion:
        wrong('a version such as "0.1.0"', f"version = {version!r}", "[project]")
    text_of(project, "description", "one sentence of your own")
    pythons = text_of(project, "requires-python", '">=3.11"')
    try:
        fits = SpecifierSet(pythons).contains("{}.{}.{}".format(*sys.version_info))
    except InvalidSpecifier:
        wrong('a range such as ">=3.11,<3.15"', f"requires-python = {pythons!r}", "[project]")
    here = f"a range that the Python you use is in: {sys.version_info[0]}.{sys.version_info[1]}"
    if not fits:
        wrong(here, f"requires-python = {pythons!r}", "[project]")


@pytest.mark.task("1.1")
def test_the_project_says_what_it_needs(pyproject: dict[str, Any]) -> None:
    needs = dependencies(pyproject)
    for name in ("fastapi", "uvicorn"):
        if name not in needs:
            got = ", ".join(sorted(needs)) or "none"
            wrong(f"{name!r} among the dependencies", got, "[project] dependencies")
    for name, need in needs.items():
        if why := why_no_range(need):
            expected = f"a range of versions for {name}: {why}"
            wrong(expected, f'"{need}"', "[project] dependencies")


@pytest.mark.task("1.2")
def test_what_only_developers_need_is_in_a_group(pyproject: dict[str, Any]) -> None:
    where = "[dependency-groups]"
    if "dev" not in table(pyproject, "dependency-groups"):
        old = tool_poetry(pyproject)
        group = old.get("group")
        old_way = (isinstance(group, dict) and "dev" in group) or "dev-dependencies" in old
        extra = "dev" in table(table(pyproject, "project"), "optional-dependencies")
        got = "none"
        if old_way:
            got = "a group under [tool.poetry], which no other tool reads"
        elif extra:
            got = "an extra `dev`: extras are offered to those who install the project"
        wrong("a group called `dev`, as PEP 735 has it", got, where)
    group = members(pyproject, "dev")
    needs = dependencies(pyproject)
    for name in ("pytest", "ruff"):
        if name in needs:
            expected = f"{name} in the group `dev` alone: people who run the API do not need it"
            wrong(expected, f"{name} among the dependencies too", "[project] dependencies")
        if name not in group:
            wrong(f"{name!r} in the group `dev`", ", ".join(sorted(group)) or "nothing", where)


@pytest.mark.task("1.3")
def test_the_environment_lies_in_the_project(files: Files, pyproject: dict[str, Any]) -> None:
    where = "poetry.toml: [virtualenvs] in-project"
    in_other_file = "virtualenvs" in pyproject or "virtualenvs" in tool_poetry(pyproject)
    settings: dict[str, Any] = {}
    if not (in_other_file and isinstance(files[SETTINGS], FileNotFoundError)):
        settings = table_of(files, SETTINGS, "Poetry's settings for this project")
    found = table(settings, "virtualenvs", SETTINGS).get("in-project")
    if str(found).lower() == "true":
        return
    got = f"in-project = {'nothing of it' if found is None else found!r}"
    if found is None and in_other_file:
        got = "virtualenvs in pyproject.toml, where Poetry does not look for the setting"
    wrong("in-project = true, under [virtualenvs]", got, where, did="cat poetry.toml")


@pytest.mark.task("1.4")
def test_the_wheel_has_the_package_in_it(
    submission: Submission, poetry: Poetry, pyproject: dict[str, Any]
) -> None:
    system = table(pyproject, "build-system")
    if not system.get("build-backend"):
        expected = "a build-backend: pip and Poetry ask it for the wheel"
        got = "none" if system else "no table [build-system]"
        wrong(expected, got, "[build-system]")
    where = "pyproject.toml: [build-system], and [tool.poetry] packages"
    expected = "a wheel"
    if not str(system["build-backend"]).startswith("poetry.core"):
        expected += " (a builder that is not poetry-core has to be fetched from the index)"
    require_success(poetry.build, "poetry build", expected, where)
    wheels = list((poetry.folder / "dist").glob("*.whl"))
    require(wheels, "poetry build; ls dist", "a wheel", "none", where)
    unpacked = Path(tempfile.mkdtemp(dir=submission.state))
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(unpacked)
    line = f"import sys; sys.path.insert(0, {str(unpacked)!r}); import nb_runner as package"
    # The wheel's dependencies are not in it. They are imported from this environment.
    line += "; print('found in', list(package.__path__)[0])"
    argv = [sys.executable, "-I", "-c", line]
    child = submission.stack.start("import", argv, cwd=unpacked)
    did = "poetry build && unzip -l dist/*.whl"
    where = "pyproject.toml: [tool.poetry] packages, and nb_runner/__init__.py"
    require_success(child, did, "a wheel from which nb_runner can be imported", where)
    found = child.output().rpartition("found in ")[2].strip()
    if not Path(found).resolve().is_relative_to(unpacked.resolve()):
        raise Wrong(did, "the package nb_runner in the wheel", "it is not in there", where)


@pytest.mark.task("1.5")
def test_the_lock_belongs_to_this_project(files: Files, poetry: Poetry) -> None:
    if isinstance(files[LOCK], FileNotFoundError):
        raise Wrong(
            "ls",
            "poetry.lock",
            f"there is none yet. {NEEDS_NETWORK}",
            "poetry lock, which writes it",
        )
    table_of(files, LOCK, "written by `poetry lock`, never by hand")
    where = "poetry lock, which writes it anew"
    require_success(
        poetry.check, "poetry check --lock", "a lock made from this pyproject.toml", where
    )


@pytest.mark.task("1.5")
def test_the_lock_names_all_that_is_needed(files: Files, pyproject: dict[str, Any]) -> None:
    locked = dict(packages(table_of(files, LOCK, "written by `poetry lock`")))
    groups = {"main": dependencies(pyproject)}
    for group in table(pyproject, "dependency-groups"):
        groups[str(group)] = members(pyproject, str(group))
    for group, needs in groups.items():
        for name, need in needs.items():
            if need.marker is None or need.marker.evaluate():
                require_locked(locked, name, need, group)
    for name, package in locked.items():
        for other, wanted in table(package, "dependencies", LOCK).items():
            # A dependency with a condition is a table, and may be missing in the lock.
            if isinstance(wanted, str) and canonicalize_name(other) not in locked:
                lock_wrong(f"{other}, which {name} needs", "it is not in the lock")


def require_locked(locked: dict[str, Any], name: str, need: Requirement, group: str) -> None:
    """Raise Wrong unless the lock has the dependency, in a fitting version, with its hashes."""
    whose = "a dependency" if group == "main" else f"of the group `{group}`"
    if name not in locked:
        there = f"the lock has {len(locked)} packages, and no {name}"
        lock_wrong(f"{name} ({whose}), with a version and the hashes of its files", there)
    package = locked[name]
    version = str(package.get("version"))
    if need.specifier and not need.specifier.contains(version, prereleases=True):
        lock_wrong(f"{name} {need.specifier}", f"{name} {version}")
    files = package.get("files")
    hashed = isinstance(files, list) and any(
        isinstance(file, dict) and str(file.get("hash")).startswith("sha256:") for file in files
    )
    # A package from a folder or from git has no hashes.
    if not hashed and "source" not in package:
        lock_wrong(f"the hashes of {name}'s files", "none")
    groups = package.get("groups")
    if isinstance(groups, list) and canonicalize_name(group) not in groups:
        lock_wrong(f"{name} in the group `{group}`", f"groups = {groups}")


def why_no_range(need: Requirement) -> str:
    """What is wrong with the versions that it allows; empty when they are a range."""
    exact = [each for each in need.specifier if each.operator in ("==", "===")]
    if any(not each.version.endswith(".*") for each in exact):
        return "with one version only, nobody can update"
    if not (need.specifier or need.url):
        return "some later version will not fit"
    return ""


def dependencies(pyproject: dict[str, Any]) -> dict[str, Requirement]:
    """The requirements in `[project] dependencies`, by name."""
    listed = table(pyproject, "project").get("dependencies", [])
    if not isinstance(listed, list):
        wrong("a list of dependencies", f"dependencies = {listed!r}", "[project] dependencies")
    return dict(parsed(item, "[project] dependencies") for item in listed)


def members(pyproject: dict[str, Any], name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The requirements in a dependency group and in the groups that it includes, by name."""
    where = f"[dependency-groups] {name}"
    listed = table(pyproject, "dependency-groups").get(name)
    if not isinstance(listed, list):
        wrong("a list", f"{name} = {listed!r}", where)
    if name in above:
        wrong("groups that do not include themselves", " → ".join((*above, name)), where)
    found: dict[str, Any] = {}
    for item in listed:
        if isinstance(item, dict):
            found |= members(pyproject, str(item.get("include-group")), (*above, name))
        else:
            found |= [parsed(item, where)]
    return found


def parsed(item: Any, where: str) -> tuple[str, Requirement]:
    """One requirement: its name, and the requirement."""
    try:
        need = Requirement(item)
    except (InvalidRequirement, TypeError):
        wrong('a requirement such as "fastapi>=0.165,<0.166"', repr(item), where)
    return canonicalize_name(need.name), need


def packages(lock: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The packages in the lock, by name."""
    listed = lock.get("package", [])
    for package in listed if isinstance(listed, list) else []:
        if isinstance(package, dict) and isinstance(package.get("name"), str):
            yield canonicalize_name(package["name"]), package


def require_success(child: Child, did: str, expected: str, where: str) -> None:
    """Wait for a process. Raises Wrong unless it ends with exit code 0."""
    try:
        code = child.wait(POETRY_TIMEOUT)
    except TimeoutError:
        child.kill()
        raise Wrong(did, expected, f"it was not done after {POETRY_TIMEOUT:g} s", where) from None
    if code:
        # The process worked on a copy; the learner's paths do not have its folder.
        output = re.sub(r"/\S*/workshop-check-\w+/copy/", "", child.output())
        output_lines = [line for line in output.splitlines() if line.strip()]
        got = reason(output) or "\n".join(output_lines[-6:]) or f"exit code {code}"
        raise Wrong(did, expected, got, where)


def table_of(files: Files, name: str, purpose: str) -> dict[str, Any]:
    """The content of one of the files, which has to be TOML."""
    did = f"cat {name}"
    content = files[name]
    try:
        if isinstance(content, OSError):
            raise content
        if content.startswith(codecs.BOM_UTF8):  # Poetry does not read such a file
            mark = "it begins with a byte order mark: save it as UTF-8 without one"
            raise Wrong(did, "a file in TOML", mark, name)
        return tomllib.loads(content.decode())
    except FileNotFoundError:
        raise Wrong("ls", f"{name}: {purpose}", "there is no such file", name) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        got = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise Wrong(did, "a file in TOML", f"{got}", name) from None


def table(above: dict[str, Any], name: str, file: str = PYPROJECT) -> dict[str, Any]:
    """A table of a TOML file; empty when it is not there."""
    found = above.get(name, {})
    require(isinstance(found, dict), f"cat {file}", f"a table [{name}]", repr(found), file)
    return dict(found)


def tool_poetry(pyproject: dict[str, Any]) -> dict[str, Any]:
    return table(table(pyproject, "tool"), "poetry")


def versioned(project: dict[str, Any], pyproject: dict[str, Any]) -> dict[str, Any]:
    """The table that has the version. With `dynamic`, Poetry takes it from its own table."""
    dynamic = project.get("dynamic")
    if isinstance(dynamic, list) and "version" in dynamic:
        return tool_poetry(pyproject)
    return project


def text_of(project: dict[str, Any], key: str, example: str) -> str:
    """A value of [project] that has to be there."""
    value = project.get(key)
    if not isinstance(value, str) or not value.strip():
        wrong(f"{key} = {example}", "none" if value is None else repr(value), "[project]")
    return value


def wrong(expected: str, got: str, where: str, did: str = f"cat {PYPROJECT}") -> NoReturn:
    """Raise Wrong: something in a file is not right yet."""
    file = "" if did != f"cat {PYPROJECT}" else f"{PYPROJECT}: "
    raise Wrong(did, expected, got, f"{file}{where}")


def lock_wrong(expected: str, got: str) -> NoReturn:
    """Raise Wrong: the lock is not right."""
    raise Wrong("cat poetry.lock", expected, got, "poetry lock, which writes it anew")
