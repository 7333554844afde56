"""The board in a browser: on the instructor's screen, a phone, and the projector."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Response, expect

from kit.course import catalogue
from kit.room.events import HelpEvent
from tests.support import axe
from tests.support.browser import TIMEOUT, OpenPage, browser, open_page
from tests.support.rooms import fill, served_room, verdict

pytestmark = pytest.mark.slow

__all__ = ["browser", "open_page"]

expect.set_options(timeout=TIMEOUT)
FAST = 2000  # ms; the board lags by less than a second, on a machine that is not busy
SCRIPT = "<img src=x onerror=alert(1)>"


def marks_the_end(answer: Response) -> bool:
    marked = {"now": "06-start-and-status", "time_up": True}
    return answer.url.endswith("/pace") and answer.request.post_data_json == marked


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (1920, "light")])
def test_the_board_lives_and_the_projector_shows_no_names(
    width: int, scheme: str, tmp_path: Path, open_page: OpenPage
) -> None:
    axe.script()
    with served_room(tmp_path) as room:
        fill(room.store)
        evil = room.store.attendee(room.store.join(SCRIPT))
        assert evil is not None
        page = open_page(
            room.board, color_scheme=scheme, viewport={"width": width, "height": 900},
            allowed="net::ERR_",
        )  # fmt: skip
        rows = page.locator("#grid tbody tr")
        expect(rows).to_have_count(25)
        assert room.store.setting("secret") not in page.url
        expect(rows.first.locator("bdi")).to_have_text(SCRIPT)
        expect(page.locator("#stuck")).to_contain_text("12 of 25 fail it now")
        expect(page.locator("#stuck")).to_contain_text("The worker knows the task by the name")
        expect(page.locator("#stuck")).to_contain_text("What is the name of the task")
        expect(page.locator("#help li")).to_have_count(3)
        assert axe.findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

        hello = catalogue.find("2")
        room.store.record(evil, [verdict(hello, 2, 1)], time.time())
        expect(rows.first.locator(".passed")).to_have_count(2)
        asks = HelpEvent(
            kind="help", seq=2, at=0, exercise=hello.slug, task="2.3", wanted=True
        )  # fmt: skip
        room.store.record(evil, [asks], 0)
        expect(rows.first.get_by_role("img", name="asks for help")).to_be_visible()
        page.get_by_role("button", name=f"{SCRIPT} has been helped").click()
        expect(page.locator("#help li")).to_have_count(3)
        assert not room.store.asks_for_help(evil)

        page.locator("#now").select_option("06-start-and-status")
        with page.expect_response(marks_the_end) as marked:
            page.get_by_role("button", name="Time is up").click()
        assert marked.value.ok
        expect(page.locator("#time-up")).to_have_attribute("aria-pressed", "true")
        assert (room.store.setting("now"), room.store.setting("time_up")) == (
            "06-start-and-status", "yes",
        )  # fmt: skip

        page.get_by_role("button", name="Projector").click()
        expect(page.locator("#now-large")).to_have_text("Now 06 Start and status: time is up")
        for name in ("Ada", "Edsger", SCRIPT):
            assert name not in page.content(), name
        assert axe.findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
