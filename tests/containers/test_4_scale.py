"""Several API processes behind the proxy, and an update during which none is missed."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator

import httpx
import pytest

from kit.workspace import ROOT
from tests.containers.stack import LONG, Stack
from tests.e2e.runner import ENDED, wait_until

pytestmark = pytest.mark.containers

SCALED = "docker-compose.yml:docker-compose.scale.yml:docker-compose.override.yml"


@pytest.fixture(scope="module")
def scaled(built_stack: Stack) -> Iterator[Stack]:
    """Two API processes behind the proxy."""
    os.environ["COMPOSE_FILE"] = SCALED
    built_stack.up("--scale", "api=2")
    yield built_stack
    built_stack.compose("--profile", "*", "down")
    del os.environ["COMPOSE_FILE"]


def apis(stack: Stack) -> set[str]:
    """The containers of the API that run."""
    return set(stack.compose("ps", "--quiet", "api").split())


def test_a_run_is_seen_by_all_api_processes(scaled: Stack) -> None:
    assert len(apis(scaled)) == 2
    run_id = scaled.start()
    scaled.wait_for(run_id, *ENDED)
    statuses = {scaled.client.get(f"/status/{run_id}").json()["status"] for _ in range(20)}
    assert statuses == {"SUCCEEDED"}


def test_an_api_process_that_is_killed_is_not_missed(scaled: Stack) -> None:
    killed = sorted(apis(scaled))[0]
    with Asking(scaled) as asking:
        scaled.docker("kill", killed)
        wait_until(lambda: asking.answers > 50, "more answers", LONG)
    assert asking.refused == []
    scaled.up("--scale", "api=2")


def test_an_update_as_the_file_says_leaves_nobody_without_an_answer(scaled: Stack) -> None:
    before = apis(scaled)
    text = (ROOT / "docker-compose.scale.yml").read_text(encoding="utf-8")
    steps = [
        line[3:].strip()
        for line in text.partition("# An update")[2].splitlines()
        if re.match(r"#   \S", line)
    ]
    assert len(steps) == 4
    with Asking(scaled) as asking:
        script = "set -e\n" + "\n".join(steps)
        subprocess.run(["sh", "-c", script], cwd=scaled.folder, env=scaled.env, check=True)
    assert asking.refused == []
    assert asking.answers > 50
    assert len(apis(scaled)) == 2
    assert not apis(scaled) & before


class Asking:
    """A thread that asks the API, again and again, and counts."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"{stack.client.base_url}/runs"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers = 0
        self.refused: list[str] = []

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._done.wait(0.02):
            try:
                answer = httpx.get(self._url, timeout=10, trust_env=False)
            except httpx.HTTPError as error:
                self.refused.append(repr(error))
            else:
                self.answers += 1
                if not answer.is_success:
                    self.refused.append(answer.text)
