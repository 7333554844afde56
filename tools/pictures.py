"""The pictures of the product in README, handbook and slides: the kit photographs itself.

`make pictures` writes them into docs/assets/: the runner's page, its /docs, the class report, the
board of a room, and `./workshop watch` at a terminal. What differs from run to run (ids, times,
ports) is replaced, so that the pictures stay the same until the product changes. Letters differ
from one machine to the next, so a picture of a page also says which files it was made from.
"""

import hashlib
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rich.console import Console
from rich.text import Text

from kit.classroom.reports import html_report
from kit.classroom.results import ClassResult, LearnerResult
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.verdicts.failure import Failure
from kit.verdicts.verdict import State, TaskVerdict, Verdict
from kit.workspace import ROOT
from tests.e2e.runner import PRODUCT, start_runner, write_notebook
from tests.support.browser import FLAGS, NO_BROWSER, find_browser
from tests.support.learner import Learner
from tests.support.rooms import NAMES, fill, served_room
from tests.support.terminal import Terminal

TIMEOUT = 60_000  # ms; a busy machine needs seconds for the figure
expect.set_options(timeout=TIMEOUT)
ASSETS = ROOT / "docs" / "assets"
COLOURS = 64  # of a picture; the pages have few, and its file stays small
WIDTH, COLUMNS = 900, 92  # of a page in pixels, of a terminal in characters
RUNNER = PRODUCT.path / "nb_runner"
REPORT = ROOT / "kit" / "classroom" / "reports"
PAGES = {
    "runner-running": RUNNER,
    "runner-refused": RUNNER,
    "runner-409": RUNNER,
    "runner-done": RUNNER,
    "runner-docs": RUNNER,
    "class-report": REPORT,
    "room-board": ROOT / "kit" / "room" / "board",
}
GATE = """
import time
from pathlib import Path
while not Path("gate").exists():
    time.sleep(0.02)
"""
CELLS = (
    'print("Departures from 6 to 22 h.")',
    GATE,
    """
import matplotlib.pyplot as plt
hours = range(6, 24, 2)
figure, axes = plt.subplots(figsize=(7.5, 3), layout="constrained")
axes.plot(hours, [1, 3, 6, 9, 12, 17, 21, 24, 22], "o-", color="black")
axes.set_title("Delays pile up over the day", loc="left")
axes.set_xlabel("Scheduled hour of departure")
axes.set_ylabel("Mean delay (minutes)")
plt.show()
""",
)
# Nothing on the page changes any more, and what differs from run to run is replaced.
FREEZE = """
() => {
  for (let i = setInterval(() => 0, 1e9); i; i--) { clearInterval(i); clearTimeout(i); }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode()); )
    text.data = text.data.replace(/\\d{8}-\\d{6}-[0-9a-f]{6}/g, "20261122-101530-3f9c2a")
      .replace(/\\b\\d\\d:\\d\\d\\b/g, "10:15").replace(/\\b\\d+ s\\b/g, "4 s");
}
"""
# The address and the code of a room.
ROOM = """
() => {
  document.querySelector(".kicker").textContent = "http://192.168.1.20:8003 · code 493027 · live";
}
"""
# Fonts of another host, and an advertisement.
NOT_OURS = re.compile(r"\s*@font-face \{.*?\}\n|\s*<!--.*?-->", re.DOTALL)
REDRAWN = re.compile(r"[^\n]*\r\x1b\[K")  # the status line, which the next line replaces


@dataclass(frozen=True)
class Photographer:
    """A browser, and a folder for what is photographed."""

    browser: Browser
    folder: Path

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """The pictures of pages, by name."""
        yield from self._runner()
        yield "class-report", self._report()
        yield "room-board", self._board()

    def _runner(self) -> Iterator[tuple[str, bytes]]:
        notebook = write_notebook(self.folder / "delays.ipynb", *CELLS)
        with start_runner(self.folder, notebook=notebook) as runner:
            page = self._open(runner.url)
            page.get_by_label("Who asks").fill("ada")
            page.get_by_role("button", name="Start", exact=True).click()
            expect(page.get_by_text("cell 2 of 3", exact=True)).to_be_visible()
            expect(page.locator("pre")).to_have_text("Departures from 6 to 22 h.")
            yield "runner-running", self._frozen(page)
            page.reload()
            page.get_by_label("Who asks").fill("bob")
            expect(page.locator("pre")).to_have_text("Departures from 6 to 22 h.")
            page.get_by_role("button", name="Start", exact=True).click()
            expect(page.locator("#problem")).to_contain_text("blocks this start")
            yield "runner-refused", self._frozen(page)
            # For a slide, where letters have to be large.
            page.set_viewport_size({"width": 1460, "height": 800})
            page.evaluate("document.documentElement.style.zoom = 2")
            yield "runner-409", page.locator("#start-form").screenshot()
            page.set_viewport_size({"width": WIDTH, "height": 800})
            (self.folder / "gate").touch()
            page.reload()
            expect(page.locator("#figures img")).to_be_visible()
            yield "runner-done", self._frozen(page)
            page.goto(f"{runner.url}/docs")
            expect(page.locator(".opblock-summary-path").first).to_be_visible()
            yield "runner-docs", page.screenshot()
            page.close()

    def _report(self) -> bytes:
        html_report.write(a_class(), self.folder)
        page = self._open((self.folder / html_report.NAME).as_uri(), width=1280)
        return page.screenshot(full_page=True)

    def _board(self) -> bytes:
        with served_room(self.folder) as room:
            fill(room.store)
            page = self._open(room.board, width=1280)
            expect(page.locator("#grid tbody tr")).to_have_count(len(NAMES))
            page.evaluate(ROOM)
            picture = page.screenshot(full_page=True)
            page.close()
        return picture

    def _open(self, url: str, width: int = WIDTH) -> Page:
        page = self.browser.new_page(
            viewport={"width": width, "height": 800},
            color_scheme="light",
            reduced_motion="reduce",
        )
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        return page

    def _frozen(self, page: Page) -> bytes:
        page.mouse.move(0, 0)
        page.evaluate(FREEZE)
        return page.screenshot(full_page=True, animations="disabled")


def a_class() -> ClassResult:
    """A class in the middle of the evening."""
    chosen = [each for each in catalogue.load() if each.number in (2, 5, 6, 7)]
    names = ("Ada", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Kathleen", "Niklaus")
    reached = (14, 12, 9, 12, 6, 12, 4, 12)
    learners = [
        LearnerResult(name, list(_verdicts(chosen, done)))
        for name, done in zip(names, reached, strict=True)
    ]
    sandbox = "Each submission runs in a sandbox."
    return ClassResult(chosen, learners, sandbox, started_at="2026-11-22T20:15:00+00:00")


def _verdicts(exercises: Sequence[Exercise], done: int) -> Iterator[Verdict]:
    """Verdicts of a learner who has done so many tasks, and fails at the next one."""
    for exercise in exercises:
        states = [
            State.PASSED if i < done else State.FAILED if i == done else State.NOT_REACHED
            for i in range(len(exercise.tasks))
        ]
        if done > 0:
            tasks = (
                TaskVerdict(task.number, task.title, state, _failure(exercise, i, state))
                for i, (task, state) in enumerate(zip(exercise.tasks, states, strict=True))
            )
            yield Verdict(exercise.slug, 1.0, tuple(tasks))
        done -= len(exercise.tasks)


def _failure(exercise: Exercise, place: int, state: State) -> Failure | None:
    if state is not State.FAILED:
        return None
    requirement = exercise.tasks[place].requirements[0]
    return Failure(
        did="curl -i -X POST http://127.0.0.1:8000/start",
        expected=requirement.text,
        got="500 Internal Server Error",
        where="nb_runner/main.py",
        test=requirement.tests[0],
    )


def terminals(folder: Path) -> Iterator[tuple[str, str]]:
    """The pictures of `./workshop watch`, by name: a failure, and a pass."""
    exercise, next_one = catalogue.find("02"), catalogue.find("03")
    learner = Learner(folder)
    for part in ("exercises", "solutions", "tests"):
        shutil.rmtree(learner.home / part)
    copy = shutil.ignore_patterns("__pycache__", ".*")
    for source in (exercise.starter, exercise.solution, exercise.grader.parent, next_one.starter):
        shutil.copytree(source, learner.home / source.relative_to(ROOT), ignore=copy)
    mine = learner.home / "work" / exercise.slug
    shutil.copytree(exercise.solution, mine, ignore=copy)
    main = mine / "nb_runner" / "main.py"
    right = main.read_text(encoding="utf-8")
    main.write_text(right.replace('"pong"', '"Pong"'), encoding="utf-8")
    with Terminal("watch", "02", cwd=learner.home, env=learner.env, columns=COLUMNS) as screen:
        screen.wait_for("Hint")
        seen = len(screen.raw)
        yield "watch-failure", as_svg("watch-failure", screen.raw.decode())
        main.write_text(right, encoding="utf-8")
        screen.wait_for(f"n opens {next_one.number:02}")
        yield "watch-pass", as_svg("watch-pass", screen.raw[seen:].decode())


def as_svg(name: str, raw: str) -> str:
    """What a terminal shows, as a drawing. Its letters are those of the reader's machine."""
    text = REDRAWN.sub("", raw.replace("\r\n", "\n")).strip("\n")
    text = re.sub(r"\d+\.\d s\b", "1.2 s", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "10:15:00", text)
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:8000", text)
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Text.from_ansi(text), soft_wrap=True)
    svg = console.export_svg(title="./workshop watch", unique_id=name)
    return NOT_OURS.sub("", svg).replace("Fira Code", "ui-monospace")


def sources(name: str) -> str:
    """A hash of the files that a picture of a page was made from."""
    digest = hashlib.sha256()
    for file in sorted(PAGES[name].rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def write_page(name: str, png: bytes) -> None:
    """Write the picture of a page, small, with what it was made from."""
    told = PngInfo()
    told.add_text("Source", sources(name))
    small = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(ASSETS / f"{name}.png", optimize=True, pnginfo=told)


def with_browser(work: Callable[[Browser], None]) -> None:
    """Do the work with a browser. Raises KitError when there is none."""
    chromium = find_browser()
    if chromium is None:
        raise KitError(NO_BROWSER, "make pictures, once it is there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        work(browser)
        browser.close()


def main() -> None:
    """Write all pictures. Raises KitError when there is no browser."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        folder = Path(name)

        def photograph(browser: Browser) -> None:
            for picture, png in Photographer(browser, folder).pages():
                write_page(picture, png)

        with_browser(photograph)
        for picture, svg in terminals(folder):
            (ASSETS / f"{picture}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except KitError as error:
        error.show()
        sys.exit(2)
