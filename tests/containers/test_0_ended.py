"""`make containers` is ended by a signal, and nothing of its engine stays.

Each engine here has namespaces of its own for its network and its mounts, beside the engine that
the other tests use.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from kit.workspace import ROOT
from tests.containers.namespace import namespace
from tests.support.processes import eventually
from tools.containers.__main__ import CACHE
from tools.containers.commands import run
from tools.containers.footprint import RECORD
from tools.containers.machine import why_no_engine

pytestmark = [
    pytest.mark.containers,
    pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine()),
]
# Compose and what else was fetched: not again for each engine.
FETCHED = ("docker", "plugins")


class Machine:
    """What an engine changes on a machine, as seen from a namespace."""

    def __init__(self, enter: list[str], cache: Path) -> None:
        self._enter = enter
        self._cache = cache

    @contextmanager
    def held(self) -> Iterator[subprocess.Popen[str]]:
        """`hold` in the namespace, once its container runs."""
        names = ("DOCKER_HOST", "DOCKER_CONFIG")  # those of the engine that runs these tests
        env = {name: value for name, value in os.environ.items() if name not in names}
        argv = [*self._enter, sys.executable, "-m", "tests.containers.hold", str(self._cache)]
        with subprocess.Popen(argv, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as hold:
            assert hold.stdout
            said = []
            while (line := hold.stdout.readline()) != "up\n":
                said.append(line)
                assert line, said
            yield hold

    def network(self) -> list[str]:
        """Its interfaces, its rules and whether it hands on packets."""
        links = json.loads(self._run("ip", "-json", "link"))
        # The tables stay, with nothing in them that would refuse or change a packet.
        rules = re.findall(r"^-.*|^:.* DROP", self._run("iptables-save"), re.MULTILINE)
        forwards = self._run("cat", "/proc/sys/net/ipv4/ip_forward")
        return [*(link["ifname"] for link in links), *rules, forwards]

    def processes(self) -> list[str]:
        """The processes of the engine, and those of its containers."""
        return [process.name() for process in self._found()]

    def kill(self) -> None:
        """Kill them: what a test that fails has left."""
        for process in self._found():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def record(self) -> str:
        """What is written down about the engine."""
        return self._run("cat", str(RECORD))

    def _found(self) -> set[psutil.Process]:
        found = set()
        for process in psutil.process_iter():
            try:
                if str(self._cache) in " ".join([*process.cmdline(), *process.environ().values()]):
                    found |= {process, *process.children(recursive=True)}
            except psutil.Error:
                continue
        return found

    def _run(self, *argv: str) -> str:
        return run([*self._enter, *argv])


@contextmanager
def a_machine(cache: Path) -> Iterator[Machine]:
    """One in which nothing was ever started. What a test that fails leaves there is killed."""
    for name in FETCHED:
        (cache / name).symlink_to(CACHE / name)
    with namespace() as enter:
        machine = Machine(enter, cache)
        try:
            yield machine
        finally:
            machine.kill()


def end_by(numbers: list[signal.Signals], cache: Path) -> None:
    with a_machine(cache) as seen:
        before = seen.network()
        for number in numbers:
            with seen.held() as held:
                folder = json.loads(seen.record())["folder"]
                assert seen.network() != before
                # The container runs, as Docker has said. Then runc becomes sleep.
                eventually(lambda: "sleep" in seen.processes(), "the container's sleep")
                held.send_signal(number)
                assert held.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
            if number == signal.SIGKILL:
                assert "dockerd" in seen.processes()
        eventually(lambda: not seen.processes(), "the processes to end")
        assert seen.network() == before
        assert seen.record() == ""
        assert not Path(folder).exists()


def test_a_signal_takes_all_away_and_what_sigkill_leaves_the_next_run_does(tmp_path: Path) -> None:
    ends = ([signal.SIGKILL, signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT])
    caches = [tmp_path / str(number) for number, _ in enumerate(ends)]
    for cache in caches:
        cache.mkdir()
    with ThreadPoolExecutor() as pool:
        list(pool.map(end_by, ends, caches))
