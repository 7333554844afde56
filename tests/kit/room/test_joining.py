"""The line that attendees type, with a small kit in place of ours."""

import ast
import functools
import hashlib
import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kit.room.downloads import packages, repository
from kit.room.downloads.packages import Packages
from kit.room.downloads.pages import join_line, kit_routes
from kit.setup.wheelhouse import PLATFORMS, this_platform
from kit.workspace import ROOT
from tests.support.rooms import Room, served_room

pytestmark = pytest.mark.slow

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WHEEL = f"hello-1.0-cp{PYTHON.replace('.', '')}-none-{{}}.whl"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
KIT = "import sys\nprint('called with', sys.argv[1:])\n"


def git(folder: Path, *words: str) -> str:
    env = os.environ | {
        f"GIT_{who}_{what}": "a@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return subprocess.check_output(["git", *words], cwd=folder, env=env, text=True)


@pytest.fixture
def small_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose `workshop` prints how it is called."""
    kit = tmp_path / "kit"
    kit.mkdir()
    (kit / "workshop").write_text(KIT)
    git(kit, "init", "-q")
    git(kit, "add", ".")
    git(kit, "commit", "-qm", "One")
    git(kit, "remote", "add", "origin", "https://example.org/kit.git")
    monkeypatch.setattr(repository, "ROOT", kit)
    return kit


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one package for this machine, which is all that the lock names."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    tag = PLATFORMS[this_platform()].tags[0]
    wheel = folder / WHEEL.format(tag)
    wheel.write_bytes(b"hello")
    hashed = hashlib.sha256(b"hello").hexdigest()
    other = hashlib.sha256(b"other").hexdigest()
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"hello==1.0 \\\n    --hash=sha256:{hashed} \\\n    --hash=sha256:{other}\n")
    (folder / "evil-1.0-py3-none-any.whl").write_bytes(b"evil")
    (folder / "notes.txt").write_text("secret")
    monkeypatch.setattr(packages, "LOCK", lock)
    monkeypatch.setattr(packages, "packages_of", lambda layers: {"hello"})
    return folder


@pytest.fixture
def room(tmp_path: Path, small_kit: Path, wheels: Path) -> Iterator[Room]:
    """A room that hands out both."""
    state = tmp_path / "room"
    state.mkdir()
    pages = functools.partial(
        kit_routes, files=repository.kit_files(state), packages=Packages(wheels)
    )
    with served_room(state, pages=pages) as room:
        yield room


def type_line(room: Room, folder: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    folder.mkdir(exist_ok=True)
    line = join_line(room.address).replace("python3", f'"{sys.executable}"')
    return subprocess.run(
        line, shell=True, cwd=folder, env=os.environ | env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_the_line_fetches_the_kit_sets_it_up_and_can_be_typed_again(
    room: Room, small_kit: Path, tmp_path: Path
) -> None:
    at_home = tmp_path / "ada"
    # A proxy knows nothing of the room.
    done = type_line(room, at_home, **dict.fromkeys(PROXIES, "http://127.0.0.1:9"), no_proxy="")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"called with ['setup', '--from', '{room.address}/simple/']" in done.stdout
    assert f"./workshop setup --all --from {room.address}/simple/\n" in done.stdout
    kit = at_home / "notebook-runner-workshop"
    assert git(kit, "rev-parse", "HEAD") == git(small_kit, "rev-parse", "HEAD")
    assert git(kit, "remote", "get-url", "origin") == "https://example.org/kit.git\n"
    assert str(small_kit) not in (kit / ".git" / "config").read_text()

    (small_kit / "new").touch()
    git(small_kit, "add", ".")
    git(small_kit, "commit", "-qm", "Two")
    repository.kit_files(tmp_path / "room")  # as a room does that is started again
    assert "is in notebook-runner-workshop already" in type_line(room, at_home).stdout
    assert (kit / "new").exists()


def test_without_git_the_kit_comes_as_files(room: Room, tmp_path: Path) -> None:
    empty = tmp_path / "no-programs"
    empty.mkdir()
    done = type_line(room, tmp_path / "bob", PATH=str(empty))
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "bob" / "notebook-runner-workshop" / "workshop").read_text() == KIT


def test_a_machine_without_packages_is_told_what_there_is_and_what_can_be_done(
    room: Room, wheels: Path, tmp_path: Path
) -> None:
    told = httpx.get(f"{room.address}/kit.json").json()
    assert told["missing"][f"{this_platform()} {PYTHON}"] == []
    assert told["missing"]["macos-arm64 3.14"] == ["hello"]
    other = next(name for name in PLATFORMS if name != this_platform())
    for machine in (other, "linux-riscv64"):
        script = httpx.get(f"{room.address}/join").text
        done = subprocess.run(
            [sys.executable, "-c", script.replace("return \"%s-%s\" %", f"return '{machine}' or")],
            cwd=tmp_path / "room", capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 2
        assert f"The room has packages for: {this_platform()} {PYTHON}\n" in done.stdout
        assert f"no packages for this machine, {machine}" in done.stdout
        assert "with a network of your own: cd notebook-runner-workshop" in done.stdout
        # There is no use in an advice that the instructor cannot follow.
        advice = f"./workshop pack DIR --platform {machine} --python {PYTHON}"
        assert (advice in done.stdout) == (machine == other)


def test_only_what_is_meant_for_attendees_can_be_fetched(room: Room, wheels: Path) -> None:
    index = httpx.get(f"{room.address}/simple/").text
    assert "hello" in index and "evil" not in index
    (wheel,) = wheels.glob("hello*")
    hashed = hashlib.sha256(b"hello").hexdigest()
    assert f"{wheel.name}#sha256={hashed}" in httpx.get(f"{room.address}/simple/Hello/").text
    assert httpx.get(f"{room.address}/packages/{wheel.name}").content == b"hello"
    connection = http.client.HTTPConnection(room.address.removeprefix("http://"))
    for path in (
        "/packages/evil-1.0-py3-none-any.whl", "/packages/notes.txt", "/packages/",
        "/packages/..%2froom%2froom.sqlite", "/packages/../room/room.sqlite", "/simple/evil/",
        "/kit.git/", "/kit.git/../room.sqlite", "/kit.git/%2e%2e/room.sqlite", "/kit.git/objects/",
        "/kit.git/..%2f..%2fkit/workshop", "/room.sqlite", "/docs", "/openapi.json",
    ):  # fmt: skip
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404, path
    connection.close()
    page = httpx.get(room.address).text
    assert "ProxyHandler({})).open(" in page and room.store.setting("code") not in page


def test_the_line_needs_no_more_than_an_old_python_can_read() -> None:
    source = (ROOT / "kit" / "room" / "downloads" / "join_room.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 7))
    names = {
        node.names[0].name.partition(".")[0] if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert names <= set(sys.stdlib_module_names)
