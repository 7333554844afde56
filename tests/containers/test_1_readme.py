"""What the README says to type, on a machine that has none of it so far."""

import json
import os
import re
import signal

import pytest

from tests.containers.stack import LONG, SERVICES, Stack, fill_in, readme_commands, use_mine
from tests.e2e.runner import wait_until
from tools.containers.commands import Failed

pytestmark = pytest.mark.containers


def test_without_passwords_nothing_starts(bare_stack: Stack) -> None:
    copy, _, _ = readme_commands()
    assert bare_stack.shell(copy).wait(10) == 0
    with pytest.raises(Failed, match=r"POSTGRES_PASSWORD|REDIS_PASSWORD"):
        bare_stack.compose("up", "--no-build")


def test_the_readmes_commands_run_the_example_notebook(bare_stack: Stack) -> None:
    _, up, seed = readme_commands()
    fill_in(bare_stack)
    service = bare_stack.shell(up)
    try:
        wait_until(bare_stack.ready, "the images to be built", 600, every=1)
        unseeded = bare_stack.run()
        assert unseeded["status"] == "FAILED"
        assert seed in unseeded["error"]
        assert bare_stack.shell(seed).wait(LONG) == 0
        run = bare_stack.run()
        assert run["status"] == "SUCCEEDED", run
        for form in ("text", "html", "ipynb"):
            page = bare_stack.client.get(f"/output/{run['run_id']}", params={"format": form})
            assert page.is_success, page.text
    finally:
        os.killpg(service.pid, signal.SIGINT)  # Ctrl-C
        service.wait(LONG)
    wait_until(
        lambda: not bare_stack.compose("ps", "--quiet", "--status", "running"),
        "all services to have stopped",
        LONG,
    )


def test_what_was_built_once_is_not_built_or_asked_for_again(bare_stack: Stack) -> None:
    def images() -> set[str]:
        return set(bare_stack.docker("images", "--quiet", "--no-trunc").split())

    before = images()
    bare_stack.compose("build")
    assert images() == before
    bare_stack.compose("pull", "api", "worker")  # an error, if a registry were asked


def test_after_a_restart_the_runs_are_still_there(bare_stack: Stack) -> None:
    use_mine(bare_stack)
    bare_stack.compose("down")
    bare_stack.up()
    (latest, unseeded) = bare_stack.client.get("/runs").json()
    assert (latest["status"], unseeded["status"]) == ("SUCCEEDED", "FAILED")
    assert bare_stack.output(latest)


def test_all_services_are_healthy_and_none_complains(stack: Stack) -> None:
    listed = [json.loads(line) for line in stack.compose("ps", "--format", "json").splitlines()]
    assert {one["Service"]: one["Health"] for one in listed} == dict.fromkeys(SERVICES, "healthy")
    logs = stack.compose("logs", "--no-color")
    assert not re.search(r"not permitted|Permission denied|Traceback", logs)
