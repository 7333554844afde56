"""What is printed fits the terminal, and what others have written cannot command it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from kit.checking import report
from kit.errors import KitError
from kit.terminal import log_feed, screen
from kit.terminal.log_feed import Feed
from kit.terminal.screen import TIE, cut, wrapped
from tests.support.learner import Learner
from tests.support.terminal import CODES, Terminal

HELLO = "01-hello"
SENTENCE = "Each is a small project in work/, which you edit. `./workshop check 01` checks it."


class TerminalText(io.StringIO):
    def isatty(self) -> bool:
        return True


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, standard output is a terminal of forty columns."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout", TerminalText())


def test_a_text_is_broken_between_words_and_no_command_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow(monkeypatch)
    lines = wrapped(f"  - {SENTENCE}").splitlines()
    assert max(map(len, lines)) <= 40
    assert all(line.startswith("  ") for line in lines)
    assert any("`./workshop check 01`" in line for line in lines)
    assert " ".join(" ".join(lines).split()) == f"- {SENTENCE}"


def test_a_key_and_what_it_does_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = f" Keys: h{TIE}hint · s{TIE}solution · n{TIE}next · r{TIE}run{TIE}again"
    assert wrapped(keys) == keys.replace(TIE, " ")
    narrow(monkeypatch)
    assert wrapped(keys) == " Keys: h hint · s solution · n next ·\n r run again"


def test_codes_for_colours_take_no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch)
    monkeypatch.setattr(screen, "colourful", lambda stream=None: True)
    painted = "".join(screen.paint(letter, "good") for letter in "x" * 40)
    assert wrapped(painted) == painted
    assert cut(painted, 40) == painted
    assert CODES.sub("", cut(painted, 10)) == "x" * 9 + "…"


def test_where_there_is_no_terminal_a_line_stays_whole() -> None:
    assert wrapped(SENTENCE * 9) == SENTENCE * 9


def test_an_error_shows_control_characters_and_does_not_send_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    KitError("it \x1b]0;said\x07 so", "", "line\n\x1b[2Jgone").show()
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\x07" not in said
    assert r"it \x1b]0;said\x07 so" in said and r"  | \x1b[2Jgone" in said


def test_a_failure_shows_control_characters_and_does_not_send_them() -> None:
    [line] = report.failure_lines([("Got", "RuntimeError: \x1b[2Jgone\x07")], Path("/x"))
    assert line == r"Got       RuntimeError: \x1b[2Jgone\x07"


class Logs:
    """A feed that follows one log, and what it has printed."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "worker-1.log"
        self.log.touch()
        self.out = io.StringIO()
        self.feed = Feed(Console(file=self.out, width=80))
        self.feed.follow("worker-1", self.log)

    def write(self, text: str) -> None:
        with self.log.open("a") as log:
            log.write(text)

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_a_log_cannot_command_the_terminal(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.write("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\n")
    logs.feed.show()
    assert logs.lines() == [r"worker-1 | red \x1b]0;title\x07 \x1b[2J"]


def test_of_very_many_lines_the_last_are_printed(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.write("first\n")
    logs.feed.show()
    logs.write("again and again\n" * 100_000 + "last\n")
    logs.feed.show(rest=True)
    lines = logs.lines()
    assert (lines[0], lines[-1]) == ("worker-1 | first", "worker-1 | last")
    assert "bytes left out: " in lines[1]
    assert len(lines) < log_feed.MOST / 10


def test_a_log_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_feed, "LARGEST", 1000)
    logs = Logs(tmp_path)
    for number in range(100):
        logs.write(f"line {number:06} of the log, which is written without end\n")
        logs.feed.show()
    kept = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert kept < 3000
    assert [line for line in logs.lines() if "line 0000" in line][-1].startswith(
        "worker-1 | line 000099"
    )
    assert sum("line 0000" in line for line in logs.lines()) == 100


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 40])
def test_the_first_screen_is_broken_between_words(learner: Learner, columns: int) -> None:
    with Terminal(cwd=learner.home, env=learner.env, columns=columns) as screen_:
        text = screen_.wait_for("Look at")
        screen_.press("q")
        screen_.wait()
    before, _, _ = text.partition("We did")
    assert "The notebook runner workshop." in before
    for line in before.splitlines():
        shown = line.rpartition("\r")[2]
        longest = max(map(len, shown.split()), default=0)
        assert len(shown) <= max(columns, longest + 10), line


@pytest.mark.slow
def test_a_status_line_is_cut_to_the_width(learner: Learner) -> None:
    with Terminal(cwd=learner.home, env=learner.env, columns=24) as screen_:
        screen_.wait_for("Look at")
        statuses = screen_.raw.decode().split("\r\x1b[K")[1:]
    seen = [CODES.sub("", each).split("\r")[0].split("\n")[0] for each in statuses]
    assert any(each.startswith("checking work") for each in seen)
    assert all(len(each) < 24 for each in seen if each.startswith(("checking", "getting")))
