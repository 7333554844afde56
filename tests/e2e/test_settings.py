"""The environment: what is wrong is said before anything starts, and secrets stay secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.runner import PRODUCT, start_runner, write_notebook

pytestmark = pytest.mark.slow

API = ("uvicorn", "nb_runner.main:app", "--port", "0")
WORKER = ("celery", "-A", "nb_runner.tasks", "worker")

WRONG = [
    ("LEASE_SECONDS", "soon", "LEASE_SECONDS is 'soon'. Allowed: seconds, from 2 to 3600."),
    ("LEASE_SECONDS", "0", "LEASE_SECONDS is '0'."),
    ("CELL_TIMEOUT", "-1", "CELL_TIMEOUT is '-1'. Allowed: whole seconds, from 1 to 604800"),
    ("CELL_TIMEOUT", "2.5", "CELL_TIMEOUT is '2.5'. Allowed: whole seconds"),
    ("OUTPUT_LIMIT", "1", "OUTPUT_LIMIT is '1'. Allowed: bytes, from 100000"),
    (
        "OVER_OUTPUT_LIMIT",
        "stop",
        "OVER_OUTPUT_LIMIT is 'stop'. Allowed: drop (the run goes on) or",
    ),
    ("RUN_TIMEOUT", "0", "RUN_TIMEOUT is '0'. Allowed: whole seconds, from 1 to 2592000"),
    (
        "REDIS_URL",
        "rediss://x?ssl_cert_reqs=maybe",
        "REDIS_URL is 'rediss://x?ssl_cert_reqs=maybe': Invalid SSL Certificate",
    ),
    ("NAMESPACE", "a b", "NAMESPACE is 'a b'. Allowed: up to 40 letters, digits"),
    ("LOG_FORMAT", "xml", "LOG_FORMAT is 'xml'. Allowed: text or json."),
    ("DEMO_MODE", "perhaps", "DEMO_MODE is 'perhaps'. Allowed: true or false."),
    ("KEEP_RUNS", "1.5", "KEEP_RUNS is '1.5'. Allowed: a whole number"),
    ("REDIS_URL", "http://x:secret@y", "REDIS_URL is 'http://***@y'. Allowed: a URL like redis://"),
    ("REDIS_URL", "redis://:a/secret@y:6379/0", "REDIS_URL is 'redis://***@y:6379/0'. Allowed"),
    ("REDIS_URL", "http://y?password=secret&db=1", "is 'http://y?password=***&db=1'. Allowed"),
    ("DATABASE_URL", "postgresql://x:a@b:secret/c@y/z", "is 'postgresql://***@y/z'. Allowed"),
    ("DATABASE_URL", "flights", "DATABASE_URL is 'flights'. Allowed: a URL like sqlite:///"),
    ("RUNNER_API_KEY", "short", "RUNNER_API_KEY is 5 characters long. Allowed: at least 8"),
    ("RUNNER_API_KEY", "grün-und-lang", "is 13 characters long: not every client can send it"),
    ("RUNNER_API_KEY", "open sesame ", "is 12 characters long: not every client can send it"),
    ("NOTEBOOK_PATH", "", "NOTEBOOK_PATH is not set. Allowed: the path of an .ipynb file."),
]


Environment = dict[str, tuple[str, str]]  # of each variable: its value, and what is said


def environments() -> list[Environment]:
    """All of WRONG, in as few environments as it takes: a start says all that is wrong at once."""
    found: list[Environment] = []
    for name, value, words in WRONG:
        free = next((env for env in found if name not in env), None)
        if free is None:
            found.append(free := {})
        free[name] = value, words
    return found


@pytest.mark.parametrize("program", [API, WORKER], ids=["api", "worker"])
@pytest.mark.parametrize("wrong", environments(), ids=" ".join)
def test_wrong_variables_end_the_start_with_their_names_their_values_and_what_is_allowed(
    program: tuple[str, ...], wrong: Environment
) -> None:
    env = os.environ | {"NOTEBOOK_PATH": "hello.ipynb"}
    env |= {name: value for name, (value, _) in wrong.items()}
    started = subprocess.run(
        [sys.executable, "-m", *program],
        cwd=PRODUCT.path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = started.stdout + started.stderr
    assert started.returncode != 0
    for _, words in wrong.values():
        assert words in told
    assert told.count(". Allowed: ") == len(wrong)
    assert "Traceback" not in told
    assert "secret" not in told


KEY = "open sesame"


def test_with_a_key_set_nothing_about_runs_is_told_without_it(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "print('hello')")
    with start_runner(tmp_path, notebook=notebook, env={"RUNNER_API_KEY": KEY}) as runner:
        run = runner.run()
        closed = [
            ("POST", "/start"),
            ("POST", "/cancel"),
            ("GET", "/status"),
            ("GET", f"/status/{run['run_id']}"),
            ("GET", f"/status/{run['run_id']}/events"),
            ("GET", f"/output/{run['run_id']}"),
            ("GET", f"/output/{run['run_id']}/files/it"),
            ("GET", "/runs"),
        ]
        for key in (None, "", "wrong", KEY + "x", KEY[:-1], KEY.upper(), "sésame"):
            for method, path in closed:
                headers = {} if key is None else {b"X-API-Key": key.encode()}
                runner.client.headers.pop("X-API-Key", None)
                answer = runner.client.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, key)
                assert answer.json()["detail"]
        for path in ("/ping", "/ready", "/metrics", "/", "/docs"):
            answer = runner.client.get(path)
            assert answer.status_code == 200, path
            assert KEY not in answer.text
        for child in (*runner.apis, *runner.workers):
            assert KEY not in child.output()
