"""Number 29: whatever Redis forgets of a run that is alive, no second one is admitted beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from redis import Redis

from tests.e2e.conftest import Gate
from tests.e2e.runner import TIMEOUT, Runner, start_runner, wait_until, worker_processes

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

Forget = Callable[[Redis], None]


@pytest.fixture(scope="module")
def two_apis(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("runner")
    with start_runner(folder, notebook=gate.notebook, api=2) as runner:
        yield runner


@contextmanager
def asleep(runner: Runner) -> Iterator[None]:
    """Its worker does not reach Redis for a moment."""
    processes = worker_processes(runner.workers[0])
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def flush(redis: Redis) -> None:
    redis.flushall()


def evict_the_lease(redis: Redis) -> None:
    assert redis.delete("nb:lease")


def evict_all_but_the_record(redis: Redis) -> None:
    redis.delete(*(key for key in redis.scan_iter("nb:*") if not key.startswith(b"nb:run:")))


@pytest.mark.parametrize("forget", [flush, evict_the_lease, evict_all_but_the_record])
def test_29_a_run_that_redis_forgot_comes_back_and_no_start_is_accepted_before(
    two_apis: Runner, gate: Gate, forget: Forget
) -> None:
    gate.close()
    run_id = two_apis.start(requested_by="ada")
    two_apis.wait_for_cell(run_id, 1)
    with Redis.from_url(two_apis.env["REDIS_URL"]) as redis, asleep(two_apis):
        forget(redis)
        answers = [two_apis.client.post("/start") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {503}, "both API processes know of it"
    assert all(1 <= int(answer.headers["Retry-After"]) <= 15 for answer in answers)
    assert "forgot" in answers[0].json()["detail"]
    wait_until(lambda: two_apis.client.post("/start").status_code == 409, "the lease", TIMEOUT)
    gate.open()
    run = two_apis.wait_for(run_id, "SUCCEEDED")
    assert run["requested_by"] == "ada"
    again = two_apis.start()
    two_apis.wait_for(again, "SUCCEEDED")


def test_29_who_follows_the_output_of_a_run_that_redis_forgot_gets_all_of_it(
    two_apis: Runner, gate: Gate
) -> None:
    gate.close()
    run_id = two_apis.start()
    two_apis.wait_for_cell(run_id, 1)
    output = f"/output/{run_id}"
    with (
        Redis.from_url(two_apis.env["REDIS_URL"]) as redis,
        two_apis.client.stream("GET", output, params={"follow": True}) as answer,
    ):

        def looks() -> int:
            return int(redis.info("commandstats")["cmdstat_hgetall"]["calls"])

        pieces = answer.iter_text()
        assert "before the gate" in next(pieces)
        with asleep(two_apis):
            before = looks()
            redis.flushall()
            wait_until(lambda: looks() > before, "a look at the run", TIMEOUT)
        gate.open()
        assert "after the gate" in "".join(pieces)
    two_apis.wait_for(run_id, "SUCCEEDED")


def test_29_a_run_survives_an_older_copy_of_the_data(two_apis: Runner, gate: Gate) -> None:
    """As after a restart from a snapshot, or when a replica that lagged behind is promoted."""
    gate.open()
    before = two_apis.run()["run_id"]
    with Redis.from_url(two_apis.env["REDIS_URL"]) as redis:
        copy = {key: redis.dump(key) for key in redis.scan_iter("nb:*")}
        gate.close()
        run_id = two_apis.start()
        two_apis.wait_for_cell(run_id, 1)
        with asleep(two_apis):
            redis.flushall()
            for key, value in copy.items():
                redis.restore(key, 0, cast("bytes", value))
            runs = [run["run_id"] for run in two_apis.client.get("/runs").json()]
            assert runs[0] == before, "Redis knows of nothing newer"
            answers = [two_apis.client.post("/start") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {503}
    wait_until(lambda: two_apis.client.post("/start").status_code == 409, "the lease", TIMEOUT)
    gate.open()
    two_apis.wait_for(run_id, "SUCCEEDED")
    runs = [run["run_id"] for run in two_apis.client.get("/runs").json()]
    assert runs[:2] == [run_id, before]


def test_29_an_older_copy_with_the_same_run_in_it_is_noticed_too(
    two_apis: Runner, gate: Gate
) -> None:
    """Its lease is over, by the copy. The API has seen renewals that are not in it."""
    gate.close()
    run_id = two_apis.start()
    two_apis.wait_for_cell(run_id, 1)
    with Redis.from_url(two_apis.env["REDIS_URL"]) as redis:

        def number() -> int:
            return int(redis.hget("nb:marker", "number") or 0)

        copy: dict[bytes, Any] = {key: redis.dump(key) for key in redis.scan_iter("nb:*")}
        del copy[b"nb:lease"]
        old = number()
        wait_until(lambda: number() > old + 14, "a look of each API process", TIMEOUT)
        with asleep(two_apis):
            redis.flushall()
            for key, value in copy.items():
                redis.restore(key, 0, value)
            redis.hset("nb:marker", "ends", 1)
            answers = [two_apis.client.post("/start") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {503}
    gate.open()
    two_apis.wait_for(run_id, "SUCCEEDED")


def test_29_the_first_start_on_an_empty_redis_is_accepted(two_apis: Runner, gate: Gate) -> None:
    gate.open()
    with Redis.from_url(two_apis.env["REDIS_URL"]) as redis:
        for number in range(2):
            two_apis.apis[number].kill()
        redis.flushall()
    for number in range(2):
        two_apis.restart_api(number, two_apis.env)
    run_id = two_apis.start()
    two_apis.wait_for(run_id, "SUCCEEDED")
