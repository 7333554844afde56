"""`./workshop docs`: builds the handbook when there is need, serves it, and ends at Ctrl-C."""

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kit.errors import KitError
from kit.processes.ports import free_socket
from kit.processes.stack import Stack
from kit.site import builder
from kit.site.server import Pages, serving, serving_both
from kit.workspace import ROOT
from tests.support.processes import Mark, eventually

pytestmark = pytest.mark.slow


@contextmanager
def docs(state: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    mark = Mark()
    process = subprocess.Popen(
        [sys.executable, "-m", "kit", "docs", *words],
        cwd=ROOT,
        env={**os.environ, **mark.env, "WORKSHOP_STATE": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        ended = process.poll() is not None
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    if not ended:  # what is being built ends a moment after the kit was killed
        eventually(lambda: mark.commands() == [], "the build to end")
    assert mark.commands() == []


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("The handbook: http://127.0.0.1:"), line
    assert process.stdout.readline() == "Ctrl-C stops it.\n"
    return line.removeprefix("The handbook: ").strip()


def when_built(url: str) -> httpx.Response:
    eventually(lambda: httpx.get(url, trust_env=False).status_code != 503, "the handbook", 180)
    return httpx.get(url, trust_env=False)


def test_docs_serves_the_handbook_until_ctrl_c_and_does_not_build_it_twice(
    tmp_path: Path,
) -> None:
    with docs(tmp_path, "--port", "0") as process:
        address = address_of(process)
        slides = httpx.get(f"{address}slides/talk.html", trust_env=False)
        assert "This is being built" in slides.text, "they come after the handbook"
        page = when_built(f"{address}exercises/07-one-at-a-time/")
        assert page.status_code == 200 and "One at a time" in page.text
        missing = httpx.get(f"{address}nothing/", trust_env=False)
        assert (missing.status_code, 'href="/slides/"' in missing.text) == (404, True)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert (process.returncode, output) == (0, "\nStopped.\n")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["handbook", "logs"]
    built = (tmp_path / "handbook" / "index.html").stat().st_mtime_ns
    with docs(tmp_path, "--port", "0") as process:
        when_built(address_of(process))
    assert (tmp_path / "handbook" / "index.html").stat().st_mtime_ns == built


def test_a_port_that_is_taken_is_said_in_words(tmp_path: Path) -> None:
    with (
        free_socket() as sock,
        pytest.raises(KitError, match="is in use"),
        serving(tmp_path, sock.getsockname()[1]),
    ):
        pass


def test_pages_are_built_anew_when_a_source_is_newer(
    tmp_path: Path, set_workspace: Callable[..., None]
) -> None:
    set_workspace(state=tmp_path / "state")
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.md").write_text("a")
    built: list[Path] = []

    def build(folder: Path) -> None:
        folder.mkdir()
        (folder / "index.html").write_text(f"build {len(built)}")
        built.append(folder)

    for _ in range(2):
        folder = builder.build_if_outdated("pages", [source], build)
    assert len(built) == 1
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("")
    os.utime(source / "__pycache__" / "a.pyc", (2e9, 2e9))
    builder.build_if_outdated("pages", [source], build)
    assert len(built) == 1, "a cache is no source"
    os.utime(source / "a.md", (2e9, 2e9))
    builder.build_if_outdated("pages", [source], build)
    assert len(built) == 2
    assert (folder / "index.html").read_text() == "build 1"


def test_a_build_that_fails_leaves_the_old_pages(
    tmp_path: Path, set_workspace: Callable[..., None]
) -> None:
    set_workspace(state=tmp_path)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("old")

    def build(folder: Path) -> None:
        raise KitError("it cannot be built")

    with pytest.raises(KitError, match="cannot be built"):
        builder.build_if_outdated("pages", [], build)
    assert (tmp_path / "pages" / "index.html").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["pages"]


def test_a_folder_that_cannot_be_written_to_is_said_in_words(
    tmp_path: Path, set_workspace: Callable[..., None]
) -> None:
    (tmp_path / "file").write_text("")
    set_workspace(state=tmp_path / "file" / "state")
    with pytest.raises(KitError, match="cannot be written"):
        builder.build_if_outdated("pages", [], lambda folder: folder.mkdir())


def test_nothing_outside_of_the_folder_is_served(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "site" / "link").symlink_to(tmp_path / "secret")
    with serving(tmp_path / "site") as address:
        assert address.startswith("http://127.0.0.1:")
        for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "//../secret", "/link"):
            connection = http.client.HTTPConnection(address.split("/")[2])
            connection.request("GET", path)  # httpx would tidy the path first
            assert connection.getresponse().status == 404, path
            connection.close()


def test_a_folder_is_not_listed_and_browsers_ask_each_time(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "page.html").write_text("a page")
    with serving(tmp_path) as address:
        assert httpx.get(f"{address}pages/", trust_env=False).status_code == 404
        page = httpx.get(f"{address}pages/page.html", trust_env=False)
    assert (page.text, page.headers["Cache-Control"]) == ("a page", "no-cache")


def test_until_they_are_built_a_page_says_so_and_reloads_itself(
    tmp_path: Path, set_workspace: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the handbook is served while the slides cannot be built."""
    set_workspace(state=tmp_path / "state")
    (tmp_path / "index.html").write_text("the handbook")
    go_on = threading.Event()

    def up_to_date(stack: Stack) -> Path:
        go_on.wait(60)
        return tmp_path

    def fail(stack: Stack) -> Path:
        raise KitError("no slides today", "make slides")

    monkeypatch.setattr("kit.site.handbook.up_to_date", up_to_date)
    monkeypatch.setattr("kit.site.slides.up_to_date", fail)
    with serving_both(Pages()) as address:
        for path in ("", "slides/talk.html"):
            early = httpx.get(address + path, trust_env=False)
            assert (early.status_code, 'http-equiv="refresh"' in early.text) == (503, True)
        go_on.set()
        eventually(
            lambda: httpx.get(address, trust_env=False).text == "the handbook", "the handbook"
        )
        eventually(
            lambda: httpx.get(f"{address}slides/", trust_env=False).status_code == 500, "the error"
        )
        late = httpx.get(f"{address}slides/", trust_env=False)
    assert late.text.startswith("no slides today") and late.text.endswith("Try: make slides")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_while_it_builds_it_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    mark = Mark()
    with subprocess.Popen(
        [sys.executable, "-m", "kit", "docs", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **mark.env, "WORKSHOP_STATE": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        eventually(lambda: any("mkdocs" in each for each in mark.commands()), "the build")
        process.send_signal(number)
        process.wait(60)
    eventually(lambda: not mark.processes(), "all to end")
    if number != signal.SIGKILL:
        assert [each.name for each in tmp_path.iterdir()] == ["logs"]
