"""The handbook that the kit serves, in a browser, while a learner works in a copy of the kit."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.setup import copy_working_tree
from kit.site.server import serving
from tests.support import axe
from tests.support.browser import TIMEOUT, OpenPage, browser, open_page
from tests.support.build_once import build_once
from tests.support.built_site import built_site
from tests.support.first_run import clean_environment
from tests.support.processes import Mark, eventually
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

__all__ = ["browser", "built_site", "open_page"]

HELLO = "02-hello-fastapi"
CHAPTER = f"exercises/{HELLO}/"
OTHER_WORD = 'from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get("/ping")\n' + (
    'async def ping() -> str:\n    return "<b>pang</b>"\n'
)
expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kit, as a clone has it."""
    return build_once(tmp_path_factory, "copy-for-pages", _copy)


def _copy(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    copy_working_tree(place)


class Kit:
    """A copy of the kit: its commands, and the address of its handbook."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.mark = Mark()
        self.env = clean_environment(self.mark, PYTHONPATH=str(home), COLUMNS="100")
        shutil.rmtree(home / "work", ignore_errors=True)
        for name in ("checks", "progress.json"):
            state = home / ".workshop" / name
            shutil.rmtree(state) if state.is_dir() else state.unlink(missing_ok=True)
        self.server = self.start("docs", "--port", "0")
        assert self.server.stdout
        line = self.server.stdout.readline()
        assert line.startswith("The handbook: "), line
        self.address = line.removeprefix("The handbook: ").strip()

    def start(self, *words: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "kit", *words]
        return subprocess.Popen(
            argv, cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *words: str) -> None:
        with self.start(*words) as process:
            process.communicate(timeout=200)

    @property
    def main(self) -> Path:
        return self.home / "work" / HELLO / "nb_runner" / "main.py"

    def solve(self) -> None:
        ours = self.home / "solutions" / HELLO
        shutil.copytree(ours, self.main.parents[1], dirs_exist_ok=True)

    def close(self) -> None:
        self.server.kill()
        self.server.communicate()


@pytest.fixture
def kit(copy: Path) -> Iterator[Kit]:
    """The copy, whose handbook is served."""
    kit = Kit(copy)
    yield kit
    kit.close()
    eventually(lambda: not kit.mark.processes(), "all to end")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_save_brings_the_failure_and_then_the_tick_beside_the_task(
    width: int, scheme: str, kit: Kit, open_page: OpenPage
) -> None:
    axe.script()
    # At the end, the stream of events breaks off.
    page = open_page(
        kit.address + CHAPTER, color_scheme=scheme, viewport={"width": width, "height": 800},
        allowed="net::ERR_",
    )  # fmt: skip
    status = page.locator(".here-status[role=status]")
    expect(status).to_contain_text("Not checked yet: ./workshop check 02")  # it has been built
    page.evaluate("window.same = true")
    station = page.locator(f'[data-station="{HELLO}"]')
    expect(station).to_have_attribute("data-here", "not started")
    with Terminal("watch", "2", cwd=kit.home, env=kit.env) as screen:
        told = page.locator("#task-2-1 + .here-told")
        expect(told).to_contain_text("has no `app`")
        expect(station).to_have_attribute("data-here", "current")
        kit.main.write_text(OTHER_WORD)
        expect(told).to_contain_text("<b>pang</b>")
        expect(told).to_contain_text("Expected")
        expect(page.locator("#task-2-1")).to_have_attribute("data-here", "failed")
        expect(page.locator("#task-2-2")).not_to_have_attribute("data-here", "failed")
        assert axe.findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        kit.solve()
        expect(status).to_have_text("Passed. Next: 03 Validation")
        expect(status.locator("a")).to_have_attribute("href", "/exercises/03-validation/")
        for number in ("2-1", "2-2", "2-3", "2-4"):
            expect(page.locator(f"#task-{number}")).to_have_attribute("data-here", "passed")
            expect(page.locator(f"#task-{number}")).to_contain_text("✓ (passed)")
        marks = page.locator("h3 > .here-mark").all()
        assert len({mark.evaluate("it => it.getBoundingClientRect().x") for mark in marks}) == 1
        expect(page.locator(".here-told")).to_have_count(0)
        expect(station).to_have_attribute("data-here", "passed")
        link = page.locator(".md-nav--primary a[data-here=passed]", has_text="02 Hello")
        expect(link).to_have_count(1)
        if width == 390:
            page.locator("header label[for=__drawer]").click()
            here = page.locator(".md-nav--primary [data-here=passed]", has_text="02 Hello")
            expect(here.locator("visible=true").filter(has_text="✓")).to_have_count(1)
            page.mouse.click(width - 10, 600)  # beside the menu, which closes it
        assert axe.findings(page) == []
        screen.press("q")
        screen.wait()
    assert page.evaluate("window.same"), "it has not been loaded again"
    kit.server.kill()
    expect(status).to_have_text("The server has stopped. ./workshop starts it again.")
    box = status.bounding_box()
    assert box and box["y"] + box["height"] == 800, "seen wherever the reader is"


def test_hints_open_one_by_one_here_and_in_the_terminal(kit: Kit, open_page: OpenPage) -> None:
    page = open_page(kit.address, allowed="net::ERR_")
    expect(page.locator(".here-status")).to_have_text("Next: 01 Poetry. To begin it, type:")
    kit.run("check", "2")
    page.goto(kit.address + CHAPTER)
    hints = page.locator('[data-hints="2.1"] details > details')
    expect(page.get_by_role("button", name="To the hints")).to_be_visible()
    expect(hints).to_have_count(3)
    page.get_by_role("button", name="To the hints").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Show hint 1 of 3")).to_be_focused()
    assert [each.is_visible() for each in hints.all()] == [False, False, False]
    page.keyboard.press("Enter")
    expect(hints.nth(0).locator("summary")).to_be_focused()
    expect(hints.nth(0)).to_contain_text("An application is an object")
    expect(hints.nth(1)).to_be_hidden()
    kit.run("hint", "2.1")
    expect(hints.nth(1)).to_be_visible()
    expect(page.get_by_role("button", name="Show hint 3 of 3")).to_be_visible()
    page.locator('[data-hints="2.1"]').get_by_role("link", name="Back to the task").click()
    expect(page.locator("#task-2-1")).to_be_in_viewport()
    # Home knows that the reader has the kit, and where they are.
    page.goto(kit.address)
    status = page.locator(".here-status")
    expect(status).to_have_text("You are at 02 Hello, FastAPI. To go on, type:")
    expect(page.locator("article .begin").first).to_contain_text("./workshop")
    expect(page.get_by_text("git clone")).to_have_count(0)
    expect(page.locator(".here-legend")).to_contain_text("~ changed since it passed")


def test_the_built_site_has_nothing_of_it_and_shows_all_hints(
    built_site: Path, open_page: OpenPage
) -> None:
    for file in built_site.rglob("*.html"):
        assert "/here/" not in file.read_text(encoding="utf-8"), file
    with serving(built_site) as address:
        page = open_page(f"{address}{CHAPTER}")
        page.locator('[data-hints="2.1"] > details > summary').click()
        hints = page.locator('[data-hints="2.1"] details details').all()
        assert [each.is_visible() for each in hints] == [True, True, True]
        assert page.locator(".here-status, .here-mark, .here-button").count() == 0
