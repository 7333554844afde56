"""Whatever is thrown at the API, it answers as its OpenAPI document says, and never with 5xx."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.e2e.runner import Runner, start_runner, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KEY = "open sesame"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,unsupported_method,ignored_auth"
)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner with a key, whose notebook takes no time."""
    folder = tmp_path_factory.mktemp("quick")
    notebook = write_notebook(folder / "it.ipynb", "print('done')")
    with start_runner(folder, notebook=notebook, env={"RUNNER_API_KEY": KEY}) as runner:
        yield runner


def test_schemathesis_finds_nothing_undocumented_and_no_5xx(quick: Runner) -> None:
    quick.run()
    program = str(Path(sys.executable).with_name("schemathesis"))
    options = ["--header", f"X-API-Key: {KEY}", "--checks", CHECKS, "--no-color"]
    options += ["--max-examples", "25", "--seed", "1", "--request-timeout", "20"]
    done = subprocess.run(
        [program, "run", f"{quick.url}/openapi.json", *options],
        capture_output=True,
        text=True,
        cwd=quick.artifacts,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-8000:]


@pytest.mark.parametrize("size", [100_000, 50_000_000])
def test_a_body_that_is_too_large_is_413(quick: Runner, size: int) -> None:
    answer = quick.client.post("/start", content=b'{"requested_by": "' + b"x" * size + b'"}')
    assert answer.status_code == 413
    assert "Too Large" in answer.text


def test_a_body_without_a_length_is_counted_all_the_same(quick: Runner) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000

    answer = quick.client.post("/start", content=parts())
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 10_000, b'{"requested_by": "\\ud800"}'])
def test_a_body_that_is_no_good_json_is_refused(quick: Runner, body: bytes) -> None:
    answer = quick.client.post("/start", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_405(quick: Runner, method: str) -> None:
    for path in ("/start", "/status", "/cancel", "/runs", "/ping"):
        answer = quick.client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/page/../main.py", "/page/..%2fmain.py", "/page/%2e%2e/config.py", "/page//etc/passwd"],
)
def test_paths_lead_nowhere(quick: Runner, path: str) -> None:
    answer = httpx.get(f"{quick.url}/page/{path}", trust_env=False)
    assert answer.status_code == 404


def test_with_redis_away_every_call_says_so_within_three_seconds(tmp_path: Path) -> None:
    with start_runner(tmp_path, workers=0) as runner:
        server = runner.stack.redis_server
        assert server and server.child
        calls = ["POST /start", "POST /cancel", "GET /status", "GET /status/x", "GET /runs"]
        calls += ["GET /output/x", "GET /status/x/events", "GET /metrics", "GET /ready"]
        for how in ("stopped", "dead"):
            if how == "stopped":
                server.child.signal(19)  # SIGSTOP: it takes connections and answers nothing
            else:
                server.kill()
            for call in calls:
                began = time.monotonic()
                answer = runner.client.request(*call.split())
                assert answer.status_code == 503, (how, call)
                assert time.monotonic() - began < 3, (how, call)
            assert runner.client.get("/ping").status_code == 200


@pytest.mark.parametrize(
    ("command", "back"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["full", "a replica"],
)
def test_a_redis_that_does_not_write_refuses_starts_and_says_why(
    quick: Runner, command: tuple[str, ...], back: tuple[str, ...]
) -> None:
    with redis.Redis.from_url(quick.env["REDIS_URL"]) as client:
        client.execute_command(*command)
        try:
            answer = quick.client.post("/start")
        finally:
            client.execute_command(*back)
    assert answer.status_code == 503, answer.text
    assert "written" in answer.json()["detail"]
    assert quick.run()["status"] == "SUCCEEDED"


def test_nothing_secret_is_in_logs_metrics_or_errors(tmp_path: Path) -> None:
    secrets = ("dbsecret", "keysecret99")
    notebook = write_notebook(tmp_path / "it.ipynb", "1")
    env = {
        "DATABASE_URL": "postgresql://user:dbsecret@127.0.0.1:1/flights",
        "RUNNER_API_KEY": "keysecret99",
    }
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        assert "DATABASE_URL" in run["error"]
        told = [str(run), runner.client.get("/metrics").text, runner.client.get("/ready").text]
        told += [child.output() for child in (*runner.apis, *runner.workers)]
        for secret in secrets:
            assert not [text for text in told if secret in text]
