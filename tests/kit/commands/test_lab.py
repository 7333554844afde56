"""`./workshop lab`: copies of the labs, and a real JupyterLab on them."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from kit.labs.copies import LABS, names
from kit.processes.ports import free_socket
from tests.support.learner import Learner
from tests.support.processes import eventually
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

ADDRESS = re.compile(r"The labs: (http://127\.0\.0\.1:\d+/)lab(\S*)\?token=(\w+)")


@dataclass
class Lab:
    """A JupyterLab that answers."""

    process: "subprocess.Popen[str]"
    said: str
    url: str
    place: str
    token: str

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"token {self.token if token is None else token}"}
        return httpx.get(self.url + path, headers=headers, timeout=30, trust_env=False)

    def post(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.post(self.url + path, headers=headers, json={}, timeout=60, trust_env=False)

    def ends(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def opened(learner: Learner, *words: str, **env: str) -> Lab:
    process = learner.start("lab", "--no-browser", *words, **env)
    assert process.stdout is not None
    said = process.stdout.readline()
    found = ADDRESS.match(said)
    if found is None:
        out, err = process.communicate(timeout=60)
        raise AssertionError(said + out + err)
    while "Ctrl-C stops it.\n" not in said:
        said += process.stdout.readline()
    return Lab(process, said, *found.groups())


@pytest.fixture
def lab(learner: Learner) -> Iterator[Lab]:
    lab = opened(learner, "redis-lock")
    yield lab
    if lab.process.poll() is None:
        lab.ends()


def copies(learner: Learner) -> list[str]:
    return sorted(path.name for path in (learner.home / "work" / "labs").iterdir())


ALL = [f"{name}.ipynb" for name in names()]


def test_it_opens_a_lab_and_ends_with_all_that_was_started(lab: Lab, learner: Learner) -> None:
    assert lab.place == "/tree/redis_lock.ipynb"
    page = lab.get("lab/tree/redis_lock.ipynb")
    assert page.status_code == 200 and "JupyterLab" in page.text
    there = lab.get("api/contents").json()["content"]
    assert sorted(each["name"] for each in there) == ALL == copies(learner)
    assert lab.get("api/contents", token="wrong").status_code == 403
    assert token_is_hidden(learner, lab.token)

    # A kernel that has started a Redis, as the labs do.
    kernel = lab.post("api/kernels").json()["id"]
    file = learner.state / "jupyter" / "runtime" / f"kernel-{kernel}.json"
    client = BlockingKernelClient()
    client.load_connection_info(json.loads(file.read_text()))
    client.start_channels()
    try:
        # Not wait_for_ready: on a busy machine it takes a heartbeat that is late for a death.
        client.kernel_info(reply=True, timeout=60)
        client.execute("from kit.processes.stack import Stack; stack = Stack(); stack.redis()")
        redis = ("redis", "valkey")
        eventually(lambda: any(n in c for c in learner.mark.commands() for n in redis), "a Redis")
    finally:
        client.stop_channels()
    code, out, err = lab.ends()
    assert (code, err) == (0, "")
    assert "They are in work/labs, and yours" in lab.said
    assert "Stopping" in out
    # That nothing is left, the fixture `learner` looks.


def token_is_hidden(learner: Learner, token: str) -> bool:
    """All users of a machine can read command lines."""
    return not any(token in command for command in learner.mark.commands())


def test_it_asks_nobody_for_news_updates_or_extensions(lab: Lab) -> None:
    news = lab.get("lab/api/news").json()
    assert news["news"] == []
    update = lab.get("lab/api/update").json()
    assert update["notification"] is None
    page = lab.get("lab").text
    config = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert config is not None
    manager = json.loads(config[1])["extensionManager"]
    assert (manager["name"], manager["can_install"]) == ("read-only", False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_clean_however_it_is_asked(learner: Learner, number: signal.Signals) -> None:
    lab = opened(learner)
    assert lab.place == ""
    code, _, err = lab.ends(number)
    assert (code, err) == (0, "")


def test_when_it_is_killed_nothing_stays(learner: Learner) -> None:
    lab = opened(learner)
    lab.process.kill()
    lab.process.communicate()
    eventually(lambda: not learner.mark.commands(), "JupyterLab to end")


def test_shut_down_from_the_page_is_no_failure(lab: Lab) -> None:
    assert lab.post("api/shutdown").is_success
    _, err = lab.process.communicate(timeout=60)
    assert (lab.process.returncode, err) == (0, "")


def test_a_jupyterlab_that_dies_is_one(learner: Learner) -> None:
    lab = opened(learner)
    [jupyter] = [p for p in learner.mark.processes() if p.cmdline()[1:3] == ["-m", "jupyterlab"]]
    jupyter.kill()
    _, err = lab.process.communicate(timeout=60)
    assert lab.process.returncode == 2
    assert "JupyterLab ended by itself: read .workshop/logs/" in err


def test_copies_are_the_learners_and_fresh_ones_keep_the_old(learner: Learner) -> None:
    mine = learner.home / "work" / "labs" / "redis_lock.ipynb"
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    opened(learner).ends()
    assert copies(learner) == ALL
    assert mine.read_text() == "{}"
    other = mine.with_name("celery_states.ipynb")
    other.write_text("[]")

    # (The first line says where the old copy went, not where the labs are.)
    process = learner.start("lab", "redis_lock", "--fresh", "--no-browser")
    assert process.stdout is not None
    kept = process.stdout.readline().strip().removeprefix("Your copies are kept in ")
    Lab(process, "", "", "", "").ends()
    assert (learner.home / kept / "redis_lock.ipynb").read_text() == "{}"
    assert mine.read_bytes() == (LABS / "redis_lock.ipynb").read_bytes()
    assert other.read_text() == "[]"


def test_a_browser_is_opened_at_a_terminal(learner: Learner, tmp_path: Path) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    env = learner.env | {"BROWSER": str(browser)}
    with Terminal("lab", "celery_states", cwd=learner.home, env=env) as screen:
        text = screen.wait_for("Ctrl-C stops it.")
        eventually(seen.exists, "a browser")
        eventually(lambda: seen.read_text().strip() in text, "the address in the browser")
        assert "celery_states.ipynb?token=" in seen.read_text()
        screen.press("\x03")
        assert screen.wait() == 0
        assert screen.modes() == screen.before


def test_a_lab_that_is_not_there(learner: Learner) -> None:
    done = learner.run("lab", "kubernetes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no lab 'kubernetes'; there is celery_states, nbclient_inside" in done.stderr
    assert "Try: ./workshop lab celery_states" in done.stderr
    assert not (learner.home / "work").exists()


def test_a_port_that_is_taken(learner: Learner) -> None:
    with free_socket() as taken:
        port = taken.getsockname()[1]
        done = learner.run("lab", "--no-browser", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr


def test_where_nothing_can_be_written(learner: Learner) -> None:
    (learner.home / "work").write_text("a file, not a folder")
    done = learner.run("lab", "--no-browser")
    assert done.returncode == 2
    assert "the labs cannot be copied to work/labs" in done.stderr
