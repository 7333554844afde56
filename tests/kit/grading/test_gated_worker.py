"""A worker behind a gate: when it has done with a run, and what a killed one still gets."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from explorer.connection import Connection
from kit.checking.trial import copy_project
from kit.course import catalogue
from kit.exploring.subject import opened

pytestmark = pytest.mark.slow

KEY = "nb:sent-last"
LATE = f"""
from celery import signals


@signals.task_postrun.connect
def send_one_more_command(**_):
    import time

    import redis

    time.sleep(0.5)
    redis.Redis.from_url(REDIS_URL).set("{KEY}", 1)
"""


def test_it_has_done_when_the_receivers_of_postrun_have(tmp_path: Path) -> None:
    project = copy_project(catalogue.find("07").solution, tmp_path)
    tasks = project / "nb_runner" / "tasks.py"
    tasks.write_text(tasks.read_text() + LATE)
    with opened(project) as subject, subject.worker() as worker:
        worker.run()
        log = worker.child.output()
        assert f"[{worker.run_id}] succeeded" in log
        assert subject.data.redis.exists(KEY)


def test_a_killed_one_takes_no_message_from_the_next_also_when_its_end_is_seen_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = threading.Event()

    def late(connection: Connection, way: Callable[[], None]) -> None:
        with suppress(OSError):
            way()
        seen.wait()
        connection.close()

    project = copy_project(catalogue.find("07").solution, tmp_path)
    monkeypatch.setattr(Connection, "_guarded", late)
    with opened(project) as subject, subject.worker() as worker:
        worker.kill()
        worker.revive()
        try:
            assert worker.run() == "SUCCEEDED"
        finally:
            seen.set()
