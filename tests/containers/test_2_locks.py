"""What a container may do, and whom it reaches: asked inside, not read in the file."""

import socket

import pytest

from tests.containers.stack import SERVICES, Stack
from tools.containers.commands import Failed

pytestmark = pytest.mark.containers
each_service = pytest.mark.parametrize("service", SERVICES)


@each_service
def test_nobody_is_root_and_nobody_can_become_it(stack: Stack, service: str) -> None:
    lines = stack.inside(service, "cat", "/proc/self/status").splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert "0" not in status["Uid"]
    assert status["NoNewPrivs"] == ["1"]
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapInh"):
        assert int(status[kind][0], 16) == 0


@each_service
def test_nothing_is_written_but_volumes_and_temporary_files(stack: Stack, service: str) -> None:
    for folder in ("/", "/etc", "/usr/bin", "/var"):
        with pytest.raises(Failed, match="Read-only"):
            stack.inside(service, "sh", "-c", f"echo >{folder}/x")


def test_redis_and_postgres_reach_nobody_outside(stack: Stack) -> None:
    for service in ("redis", "postgres"):
        networks = stack.inspect(service)["NetworkSettings"]["Networks"]
        assert list(networks) == [f"{stack.name}_data"]
    both = stack.inspect("api")["NetworkSettings"]["Networks"]
    for network, reached in (("data", "yes"), ("default", "no")):
        address = both[f"{stack.name}_{network}"]["IPAddress"]
        knocks = f"timeout 3 bash -c 'echo >/dev/tcp/{address}/8000' && echo yes || echo no"
        assert stack.inside("redis", "sh", "-c", knocks) == reached


def test_only_the_api_is_published(stack: Stack) -> None:
    for service in ("worker", "redis", "postgres"):
        assert not any(stack.inspect(service)["NetworkSettings"]["Ports"].values())
    (bound,) = stack.inspect("api")["NetworkSettings"]["Ports"]["8000/tcp"]
    assert bound == {"HostIp": "127.0.0.1", "HostPort": str(stack.port)}


def test_a_user_of_the_host_starts_nothing_past_the_key(stack: Stack) -> None:
    """The host may reach Redis. Without the password it learns and changes nothing."""
    networks = stack.inspect("redis")["NetworkSettings"]["Networks"]
    address = networks[f"{stack.name}_data"]["IPAddress"]
    try:
        connection = socket.create_connection((address, 6379), 3)
    except OSError:
        return  # the engine keeps the host out: the better answer
    with connection:
        connection.sendall(b"KEYS *\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
    shown = stack.inside("redis", "cat", "/proc/1/cmdline")
    password = next(
        line.removeprefix("REDISCLI_AUTH=")
        for line in stack.inspect("redis")["Config"]["Env"]
        if line.startswith("REDISCLI_AUTH=")
    )
    assert shown.startswith("redis-server")
    assert password not in shown


def test_a_cell_sees_no_password_but_the_databases(stack: Stack) -> None:
    run = stack.run("import os; print(sorted(os.environ))")
    assert run["status"] == "SUCCEEDED", run
    names = stack.output(run)
    assert "DATABASE_URL" in names
    assert "REDIS" not in names
    assert "API_KEY" not in names
