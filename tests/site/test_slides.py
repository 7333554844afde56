"""The slides: built strictly, looked at in a browser, timed, and their demos run."""

import ast
import html
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize

from kit.course import agenda, catalogue, decks
from kit.errors import KitError
from kit.processes.ports import free_socket
from kit.processes.project import Project, project_env, start_api, wait_for_api
from kit.processes.stack import Stack
from kit.site.macros import timetable
from kit.site.server import serving
from kit.site.slides import names
from kit.workspace import ROOT
from tests.support import axe
from tests.support.browser import OpenPage, browser, open_page
from tests.support.built_site import built_site

pytestmark = [pytest.mark.slow, pytest.mark.longest]

__all__ = ["browser", "built_site", "open_page"]

SLIDES = ROOT / "slides"
DEMOS = SLIDES / "demos"
DECKS = ["welcome", "poetry", "fastapi", "celery", "one-at-a-time", "notebook", "beyond"]
TALK = 45  # minutes
SECTION = re.compile(r'<section id="([^"]+)" class="(?:title|slide)" data-timing="(\d+)"[^>]*>')
NOW_YOU = re.compile(r'<div class="now-you" data-number="(\d+)" data-minutes="(\d+)">')
SCREEN: ViewportSize = {"width": 1280, "height": 720}
PROJECTOR: ViewportSize = {"width": 1920, "height": 1080}
SMALLEST = 24 - 0.01  # pixels, of text on a screen of that size
READY = "window.Reveal && Reveal.isReady()"

# What slides say has gone: of a plugin now, or replaced.
GONE = ("poetry shell", "poetry install --sync")
# What each demo needs beside it: exercise and API processes.
SERVED = {"validation": ("03", 1), "two_processes": ("04", 2)}

# On the current slide: what reaches over its edge or its foot, or has more in it than it shows.
OVERFLOWS = """() => {
    const slide = Reveal.getCurrentSlide()
    const bottom = slide.querySelector('.foot').getBoundingClientRect().top + 1
    const things = [...slide.querySelectorAll('h1, h2, p, pre, li, table, svg, code, .now-you')]
    return things.filter(it => !it.closest('aside') && it.getClientRects().length).filter(it => {
        const box = it.getBoundingClientRect()
        const scrolls = !it.closest('svg') && it.clientWidth
            && (it.scrollWidth > it.clientWidth + 1 || it.scrollHeight > it.clientHeight + 1)
        return box.left < 0 || box.top < 0 || box.right > 1280 || box.bottom > bottom
            || (scrolls && it.matches('pre, pre code'))
    }).map(it => `${it.tagName} ${it.textContent.trim().slice(0, 40)}`)
}"""
# On the current slide: lines of code or of a terminal that take more room than one line.
WRAPPED = """() => [...Reveal.getCurrentSlide().querySelectorAll(
        'pre tr > td:last-child, pre.terminal > span')]
    .filter(it => {
        const line = parseFloat(getComputedStyle(it).lineHeight)
        return it.getBoundingClientRect().height > 1.5 * line
    })
    .map(it => it.textContent.trim().slice(0, 40))"""
# On the current slide: each text that can be read from the last row, or not, with its size on the
# screen. What is in a drawing is as large as the drawing makes it.
SIZES = """() => {
    const slide = Reveal.getCurrentSlide()
    const texts = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT)
    const found = []
    while (texts.nextNode()) {
        const text = texts.currentNode.textContent.trim(), it = texts.currentNode.parentElement
        if (!text || it.closest('aside, style, title, desc')) continue
        if (!it.getClientRects().length) continue
        const drawn = it.closest('svg') && it.getScreenCTM()
        const scale = drawn ? Math.hypot(drawn.a, drawn.b)
            : slide.getBoundingClientRect().width / slide.offsetWidth
        found.push([parseFloat(getComputedStyle(it).fontSize) * scale, text])
    }
    return found
}"""
# What the speaker says on each slide, and in how many seconds.
SPOKEN = """() => [...document.querySelectorAll('.slides > section')].map(slide => [
    slide.id,
    Number(slide.dataset.timing),
    [...slide.querySelectorAll('aside.notes dt')]
        .filter(term => ['Say', 'Ask'].includes(term.textContent.trim()))
        .map(term => term.nextElementSibling.textContent).join(' ')])"""
WORDS_A_MINUTE = 130  # of a speaker whose listeners do not speak English at home
NOTES = (
    "() => [...Reveal.getCurrentSlide().querySelectorAll('aside.notes dt')].map(t => t.innerText)"
)
# In the speaker view: the slides whose notes have no room, were they shown there.
CUT_NOTES = """notes => {
    const shown = document.querySelector('.speaker-controls-notes .value')
    return notes.filter(([slide, text]) => {
        shown.innerHTML = text
        return shown.getBoundingClientRect().bottom > innerHeight
    }).map(([slide, text]) => slide)
}"""


@pytest.fixture
def site(built_site: Path) -> Path:
    """All decks."""
    return built_site / "slides"


@pytest.fixture(scope="module")
def address(built_site: Path) -> Iterator[str]:
    with serving(built_site / "slides") as address:
        yield address


def test_there_is_a_deck_for_each_part_of_the_talk() -> None:
    assert names() == sorted([*DECKS, "talk"])


def test_a_deck_adds_up_to_its_minutes_and_the_talk_to_45(site: Path) -> None:
    seconds = {deck: sum(_timings(site, deck).values()) for deck in DECKS}
    listed = dict(
        re.findall(r'<a href="([\w-]+)\.html">[^<]+</a>, ([\d.]+) minutes', _html(site, "index"))
    )
    assert {deck: f"{time / 60:g}" for deck, time in seconds.items()} == {
        deck: minutes for deck, minutes in listed.items() if deck != "talk"
    }
    assert sum(seconds.values()) == sum(_timings(site, "talk").values()) == TALK * 60


def test_the_talk_is_all_slides_in_order(site: Path) -> None:
    all_slides = [title for deck in DECKS for title in _titles(site, deck)]
    assert _titles(site, "talk") == all_slides


def test_each_exercise_of_a_room_has_its_now_you_with_its_minutes(site: Path) -> None:
    shown = [(number, int(minutes)) for number, minutes in NOW_YOU.findall(_html(site, "talk"))]
    course = catalogue.load()
    there = [(f"{each.number:02}", each.minutes) for each in course]
    assert shown == [each for each in there if each in shown]
    in_a_room = {f"{each.number:02}" for each in course if set(agenda.LENGTHS) & set(each.tracks)}
    assert in_a_room <= {number for number, _ in shown}


def test_commands_on_slides_exist() -> None:
    from kit.cli import VERBS

    text = "\n".join(file.read_text(encoding="utf-8") for file in SLIDES.glob("*.md"))
    called = set(re.findall(r"\./workshop ([a-z-]+)", text))
    assert called
    assert called - set(VERBS) == set()


def test_poetry_takes_the_commands_on_slides() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in SLIDES.glob("*.md"))
    console = "\n".join(re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    typed = re.findall(r"^poetry .*", console, re.MULTILINE)
    typed += [said for said in re.findall(r"`(poetry [^`]+)`", text) if said not in GONE]
    commands = {re.split(r" +#| …", line)[0].strip() for line in typed}
    assert len(commands) >= 5
    assert [line for line in sorted(commands) if not _poetry_takes(line)] == []


@pytest.mark.parametrize("command", ["poetry instal", "poetry show --lastest", *GONE])
def test_a_command_that_poetry_has_not_would_be_noticed(command: str) -> None:
    assert not _poetry_takes(command)


def test_the_evening_skips_so_many_slides_that_the_others_fit(site: Path) -> None:
    plan = timetable.planned("evening")
    shown = list(timetable.in_short(plan))
    assert len(shown) >= 5
    for block, slides in shown:
        assert sum(slide.minutes for slide in slides) == block.minutes, block.title
    whole = [block for block in plan.blocks if block.kind == "slides"]
    assert [block for block, _ in shown] == whole, "slides that are told whole"
    every = [slide for deck in DECKS for slide in decks.load() if slide.deck == deck]
    notes = re.findall(r'<aside class="notes">(.*?)</aside>', _html(site, "talk"), re.DOTALL)
    skipped = ["In an evening of two hours: skip this slide." in each for each in notes]
    kept = [slide for _, slides in shown for slide in slides]
    assert skipped == [slide not in kept for slide in every]


def test_an_excerpt_is_python_so_no_line_was_lost(site: Path) -> None:
    blocks = re.findall(r'<code [^>]*class="python"[^>]*>(.*?)</code>', _html(site, "talk"), re.S)
    assert len(blocks) > 10
    for block in map(html.unescape, blocks):
        alone = block.startswith("@") and "\n" not in block.strip()  # a decorator, to be pointed at
        ast.parse(f"{block}\ndef call(): ..." if alone else block)


def test_nothing_built_points_to_another_host(site: Path) -> None:
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = file.read_text(encoding="utf-8")
        loads = re.findall(r"""(?:src=|<link[^>]+href=|url\(|@import )["']?(https?:)?//""", text)
        assert not loads, f"{file.relative_to(site)} loads from another host"


def test_nothing_built_names_this_machine(site: Path) -> None:
    for file in site.glob("*.html"):
        assert str(ROOT) not in file.read_text(encoding="utf-8"), file.name


def test_every_slide_fits_has_notes_and_can_be_read(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}talk.html", viewport=SCREEN)
    page.wait_for_function(READY)
    wrong = []
    for i in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate("i => Reveal.slide(i)", i)
        where = f"slide {i + 1} ({page.evaluate('Reveal.getCurrentSlide().id')})"
        wrong += [f"{where} overflows: {each}" for each in page.evaluate(OVERFLOWS)]
        wrong += [f"{where} wraps: {each}" for each in page.evaluate(WRAPPED)]
        sizes = page.evaluate(SIZES)
        assert len(sizes) >= 3, where
        size, text = min(sizes)
        wrong += [f"{where} has text of {size:.1f} px: {text}"] if size < SMALLEST else []
        terms = page.evaluate(NOTES)
        if not terms or set(terms) - {"Say", "Ask", "Demo", "Watch out"}:
            wrong.append(f"{where} has notes of {terms}")
    assert not wrong, "\n".join(wrong)


def test_what_is_said_can_be_said_in_the_minutes_of_its_slide(
    address: str, open_page: OpenPage
) -> None:
    page = open_page(f"{address}talk.html")
    page.wait_for_function(READY)
    rates = {
        slide: 60 * len(said.split()) / seconds for slide, seconds, said in page.evaluate(SPOKEN)
    }
    assert len(rates) == page.evaluate("Reveal.getTotalSlides()")
    assert min(rates.values()) > 0
    assert {slide: rate for slide, rate in rates.items() if rate > WORDS_A_MINUTE} == {}


def test_the_key_o_lists_all_slides_and_leads_to_each(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}talk.html#/three-calls-and-a-rule", viewport=SCREEN)
    page.wait_for_function(READY)
    page.keyboard.press("o")
    links = page.locator("dialog[open] a")
    assert links.count() == page.evaluate("Reveal.getTotalSlides()")
    assert page.evaluate("document.activeElement.textContent") == "Three calls and a rule"
    assert links.first.evaluate("it => parseFloat(getComputedStyle(it).fontSize)") >= SMALLEST
    links.get_by_text("It stays shut").click()
    assert page.locator("dialog[open]").count() == 0
    page.wait_for_function("Reveal.getCurrentSlide().id === 'it-stays-shut'")


def test_the_last_slide_says_where_the_kit_is(site: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    last = _html(site, "talk").rsplit("<section", 1)[1]
    assert f"git clone {project['urls']['Repository']}" in last


def test_on_a_larger_screen_all_text_is_larger(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}talk.html#/three-calls-and-a-rule", viewport=PROJECTOR)
    page.wait_for_function(READY)
    sizes = {text: size for size, text in page.evaluate(SIZES)}
    assert re.search(r"^\d+ / \d+$", "\n".join(sizes), re.MULTILINE), "no number of the slide"
    assert min(sizes.values()) >= 1.5 * SMALLEST


@pytest.mark.parametrize("page_name", ["talk.html", ""])
def test_axe_finds_nothing_serious(address: str, open_page: OpenPage, page_name: str) -> None:
    assert axe.findings(open_page(f"{address}{page_name}", viewport=SCREEN)) == []


def test_steps_of_a_drawing_appear_one_by_one(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}one-at-a-time.html#/held-by-one-released-by-another")
    page.wait_for_function(READY)
    steps = page.locator("section.present svg g.fragment")
    assert steps.count() > 3
    for shown in range(steps.count() + 1):
        assert page.locator("section.present svg g.fragment.visible").count() == shown
        page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getCurrentSlide().id") == "it-stays-shut"


def test_two_drawings_on_a_page_share_no_id(site: Path) -> None:
    ids = re.findall(r'\sid="([^"]+)"', _html(site, "talk"))
    assert len(ids) == len(set(ids))


def test_the_speaker_view_shows_pace_and_notes_that_fit_a_small_screen(
    address: str, open_page: OpenPage
) -> None:
    page = open_page(f"{address}talk.html")
    page.wait_for_function(READY)
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    view = opened.value
    view.set_viewport_size(SCREEN)
    view.locator(".speaker-controls-notes .value dt strong", has_text="Say").first.wait_for()
    assert "PACING" in view.locator(".speaker-controls-time").inner_text().upper()
    notes = page.evaluate(
        """() => [...document.querySelectorAll('section > aside.notes')]
            .map(notes => [notes.parentElement.id, notes.innerHTML])"""
    )
    assert len(notes) == page.evaluate("Reveal.getTotalSlides()")
    assert view.evaluate(CUT_NOTES, notes) == []


def test_the_pdf_has_a_sheet_for_each_slide(site: Path, tmp_path: Path) -> None:
    pdf = tmp_path / "new" / "slides.pdf"
    argv = [sys.executable, str(SLIDES / "pdf.py"), str(site / "talk.html"), str(pdf)]
    subprocess.run(argv, check=True, timeout=240)
    sheets = re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes())
    assert len(sheets) == len(_timings(site, "talk"))


def test_on_paper_nothing_overflows_and_axe_finds_nothing_serious(
    address: str, open_page: OpenPage
) -> None:
    """All slides at once, with all their steps done."""
    page = open_page(f"{address}talk.html?print-pdf", viewport=SCREEN)
    page.locator(".pdf-page").last.wait_for()
    assert _over_the_sheet(page) == []
    assert axe.findings(page) == []


def test_every_demo_is_on_a_slide_and_the_other_way_round(site: Path) -> None:
    shown = set(re.findall(r"slides/demos/(\w+\.\w+)</b>", _html(site, "talk")))
    assert shown == {file.name for file in DEMOS.iterdir() if file.suffix in (".py", ".sh")}


@pytest.mark.parametrize("script", sorted(DEMOS.glob("*.py")), ids=lambda file: str(file.stem))
def test_a_demo_says_what_its_slide_shows(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,  # works from anywhere
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == script.with_suffix(".out").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", sorted(DEMOS.glob("*.sh")), ids=lambda file: str(file.stem))
def test_a_demo_of_a_running_project_says_what_its_slide_shows(
    script: Path, tmp_path: Path
) -> None:
    number, processes = SERVED[script.stem]
    project = Project(catalogue.find(number).solution)
    with free_socket() as sock, Stack(tmp_path) as stack:
        env = project_env(stack.env, redis_url="redis://127.0.0.1:1/0", state=tmp_path)
        apis = [start_api(stack, project, i, sock, env) for i in range(1, processes + 1)]
        for api in apis:
            wait_for_api(api, sock)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        done = subprocess.run(
            ["sh", str(script), url], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.stdout == script.with_suffix(".out").read_text(encoding="utf-8"), done.stderr


def test_the_verb_serves_the_slides_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKSHOP_STATE", str(tmp_path))
    argv = [sys.executable, "-m", "kit", "slides", "--deck", "celery", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            said = [process.stdout.readline() for _ in range(2)]
            address = said[1].removeprefix("Slides: ").strip()
            assert address.endswith("/celery.html"), said
            assert "Four parts" in httpx.get(address, trust_env=False).text
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stdout.read().endswith("Stopped.\n")
        finally:
            process.kill()


def test_a_deck_that_is_not_there_is_named_beside_those_that_are() -> None:
    from kit.commands.material.slides import slides

    with pytest.raises(KitError, match="no deck 'redis'; there is beyond, celery"):
        slides(deck="redis", port=0)


def _html(site: Path, deck: str) -> str:
    return (site / f"{deck}.html").read_text(encoding="utf-8")


def _poetry_takes(line: str) -> bool:
    """Whether there is such a command, with such options, and none is deprecated."""
    words = line.removeprefix("poetry ").split()
    names = [word for word in words if not word.startswith("-")]
    if names[0] == "run":  # what follows, --help too, is for what it runs
        names = ["help", "run"]
    argv = [sys.executable, "-m", "poetry", *names, "--help", "--no-ansi"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    options = [word for word in words if word.startswith("-")]
    lines = done.stdout.splitlines()
    told = "\n".join(line for line in lines if "deprecated" not in line.lower())
    return done.returncode == 0 and all(re.search(rf"{each}\b", told) for each in options)


def _timings(site: Path, deck: str) -> dict[str, int]:
    found = SECTION.findall(_html(site, deck))
    assert found, deck
    assert len(found) == _html(site, deck).count("<section")
    return {slide: int(seconds) for slide, seconds in found}


def _titles(site: Path, deck: str) -> list[str]:
    return re.findall(r"<h[12]>(.*?)<", _html(site, deck))


def _over_the_sheet(page: Page) -> list[Any]:
    found: list[Any] = page.evaluate("""() => [...document.querySelectorAll('.pdf-page')]
        .flatMap(sheet => {
            const edge = sheet.getBoundingClientRect()
            const foot = sheet.querySelector('.foot').getBoundingClientRect()
            return [...sheet.querySelectorAll('h1, h2, p, pre, li, table, .picture > svg')]
                .filter(it => !it.closest('aside') && it.getClientRects().length)
                .filter(it => {
                    const box = it.getBoundingClientRect()
                    return box.bottom > foot.top + 1 || box.left < edge.left + 20
                        || box.right > edge.right - 20
                })
                .map(it => `${sheet.querySelector('section').id}: ${it.tagName}`)
        })""")
    return found
