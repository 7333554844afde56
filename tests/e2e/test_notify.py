"""NOTIFY_URLS: people are told of each run that ends, LOST included, and once."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import Any

import pytest
from redis import Redis

from tests.e2e.runner import PRODUCT, kill_worker, start_runner, wait_until, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

ORDERS = """
import time
from pathlib import Path
while Path("hold").exists():
    time.sleep(0.05)
assert not Path("fail").exists(), "told to fail"
"""


class Receiver:
    """A receiver of notifications."""

    def __init__(self) -> None:
        self.url = ""  # for Apprise; a path may follow
        self.messages: list[dict[str, Any]] = []  # what was taken
        self.paths: list[str] = []  # and where
        self.refused: list[str] = []  # where something was refused
        self.down: set[str] = set()  # paths where all is refused
        self.asked = Event()  # something has come
        self.answers = Event()  # unless it is set, what comes has to wait
        self.answers.set()

    def take(self, path: str, message: dict[str, Any]) -> int:
        """Take a message. Answers the status."""
        self.asked.set()
        self.answers.wait(120)
        if path in self.down:
            self.refused.append(path)
            return 503
        self.paths.append(path)
        self.messages.append(message)
        return 200

    def wait_for_runs(self, *ids: str) -> None:
        """Wait until these runs, and no others, were told, in this order."""
        wait_until(lambda: len(self.messages) >= len(ids), f"{ids} to be told", 90)
        told = [message["message"] for message in self.messages]
        assert told == [f"Run {run_id}: SUCCEEDED." for run_id in ids]


@pytest.fixture
def told() -> Iterator[Receiver]:
    """A receiver, and Apprise to send it something."""
    pytest.importorskip("apprise", reason="pip install apprise, as .ci/run does")
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.take(self.path, json.loads(body)))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        receiver.url = f"json://127.0.0.1:{server.server_port}"
        yield receiver
        receiver.answers.set()
        server.shutdown()


def test_each_run_that_ends_is_told_once_lost_included(tmp_path: Path, told: Receiver) -> None:
    messages = told.messages
    notebook = write_notebook(tmp_path / "it.ipynb", ORDERS)
    env = {"NOTIFY_URLS": told.url, "LEASE_SECONDS": "6"}
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


def test_who_was_told_is_not_told_again_because_another_one_could_not_be(
    tmp_path: Path, told: Receiver
) -> None:
    told.down = {"/second"}
    env = {"NOTIFY_URLS": f"{told.url}/first {told.url}/second"}
    with start_runner(tmp_path, env=env) as runner:
        runner.run("SUCCEEDED")
        wait_until(lambda: bool(told.refused), "the first try", 90)
        told.down = set()
        wait_until(lambda: {"/first", "/second"} <= {*told.paths}, "both to be told", 90)
    assert sorted(told.paths) == ["/first", "/second"]


def test_while_one_message_waits_no_other_run_is_forgotten(tmp_path: Path, told: Receiver) -> None:
    told.answers.clear()
    env = {"NOTIFY_URLS": f"{told.url}?rto=120", "KEEP_RUNS": "1"}
    with (
        start_runner(tmp_path, env=env) as runner,
        Redis.from_url(runner.env["REDIS_URL"]) as redis,
    ):
        waits = runner.run("SUCCEEDED")["run_id"]
        wait_until(told.asked.is_set, "the message to be sent", 90)
        second = runner.run("SUCCEEDED")["run_id"]
        wait_until(lambda: redis.hexists(f"nb:run:{second}", "told"), "a look at the second", 60)
        third = runner.run("SUCCEEDED")["run_id"]
        assert runner.client.get(f"/status/{second}").status_code == 404, "Redis has forgotten it"
        told.answers.set()
        told.wait_for_runs(waits, second, third)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit() is a call of Linux")
def test_a_process_that_cannot_be_started_ends_no_later_message(
    tmp_path: Path, told: Receiver
) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", ORDERS)
    (tmp_path / "hold").touch()
    with start_runner(tmp_path, notebook=notebook, env={"NOTIFY_URLS": told.url}) as runner:
        first = runner.start()
        runner.wait_for(first, "RUNNING")
        [api] = runner.apis
        before = resource.prlimit(api.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(api.pid, resource.RLIMIT_NOFILE, (3, before[1]))  # no further file
        (tmp_path / "hold").unlink()
        said = "No process can be started to tell people"
        wait_until(lambda: said in api.output(), "the API to say why nobody is told", 60)
        resource.prlimit(api.pid, resource.RLIMIT_NOFILE, before)
        second = runner.run("SUCCEEDED")["run_id"]
        told.wait_for_runs(first, second)


def test_runs_that_ended_while_nobody_was_to_be_told_are_no_news_later(
    tmp_path: Path, told: Receiver
) -> None:
    with start_runner(tmp_path, env={"NOTIFY_URLS": told.url}) as runner:
        first = runner.run("SUCCEEDED")["run_id"]
        told.wait_for_runs(first)
        runner.restart_api(0, runner.env | {"NOTIFY_URLS": ""})
        runner.run("SUCCEEDED")
        runner.restart_api(0, runner.env)
        last = runner.run("SUCCEEDED")["run_id"]
        told.wait_for_runs(first, last)


@pytest.fixture
def mails() -> Iterator[tuple[str, list[EmailMessage]]]:
    """A mail server: an address for Apprise, and what came there."""
    pytest.importorskip("apprise", reason="pip install apprise, as .ci/run does")
    mails: list[EmailMessage] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 a test\r\n")
            while line := self.rfile.readline():
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    text = b"".join(iter(self.rfile.readline, b".\r\n"))
                    mails.append(message_from_bytes(text, policy=policy.default))
                self.wfile.write(b"250 fine\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        people = "from=nb@example.org&to=ada@example.org"
        yield f"mailto://127.0.0.1:{port}?smtp=127.0.0.1&mode=insecure&{people}", mails
        server.shutdown()


def test_a_mail_has_the_words_as_they_are(
    tmp_path: Path, mails: tuple[str, list[EmailMessage]]
) -> None:
    url, came = mails
    notebook = write_notebook(tmp_path / "it.ipynb", "raise ValueError('<module> & more')")
    with start_runner(tmp_path, notebook=notebook, env={"NOTIFY_URLS": url}) as runner:
        run = runner.wait_for(runner.start(requested_by="<b>ada</b>"), "FAILED")
        wait_until(lambda: bool(came), "a mail", 90)
    [mail] = came
    assert mail["Subject"] == "it.ipynb: FAILED"
    assert mail.get_content_type() == "text/plain"
    first, *rest = mail.get_content().splitlines()
    assert first == f"Run {run['run_id']}, requested by <b>ada</b>: FAILED."
    assert "<module> & more" in "\n".join(rest)


SLOW_APPRISE = """
import json
import os
import time
from pathlib import Path

NotifyType = str
folder = Path(os.environ["PYTHONPATH"])

class NotifyFormat:
    TEXT = "text"

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
