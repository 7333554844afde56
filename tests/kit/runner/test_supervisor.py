"""What the supervisor of `run` does with processes that die, without any process."""

import io
import time
from typing import Any

import pytest
from rich.console import Console

from kit.runner import supervisor
from kit.runner.supervisor import Requests, Service
from kit.terminal.keys import Keys
from kit.terminal.log_feed import Feed


class Process:
    """Stands in for a child: it has ended, or runs on."""

    name, pid = "api-1", 1

    def __init__(self, returncode: int | None) -> None:
        self.returncode, self.started = returncode, time.monotonic()
        self.running = returncode is None

    def stop(self) -> None:
        self.running = False


class Script:
    """Saves: none until the process was given up, then one; and then Ctrl-C."""

    def __init__(self, out: io.StringIO) -> None:
        self.out = out

    def take(self) -> list[str]:
        if "fixed" in self.out.getvalue():
            raise KeyboardInterrupt
        return ["fixed.py"] if "the next save starts it" in self.out.getvalue() else []


def supervise(monkeypatch: pytest.MonkeyPatch, *, reload: bool) -> tuple[int | None, str]:
    """The exit code, if it comes to one, and what is printed, for an API that dies at once."""
    monkeypatch.setattr(supervisor, "RESTART_DELAY", 0.0)
    monkeypatch.setattr(supervisor, "POLL_INTERVAL", 0.0)
    monkeypatch.setattr("sys.stdin", None)  # no keys
    out = io.StringIO()
    broken: Any = Process(1)
    api = Service(lambda: Process(1), broken, is_api=True)  # type: ignore[arg-type,return-value]
    requests = Requests(Script(out), Keys(), reload=reload)
    feed = Feed(Console(file=out, width=100))
    try:
        code = supervisor.supervise([api], feed, requests, lambda: None, restart=True)
    except KeyboardInterrupt:
        return None, out.getvalue()
    return code, out.getvalue()


def test_an_api_that_dies_at_once_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = supervise(monkeypatch, reload=False)
    assert code == 1
    assert "api-1 died at once 3 times: that is enough" in said


def test_with_reload_it_waits_for_the_next_save(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = supervise(monkeypatch, reload=True)
    assert code is None
    before, _, after = said.partition("fixed.py saved: restarting")
    assert before.count("api-1 died: exit code 1") == 3
    assert "api-1 started again" in after
