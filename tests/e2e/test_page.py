"""The page at /, in a real browser, against real processes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Gate
from tests.e2e.runner import TIMEOUT, Runner, kill_worker, start_runner, write_notebook
from tests.support import axe
from tests.support.browser import OpenPage, browser, open_page

pytestmark = pytest.mark.slow

__all__ = ["browser", "open_page"]

expect.set_options(timeout=TIMEOUT * 1000)
KEY = "open sesame"
LOCKED_UP = r"Content Security Policy|sandboxed"  # what it logs of a script that must not run
BROKEN_OFF = r"net::ERR_"  # what Chromium logs when a server dies
HOSTILE = """
from IPython.display import HTML, display
display(HTML('''
<p style="color: rgb(1, 2, 3)">look at my style</p>
<img id="inline" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">
<img src="nowhere" onerror="parent.document.title = top.document.title = 'taken over'">
<img src="https://example.org/spy.gif">
<script>document.title = parent.document.title = top.document.title = 'taken over'</script>
<meta http-equiv="refresh" content="0; url=https://example.org/">
'''))
print("<script>document.title = 'taken over'</script>"
      "<img src=nowhere onerror=\\"document.title = 'taken over'\\">")
"""


# A picture of one pixel, of which the chart's code says the title.
FIGURE = """
from IPython.display import display
def set_title(text): return {"text/plain": "<Figure size 1x1>",
  "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0"
  "lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="}
display(set_title("Delays by hour"), raw=True)
"""
SHOWN = """
from IPython.display import HTML, SVG, display
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><circle r='9'/></svg>"))
display(HTML("<b>in bold</b>"))
display({"text/html": "<table><tr><td>12</td></tr></table>", "text/plain": "  12"}, raw=True)
"""


@contextmanager
def other_cells(gate: Gate, *cells: str) -> Iterator[None]:
    """The notebook of the runner has these cells, for a while."""
    good = gate.notebook.read_text(encoding="utf-8")
    write_notebook(gate.notebook, *cells)
    try:
        yield
    finally:
        gate.notebook.write_text(good, encoding="utf-8")


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Start", exact=True)


def status(page: Page) -> Locator:
    return page.locator("#run-status")


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the focus is there."""
    for _ in range(30):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {target}")


@pytest.fixture(scope="module")
def locked_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner that asks for a key; its notebook shows HTML that means ill."""
    folder = tmp_path_factory.mktemp("locked")
    notebook = write_notebook(folder / "hostile.ipynb", HOSTILE)
    env = {"RUNNER_API_KEY": KEY}
    with start_runner(folder, notebook=notebook, env=env) as runner:
        yield runner


def test_a_run_is_started_followed_and_its_output_shown(
    runner: Runner, gate: Gate, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(runner.url)
    page.get_by_label("Who asks").fill("ada")
    start_button(page).click()
    expect(page.get_by_text("cell 2 of 3", exact=True)).to_be_visible()
    expect(page.get_by_role("progressbar", name="Cells done")).to_have_js_property("value", 1 / 3)
    expect(page.get_by_role("heading", level=2)).to_contain_text(
        runner.client.get("/status").json()["run_id"]
    )
    expect(page.locator("pre")).to_have_text("before the gate")
    expect(page.get_by_text("So far. It goes on as the run does.")).to_be_visible()
    expect(page.get_by_role("button", name="Executed notebook")).to_be_hidden()
    gate.open()
    expect(status(page)).to_have_text("Succeeded")
    expect(page.get_by_text("3 of 3 cells done", exact=True)).to_be_visible()
    expect(page.locator("pre")).to_contain_text("after the gate, token")
    expect(page.get_by_text("asked for by ada")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text("gated.ipynb")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()

    with page.expect_download() as download:
        page.get_by_role("button", name="Executed notebook").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    book = nbformat.read(path, as_version=4)
    assert "before the gate" in book.cells[0].outputs[0].text


def test_the_files_of_a_run_are_there_to_download(tmp_path: Path, open_page: OpenPage) -> None:
    leave = "import os; open(os.environ['OUTPUT_DIR'] + '/a b.csv', 'w').write('1,2')"
    notebook = write_notebook(tmp_path / "it.ipynb", leave)
    with start_runner(tmp_path, notebook=notebook, env={"RUNNER_API_KEY": KEY}) as runner:
        runner.run()
        page = open_page(runner.url)
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Use key").click()
        expect(page.get_by_text("a b.csv 3 B")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name="a b.csv").click()
        assert download.value.suggested_filename == "a b.csv"
        assert Path(download.value.path()).read_text() == "1,2"


def test_a_second_start_names_the_active_run_and_offers_to_follow_it(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    gate.open()
    earlier = runner.run()["run_id"]
    gate.close()
    page = open_page(runner.url)
    expect(page.locator("pre")).to_contain_text("after the gate")
    active = runner.start(requested_by="somebody else")
    page.get_by_role("button", name=earlier).click()
    start_button(page).click()
    alert = page.locator("#problem")
    expect(alert).to_contain_text(f"Run {active} blocks this start: one at a time.")
    expect(start_button(page)).to_be_enabled()
    alert.get_by_role("button", name="Follow that run").click()
    expect(page.get_by_role("heading", name=f"Run {active}")).to_be_focused()
    expect(status(page)).to_have_text("Running")
    gate.open()
    expect(status(page)).to_have_text("Succeeded")
    expect(alert).to_be_empty()


def test_a_run_is_cancelled(runner: Runner, open_page: OpenPage) -> None:
    page = open_page(runner.url)
    start_button(page).click()
    expect(status(page)).to_have_text("Running")
    with page.expect_request(re.compile("/cancel")) as request:
        page.get_by_role("button", name="Cancel").click()
    expect(status(page)).to_have_text("Cancelled")
    expect(page.locator("#run-error")).to_contain_text("Cancelled. It was at: Cell 2 of 3.")
    expect(page.locator("#run .problem")).to_have_count(0)  # it was asked for
    expect(start_button(page)).to_be_focused()
    run = runner.client.get("/status").json()
    assert run["status"] == "CANCELLED"
    assert request.value.url.endswith(f"/cancel?run_id={run['run_id']}")


def test_a_page_opened_in_mid_run_follows_it(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    runner.wait_for_cell(runner.start(), 1)
    page = open_page(runner.url)
    expect(page.get_by_text("cell 2 of 3", exact=True)).to_be_visible()
    with page.expect_request(re.compile(r"/status/[^/]+/events$")):
        page.reload()
    expect(page.get_by_text("cell 2 of 3", exact=True)).to_be_visible()
    gate.open()
    expect(status(page)).to_have_text("Succeeded")


def test_an_idle_page_notices_a_run_that_somebody_else_started(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    gate.open()
    page = open_page(runner.url)
    expect(start_button(page)).to_be_visible()
    run = runner.run()
    expect(page.get_by_role("heading", name=f"Run {run['run_id']}")).to_be_visible()
    expect(status(page)).to_have_text("Succeeded")


def test_any_of_the_last_runs_can_be_looked_at(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    gate.open()
    first, second = runner.run(), runner.run()
    page = open_page(runner.url)
    expect(page.locator("pre")).to_contain_text(f"token {second['token']}")
    table = page.get_by_role("table", name="Last runs")
    expect(table.get_by_role("rowheader").first).to_have_text(second["run_id"])
    table.get_by_role("button", name=first["run_id"]).click()
    expect(page.locator("pre")).to_contain_text(f"token {first['token']}")
    expect(table.locator("[aria-current=true]")).to_have_text(first["run_id"])


def test_everything_works_from_the_keyboard(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    page = open_page(runner.url)
    expect(start_button(page)).to_be_visible()
    tab_to(page, page.get_by_label("Who asks"))
    page.keyboard.type("grace")
    tab_to(page, start_button(page))
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Running")
    expect(start_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("blocks this start")
    tab_to(page, page.get_by_role("button", name="Follow that run"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Cancel"))
    page.keyboard.press("Space")
    expect(status(page)).to_have_text("Cancelled")
    gate.open()
    expect(start_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Succeeded")
    tab_to(page, page.get_by_role("button", name="As a page"))
    page.keyboard.press("Enter")
    expect(page.locator("#report iframe")).to_be_visible()
    tab_to(page, page.locator("#rows button").last)  # through the frame, and out again
    page.keyboard.press("Enter")
    expect(page.locator("#run-title")).to_be_focused()


def test_status_is_announced_and_every_control_has_a_name(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    page = open_page(runner.url)
    start_button(page).click()
    news = page.locator("#news[role=status]")
    expect(news).to_contain_text("Running")
    gate.open()
    expect(news).to_have_text(re.compile("Succeeded, 3 of 3 cells done"))
    for control in page.locator("button, input, progress, iframe").all():
        named = control.evaluate(
            "e => e.textContent.trim() || e.ariaLabel || e.title || e.labels?.[0]?.textContent"
        )
        assert named, control.evaluate("e => e.outerHTML")
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(runner: Runner, open_page: OpenPage, scheme: str) -> None:
    runner.start()
    page = open_page(runner.url, color_scheme=scheme)
    start_button(page).click()
    expect(page.locator("#problem")).to_contain_text("blocks this start")
    page.mouse.move(0, 0)
    weak = page.evaluate(CONTRAST)
    assert not weak, weak


def test_a_phone_needs_no_sideways_scrolling(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    runner.start()
    page = open_page(runner.url, viewport={"width": 360, "height": 640})
    start_button(page).click()
    expect(page.locator("#problem")).to_contain_text("blocks this start")
    assert not page.evaluate(STICKING_OUT)
    gate.open()
    expect(page.locator("pre")).to_contain_text("after the gate")
    assert not page.evaluate(STICKING_OUT)


def test_a_failure_is_shown_in_words_with_what_came_before(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    with other_cells(gate, "print('so far so good')", "1 / 0", "print('never')"):
        page = open_page(runner.url)
        start_button(page).click()
        expect(status(page)).to_have_text("Failed")
        expect(page.locator("#run-error")).to_have_text(
            "Cell 2 of 3 raised ZeroDivisionError: division by zero"
        )
        expect(page.locator("#run-error")).to_have_class("problem")
        expect(page.locator("#run-reason")).to_have_text("a cell raised an error")
        expect(page.get_by_role("row").nth(1)).to_contain_text("Failed a cell raised an error")
        expect(page.locator("pre")).to_contain_text("so far so good")


def test_each_reason_has_words(runner: Runner, open_page: OpenPage) -> None:
    page = open_page(runner.url)
    schema = runner.client.get("/openapi.json").json()["components"]["schemas"]["Reason"]
    for reason in schema["enum"]:
        run = {"reason": reason, "signal": None, "exit_code": None}
        assert re.fullmatch("[a-z ]+", in_words(page, run))
    died: dict[str, object] = {"reason": "kernel_died", "signal": None, "exit_code": None}
    assert in_words(page, died | {"signal": "SIGKILL"}) == "the kernel died (SIGKILL)"
    assert in_words(page, died | {"exit_code": 0}) == "the kernel died (exit code 0)"


def in_words(page: Page, run: dict[str, object]) -> str:
    script = "run => import('./page/words.js').then(words => words.reason(run))"
    return str(page.evaluate(script, run))


def test_figures_and_html_are_shown_at_once_and_a_figure_has_a_text(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    with other_cells(gate, "print('before it')", FIGURE, SHOWN):
        page = open_page(runner.url)
        start_button(page).click()
        figure = page.get_by_role("img", name="Delays by hour", exact=True)
        expect(figure).to_have_js_property("naturalWidth", 1)
        expect(figure).to_be_visible()
        svg = page.locator("#figures img").nth(1)
        expect(svg).to_have_js_property("naturalWidth", 9)
        expect(svg).to_have_attribute("alt", "from IPython.display import HTML, SVG, display")
        expect(page.locator("#figures figure")).to_have_count(3)  # the table is there as text
        shown = page.frame_locator("#figures iframe").frame_locator("iframe")
        expect(shown.get_by_text("in bold")).to_be_visible()
        expect(page.locator("pre")).to_contain_text("12")
        expect(page.locator("pre")).not_to_contain_text("Figure size")
        expect(page.locator("#report")).to_be_hidden()
        page.get_by_role("button", name="As a page").click()
        whole = page.frame_locator("#report iframe").frame_locator("iframe")
        expect(whole.get_by_role("img", name="Delays by hour", exact=True)).to_be_visible()
    gate.open()
    start_button(page).click()
    expect(page.locator("pre")).to_contain_text("after the gate")
    expect(page.locator("#figures")).to_be_empty()


def test_of_a_large_notebook_no_figures_are_fetched_by_themselves(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    with other_cells(gate, FIGURE, "print('x' * 20_000_000)"):
        run = runner.run()
        page = open_page(runner.url)
        expect(page.get_by_text("These are the first 200,000 characters")).to_be_visible()
        expect(page.get_by_role("heading", level=2)).to_contain_text(run["run_id"])
        expect(page.locator("#figures")).to_be_empty()


def test_an_idle_page_says_that_there_is_no_worker(tmp_path: Path, open_page: OpenPage) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "print('hello')")
    with start_runner(tmp_path, notebook=notebook, workers=0) as runner:
        page = open_page(runner.url, allowed=BROKEN_OFF)
        notice = page.locator("#readiness[role=status]")
        expect(notice).to_contain_text("No worker has been heard of lately.")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        runner.add_worker()
        expect(notice).to_be_empty()
        with page.expect_request(re.compile("/runs$")):
            pass
        with page.expect_request(re.compile("/runs$")):
            pass
        times = [url.rpartition("/")[2] for url in asked]
        assert times.count("ready") <= times.count("runs"), "it asks no more often than for runs"
        assert times[-2:] == ["runs", "runs"], "while all is well, it asks seldom"


def test_demo_mode_starts_twenty_at_once_and_shows_how_the_lease_drains(
    tmp_path: Path, open_page: OpenPage
) -> None:
    gate = Gate(tmp_path)
    env = {"DEMO_MODE": "true", "LEASE_SECONDS": "3"}
    with start_runner(tmp_path, notebook=gate.notebook, env=env) as runner:
        page = open_page(runner.url, allowed=BROKEN_OFF)
        lease = page.get_by_role("progressbar", name="Lease")
        left = page.locator("#lease-left")
        expect(left).to_have_text("free: the next start gets in")
        page.get_by_role("button", name="Twenty at once").click()
        told = page.locator("#answers-told[role=status]")
        expect(told).to_contain_text("1 got in (202): run ")
        run_id = runner.client.get("/status").json()["run_id"]
        expect(told).to_contain_text(re.compile(rf"run {run_id}\. 19 were refused \(409\)\."))
        expect(page.locator("#dots .in")).to_have_count(1)
        expect(page.locator("#dots .out")).to_have_count(19)
        expect(page.get_by_role("button", name="Twenty at once")).to_be_focused()
        expect(left).to_have_text(re.compile(r"\d\.\d of 3 s left"))
        expect(status(page)).to_have_text("Running")
        assert not axe.findings(page)
        kill_worker(runner.workers[0])
        expect(left).to_have_text(re.compile(r"[01]\.\d of 3 s left"))
        assert lease.evaluate("bar => bar.value / bar.max") < 2 / 3
        expect(left).to_have_text("free: the next start gets in")
        expect(status(page)).to_have_text("Lost")
        page.get_by_role("button", name="Twenty at once").click()
        expect(told).not_to_contain_text(run_id)
        expect(told).to_contain_text("1 got in (202): run ")


def test_without_demo_mode_there_is_no_such_button_and_no_such_call(
    runner: Runner, open_page: OpenPage
) -> None:
    page = open_page(runner.url)
    expect(start_button(page)).to_be_visible()
    expect(page.get_by_role("button", name="Twenty at once")).to_have_count(0)
    assert runner.client.get("/lease").status_code == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_a_run_goes_on_and_when_it_is_done(
    runner: Runner, gate: Gate, open_page: OpenPage, scheme: str
) -> None:
    page = open_page(runner.url, color_scheme=scheme)
    runner.start()
    start_button(page).click()
    expect(page.locator("#problem")).to_contain_text("blocks this start")
    page.mouse.move(0, 0)
    assert not axe.findings(page)
    page.get_by_role("button", name="Cancel").click()
    expect(status(page)).to_have_text("Cancelled")
    assert not axe.findings(page)
    with other_cells(gate, FIGURE, SHOWN, "1 / 0"):
        start_button(page).click()
        expect(status(page)).to_have_text("Failed")
        expect(page.locator("#figures figure")).to_have_count(3)
        page.mouse.move(0, 0)
        assert not axe.findings(page)


def test_of_a_huge_output_the_beginning_is_shown(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    with other_cells(gate, "print('é' * 300_000)"):
        runner.run()
        page = open_page(runner.url)
        expect(page.get_by_text("These are the first 200,000 characters")).to_be_visible()
        assert page.locator("pre").evaluate("e => e.textContent") == "é" * 200_000


def test_a_lost_connection_is_said_and_the_run_followed_when_the_api_is_back(
    runner: Runner, gate: Gate, open_page: OpenPage
) -> None:
    page = open_page(runner.url, allowed=BROKEN_OFF)
    start_button(page).click()
    expect(page.get_by_text("cell 2 of 3", exact=True)).to_be_visible()
    run_id = runner.client.get("/status").json()["run_id"]
    runner.apis[0].kill()
    try:
        expect(page.locator("#connection")).to_have_text("Connection lost; trying again…")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
    finally:
        runner.restart_api(0, runner.env)
    expect(page.locator("#connection")).to_be_empty()
    streams = [url for url in asked if url.endswith("/events")]
    assert len(streams) == 1, "one connection at a time"
    gate.open()
    runner.wait_for(run_id, "SUCCEEDED")
    expect(status(page)).to_have_text("Succeeded")
    expect(page.locator("pre")).to_contain_text("after the gate")


def test_a_wrong_key_is_refused_and_the_right_one_opens_the_page(
    locked_runner: Runner, open_page: OpenPage
) -> None:
    page = open_page(locked_runner.url, allowed=LOCKED_UP)
    expect(page.get_by_label("API key")).to_be_focused()
    expect(start_button(page)).to_be_hidden()
    page.keyboard.type("open barley\N{SNOWMAN}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="That key is wrong.")).to_be_visible()
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(start_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Succeeded")
    expect(page.locator("pre")).to_contain_text("taken over")

    page.reload()
    expect(page.locator("pre")).to_contain_text("taken over")
    expect(page.get_by_label("API key")).to_be_hidden()
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.locator("pre")).to_be_hidden()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_a_hostile_notebook_cannot_script_the_page_but_shows_its_styles_and_pictures(
    locked_runner: Runner, open_page: OpenPage
) -> None:
    locked_runner.run()
    page = open_page(locked_runner.url, allowed=LOCKED_UP)
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("pre")).to_contain_text("<script>")
    at_once = page.frame_locator("#figures iframe").frame_locator("iframe")
    expect(at_once.get_by_text("look at my style", exact=True)).to_have_css("color", "rgb(1, 2, 3)")
    page.get_by_role("button", name="As a page").click()
    notebook = page.frame_locator("#report iframe").frame_locator("iframe")
    expect(notebook.get_by_text("look at my style", exact=True)).to_have_css(
        "color", "rgb(1, 2, 3)"
    )
    expect(notebook.locator("#inline")).to_have_js_property("naturalWidth", 1)
    expect(notebook.locator(".jp-Cell").first).to_have_css("display", "block")
    expect(page).to_have_title("Notebook runner")
    assert (
        page.locator("#report iframe").evaluate(
            "frame => frame.contentDocument.querySelector('iframe').contentDocument"
        )
        is None
    ), "the page and the notebook must be strangers"


def test_a_hostile_notebook_opened_directly_runs_no_script(
    locked_runner: Runner, open_page: OpenPage
) -> None:
    run_id = locked_runner.run()["run_id"]
    page = open_page(
        f"{locked_runner.url}/output/{run_id}?format=html",
        allowed=LOCKED_UP,
        extra_http_headers={"X-API-Key": KEY},
    )
    expect(page.get_by_text("look at my style", exact=True)).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator("#inline")).to_have_js_property("naturalWidth", 1)
    assert page.title() != "taken over"
    assert page.url.startswith(locked_runner.url), "nor may it lead elsewhere"


# What reaches beyond its card's inner edge, or beyond the window.
STICKING_OUT = """
() => [...document.querySelectorAll(".card > *, body > *")].filter((element) => {
  if (!element.checkVisibility() || element.matches(".unseen")) return false;
  const around = element.parentElement;
  const padding = parseFloat(getComputedStyle(around).paddingRight);
  const edge = around.getBoundingClientRect().right - padding;
  const { left, right } = element.getBoundingClientRect();
  return Math.max(right, left + element.scrollWidth) > edge + 1;
}).map((element) => element.outerHTML)
"""

# WCAG's ratio of each visible text's colour to the nearest opaque ground behind it. Answers those
# below 4.5.
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = rgba(colour).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return "Canvas";
  };
  const weak = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode()); ) {
    const element = text.parentElement;
    if (!text.data.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${text.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return weak;
}
"""
