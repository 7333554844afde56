"""Redis tiers, leashes and stacks, with real servers and real signals."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socketserver
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from kit.errors import KitError, without_password
from kit.processes import redis_tiers
from kit.processes.child import NotReady, exit_in_words, wait_until
from kit.processes.ports import free_port, free_socket
from kit.processes.redis_tiers import find_redis, why_no_redis
from kit.processes.stack import Stack
from kit.workspace import ROOT
from tests.support.processes import Mark, eventually, kill_all
from tests.support.requirements import skip_or_fail

NO_REDIS = {"PATH": ""}

# CI has only machines with such a wheel: there, a test without one fails.
needs_embedded = pytest.mark.skipif(
    not os.environ.get("CI") and not any(map(importlib.util.find_spec, redis_tiers.EMBEDDED)),
    reason="no package with a server has a wheel for this Python on this machine",
)


def environment(**more: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return {**env, **more}


@pytest.fixture
def mark() -> Iterator[Mark]:
    mark = Mark()
    yield mark
    kill_all(mark.processes())  # a test that fails leaves nothing running either


@pytest.fixture
def stack(tmp_path: Path, mark: Mark) -> Iterator[Stack]:
    with Stack(tmp_path / "state", environment(**mark.env)) as stack:
        yield stack


def embedded_server() -> Path:
    program = find_redis({"WORKSHOP_REDIS": "embedded"}).program
    assert program is not None
    return program


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


# Redis, in tiers


def test_a_redis_url_comes_before_everything() -> None:
    choice = find_redis({**os.environ, "REDIS_URL": "redis://:hush@example.org/1"})
    assert (choice.tier, choice.url) == ("url", "redis://:hush@example.org/1")
    assert "example.org" in choice.why and "hush" not in choice.why


@needs_embedded
def test_a_redis_url_is_adopted_and_left_running(tmp_path: Path, stack: Stack) -> None:
    url = stack.redis()
    with Stack(tmp_path / "other", environment(REDIS_URL=url)) as other:
        assert other.redis() == url
        assert other.children == []
    with redis.Redis.from_url(url) as client:
        assert client.ping()


def test_a_redis_url_where_nothing_answers_is_an_error_in_words(tmp_path: Path) -> None:
    with free_socket() as sock:
        port = sock.getsockname()[1]
    url = f"redis://:hush@127.0.0.1:{port}/0"
    with Stack(tmp_path, environment(REDIS_URL=url)) as stack, pytest.raises(KitError) as error:
        stack.redis()
    assert str(port) in error.value.message and "hush" not in error.value.message
    assert "unset REDIS_URL" in error.value.fix


def test_a_redis_that_answers_and_cannot_be_used_says_why(tmp_path: Path, stack: Stack) -> None:
    stack.env["WORKSHOP_REDIS"] = "system" if find_redis().tier == "system" else "embedded"
    url = stack.redis()
    with redis.Redis.from_url(url) as client:
        client.config_set("requirepass", "hush")
        client.acl_setuser("ada", enabled=True, nopass=True, commands=["-ping"])
    assert why_no_redis(url.replace("//", "//:hush@")) == ""
    refused = {
        url: "wants another password",
        url.replace("//", "//:wrong@"): "wants another password",
        url.replace("//", "//ada:x@"): "does not permit this user",
        url.replace("redis:", "rediss:"): "does not speak TLS: try redis://",
        "http://127.0.0.1": "that is no URL of a Redis",
    }
    for wrong, why in refused.items():
        assert why in why_no_redis(wrong)


class Refuses(socketserver.BaseRequestHandler):
    """As much of a Redis as it takes to be one, behind TLS."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def handle(self) -> None:
        with contextlib.suppress(OSError), self.context.wrap_socket(self.request, True) as sock:
            while sock.recv(1000):
                sock.send(b"-ERR no such command\r\n")


def test_a_redis_behind_tls_says_what_is_wrong_with_the_url(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        skip_or_fail("openssl makes the certificate")
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*make, *files], check=True, capture_output=True)
    Refuses.context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuses) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_address[1]}/0"
        assert "certificate of the Redis there is not trusted" in why_no_redis(f"rediss://{place}")
        assert "try rediss:// in place of redis://" in why_no_redis(f"redis://{place}")
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "as_shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://ada:hu@sh@host/1", "redis://ada:***@host/1"),
        ("redis://host/0?password=hush", "redis://host/0"),
        ("unix://:hush@/run/redis.sock", "unix://:***@/run/redis.sock"),
        ("redis://:hush@[::1", "***"),
    ],
)
def test_a_url_is_shown_without_what_is_secret_in_it(url: str, as_shown: str) -> None:
    assert without_password(url) == as_shown


@needs_embedded
@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_server_on_the_users_path_comes_next(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(embedded_server())
    with Stack(tmp_path / "state", environment(PATH=str(tmp_path))) as stack:
        url = stack.redis()
        assert stack.redis_choice is not None
        assert stack.redis_choice.tier == "system"
        assert str(tmp_path / name) in stack.redis_choice.why
        with redis.Redis.from_url(url) as client:
            assert client.info()["redis_version"]


@needs_embedded
def test_the_server_in_our_own_environment_is_not_the_users() -> None:
    choice = find_redis({"PATH": str(Path(sys.prefix) / "bin")})
    assert choice.tier == "embedded"


@needs_embedded
def test_a_server_too_old_is_passed_over_and_named(tmp_path: Path) -> None:
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0:0 bits=64'\n")
    server.chmod(0o755)
    choice = find_redis({"PATH": str(tmp_path)})
    assert choice.tier == "embedded"
    assert f"{server} is older than Redis 6.2" in choice.why


@needs_embedded
def test_without_a_server_the_embedded_one_is_started(stack: Stack) -> None:
    stack.env.update(NO_REDIS)
    url = stack.redis()
    assert stack.redis_choice is not None
    assert (stack.redis_choice.tier, stack.redis_choice.limits) == ("embedded", "")
    with redis.Redis.from_url(url) as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_where_the_first_package_has_no_wheel_the_second_ones_server_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "second_package" / "bin" / "some-system" / "server"
    program.parent.mkdir(parents=True)
    (tmp_path / "second_package" / "__init__.py").touch()
    packages = {"no_such_package": "bin/server", "second_package": "bin/*/server"}
    monkeypatch.setattr(redis_tiers, "EMBEDDED", packages)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KitError, match="second_package has no server"):
        find_redis({"WORKSHOP_REDIS": "embedded"})
    program.touch(mode=0o755)
    assert find_redis({"WORKSHOP_REDIS": "embedded"}).program == program


def test_fakeredis_serves_and_declares_what_it_cannot_do(stack: Stack) -> None:
    stack.env["WORKSHOP_REDIS"] = "fakeredis"
    url = stack.redis()
    choice, server = stack.redis_choice, stack.redis_server
    assert choice is not None and server is not None
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
    for missing in ("INFO", "CONFIG GET save"):  # an error, or a closed connection
        assert f"no {missing.split()[0]}" in choice.limits
        with redis.Redis.from_url(url) as client, pytest.raises(redis.RedisError):
            client.execute_command(*missing.split())
    assert "no restarts" in choice.limits
    server.stop()
    server.start()
    with redis.Redis.from_url(url) as client:
        assert client.get("key") is None
    assert "exercises 02 to 10 only" in choice.limits


def test_fakeredis_cannot_be_asked_to_keep_its_data(stack: Stack) -> None:
    stack.env["WORKSHOP_REDIS"] = "fakeredis"
    with pytest.raises(KitError, match="cannot keep its data"):
        stack.redis(appendonly=True)


def test_a_tier_that_does_not_exist_is_an_error_in_words() -> None:
    with pytest.raises(KitError, match="'memcached', which is no Redis tier"):
        find_redis({"WORKSHOP_REDIS": "memcached"})


def test_a_tier_asked_for_that_is_not_there_says_why() -> None:
    with pytest.raises(KitError, match="no redis-server or valkey-server on PATH"):
        find_redis({"WORKSHOP_REDIS": "system", **NO_REDIS})


@needs_embedded
@pytest.mark.parametrize("appendonly", [True, False])
def test_a_killed_redis_starts_again_on_its_port_and_remembers_with_aof_only(
    stack: Stack, appendonly: bool
) -> None:
    url = stack.redis(appendonly=appendonly)
    server = stack.redis_server
    assert server is not None
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
    server.kill()
    server.start()
    with redis.Redis.from_url(url) as client:
        assert (client.get("key") == b"value") is appendonly
    assert [child.name for child in stack.children] == ["redis"]


# Children and their leashes


def test_exit_codes_and_signals_are_told_apart(stack: Stack) -> None:
    done = stack.start("done", python("raise SystemExit(137)"))
    killed = stack.start("killed", python("import os; os.kill(os.getpid(), 9)"))
    assert (done.wait(60), killed.wait(60)) == (137, -9)
    assert (exit_in_words(137), exit_in_words(-9)) == ("exit code 137", "killed by SIGKILL")


def test_a_child_is_the_process_itself_and_not_its_leash(stack: Stack) -> None:
    child = stack.start("me", python("import os; print(os.getpid())"))
    child.wait(60)
    assert child.tail() == str(child.pid)


def test_a_command_that_is_not_there_is_an_error_in_words(stack: Stack) -> None:
    with pytest.raises(KitError, match="nothing cannot be started: No such file"):
        stack.start("nothing", ["/no/such/program"])


def test_a_child_gets_the_signals_sent_to_it_and_no_ignored_ones(stack: Stack) -> None:
    code = (
        "import signal; print([signal.getsignal(n) for n in (1, 15)], flush=True); signal.pause()"
    )
    child = stack.start("child", python(code))
    eventually(child.tail, "its words")
    assert child.tail().count("SIG_DFL") == 2
    child.signal(signal.SIGHUP)
    assert child.wait(60) == -signal.SIGHUP


def test_a_child_that_will_not_go_is_killed_when_its_grace_is_over(stack: Stack) -> None:
    code = """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
        print("up", flush=True)
        while True: signal.pause()
    """
    child = stack.start("stubborn", python(code), grace=0.3)
    eventually(lambda: "up" in child.tail(), "the child")
    child.stop()
    assert child.returncode == -signal.SIGKILL
    assert "no" in child.tail()


FAMILY = """
    import subprocess, sys, signal
    sleeper = [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); "
               "print('grandchild', flush=True); signal.pause()"]
    subprocess.Popen(sleeper)
    subprocess.Popen(sleeper, start_new_session=SESSION)
    REST
"""


def test_what_a_child_leaves_behind_goes_with_it(stack: Stack, mark: Mark) -> None:
    rest = "import os; os.read(os.open(sys.argv[1], os.O_RDONLY), 1)"
    gate = stack.state / "gate"
    os.mkfifo(gate)
    argv = python(FAMILY.replace("SESSION", "False").replace("REST", rest))
    child = stack.start("parent", [*argv, gate])
    eventually(lambda: child.tail().count("grandchild") == 2, "the grandchildren")
    gate.open("w").close()
    assert child.wait(60) == 0
    eventually(lambda: not mark.processes(), "the grandchildren to go")


def test_stop_also_finds_grandchildren_in_a_session_of_their_own(stack: Stack, mark: Mark) -> None:
    argv = python(FAMILY.replace("SESSION", "True").replace("REST", "signal.pause()"))
    child = stack.start("parent", argv)
    eventually(lambda: child.tail().count("grandchild") == 2, "the grandchildren")
    child.stop()
    eventually(lambda: not mark.processes(), "the grandchildren to go")


PARENT = """
    import sys, time
    from pathlib import Path
    from kit.processes.stack import Stack
    stack = Stack(Path(sys.argv[1]))
    stack.env["WORKSHOP_REDIS"] = "fakeredis"
    stack.redis()
    family = [sys.executable, "-c", sys.argv[2]]
    child = stack.start("family", family, grace=0.3)
    while child.tail().count("grandchild") < 2:
        time.sleep(0.05)
    print("up", flush=True)
    time.sleep(600)
"""


def test_everything_dies_with_a_parent_that_is_killed(tmp_path: Path, mark: Mark) -> None:
    family = FAMILY.replace("SESSION", "False").replace(
        "REST", "signal.signal(15, signal.SIG_IGN); signal.pause()"
    )
    argv = [*python(PARENT), str(tmp_path), textwrap.dedent(family)]
    env = environment(TMPDIR=str(tmp_path), **mark.env)
    with subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        assert len(mark.processes()) >= 7  # parent, two leashes, Redis, child, two grandchildren
        parent.kill()
    eventually(lambda: not mark.processes(), "all to die")
    # The next process clears away what the killed one has left.
    assert list(tmp_path.glob("redis-*"))
    (temporary,) = tmp_path.glob("workshop-*")
    with Stack(tmp_path, env):
        assert not list(tmp_path.glob("redis-*"))
        assert not temporary.exists()


def test_a_killed_leash_does_not_save_its_child(stack: Stack, mark: Mark) -> None:
    child = stack.start("child", python("import signal; signal.pause()"))
    leash = psutil.Process(child.pid).parent()
    assert leash is not None and "leash.py" in " ".join(leash.cmdline())
    leash.kill()
    eventually(lambda: not child.running, "the end of the leash to be seen")
    eventually(lambda: not mark.processes(), "the child to go")


# Stacks


def test_the_last_started_is_stopped_first(stack: Stack, tmp_path: Path) -> None:
    code = """
        import signal, sys, time
        def stop(*_):
            with open(sys.argv[1], "a") as file: file.write(sys.argv[2])
            sys.exit()
        signal.signal(signal.SIGTERM, stop)
        print("up", flush=True)
        while True: signal.pause()
    """
    order = tmp_path / "order"
    for name in "abc":
        child = stack.start(name, [*python(code), order, name])
        wait_until(lambda child=child: "up" in child.tail(), "it", 60, child)  # type: ignore[misc]
    stack.stop()
    assert order.read_text() == "cba"
    stack.stop()  # a second time is no harm


LITTER = """
    import signal, tempfile
    print(tempfile.mkdtemp(), flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("end", [Stack.stop, Stack.kill])
def test_temporary_files_of_children_go_with_the_stack(
    tmp_path: Path, end: Callable[[Stack], None]
) -> None:
    with Stack(tmp_path, environment(TMPDIR=str(tmp_path))) as stack:
        child = stack.start("child", python(LITTER))
        wait_until(lambda: "/" in child.tail(), "its folder", 60, child)
        folder = Path(child.tail())
        assert folder.is_dir() and folder.is_relative_to(tmp_path)
        end(stack)
        assert not folder.exists()
        assert list(tmp_path.iterdir()) == [tmp_path / "logs"]


def test_an_exception_stops_the_stack_and_keeps_the_logs(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Stack(tmp_path) as stack:
        stack.env["WORKSHOP_REDIS"] = "fakeredis"
        stack.redis()
        child = stack.start("child", python("import signal; print('hello'); signal.pause()"))
        raise ZeroDivisionError
    assert not child.running
    assert child.log.is_file() and child.log.is_relative_to(tmp_path / "logs")
    assert not list(tmp_path.glob("redis-*"))


def test_a_restarted_child_goes_on_in_its_log(stack: Stack) -> None:
    for word in ("one", "two"):
        child = stack.start("child", python(f"print({word!r})"))
        child.wait(60)
    assert child.tail() == "one\ntwo"
    assert child.output() == "two\n"
    assert stack.children == [child]


def test_waiting_ends_when_the_child_does_and_shows_its_last_words(stack: Stack) -> None:
    child = stack.start("child", python("raise SystemExit('out of coffee')"))
    with pytest.raises(NotReady) as error:
        wait_until(lambda: None, "an answer", 60, child)
    assert "exit code 1" in error.value.message and "an answer" in error.value.message
    assert error.value.detail == "out of coffee"
    assert child.log.name in error.value.fix


def test_a_child_that_ended_on_a_full_disk_is_told_so(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.processes.child.is_full", lambda folder: folder == stack.logs)
    child = stack.start("child", python("raise SystemExit(1)"))
    with pytest.raises(NotReady) as error:
        wait_until(lambda: None, "an answer", 60, child)
    assert error.value.message.endswith(f": the disk of {stack.logs} is full")
    assert error.value.fix == f"make room there: df -h {stack.logs}"


def test_waiting_in_vain_ends_at_the_deadline(stack: Stack) -> None:
    child = stack.start("child", python("import signal; signal.pause()"))
    with pytest.raises(NotReady, match=r"waited 0\.2 s for a miracle, in vain"):
        wait_until(lambda: False, "a miracle", 0.2, child)


@pytest.mark.parametrize("tier", ["", "fakeredis"])
def test_redis_gets_another_port_when_its_first_one_is_taken_meanwhile(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tier: str
) -> None:
    stack.env["WORKSHOP_REDIS"] = tier
    with free_socket() as sock:
        ports = [sock.getsockname()[1], free_port()]
        monkeypatch.setattr("kit.processes.stack.free_port", iter(ports).__next__)
        assert stack.redis() == f"redis://127.0.0.1:{ports[1]}/0"


def test_redis_that_ends_for_another_reason_is_an_error(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kit.processes.stack.redis_command", lambda *_, **__: python("raise SystemExit(3)")
    )
    with pytest.raises(NotReady, match=r"redis ended \(exit code 3\)"):
        stack.redis()


def test_a_port_in_use_is_an_error_that_names_the_holder() -> None:
    with free_socket() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(KitError) as error:
            free_socket(port)
    assert f"port {port} is in use" in error.value.message
    if sys.platform == "linux":  # macOS tells root only
        assert f"(pid {os.getpid()})" in error.value.message
    assert "--port" in error.value.fix
