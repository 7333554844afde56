"""The handbook as its readers get it: built, followed, looked at in a browser; and true."""

import functools
import html
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from playwright.sync_api import expect
from typer.testing import CliRunner

from kit import cli
from kit.course import catalogue
from kit.site.macros import verbs
from kit.site.macros.markdown import outside_fences
from kit.site.server import serving
from kit.workspace import ROOT
from tests.e2e.runner import start_runner
from tests.support import axe, static_html
from tests.support.browser import TIMEOUT, OpenPage, browser, open_page
from tests.support.built_site import built_site

pytestmark = pytest.mark.slow

__all__ = ["browser", "built_site", "open_page"]

DOCS = ROOT / "docs"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PROSE = [
    ROOT / "README.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "exercises").glob("*/README.md")),
]
CHAPTERS = [f"exercises/{each.slug}.md" for each in catalogue.load()]
# One of each kind.
LOOKED_AT = ("", "exercises/07-one-at-a-time/", "reference/failure-modes/", "set-up/")
# Shown in prose, and not code of ours: what is typed and what comes back.
TYPED = {"console", "http", "json", "text"}
expect.set_options(timeout=TIMEOUT)
CUT = """() => {
    document.querySelectorAll("details").forEach(each => each.open = true)
    const code = [...document.querySelectorAll(":not(.lanes) > pre > code")]
        .filter(each => each.textContent.split("\\n").every(line => line.length <= 101))
        .filter(each => each.scrollWidth > each.clientWidth + 1)
    const tables = [...document.querySelectorAll("article table:not([class])")]
        .filter(each => each.scrollWidth > document.documentElement.clientWidth)
    return [...code, ...tables].map(each => each.textContent.trim().slice(0, 60))
}"""
ADDRESS = re.compile(r"^http://127\.0\.0\.1:\d+/")


@pytest.fixture
def site(built_site: Path) -> Path:
    return built_site


@pytest.fixture(scope="module")
def address(built_site: Path) -> Iterator[str]:
    with serving(built_site) as address:
        yield address


def handbook_pages(site: Path) -> list[str]:
    """The paths of all pages but the slides."""
    found = [file.parent.relative_to(site) for file in site.rglob("index.html")]
    return sorted(f"{each}/".removeprefix("./") for each in found if "slides" not in each.parts)


# The built site, as files


def test_every_link_leads_somewhere(site: Path) -> None:
    assert len(handbook_pages(site)) > 20
    assert static_html.broken_links(site) == []


def test_nothing_would_be_fetched_from_another_host(site: Path) -> None:
    assert static_html.external_requests(site) == []


def repository() -> str:
    """Where the kit is cloned from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"])


def test_links_to_other_hosts_are_few_and_known(site: Path) -> None:
    """An address that a reader may follow; a new one deserves a look."""
    hosts = {
        re.sub(r"^https?://([^/]+).*", r"\1", link)
        for file in site.rglob("*.html")
        if "slides" not in file.parts
        for link in static_html.parse(file).links
        if link.startswith("http")
    }
    known = {
        repository().split("/")[2],
        "docs.celeryq.dev",
        "docs.pydantic.dev",
        "docs.pytest.org",
        "docs.python.org",
        "docs.sqlalchemy.org",
        "fastapi.tiangolo.com",
        "github.com",
        "helm.sh",
        "jupyter-client.readthedocs.io",
        "nbclient.readthedocs.io",
        "nbformat.readthedocs.io",
        "prometheus.github.io",
        "python-poetry.org",
        "redis.io",
        "redis.readthedocs.io",
        "www.starlette.io",
    }
    assert {host for host in hosts if not host.startswith("127.0.0.1")} <= known


def test_no_page_names_the_machine_it_was_built_on(site: Path) -> None:
    for file in [*site.rglob("*.html"), *site.rglob("*.json")]:
        assert str(ROOT) not in file.read_text(encoding="utf-8"), file


def test_a_broken_link_and_a_request_abroad_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<h1 id="here">x</h1><a href="#here">1</a><a href="#gone">2</a><a href="no.html">3</a>'
        '<a href="https://example.org">4</a><img src="//example.org/a.png">'
        '<link href="a.css" rel="stylesheet"><p style="background: url(https://a.example)">'
    )
    (tmp_path / "a.css").write_text('@import "https://b.example"; p { background: url(a.png) }')
    assert static_html.broken_links(tmp_path) == ["index.html: #gone", "index.html: no.html"]
    assert static_html.external_requests(tmp_path) == [
        "index.html: //example.org/a.png",
        "index.html: https://a.example",
        "a.css: https://b.example",
    ]


def test_each_page_has_a_description_and_a_title_of_its_own_and_the_card(site: Path) -> None:
    told: dict[str, set[str]] = {"description": set(), "title": set()}
    pages = handbook_pages(site)
    for path in pages:
        text = (site / path / "index.html").read_text(encoding="utf-8")
        (description,) = re.findall(r'<meta name="description" content="([^"]+)">', text)
        (title,) = re.findall(r"<title>(.+)</title>", text)
        (card,) = re.findall(r'<meta property="og:image" content="([^"]+)">', text)
        assert 30 <= len(html.unescape(description)) <= 165, path
        assert (site / path / card).is_file()
        assert f"Version {VERSION}." in text, path
        told["description"].add(description)
        told["title"].add(title)
    assert {name: len(each) for name, each in told.items()} == dict.fromkeys(told, len(pages))


def test_an_address_for_the_site_makes_that_of_the_card_whole(tmp_path: Path) -> None:
    """Another site, which shows the card, does not know where it is relative to."""
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "HANDBOOK_URL": "https://a.example/b/", "NO_MKDOCS_2_WARNING": "1"},
        check=True,
        timeout=240,
    )
    text = (tmp_path / "set-up" / "index.html").read_text(encoding="utf-8")
    assert 'property="og:image" content="https://a.example/b/assets/one-at-a-time.png"' in text
    assert 'property="og:url" content="https://a.example/b/set-up/"' in text


def test_the_icon_is_the_one_of_the_runner(site: Path) -> None:
    page = catalogue.product().solution / "nb_runner" / "page"
    assert (site / "assets" / "favicon.svg").read_bytes() == (page / "favicon.svg").read_bytes()


def test_each_page_has_a_link_to_edit_it(site: Path) -> None:
    address = repository().removesuffix(".git")
    text = (site / "set-up" / "index.html").read_text(encoding="utf-8")
    assert f'href="{address}/edit/main/docs/set-up.md"' in text


# The built site, in a browser


def test_search_finds_a_word_without_a_network(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    page.keyboard.press("/")
    page.keyboard.type("fencing", delay=20)
    found = page.locator(".md-search-result__link")
    expect(found.first).to_be_visible()
    assert ADDRESS.match(str(found.first.evaluate("link => link.href")))


@pytest.mark.parametrize(
    ("words", "page_name"),
    [
        ("celery pending", "exercises/06-start-and-status/"),
        ("port in use", "troubleshooting/"),
        ("wifi", "instructor/plan-b/"),
    ],
)
def test_what_people_look_for_is_found_first(
    address: str, open_page: OpenPage, words: str, page_name: str
) -> None:
    page = open_page(address)
    page.keyboard.press("/")
    page.keyboard.type(words, delay=20)
    last = words.split()[-1]
    page.locator(".md-search-result__link mark", has_text=re.compile(last, re.I)).first.wait_for()
    found = page.locator(".md-search-result__link").first
    expect(found).to_have_attribute("href", re.compile(rf"/{page_name}"))


def test_no_page_asks_others_or_logs_an_error_or_is_cut_or_is_wider_than_a_phone(
    site: Path, address: str, open_page: OpenPage
) -> None:
    """Of code as long as ours may be: 100 columns, and the sign of a diff. With all unfolded."""
    page = open_page(address)
    cut, too_wide = {}, {}
    for path in handbook_pages(site):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(address + path)
        if found := page.evaluate(CUT):
            cut[path] = found
        page.set_viewport_size({"width": 360, "height": 740})
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            too_wide[path] = width
        if found := page.evaluate(CUT):
            cut[f"{path} on a phone"] = found
    assert (cut, too_wide) == ({}, {})


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_line_to_copy_is_above_the_fold(
    width: int, height: int, address: str, open_page: OpenPage
) -> None:
    page = open_page(address, viewport={"width": width, "height": height})
    for seen in (page.locator(".loop img"), page.get_by_text("git clone")):
        box = seen.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["height"] and box["y"] + box["height"] <= height


@pytest.mark.parametrize(("motion", "file"), [("reduce", "svg#still"), ("no-preference", "svg")])
def test_the_picture_is_still_for_those_who_want_no_motion(
    motion: str, file: str, address: str, open_page: OpenPage
) -> None:
    page = open_page(address, reduced_motion=motion)
    shown = page.locator(".loop img").evaluate("each => each.currentSrc")
    assert shown == f"{address}assets/one-at-a-time.{file}"


def test_no_key_leads_into_a_menu_that_is_closed(address: str, open_page: OpenPage) -> None:
    path = f"{address}exercises/02-hello-fastapi/"
    page = open_page(path, viewport={"width": 390, "height": 844})
    menu = page.locator(".md-sidebar--primary")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert not menu.evaluate("each => each.contains(document.activeElement)")
    page.locator("header label[for=__drawer]").click()
    link = menu.get_by_role("link", name="03 Validation")
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("heading", name="03 Validation")).to_be_visible()


def test_a_page_that_is_not_there_says_so_and_leads_on(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}404.html")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    links = page.locator("article a").evaluate_all("links => links.map(link => link.href)")
    assert links == [
        f"{address}{path}" for path in ("", "exercises/", "reference/verbs/", "slides/")
    ]


def test_axe_would_find_what_keeps_people_out(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.set_content(
        '<html lang="en"><title>x</title><main><img src="data:,">'
        '<p style="color: #aaa; background: white">faint</p></main></html>'
    )
    found = [finding.partition(":")[0] for finding in axe.findings(page)]
    assert sorted(found) == ["color-contrast", "image-alt"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", LOOKED_AT)
def test_axe_finds_nothing_serious(
    path: str, scheme: str, address: str, open_page: OpenPage
) -> None:
    axe.script()
    page = open_page(address + path, color_scheme=scheme)
    for details in page.locator("details").all():
        details.evaluate("each => each.open = true")
    page.wait_for_timeout(500)  # Material colours and wraps what it finds, a moment later
    assert axe.findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_page_of_the_runner(
    scheme: str, tmp_path: Path, open_page: OpenPage
) -> None:
    axe.script()
    with start_runner(tmp_path, workers=0) as runner:
        # At the end, the stream of events that the page listens to breaks off.
        page = open_page(f"{runner.client.base_url}", color_scheme=scheme, allowed="net::ERR_")
        expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
        assert axe.findings(page) == []
        runner.start()
        expect(page.locator("#run-status")).to_contain_text("Waiting")
        assert axe.findings(page) == []


# Drawings that are told in steps


def test_a_drawing_is_walked_through_with_buttons_and_keys(
    address: str, open_page: OpenPage
) -> None:
    page = open_page(f"{address}exercises/07-one-at-a-time/")
    figure = page.locator("#steps-wrong-lock")
    steps, told = figure.locator("svg .step"), figure.locator(".steps-told > li")
    expect(steps).to_have_count(6)

    def at() -> list[bool]:
        assert [each.is_visible() for each in told.all()].count(True) == 1
        return [
            bool(each.evaluate("step => getComputedStyle(step).visibility == 'visible'"))
            for each in steps.all()
        ]

    assert at() == [True] + [False] * 5
    figure.get_by_role("button", name="Next step").click()
    assert at() == [True] * 2 + [False] * 4
    expect(told.nth(1)).to_contain_text("The API queues the run and answers 202.")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert at() == [True] * 2 + [False] * 4
    figure.get_by_role("button", name="Step back").press("Enter")
    figure.get_by_role("button", name="Step back").press("Enter")  # there is none before it
    assert at() == [True] + [False] * 5
    figure.get_by_role("button", name="All steps").click()
    assert at() == [True] * 6
    expect(figure).to_contain_text("Step 6 of 6")


@pytest.mark.parametrize("width", [1280, 390])
def test_without_a_script_all_steps_are_seen(width: int, address: str, open_page: OpenPage) -> None:
    page = open_page(
        f"{address}exercises/07-one-at-a-time/",
        java_script_enabled=False,
        viewport={"width": width, "height": 800},
    )
    figure = page.locator("#steps-wrong-lock")
    assert all(each.is_visible() for each in figure.locator(".steps-told > li").all())
    seen = [each.is_visible() for each in figure.locator("svg .step").all()]
    assert seen == [width == 1280] * 6


def test_on_a_phone_each_step_is_a_card(address: str, open_page: OpenPage) -> None:
    page = open_page(
        f"{address}exercises/07-one-at-a-time/", viewport={"width": 390, "height": 800}
    )
    cards = page.locator("#steps-wrong-lock .steps-told > li")
    expect(cards).to_have_count(6)
    expect(cards.nth(1)).to_contain_text("API → client 202")
    for card in cards.all():
        box = card.bounding_box()
        assert card.is_visible() and box and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert card.evaluate("it => it.scrollWidth <= it.clientWidth")
    # A drawing without steps is seen whole, and a tap makes its words larger.
    page.goto(f"{address}exercises/02-hello-fastapi/")
    drawing = page.locator(".drawing").first
    width = "it => it.scrollWidth - it.clientWidth"
    assert drawing.evaluate(width) == 0
    drawing.locator("a").click()
    assert drawing.evaluate(width) > 300
    drawing.locator("a").click()
    assert drawing.evaluate(width) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawing_follows_the_palette_that_the_reader_chooses(
    scheme: str, address: str, open_page: OpenPage
) -> None:
    """Whatever the system says: in the page, and as a picture of its own."""
    page = open_page(f"{address}exercises/06-start-and-status/", color_scheme=scheme)
    told = "() => getComputedStyle(document.querySelector('.drawing img')).colorScheme"
    assert page.evaluate(told) == scheme
    page.locator("[title^='Switch to']:visible").click()
    assert page.evaluate(told) == ("dark" if scheme == "light" else "light")
    # Until the reader chooses, the page follows the system, in a page that was opened before, too.
    other = open_page(f"{address}set-up/", color_scheme=scheme)
    for window in (other, page):
        window.emulate_media(color_scheme="dark")
        window.reload()
        window.emulate_media(color_scheme="light")
    expect(other.locator("body")).to_have_attribute("data-md-color-scheme", "default")
    other.emulate_media(color_scheme="dark")
    expect(other.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
    page.goto(f"{address}exercises/07-one-at-a-time/")
    ink = page.locator("#steps-wrong-lock text").first.evaluate("it => getComputedStyle(it).fill")
    assert ink == ("rgb(232, 235, 242)" if scheme == "light" else "rgb(28, 35, 51)")


# The words


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_the_tasks_hints_and_solution_of_its_exercise(chapter: str) -> None:
    text = (DOCS / chapter).read_text(encoding="utf-8")
    number = Path(chapter).name[:2]
    for macro in ("facts", "tasks", "hints", "solution"):
        assert re.findall(rf"^\[\[{macro} (\d\d)\]\]$", text, re.MULTILINE) == [number], macro


def test_code_in_prose_is_included_and_not_typed() -> None:
    typed = [
        f"{file.relative_to(ROOT)}:{number}: {language or 'no language'}"
        for file in DOCS.rglob("*.md")
        for number, language, _ in blocks(file)
        if language not in TYPED
    ]
    assert typed == []


def test_every_command_exists_with_its_options() -> None:
    commands = [(file, command) for file in PROSE for command in workshop_commands(file)]
    assert len(commands) > 50
    wrong = [
        f"{file.relative_to(ROOT)}: ./workshop {command}: {complaint}"
        for file, command in commands
        if (complaint := complaint_about(command))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("chekc 07", "no verb"),
        ("check --loudly", "No such option"),
        ("run --port eighty", "not a valid int"),
        ("hint 7.9", "no task 7.9"),
        ("check 99", "no exercise"),
        ("reset", "Missing"),
    ],
)
def test_a_wrong_command_would_be_noticed(command: str, words: str) -> None:
    assert words.lower() in complaint_about(command).lower()


@pytest.mark.parametrize("verb", verbs.load(cli.with_all_verbs()), ids=lambda verb: verb.name)
def test_the_page_of_verbs_tells_what_help_tells(verb: verbs.Verb, site: Path) -> None:
    helped = CliRunner().invoke(
        cli.with_all_verbs(), [*verb.name.split(), "--help"], terminal_width=200
    )
    assert helped.exit_code == 0
    page = (site / "reference" / "verbs" / "index.html").read_text(encoding="utf-8")
    anchor = verb.name.replace(" ", "-")
    told = re.search(rf'<h2 id="{anchor}">.*?(?=<h2|</article>)', page, re.DOTALL)
    assert told
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", helped.output)) - {"--help"}
    assert {each for each in options if f"{each}" not in told[0]} == set()
    assert verb.help and verb.example, "each verb says what it does, and has an example"


def test_the_verbs_of_the_page_are_those_of_the_program() -> None:
    assert {verb.name.split()[0] for verb in verbs.load(cli.with_all_verbs())} == set(cli.VERBS)


def test_each_failure_mode_names_the_tests_that_show_it() -> None:
    page = (DOCS / "reference" / "failure-modes.md").read_text(encoding="utf-8")
    folder = ROOT / "tests" / "e2e"
    files = [folder / "test_failure_modes.py", *sorted((folder / "faults").glob("test_*.py"))]
    tests = "".join(file.read_text(encoding="utf-8") for file in files)
    named = re.findall(r"`(test_\d\d\w+)`", page)
    there = re.findall(r"^def (test_\d\d\w+)", tests, re.MULTILINE)
    assert set(named) <= set(there)
    heads = re.findall(r"^### (\d+)(b?)\. .* \{ #f(\w+) \}$", page, re.MULTILINE)
    assert len(heads) == len(set(heads)) == len(re.findall(r"^### ", page, re.MULTILINE))
    assert all(anchor == number + letter for number, letter, anchor in heads)
    numbers = [int(number) for number, _, _ in heads]
    assert numbers == sorted(numbers)
    assert numbers[:20] == [*range(1, 21)]
    # Each number names a test that shows it, or the file of its tests.
    shown = set(re.findall(r"test_(\d\d)_", page)) | set(re.findall(r"_and_(\d\d)_", page))
    assert shown == {f"{number:02}" for number in numbers}
    assert page.count("**Fixed by**") == len(numbers)


def test_the_glossary_has_every_word_with_a_tooltip() -> None:
    short = (DOCS / "includes" / "abbreviations.md").read_text(encoding="utf-8")
    glossary = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(.+) \{ #[\w-]+ \}$", glossary, re.MULTILINE)
    told = {word.lower() for term in terms for word in term.split(", ")}
    with_tooltip = re.findall(r"^\*\[(.+?)\]", short, re.MULTILINE)
    assert [word for word in with_tooltip if word.lower() not in told] == []


def test_the_variables_of_the_kit_that_are_told_of_are_read() -> None:
    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    told = re.findall(r"^`([A-Z_]+)`$", page, re.MULTILINE)
    assert len(told) >= 5
    read = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "kit").rglob("*.py"))
    for name in told:
        assert f'"{name}"' in read or name in ("REDIS_URL",), name


def test_there_are_no_misspelled_words() -> None:
    done = codespell()
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_a_misspelled_word_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("recie" + "ved")  # in two pieces here, or this file would be the first to fail
    done = codespell(str(page))
    assert done.returncode != 0 and "received" in done.stdout


def codespell(*files: str) -> "subprocess.CompletedProcess[str]":
    """What codespell says of these files, or of all. Its settings are in pyproject.toml."""
    argv = [sys.executable, "-m", "codespell_lib", *files]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def blocks(file: Path) -> Iterator[tuple[int, str, str]]:
    """The code blocks of a page: line, language, text."""
    lines = file.read_text(encoding="utf-8").splitlines()
    prose = outside_fences(lines)
    begin = None
    for i, line in enumerate([*lines, ""]):
        inside = i < len(lines) and not prose[i]
        if inside and begin is None:
            begin = i
        elif begin is not None and (not inside or re.fullmatch(r"\s*[`~]{3,}", line)):
            language = re.match(r"\s*[`~]{3,} *(?:\{ \.)?(\w*)", lines[begin])
            yield begin + 1, language[1] if language else "", "\n".join(lines[begin + 1 : i])
            begin = None


def workshop_commands(file: Path) -> Iterator[str]:
    """What a page has people type after ./workshop: in blocks after $, and in sentences."""
    text = file.read_text(encoding="utf-8")
    for command in re.findall(r"^\s*\$ (?:\w+=\S+ )*\./workshop ?(.*)$", text, re.MULTILINE):
        yield command
    for command in re.findall(r"^ {4,}\./workshop ?(.*)$", text, re.MULTILINE):
        yield command
    for command in re.findall(r"`\./workshop ?([^`]*)`", " ".join(text.split())):
        # A sentence may speak of a verb that wants more.
        if command not in cli.VERBS:
            yield command


@functools.cache
def complaint_about(command: str) -> str:
    """Why the command line would not take it, or nothing."""
    words = shlex.split(command.replace("…", ""), comments=True)
    if not words or words[0] in ("VERB", "--help"):
        return ""
    parser: Any = typer.main.get_command(cli.with_all_verbs())
    name = ""
    while hasattr(parser, "commands"):
        if not words or words[0] not in parser.commands:
            return f"there is no verb {' '.join([name, *words[:1]]).strip()}"
        name, parser = words[0], parser.commands[words[0]]
        words = words[1:]
    if "--help" in words:
        return ""
    try:
        parser.make_context(name, list(words))  # it takes the words out of its list
    except Exception as error:  # the parser's own; it keeps the base class to itself
        return f"{getattr(error, 'message', '') or error}"
    return next(filter(None, map(unknown_exercise, words)), "")


def unknown_exercise(word: str) -> str:
    """Why a word that looks like an exercise or a task is none."""
    exercises = catalogue.load()
    if re.fullmatch(r"\d\d", word) and word not in {each.slug[:2] for each in exercises}:
        return f"there is no exercise {word}"
    tasks = {task.number for each in exercises for task in each.tasks}
    if re.fullmatch(r"\d+\.\d", word) and word not in tasks:
        return f"there is no task {word}"
    return ""
