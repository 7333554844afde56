"""NOTIFY_URLS: people are told of each run that ends, LOST included, and once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.e2e.runner import PRODUCT, kill_worker, start_runner, wait_until, write_notebook

pytestmark = pytest.mark.slow

ORDERS = """
import time
from pathlib import Path
while Path("hold").exists():
    time.sleep(0.05)
assert not Path("fail").exists(), "told to fail"
"""
Messages = list[dict[str, Any]]


@pytest.fixture
def told() -> Iterator[tuple[str, Messages]]:
    """A receiver of notifications: an address for Apprise, and what came there."""
    messages: Messages = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", messages
        server.shutdown()


def test_each_run_that_ends_is_told_once_lost_included(
    tmp_path: Path, told: tuple[str, Messages]
) -> None:
    pytest.importorskip("apprise", reason="pip install apprise, as .ci/run does")
    url, messages = told
    notebook = write_notebook(tmp_path / "it.ipynb", ORDERS)
    env = {"NOTIFY_URLS": url, "LEASE_SECONDS": "6"}
    expected: list[tuple[str, str, str]] = []

    def is_told(run: dict[str, Any], kind: str) -> dict[str, Any]:
        expected.append((f"it.ipynb: {run['status']}", kind, run["run_id"]))
        wait_until(lambda: len(messages) == len(expected), f"{run} to be told", 90)
        return messages[-1]

    with start_runner(tmp_path, notebook=notebook, api=2, env=env) as runner:
        first = runner.wait_for(runner.start(requested_by="ada"), "SUCCEEDED")
        assert "requested by ada" in is_told(first, "success")["message"]
        (tmp_path / "fail").touch()
        assert "told to fail" in is_told(runner.run("FAILED"), "failure")["message"]
        (tmp_path / "hold").touch()
        run_id = runner.start()
        runner.wait_for(run_id, "RUNNING")
        kill_worker(runner.workers[0])
        # No client asks for the run, and none starts another.
        lost = {"run_id": run_id, "status": "LOST"}
        assert "fell silent" in is_told(lost, "failure")["message"]
    came = [(each["title"], each["type"]) for each in messages]
    assert came == [(title, kind) for title, kind, _ in expected]
    for message, (_, _, run_id) in zip(messages, expected, strict=True):
        assert run_id in message["message"]


SLOW_APPRISE = """
import json
import os
import time
from pathlib import Path

NotifyType = str
folder = Path(os.environ["PYTHONPATH"])

class Apprise:
    def add(self, urls):
        (folder / "asked").touch()
        while not (folder / "known").exists():
            time.sleep(0.05)
        return True

    def notify(self, **message):
        with (folder / "told").open("a") as file:
            print(json.dumps(message), file=file)
        return True
"""


def test_a_run_that_ends_while_the_urls_are_checked_is_told_and_an_older_one_is_not(
    tmp_path: Path,
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "apprise.py").write_text(SLOW_APPRISE)
    told = slow / "told"
    with start_runner(tmp_path) as runner:
        runner.run("SUCCEEDED")
        env = runner.env | {"NOTIFY_URLS": "slow://", "PYTHONPATH": str(slow)}
        runner.restart_api(0, env)
        wait_until((slow / "asked").exists, "the URLs to be looked at", 60)
        news = runner.run("SUCCEEDED")["run_id"]
        (slow / "known").touch()
        wait_until(told.exists, "the run to be told", 60)
        last = runner.run("SUCCEEDED")["run_id"]
        wait_until(lambda: last in told.read_text(), "the last run to be told", 60)
    messages = [json.loads(line)["body"] for line in told.read_text().splitlines()]
    assert messages == [f"Run {run_id}: SUCCEEDED." for run_id in (news, last)]


def test_without_apprise_the_setting_is_refused_in_words() -> None:
    source = (
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'apprise' else find(name)\n"
        "from nb_runner.config import get_settings\n"
        "get_settings()"
    )
    started = subprocess.run(
        [sys.executable, "-c", source],
        cwd=PRODUCT.path,
        env=os.environ | {"NOTEBOOK_PATH": "it.ipynb", "NOTIFY_URLS": "slack://secret"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode != 0
    assert started.stderr.startswith(
        "NOTIFY_URLS is 14 characters long: Apprise is not installed (pip install apprise). Allowed"
    )
    assert "secret" not in started.stderr
